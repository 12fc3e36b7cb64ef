#include "perwatt/curve/power_curve.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace perwatt::curve {
namespace {

using Point = CurvePoint<TokensPerSecond>;
using Curve = PowerCurve<TokensPerSecond>;
using Points = std::vector<Point>;

Point at(double power, double value) {
  return {watts(power), tokens_per_second(value)};
}

/// Small whole numbers: every sum, product and comparison in the hull is exact.
rc::Gen<Points> whole_points(std::size_t most) {
  const auto point =
      rc::gen::map(rc::gen::pair(rc::gen::inRange(0, 30), rc::gen::inRange(-20, 40)),
                   [](const std::pair<int, int>& p) { return at(p.first, p.second); });
  return rc::gen::mapcat(rc::gen::inRange<std::size_t>(1, most + 1),
                         [point](std::size_t n) { return rc::gen::container<Points>(n, point); });
}

rc::Gen<Points> real_points(std::size_t most) {
  const auto point = rc::gen::map(
      rc::gen::pair(rc::gen::inRange(100'000, 2'000'000), rc::gen::inRange(1, 100'000'000)),
      [](const std::pair<int, int>& p) { return at(p.first / 999.7, p.second / 9973.3); });
  return rc::gen::mapcat(rc::gen::inRange<std::size_t>(1, most + 1),
                         [point](std::size_t n) { return rc::gen::container<Points>(n, point); });
}

/// The best value at `power` of any mixture of at most two of `points`: brute force.
std::optional<double> best_mixture(const Points& points, double power) {
  std::optional<double> best;
  for (const auto& a : points) {
    for (const auto& b : points) {
      const double low = in_watts(a.power);
      const double high = in_watts(b.power);
      if (low > power || high < power) {
        continue;
      }
      const double share = high == low ? 0.0 : (power - low) / (high - low);
      const double value = a.value.in_base() + share * (b.value - a.value).in_base();
      best = std::max(best.value_or(value), value);
    }
  }
  return best;
}

std::vector<double> slopes_of(const Curve& curve) {
  std::vector<double> slopes;
  const auto points = curve.points();
  for (std::size_t i = 0; i + 1 < points.size(); ++i) {
    slopes.push_back((points[i + 1].value - points[i].value).in_base() /
                     in_watts(points[i + 1].power - points[i].power));
  }
  return slopes;
}

bool is_strictly_concave(const Curve& curve) {
  const auto slopes = slopes_of(curve);
  return std::adjacent_find(slopes.begin(), slopes.end(), std::less_equal<>{}) == slopes.end() &&
         (slopes.empty() || slopes.back() > 0);
}

bool close(double a, double b) {
  return std::abs(a - b) <= 1e-9 * (1 + std::abs(a));
}

TEST(ConcaveHull, LeavesOutDominatedAndStraightPoints) {
  const Points points = {at(10, 10), at(20, 20), at(15, 15), at(30, 25), at(25, 20), at(40, 25)};
  EXPECT_EQ(concave_hull<TokensPerSecond>(points), (std::vector<std::size_t>{0, 1, 3}));
}

TEST(ConcaveHull, TiesKeepTheHighestThenTheFirst) {
  const Points points = {at(10, 1), at(10, 5), at(10, 5), at(20, 5)};
  EXPECT_EQ(concave_hull<TokensPerSecond>(points), (std::vector<std::size_t>{1}));
}

TEST(ConcaveHull, NothingFollowsTheHighestValue) {
  const Points points = {at(10, 5), at(20, 9), at(30, 9), at(40, 3)};
  EXPECT_EQ(concave_hull<TokensPerSecond>(points), (std::vector<std::size_t>{0, 1}));
}

TEST(ConcaveHull, OfNothingIsEmpty) {
  EXPECT_TRUE(concave_hull<TokensPerSecond>(Points{}).empty());
}

RC_GTEST_PROP(ConcaveHullProperty, IsConcaveAndAboveEveryMixture, ()) {
  const auto points = *whole_points(12);
  const auto curve = Curve::hull_of(points);
  RC_ASSERT(is_strictly_concave(curve));
  for (double power = 0; power <= 30; power += 0.5) {
    const auto value = curve.value_at(watts(power));
    const auto best = best_mixture(points, power);
    if (value) {
      RC_ASSERT(best.has_value());
      RC_ASSERT(close(value->in_base(), *best));
    } else if (best && watts(power) > curve.max_power()) {
      RC_ASSERT(*best <= curve.points().back().value.in_base() + 1e-9);
    } else {
      RC_ASSERT(!best.has_value());
    }
  }
}

RC_GTEST_PROP(ConcaveHullProperty, IsASubsetOfTheInput, ()) {
  const auto points = *real_points(20);
  const auto curve = Curve::hull_of(points);
  for (const auto& point : curve.points()) {
    RC_ASSERT(std::find(points.begin(), points.end(), point) != points.end());
  }
  RC_ASSERT(is_strictly_concave(curve) || curve.points().size() <= 2);
}

RC_GTEST_PROP(ConcaveHullProperty, DoesNotDependOnTheOrder, ()) {
  const auto points = *whole_points(12);
  auto reversed = points;
  std::reverse(reversed.begin(), reversed.end());
  auto sorted = points;
  std::sort(sorted.begin(), sorted.end(),
            [](const Point& a, const Point& b) { return a.value < b.value; });
  const auto curve = Curve::hull_of(points);
  const auto same = [&](const Points& other) {
    const auto hull = Curve::hull_of(other);
    return std::equal(curve.points().begin(), curve.points().end(), hull.points().begin(),
                      hull.points().end());
  };
  RC_ASSERT(same(reversed));
  RC_ASSERT(same(sorted));
}

RC_GTEST_PROP(ConcaveHullProperty, TheHullOfAHullIsItself, ()) {
  const auto once = Curve::hull_of(*whole_points(12));
  const auto twice = Curve::hull_of(once.points());
  RC_ASSERT(std::equal(once.points().begin(), once.points().end(), twice.points().begin(),
                       twice.points().end()));
}

RC_GTEST_PROP(PowerCurveProperty, TheSumIsTheBruteForceSupConvolution, ()) {
  const auto a = Curve::hull_of(*whole_points(8));
  const auto b = Curve::hull_of(*whole_points(8));
  const auto sum = a + b;
  RC_ASSERT(sum.min_power() == a.min_power() + b.min_power());
  RC_ASSERT(sum.max_power() == a.max_power() + b.max_power());
  RC_ASSERT(is_strictly_concave(sum));
  // Breakpoints are whole watts, so some best split of whole watts has a whole-watt part in each.
  for (double total = in_watts(sum.min_power()); total <= in_watts(sum.max_power()); total += 1) {
    double best = -std::numeric_limits<double>::infinity();
    for (double part = in_watts(a.min_power()); part <= in_watts(a.max_power()); part += 1) {
      if (const auto rest = b.value_at(watts(total - part))) {
        best = std::max(best, (*a.value_at(watts(part)) + *rest).in_base());
      }
    }
    RC_ASSERT(close(sum.value_at(watts(total))->in_base(), best));
  }
}

RC_GTEST_PROP(PowerCurveProperty, SummingCommutes, ()) {
  const auto a = Curve::hull_of(*whole_points(8));
  const auto b = Curve::hull_of(*whole_points(8));
  const auto ab = a + b;
  const auto ba = b + a;
  RC_ASSERT(
      std::equal(ab.points().begin(), ab.points().end(), ba.points().begin(), ba.points().end()));
}

RC_GTEST_PROP(PowerCurveProperty, ManyRealSumsStayConcaveAndKeepTheirEnds, ()) {
  auto sum = Curve::hull_of(*real_points(10));
  double low = in_watts(sum.min_power());
  double high = in_watts(sum.max_power());
  for (int i = 0; i < 20; ++i) {
    const auto next = Curve::hull_of(*real_points(10));
    low += in_watts(next.min_power());
    high += in_watts(next.max_power());
    sum = sum + next;
  }
  RC_ASSERT(is_strictly_concave(sum));
  RC_ASSERT(close(in_watts(sum.min_power()), low));
  RC_ASSERT(close(in_watts(sum.max_power()), high));
}

RC_GTEST_PROP(PowerCurveProperty, ValueAtMeetsTheBreakpointsAndIsNothingOutside, ()) {
  const auto curve = Curve::hull_of(*real_points(15));
  for (const auto& point : curve.points()) {
    RC_ASSERT(curve.value_at(point.power) == point.value);
  }
  RC_ASSERT(!curve.value_at(curve.min_power() - watts(1e-3)));
  RC_ASSERT(!curve.value_at(curve.max_power() + watts(1e-3)));
}

RC_GTEST_PROP(PowerCurveProperty, ValueAtIsTheIntegralOfTheSlope, ()) {
  const auto curve = Curve::hull_of(*whole_points(12));
  for (Watts power = curve.min_power(); power < curve.max_power(); power += watts(0.5)) {
    const auto slope = curve.slope_at(power);
    const auto gain = *curve.value_at(power + watts(0.5)) - *curve.value_at(power);
    RC_ASSERT(close((slope * watts(0.5)).in_base(), gain.in_base()));
    RC_ASSERT(slope >= curve.slope_at(power + watts(0.5)));
  }
  RC_ASSERT(curve.slope_at(curve.max_power()).in_base() == 0);
  RC_ASSERT(curve.slope_at(curve.max_power() + watts(1)).in_base() == 0);
}

RC_GTEST_PROP(PowerCurveProperty, ACutCurveIsTheSameUpToTheLimit, ()) {
  const auto curve = Curve::hull_of(*whole_points(12));
  const auto limit = watts(*rc::gen::inRange(-2, 66) / 2.0);
  const auto cut = curve.cut(limit);
  RC_ASSERT(cut.has_value() == (limit >= curve.min_power()));
  if (!cut) {
    return;
  }
  RC_ASSERT(cut->min_power() == curve.min_power());
  RC_ASSERT(cut->max_power() == std::min(limit, curve.max_power()));
  for (Watts power = curve.min_power(); power <= cut->max_power(); power += watts(0.25)) {
    RC_ASSERT(close(cut->value_at(power)->in_base(), curve.value_at(power)->in_base()));
  }
}

TEST(PowerCurve, ASinglePointHasNoSlope) {
  const auto curve = Curve::hull_of(Points{at(700, 50)});
  EXPECT_EQ(curve.value_at(watts(700)), tokens_per_second(50));
  EXPECT_EQ(curve.value_at(watts(699)), std::nullopt);
  EXPECT_EQ(curve.slope_at(watts(700)).in_base(), 0);
  EXPECT_EQ(curve.cut(watts(800))->points().size(), 1U);
  EXPECT_FALSE(curve.cut(watts(699)));
}

TEST(PowerCurve, SplitsWattsBySteepness) {
  const auto steep = Curve::hull_of(Points{at(0, 0), at(10, 100), at(20, 120)});
  const auto flat = Curve::hull_of(Points{at(0, 0), at(10, 50)});
  const auto both = steep + flat;
  EXPECT_EQ(both.value_at(watts(10)), tokens_per_second(100));
  EXPECT_EQ(both.value_at(watts(20)), tokens_per_second(150));
  EXPECT_EQ(both.value_at(watts(30)), tokens_per_second(170));
  EXPECT_EQ(both.slope_at(watts(15)).in_base(), 5);
}

}  // namespace
}  // namespace perwatt::curve
