// The answers of perwatt topology for people.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "topology_input.hpp"

#include "perwatt/topology/site_check.hpp"

namespace perwatt::cli {

struct TreeTextOptions {
  bool all = false;      // a line for every node and device
  bool colours = false;  // for a terminal
  /// What one watt more is worth at each node, by node index, and its unit; no column when empty.
  std::span<const std::optional<double>> prices = {};
  std::string price_unit = {};
};

[[nodiscard]] std::string tree_text(const TopologyInput& input, const TreeTextOptions& options);

[[nodiscard]] std::string check_text(const TopologyInput& input, const topology::SiteCheck& check);

}  // namespace perwatt::cli
