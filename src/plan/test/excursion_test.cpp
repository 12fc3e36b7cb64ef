#include "perwatt/plan/excursion.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/error.hpp"

namespace perwatt::plan {
namespace {

using Numbers = std::vector<double>;

rc::Gen<Numbers> numbers(std::size_t size, int low, int high) {
  return rc::gen::container<Numbers>(
      size, rc::gen::map(rc::gen::inRange(low, high), [](int v) { return v / 1000.0; }));
}

struct Case {
  ScenarioSet set;
  double tail_share;
};

Case some_case() {
  const auto groups = *rc::gen::inRange<std::size_t>(1, 5);
  const auto scenarios = *rc::gen::inRange<std::size_t>(1, 40);
  auto ratios = *numbers(groups * scenarios, 0, 3000);
  const double share = *rc::gen::inRange(1, 1001) / 1000.0;
  return {ScenarioSet::from_samples(groups, std::move(ratios), 1), share};
}

double dot(const Numbers& a, const Numbers& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

double total(const Numbers& a) {
  return std::accumulate(a.begin(), a.end(), 0.0);
}

/// The mean of the highest draws by sorting all of them.
double tail_mean_by_sorting(const Case& given, const Numbers& mean, const Numbers& swing) {
  Numbers draws;
  for (std::size_t w = 0; w < given.set.scenarios(); ++w) {
    double draw = 0;
    for (std::size_t g = 0; g < mean.size(); ++g) {
      draw += mean[g] + (given.set.ratio(w, g) - 1) * swing[g];
    }
    draws.push_back(draw);
  }
  std::sort(draws.rbegin(), draws.rend());
  const double wanted = given.tail_share * static_cast<double>(draws.size());
  double left = wanted;
  double sum = 0;
  for (const double draw : draws) {
    sum += std::min(1.0, left) * draw;
    left = std::max(0.0, left - 1);
  }
  return sum / wanted;
}

TEST(TailCount, IsTheOrderStatisticOfTheRuleOfThree) {
  EXPECT_EQ(tail_count(300, 0.01), 1U);  // 0.99^300 = 0.049
  EXPECT_EQ(tail_count(299, 0.01), std::nullopt);
  EXPECT_EQ(tail_count(90, 0.01), std::nullopt);
  // The classical 95 %/95 % tolerance limits: 59 samples for the largest, 93 for the second, 124
  // for the third, 181 for the fifth (Wilks); 59 < 3 / 0.05 = 60 is refused by the rule of three.
  EXPECT_EQ(tail_count(60, 0.05), 1U);
  EXPECT_EQ(tail_count(59.9, 0.05), std::nullopt);
  EXPECT_EQ(tail_count(92.9, 0.05), 1U);
  EXPECT_EQ(tail_count(93, 0.05), 2U);
  EXPECT_EQ(tail_count(123, 0.05), 2U);
  EXPECT_EQ(tail_count(124, 0.05), 3U);
  EXPECT_EQ(tail_count(180, 0.05), 4U);
  EXPECT_EQ(tail_count(181, 0.05), 5U);
  EXPECT_EQ(tail_share(181, 0.05), 5.0 / 181);
  EXPECT_EQ(tail_share(10, 0.05), std::nullopt);
  EXPECT_THROW((void)tail_count(100, 0), Error);
  EXPECT_THROW((void)tail_count(100, 1), Error);
}

TEST(TailCount, DoesNotUnderflowAndStaysBelowTheExpectedCount) {
  // n alpha = 5000, standard deviation 68.9: about 5000 - 1.645 x 68.9 = 4887.
  const auto count = tail_count(1e5, 0.05);
  ASSERT_TRUE(count.has_value());
  EXPECT_NEAR(static_cast<double>(*count), 4887, 2);
}

RC_GTEST_PROP(ExcursionLimit, TailMeanIsThatOfSortedDraws, ()) {
  const auto given = some_case();
  const auto mean = *numbers(given.set.groups(), 0, 100'000);
  const auto swing = *numbers(given.set.groups(), 0, 100'000);
  const ExcursionLimit limit{given.set, given.tail_share};
  const double want = tail_mean_by_sorting(given, mean, swing);
  RC_ASSERT(std::abs(limit.tail_mean(mean, swing) - want) < 1e-9 * (1 + std::abs(want)));
}

RC_GTEST_PROP(ExcursionLimit, CutsHoldForEveryLoadAndTouchTheirOwn, ()) {
  const auto given = some_case();
  const ExcursionLimit limit{given.set, given.tail_share};
  const auto here = *numbers(given.set.groups(), 0, 100'000);
  const auto elsewhere = *numbers(given.set.groups(), 0, 100'000);
  const Numbers mean(given.set.groups(), 1.5);
  const auto cut = limit.cut_at(here);
  RC_ASSERT(cut.mean_coefficients == Numbers(given.set.groups(), 1.0));
  const auto reach = [&](const Numbers& swing) {
    return dot(cut.mean_coefficients, mean) + dot(cut.swing_coefficients, swing);
  };
  const double scale = 1e-9 * (1 + total(here) + total(elsewhere));
  RC_ASSERT(std::abs(reach(here) - limit.tail_mean(mean, here)) < scale);
  RC_ASSERT(reach(elsewhere) <= limit.tail_mean(mean, elsewhere) + scale);
}

RC_GTEST_PROP(ExcursionLimit, TailMeanIsConvexHomogeneousAndAboveTheQuantile, ()) {
  const auto given = some_case();
  const ExcursionLimit limit{given.set, given.tail_share};
  const auto a = *numbers(given.set.groups(), 0, 100'000);
  const auto b = *numbers(given.set.groups(), 0, 100'000);
  Numbers middle(a.size());
  Numbers three(a.size());
  for (std::size_t g = 0; g < a.size(); ++g) {
    middle[g] = (a[g] + b[g]) / 2;
    three[g] = 3 * a[g];
  }
  const double scale = 1e-9 * (1 + total(a) + total(b));
  RC_ASSERT(limit.tail_mean(middle, middle) <=
            (limit.tail_mean(a, a) + limit.tail_mean(b, b)) / 2 + scale);
  RC_ASSERT(std::abs(limit.tail_mean(three, three) - 3 * limit.tail_mean(a, a)) < 3 * scale);
  RC_ASSERT(limit.excursion_ratio(a, a, limit.tail_mean(a, a)) <= given.tail_share + 1e-12);
}

RC_GTEST_PROP(ExcursionLimit, ExcessOverTheQuantileMakesTheTailMean, ()) {
  // Rockafellar and Uryasev: tail mean = min over limits of limit + excess / share.
  const auto given = some_case();
  const ExcursionLimit limit{given.set, given.tail_share};
  const auto load = *numbers(given.set.groups(), 0, 100'000);
  const double tail = limit.tail_mean(load, load);
  double least = 1e300;
  for (std::size_t w = 0; w < given.set.scenarios(); ++w) {
    double draw = 0;
    for (std::size_t g = 0; g < load.size(); ++g) {
      draw += given.set.ratio(w, g) * load[g];
    }
    least = std::min(least, draw + limit.expected_excess(load, load, draw) / given.tail_share);
  }
  RC_ASSERT(std::abs(least - tail) < 1e-8 * (1 + std::abs(tail)));
}

TEST(ExcursionLimit, CountsExcursionsAndTheirExcess) {
  // Draws 10 + {-5, 0, 5, 10}.
  const ExcursionLimit limit{ScenarioSet::from_samples(1, {0.5, 1, 1.5, 2}, 4), 0.5};
  const Numbers load = {10};
  EXPECT_DOUBLE_EQ(limit.tail_mean(load, load), 17.5);
  EXPECT_DOUBLE_EQ(limit.excursion_ratio(load, load, 10), 0.5);
  EXPECT_DOUBLE_EQ(limit.excursion_ratio(load, load, 20), 0);
  EXPECT_DOUBLE_EQ(limit.excursion_ratio(load, load, 20 * (1 - 1e-12)), 0);  // rounding of a solver
  EXPECT_DOUBLE_EQ(limit.excursion_ratio(load, load, 0), 1);
  EXPECT_DOUBLE_EQ(limit.expected_excess(load, load, 10), 3.75);
  EXPECT_DOUBLE_EQ(limit.expected_excess(load, load, 30), 0);
  EXPECT_DOUBLE_EQ(limit.tail_mean(load, Numbers{0}), 10);
}

TEST(ExcursionLimit, RefusesWrongCalls) {
  const auto set = ScenarioSet::from_samples(2, {1, 1}, 1);
  EXPECT_THROW((ExcursionLimit{set, 0}), Error);
  EXPECT_THROW((ExcursionLimit{set, 1.1}), Error);
  const ExcursionLimit limit{set, 1};
  const Numbers one = {1};
  const Numbers two = {1, 1};
  EXPECT_THROW((void)limit.tail_mean(one, two), Error);
  EXPECT_THROW((void)limit.tail_mean(two, one), Error);
  EXPECT_THROW((void)limit.excursion_ratio(one, two, 1), Error);
  EXPECT_THROW((void)limit.expected_excess(one, two, 1), Error);
}

}  // namespace
}  // namespace perwatt::plan
