#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "points.hpp"
#include <gtest/gtest.h>

#include "perwatt/inference/deployment.hpp"
#include "perwatt/inference/point_table.hpp"

namespace perwatt::inference {
namespace {

double log_spread(const OperatingPoint& point) {
  const auto interval = rate_interval(point);
  EXPECT_NEAR(interval.low_factor * interval.high_factor, 1, 1e-12);
  return std::log(interval.high_factor);
}

/// A run and the median over all runs of the same configuration and load, where they are not the
/// same number.
struct Repeat {
  const MeasuredPoint* run;
  const MeasuredPoint* median;
};

std::vector<Repeat> shipped_repeats(Serving serving) {
  std::map<std::string, std::pair<std::vector<const MeasuredPoint*>, const MeasuredPoint*>> groups;
  for (const auto& point : shipped_points()) {
    if (point.serving != serving || !point.total_per_gpu || !point.interactivity ||
        !point.source.starts_with("inferencex")) {
      continue;
    }
    auto alike = point;
    alike.source.clear();
    alike.date.clear();
    alike.url.clear();
    auto& [runs, of_all] = groups[identity(alike)];
    if (point.source.find("dump") != std::string::npos) {
      of_all = &point;
    } else {
      runs.push_back(&point);
    }
  }
  std::vector<Repeat> repeats;
  for (const auto& [key, group] : groups) {
    for (const auto* run : group.first) {
      const bool is_other =
          group.second != nullptr &&
          std::abs(*run->total_per_gpu / *group.second->total_per_gpu - 1.0) > 1e-6;
      if (is_other) {
        repeats.push_back({run, group.second});
      }
    }
  }
  return repeats;
}

void expect_repeats_covered(Serving serving) {
  const auto repeats = shipped_repeats(serving);
  const auto covered = std::count_if(repeats.begin(), repeats.end(), [](const Repeat& repeat) {
    return std::abs(std::log(*repeat.run->total_per_gpu / *repeat.median->total_per_gpu)) <=
           log_spread(at_row(*repeat.median));
  });
  const double coverage = static_cast<double>(covered) / static_cast<double>(repeats.size());
  std::printf("repeats, %s: %zu pairs, coverage %.3f\n", to_string(serving), repeats.size(),
              coverage);
  EXPECT_GT(repeats.size(), 100U);
  EXPECT_GE(coverage, 0.895);
  EXPECT_LE(coverage, 0.95);
}

TEST(RateInterval, HoldsNineInTenAggregatedRepeats) {
  expect_repeats_covered(Serving::aggregated);
}

TEST(RateInterval, HoldsNineInTenDisaggregatedRepeats) {
  expect_repeats_covered(Serving::disaggregated);
}

TEST(RateInterval, IsWiderBetweenRowsAndWidensWithTheirDistance) {
  const auto high = point_at(4, 100, 10);
  const auto near = point_at(8, 50, 20);
  const auto far = point_at(64, 50, 80);
  const auto at = tokens_per_second(75);
  EXPECT_LT(log_spread(at_row(high)), log_spread(between_rows(high, near, at)));
  EXPECT_LT(log_spread(between_rows(high, near, at)), log_spread(between_rows(high, far, at)));
}

/// The share of the interval that interpolation alone adds.
double interpolation_spread(const OperatingPoint& between) {
  const double whole = log_spread(between);
  const double repeats = log_spread(at_row(*between.point));
  return std::sqrt(whole * whole - repeats * repeats);
}

struct LeftOut {
  OperatingPoint between;  // interpolated from the neighbours of the row
  double log_error = 0;
};

/// The neighbours of `frontier[i]`, interpolated to it, when they are along one load.
std::optional<LeftOut> leave_out(const std::vector<const MeasuredPoint*>& frontier, std::size_t i) {
  const auto& high = *frontier[i - 1];
  const auto& row = *frontier[i];
  const auto& low = *frontier[i + 1];
  if (!high.concurrency || !low.concurrency || *low.concurrency <= *high.concurrency) {
    return std::nullopt;
  }
  const auto between = between_rows(high, low, *row.interactivity);
  return LeftOut{between, std::abs(std::log(between.output_per_gpu / *row.output_per_gpu))};
}

/// Every interior row of every shipped frontier, left out.
std::vector<LeftOut> shipped_left_out() {
  std::vector<LeftOut> result;
  for (const auto& [model, workload] : shipped_uses()) {
    const DeploymentSet set{shipped_points(), model, workload};
    for (const auto& deployment : set.deployments()) {
      const auto frontier = own_frontier(deployment);
      for (std::size_t i = 1; i + 1 < frontier.size(); ++i) {
        if (const auto left_out = leave_out(frontier, i)) {
          result.push_back(*left_out);
        }
      }
    }
  }
  return result;
}

/// The share of rows left out whose error is inside `spread`.
template <class Spread>
double left_out_coverage(Spread spread) {
  const auto rows = shipped_left_out();
  EXPECT_GT(rows.size(), 1500U);
  const auto covered = std::count_if(rows.begin(), rows.end(), [&](const LeftOut& row) {
    return row.log_error <= spread(row.between);
  });
  return static_cast<double>(covered) / static_cast<double>(rows.size());
}

TEST(RateInterval, InterpolationAloneHoldsNineInTenRowsLeftOut) {
  EXPECT_GE(left_out_coverage(interpolation_spread), 0.90);
}

}  // namespace
}  // namespace perwatt::inference
