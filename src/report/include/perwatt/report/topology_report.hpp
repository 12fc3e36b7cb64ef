// The power tree of a site as a page: self-contained HTML that opens offline.
//
// A pure function from results to text, same input, same bytes. Siblings that are alike share a
// line; a tree of more lines than a page can hold is cut and the page says so.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "perwatt/topology/outline.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::report {

struct TopologyReport {
  const topology::PowerTree* tree = nullptr;  // outlives the report
  topology::KnownDraws draws;
  bool has_readings = false;
  /// What one watt more is worth at each node, by node index; no column when empty.
  std::span<const std::optional<double>> prices;
  std::string price_unit;  // "USD/h per kW"
  std::string source;      // the file
  std::string version;     // of perwatt
};

[[nodiscard]] std::string topology_html(const TopologyReport& report,
                                        std::size_t most_lines = 2000);

}  // namespace perwatt::report
