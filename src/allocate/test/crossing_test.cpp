// Sums that cross branches: cap groups, guarantees, cross limits.
#include <cmath>
#include <cstdint>
#include <limits>

#include "expectations.hpp"
#include "lp_oracle.hpp"
#include "random_problem.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/allocate/allocator.hpp"

namespace perwatt::allocate {
namespace {

using ::testing::ElementsAre;

TEST(CrossingSums, EqualLinearProgramWithGroupsAcrossBranches) {
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    SCOPED_TRACE(seed);
    ProblemKind kind;
    kind.is_whole = seed % 3 == 0;
    kind.policy = seed % 4 == 0 ? Policy::priority : Policy::value;
    kind.cap_groups = static_cast<int>(seed % 3);
    kind.guarantees = static_cast<int>(seed % 4);
    expect_equals_program(RandomProblem{seed}.make(kind), 1e-6);
    if (HasFailure()) {
      return;
    }
  }
}

TEST(CrossingSums, EqualLinearProgramWithLimitsAcrossBranches) {
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    SCOPED_TRACE(seed);
    ProblemKind kind;
    kind.is_whole = seed % 3 == 0;
    kind.policy = seed % 4 == 0 ? Policy::priority : Policy::value;
    kind.cross_limits = 1 + static_cast<int>(seed % 4);
    kind.cap_groups = static_cast<int>(seed % 7 == 0);
    kind.guarantees = static_cast<int>(seed % 5 == 0);
    expect_equals_program(RandomProblem{seed}.make(kind), 1e-6);
    if (HasFailure()) {
      return;
    }
  }
}

/// Price and loss are what the program says of a little more and a little less of the limit.
void expect_price(const Problem& more, const Problem& less, double step, double value,
                  const LimitUse& use) {
  const auto gained = best_by_program(more);
  const auto lost = best_by_program(less);
  ASSERT_TRUE(gained);
  EXPECT_NEAR(use.price_per_watt, (gained->front() - value) / step, 1e-3);
  ASSERT_EQ(use.loss_per_watt.has_value(), lost.has_value());
  if (lost) {
    EXPECT_NEAR(*use.loss_per_watt, (value - lost->front()) / step, 1e-3);
  }
}

TEST(CrossingSums, PricesBesideThemAreWhatALittleMoreAndLessChange) {
  constexpr double kStep = 1e-4;
  int nodes_priced = 0;
  int cross_priced = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    ProblemKind kind;
    kind.most_nodes = 12;
    kind.cross_limits = static_cast<int>(seed % 3);
    kind.guarantees = static_cast<int>(seed % 2);
    const Problem problem = RandomProblem{seed}.make(kind);
    Allocator allocator{problem};
    const auto answer = allocator.solve();
    ASSERT_EQ(answer.status == Status::optimal, best_by_program(problem).has_value());
    if (answer.status == Status::infeasible) {
      continue;
    }
    for (std::uint32_t k = 0; k < problem.cross_limits().size(); ++k) {
      Problem more = problem;
      Problem less = problem;
      more.set_cross_limit(CrossLimitIndex{k}, problem.cross_limits()[k].limit + watts(kStep));
      less.set_cross_limit(CrossLimitIndex{k}, problem.cross_limits()[k].limit - watts(kStep));
      expect_price(more, less, kStep, answer.value, answer.cross_limits[k]);
      cross_priced += answer.cross_limits[k].price_per_watt > 0 ? 1 : 0;
    }
    for (std::size_t n = 0; n < problem.nodes().size(); ++n) {
      if (problem.nodes()[n].limit < watts(kStep)) {
        continue;  // there is no less
      }
      expect_price(with_limit(problem, n, kStep), with_limit(problem, n, -kStep), kStep,
                   answer.value, answer.nodes[n]);
      nodes_priced += answer.nodes[n].price_per_watt > 0 ? 1 : 0;
    }
  }
  EXPECT_GT(cross_priced, 20);
  EXPECT_GT(nodes_priced, 200);
}

TEST(CrossingSums, OneCurveOutOfScaleDoesNotHideAGuarantee) {
  Problem problem{Policy::value};
  const auto root = problem.add_node(std::nullopt, watts(1e12));
  const auto guarantee = problem.add_guarantee(watts(400));
  DeviceTerms terms;
  terms.guarantee = guarantee;
  problem.add_device(root, std::vector<CurvePoint>{{watts(0), 0}, {watts(10), 1}}, terms);
  problem.add_device(root, std::vector<CurvePoint>{{watts(0), 0}, {watts(1e10), 1}});
  Allocator allocator{std::move(problem)};
  for (int again = 0; again < 2; ++again) {
    const auto& answer = allocator.solve();
    EXPECT_EQ(answer.status, Status::infeasible);
    EXPECT_THAT(answer.unmet, ElementsAre(guarantee));
  }
}

}  // namespace
}  // namespace perwatt::allocate
