// The split where sums cross branches: devices that share one cap, watts guaranteed to a group,
// limits on devices that are no subtree.
//
// Such rows are not nested in the tree, so worth per watt alone does not decide. A linear program
// over the pieces of curve does: solved on few pieces at first, those the split without groups
// leaves half filled, and on more as long as the prices of nodes and guarantees say that a piece
// left out would change the answer (column generation). The prices give a proven bound.
#pragma once

#include <span>

#include "tree_order.hpp"

#include "perwatt/allocate/allocation.hpp"
#include "perwatt/allocate/problem.hpp"

namespace perwatt::allocate {

/// What a cross limit bounds.
[[nodiscard]] Watts cross_sum(const Problem::CrossLimit& limit,
                              std::span<const Watts> device_watts);

/// `answer` holds the split without groups and becomes the one with them. Prices are the program's
/// duals: between what a watt more gains and a watt less loses, the same in both fields.
/// Throws Error(bad_input) for a program beyond any solver's size, Error(internal_error) when the
/// solver stops without an answer.
void solve_groups(const Problem& problem, const TreeOrder& order, Allocation& answer);

}  // namespace perwatt::allocate
