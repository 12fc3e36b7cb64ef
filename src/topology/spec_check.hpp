// What can be told of one spec alone.
#pragma once

#include <span>

#include "perwatt/topology/power_tree.hpp"

namespace perwatt::topology {

/// Throws Error(bad_input) for the first value out of its range; see PowerTree::build.
void check_specs(std::span<const NodeSpec> nodes, std::span<const DeviceSpec> devices);

}  // namespace perwatt::topology
