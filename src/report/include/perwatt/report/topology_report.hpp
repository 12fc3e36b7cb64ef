// The power tree of a site as a page: self-contained HTML that opens offline.
//
// A pure function from results to text, same input, same bytes. Siblings that are alike share a
// line; a tree of more lines than a page can hold is cut and the page says so.
#pragma once

#include <cstddef>
#include <string>

#include "perwatt/allocate/site_split.hpp"
#include "perwatt/topology/outline.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::report {

struct TopologyReport {
  const topology::PowerTree* tree = nullptr;  // outlives the report
  topology::KnownDraws draws;
  bool has_readings = false;
  /// The best split of watts; no columns for it without. Both outlive the report.
  const allocate::SiteSplit* split = nullptr;
  const topology::FiguresBeside* beside = nullptr;  // its figures
  std::string source;                               // the file
  std::string version;                              // of perwatt
};

[[nodiscard]] std::string topology_html(const TopologyReport& report,
                                        std::size_t most_lines = 2000);

}  // namespace perwatt::report
