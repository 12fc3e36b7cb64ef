// Limits of a tree whose feeds are not all up, for sums that count the shares of all feeds.
//
// A ledger and a split add up what devices draw by the shares that the tree declares. With feeds
// lost, those left carry more: a node's true supply is at most `growth` times its declared sum,
//
//     growth(n) = max over the nodes c below n with draws: true watts of c at n / declared watts
//
// so that a limit of L / growth on the declared sum keeps the true supply within L. Exact where all
// that a node feeds grows alike (2N feeds), else on the safe side. Pure functions.
#pragma once

#include <span>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::control {

/// By node: the least limit of the node as a whole, infinite where nothing bounds it.
[[nodiscard]] std::vector<Watts> steady_limits(const topology::PowerTree& tree);

/// By node, what `limits` become while the `lost` nodes carry nothing. A node that carries nothing
/// keeps its own.
[[nodiscard]] std::vector<Watts> limits_without(const topology::PowerTree& tree,
                                                std::span<const topology::NodeIndex> lost,
                                                std::span<const Watts> limits);

/// By node, what must be kept with all feeds up, so that the loss of any single feed leaves every
/// limit of a whole node either kept or passed by no more than its trip curve holds for `response`;
/// limits of phases are not looked at. Losses are those of topology/feed_loss.hpp. Quadratic in
/// nodes with several parents.
[[nodiscard]] std::vector<Watts> survivable_limits(const topology::PowerTree& tree,
                                                   Seconds response);

}  // namespace perwatt::control
