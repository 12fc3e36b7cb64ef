// A power tree from TOML: [[topology.node]] and [[topology.device]] of any file, a site file too.
// Keys, units and repetition: docs/reference/topology.md.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "perwatt/topology/power_tree.hpp"

namespace perwatt::topology {

/// What repetition may grow to.
struct TopologySize {
  std::size_t most_nodes = kMostNodes;
  std::size_t most_devices = kMostDevices;
};

/// `name` stands for the file in messages. Other tables of the file are left alone. Throws
/// Error(bad_input) as ConfigTable and PowerTree::build do. Linear in the expanded tree.
[[nodiscard]] PowerTree read_topology(std::string_view text, const std::string& name,
                                      const TopologySize& size = {});

}  // namespace perwatt::topology
