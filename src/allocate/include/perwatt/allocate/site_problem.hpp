// The split of a site's watts as a Problem, in root watts: the same for whoever solves it again and
// again with other curves and limits.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "perwatt/allocate/problem.hpp"
#include "perwatt/allocate/site_limits.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::allocate {

/// A curve in root watts by device index.
using CurveOf = std::function<std::vector<CurvePoint>(std::size_t device)>;

/// Sums and devices of `limits`, each sum at `used_ratio` of its least limit; above 0, at most 1.
/// `most_points` as for Problem::add_device. Throws as Problem requires of curves.
[[nodiscard]] Problem site_problem(const topology::PowerTree& tree, const SiteLimits& limits,
                                   double used_ratio, const CurveOf& curve_of,
                                   std::size_t most_points = 0);

/// Other limits of the same sums, in a problem of site_problem().
void set_limits(Problem& problem, const SiteLimits& limits, double used_ratio);

/// Limits that change: each by SiteLimits::limits.
class ChangingLimits {
 public:
  explicit ChangingLimits(const topology::PowerTree& tree)
      : limits_{site_limits(tree)}, tree_limits_{limits_.limits} {}

  [[nodiscard]] const SiteLimits& limits() const { return limits_; }

  /// What the node as a whole may carry, its fixed part included; never above the tree's own.
  /// Phases keep theirs.
  void set(topology::NodeIndex node, Watts limit);

  /// As they were once: by SiteLimits::limits. REQUIRES: as many.
  void restore(std::span<const Watts> powers);

 private:
  SiteLimits limits_;
  std::vector<SiteLimit> tree_limits_;
};

}  // namespace perwatt::allocate
