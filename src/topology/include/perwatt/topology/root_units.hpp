// Watts of nodes and devices in the watts of the root, where a tree's limits become nested sums.
//
//     R(root) = 1
//     R(n)    = sum over supplies i of n: share_i * factor(parent_i) * R(parent_i)
//     R(d)    = factor(parent of d) * R(parent of d)                      for a device d
//
// R is what one watt more into a node, or of a device, adds to the root's supply. When no node has
// two parents, everything below n reaches the root through n, and n's limit is a plain sum:
//
//     sum over devices d below n: R(d) * watts(d)  <=  (limit(n) - fixed_supply(n)) * R(n)
//
// with fixed_supply(n) the supply of n while all devices draw nothing. The sums are nested
// (laminar) with one coefficient per device. With feeds the coefficients differ from node to node:
// ancestors_of() gives them.
#pragma once

#include <optional>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::topology {

/// By node and device index.
struct RootUnits {
  std::vector<double> node_factor;                  // R(n)
  std::vector<double> device_factor;                // R(d)
  std::vector<Watts> fixed_supply;                  // at the node, not in root watts
  std::vector<std::optional<Watts>> limit_at_root;  // (steady limit - fixed supply) * R(n); >= 0
  std::vector<Watts> device_min_at_root;            // R(d) * min
  std::vector<Watts> device_max_at_root;            // R(d) * max
};

/// Linear in nodes, devices and supplies.
[[nodiscard]] RootUnits root_units(const PowerTree& tree);

/// What one watt of supply of a node below adds to the supply of `node`.
struct AncestorFactor {
  NodeIndex node;
  double factor = 0;
};

/// `n` itself (factor 1) and every node above it along all its supplies, nearest first (descending
/// index). A device's factors are factor(parent) times its parent's. Along a tree the factor to an
/// ancestor a is R(n) / R(a).
[[nodiscard]] std::vector<AncestorFactor> ancestors_of(const PowerTree& tree, NodeIndex n);

/// The part of a node's or a device's draw that flows on `phase` above it: 1 or 0 when it is on one
/// phase, a third when it is on all. `own` is Node::phase (of the device's parent).
[[nodiscard]] double phase_share(std::optional<Phase> own, Phase phase);

}  // namespace perwatt::topology
