// What an answer must keep, and the comparison with a linear program.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <set>
#include <span>
#include <vector>

#include "lp_oracle.hpp"
#include <gtest/gtest.h>

#include "perwatt/allocate/allocator.hpp"

namespace perwatt::allocate {

/// The classes' values from the watts of the answer, and that the answer keeps every row.
inline std::vector<double> checked_values(const Problem& problem, const Allocation& answer,
                                          double tolerance) {
  std::set<Priority, std::greater<>> classes;
  std::vector<double> used(problem.nodes().size(), 0.0);
  std::vector<double> guaranteed(problem.guarantees().size(), 0.0);
  std::vector<double> caps(problem.cap_group_count(), -1.0);
  for (const auto& device : problem.devices()) {
    classes.insert(problem.policy() == Policy::priority ? device.terms.priority : 0);
  }
  std::vector<double> values(classes.size(), 0.0);
  for (std::size_t d = 0; d < problem.devices().size(); ++d) {
    const auto& device = problem.devices()[d];
    const double watts = answer.device_watts[d].in_base();
    const auto curve = problem.curve(DeviceIndex{static_cast<std::uint32_t>(d)});
    EXPECT_GE(watts, curve.front().power.in_base() - tolerance);
    EXPECT_LE(watts, curve.back().power.in_base() + tolerance);
    const Priority k = problem.policy() == Policy::priority ? device.terms.priority : 0;
    values[static_cast<std::size_t>(std::distance(classes.begin(), classes.find(k)))] +=
        value_at(curve, Watts::from_base(watts));
    for (std::optional<NodeIndex> n = device.parent; n;
         n = problem.nodes()[static_cast<std::size_t>(*n)].parent) {
      used[static_cast<std::size_t>(*n)] += watts;
    }
    if (device.terms.guarantee) {
      guaranteed[static_cast<std::size_t>(*device.terms.guarantee)] += watts;
    }
    if (device.terms.same_cap) {
      auto& cap = caps[static_cast<std::size_t>(*device.terms.same_cap)];
      EXPECT_TRUE(cap < 0 || std::abs(cap - watts) <= tolerance) << cap << " and " << watts;
      cap = watts;
    }
  }
  for (std::size_t n = 0; n < used.size(); ++n) {
    EXPECT_LE(used[n], problem.nodes()[n].limit.in_base() * (1 + 1e-9) + tolerance);
    EXPECT_NEAR(used[n], answer.nodes[n].power.in_base(), 1e-9 * (1 + used[n]));
  }
  for (std::size_t k = 0; k < problem.cross_limits().size(); ++k) {
    const auto& limit = problem.cross_limits()[k];
    double sum = 0;
    for (const auto& [device, ratio] : limit.shares) {
      sum += ratio * answer.device_watts[static_cast<std::size_t>(device)].in_base();
    }
    EXPECT_LE(sum, limit.limit.in_base() * (1 + 1e-9) + tolerance);
    EXPECT_NEAR(sum, answer.cross_limits[k].power.in_base(), 1e-9 * (1 + sum));
  }
  for (std::size_t g = 0; g < guaranteed.size(); ++g) {
    EXPECT_GE(guaranteed[g], problem.guarantees()[g].in_base() - tolerance);
  }
  return values;
}

inline void expect_equals_program(const Problem& problem, double tolerance) {
  Allocator allocator{problem};
  const auto& answer = allocator.solve();
  const auto best = best_by_program(problem);
  ASSERT_EQ(answer.status == Status::optimal, best.has_value());
  if (!best) {
    return;
  }
  const auto values = checked_values(problem, answer, tolerance > 1e-7 ? 1e-6 : 1e-9);
  double sum = 0;
  for (std::size_t k = 0; k < values.size(); ++k) {
    EXPECT_NEAR(values[k], (*best)[k], tolerance * (1 + std::abs((*best)[k]))) << "class " << k;
    sum += values[k];
  }
  EXPECT_NEAR(answer.value, sum, 1e-9 * (1 + std::abs(sum)));
  EXPECT_GE(answer.bound, answer.value);
  EXPECT_LE(answer.bound, answer.value + tolerance * (1 + std::abs(answer.value)));
}

inline Problem with_limit(const Problem& problem, std::size_t node, double change) {
  Problem changed = problem;
  changed.set_limit(NodeIndex{static_cast<std::uint32_t>(node)},
                    problem.nodes()[node].limit + watts(change));
  return changed;
}

}  // namespace perwatt::allocate
