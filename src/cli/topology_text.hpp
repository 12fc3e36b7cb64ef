// The answers of perwatt topology for people.
#pragma once

#include <string>

#include "topology_input.hpp"
#include "topology_split.hpp"

#include "perwatt/topology/site_check.hpp"

namespace perwatt::cli {

struct TreeTextOptions {
  bool all = false;                      // a line for every node and device
  bool colours = false;                  // for a terminal
  const TopologySplit* split = nullptr;  // columns of it, unless null
};

[[nodiscard]] std::string tree_text(const TopologyInput& input, const TreeTextOptions& options);

[[nodiscard]] std::string check_text(const TopologyInput& input, const topology::SiteCheck& check);

}  // namespace perwatt::cli
