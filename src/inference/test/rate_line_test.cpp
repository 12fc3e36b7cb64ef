#include "perwatt/inference/rate_line.hpp"

#include <algorithm>
#include <cmath>

#include "points.hpp"
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace perwatt::inference {
namespace {

std::vector<const MeasuredPoint*> all_of(const std::vector<MeasuredPoint>& points) {
  std::vector<const MeasuredPoint*> rows;
  for (const auto& point : points) {
    rows.push_back(&point);
  }
  return rows;
}

double pooled(const RateLine& line, double interactivity) {
  return in_tokens_per_second(line.pooled_at(tokens_per_second(interactivity))->total_per_gpu);
}

RateLine shipped_line(std::string_view side) {
  return RateLine{rows_of(shipped_points(), "deepseek-r1", lengths(8192, 1024), side)};
}

TEST(RateLine, IsLogLinearBetweenRowsAndLevelBelowTheLowest) {
  const std::vector<MeasuredPoint> points{point_at(1, 100, 50), point_at(8, 50, 200),
                                          point_at(4, 60, 40)};  // beaten in both
  const RateLine line{all_of(points)};
  ASSERT_EQ(line.corners().size(), 2U);
  EXPECT_NEAR(pooled(line, 75), std::sqrt(100.0 * 400.0), 1e-9);
  EXPECT_DOUBLE_EQ(pooled(line, 100), 100);
  EXPECT_DOUBLE_EQ(pooled(line, 50), 400);
  EXPECT_DOUBLE_EQ(pooled(line, 10), 400);
  EXPECT_FALSE(line.pooled_at(tokens_per_second(100.1)));
  EXPECT_EQ(line.pooled_at(tokens_per_second(75))->tag, Tag::interpolated);
  EXPECT_EQ(line.pooled_at(tokens_per_second(100))->tag, Tag::measured);
}

TEST(RateLine, BestRowHasAtLeastTheInteractivity) {
  const std::vector<MeasuredPoint> points{point_at(1, 100, 50), point_at(8, 50, 200)};
  const RateLine line{all_of(points)};
  const auto rate = [&](double at) {
    return in_tokens_per_second(line.best_row_at(tokens_per_second(at))->total_per_gpu);
  };
  EXPECT_DOUBLE_EQ(rate(50), 400);
  EXPECT_DOUBLE_EQ(rate(50.1), 100);
  EXPECT_DOUBLE_EQ(rate(100), 100);
  EXPECT_FALSE(line.best_row_at(tokens_per_second(101)));
}

TEST(RateLine, SaysWhenItLiesBetweenDeployments) {
  std::vector<MeasuredPoint> points{point_at(1, 100, 50), point_at(8, 50, 200)};
  EXPECT_FALSE(RateLine{all_of(points)}.pooled_at(tokens_per_second(75))->is_between_deployments);
  points[1].engine = "b";
  EXPECT_TRUE(RateLine{all_of(points)}.pooled_at(tokens_per_second(75))->is_between_deployments);
}

TEST(RateLine, OfNoRowsIsEmpty) {
  EXPECT_TRUE(RateLine{{}}.empty());
  EXPECT_FALSE(RateLine{{}}.pooled_at(tokens_per_second(1)));
  EXPECT_FALSE(RateLine{{}}.best_row_at(tokens_per_second(1)));
}

RC_GTEST_PROP(RateLine, FallsWithInteractivityAndDoesNotDependOnOrder, ()) {
  auto points = *rc::gen::container<std::vector<MeasuredPoint>>(
      rc::gen::map(rc::gen::pair(rc::gen::inRange(1, 200), rc::gen::inRange(1, 5000)),
                   [](const auto& at) { return point_at(4, at.first, at.second); }));
  const RateLine line{all_of(points)};
  auto reversed = points;
  std::reverse(reversed.begin(), reversed.end());
  const RateLine other{all_of(reversed)};
  double before = 1e9;
  for (double at = 1; at < 200; at += 7.5) {
    const auto value = line.pooled_at(tokens_per_second(at));
    const auto row = line.best_row_at(tokens_per_second(at));
    RC_ASSERT(value.has_value() == row.has_value());
    if (value) {
      RC_ASSERT(value->total_per_gpu >= row->total_per_gpu);
      RC_ASSERT(in_tokens_per_second(value->total_per_gpu) <= before);
      RC_ASSERT(value->total_per_gpu == other.pooled_at(tokens_per_second(at))->total_per_gpu);
      before = in_tokens_per_second(value->total_per_gpu);
    }
  }
}

/// Figures of an independent script over the same rows, to their last printed digit.
TEST(RateLine, ReproducesThePooledTableOfDeepSeekR1) {
  struct Expected {
    const char* side;
    double at_20;
    double at_50;
    double at_100;
  };

  for (const auto& row :
       {Expected{"h100:fp8", 846, 232, 132}, Expected{"h200:fp8", 2543, 1352, 518},
        Expected{"b200:fp4", 12147, 10971, 2460}, Expected{"gb200:fp4", 14952, 9506, 1548},
        Expected{"gb300:fp4", 16493, 15300, 1664}, Expected{"mi355x:fp4", 3710, 2857, 2563}}) {
    const auto line = shipped_line(row.side);
    EXPECT_NEAR(pooled(line, 20), row.at_20, 0.51) << row.side;
    EXPECT_NEAR(pooled(line, 50), row.at_50, 0.51) << row.side;
    EXPECT_NEAR(pooled(line, 100), row.at_100, 0.51) << row.side;
  }
}

TEST(RateLine, TakesAllPrecisionsUnlessOneIsNamed) {
  EXPECT_EQ(pooled(shipped_line("gb300"), 50), pooled(shipped_line("gb300:fp4"), 50));
  EXPECT_LT(pooled(shipped_line("gb300:fp8"), 50), pooled(shipped_line("gb300"), 50));
  EXPECT_TRUE(shipped_line("vera-rubin").empty());
}

}  // namespace
}  // namespace perwatt::inference
