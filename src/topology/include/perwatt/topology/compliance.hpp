// Does the tree carry its devices at a level, and what of their range fits when it does not?
#pragma once

#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/topology/loads.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::topology {

struct LevelCheck {
  DrawLevel level = DrawLevel::maximum;
  Watts root_supply;
  std::vector<Overload> overloads;  // in the order of nodes; time_allowed by curves alone
};

/// Every feed up, the load lasting.
[[nodiscard]] LevelCheck check_level(const PowerTree& tree, DrawLevel level);

/// A node that has devices, before and after.
struct DowngradedNode {
  NodeIndex node;
  Watts supply_at_max;
  Watts supply;
  double range_ratio = 1;  // of its devices' range above the floor
};

/// Draws that fit every limit: device watts = floor + ratio * (max - floor), the ratio of a device
/// being the least that any limit above it allows to all below that limit alike,
///
///     ratio(limit) = (power - supply at the floor) / (supply at maximum - supply at the floor)
///
/// The floor is the guaranteed draw where all of it fits, else the minimum. It fits because supply
/// rises with every draw; it is not the best split (that is allocate's), but the plain one.
struct Downgrade {
  bool keeps_guarantees = true;
  double least_range_ratio = 1;       // the common ratio that every device could have
  std::vector<Watts> draws;           // by device index
  std::vector<DowngradedNode> nodes;  // with devices, in the order of nodes
  NodeLoads loads;
};

[[nodiscard]] Downgrade downgrade(const PowerTree& tree);

}  // namespace perwatt::topology
