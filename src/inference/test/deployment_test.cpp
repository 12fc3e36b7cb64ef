#include "perwatt/inference/deployment.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "points.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/inference/point_table.hpp"

namespace perwatt::inference {
namespace {

namespace fs = std::filesystem;

Slo at_least(double interactivity) {
  return {tokens_per_second(interactivity), {}, false};
}

Slo with_ttft(double interactivity, double ttft, bool allow_unknown = false) {
  return {tokens_per_second(interactivity), seconds(ttft), allow_unknown};
}

MeasuredPoint with_ttft(MeasuredPoint point, double ttft) {
  point.ttft_median = seconds(ttft);
  return point;
}

MeasuredPoint of_engine(MeasuredPoint point, const std::string& engine) {
  point.engine = engine;
  return point;
}

DeploymentSet set_of(const std::vector<MeasuredPoint>& points) {
  return {points, "m", lengths(8, 8)};
}

auto deployment_of(const MeasuredPoint& p) {
  return std::tie(p.accelerator, p.model, p.precision, p.engine, p.spec_decode, p.serving, p.layout,
                  p.workload);
}

rc::Gen<std::vector<MeasuredPoint>> random_points() {
  const auto point = rc::gen::map(
      rc::gen::tuple(rc::gen::inRange(1, 40), rc::gen::inRange(1, 60), rc::gen::inRange(1, 500),
                     rc::gen::element<std::string>("a", "b"), rc::gen::inRange(0, 4)),
      [](const std::tuple<int, int, int, std::string, int>& t) {
        auto made =
            of_engine(point_at(std::get<0>(t), std::get<1>(t), std::get<2>(t)), std::get<3>(t));
        if (std::get<4>(t) > 0) {
          made.ttft_median = seconds(std::get<4>(t) * 0.37);
        }
        return made;
      });
  return rc::gen::container<std::vector<MeasuredPoint>>(point);
}

// ---- grouping ---------------------------------------------------------------------------------

TEST(DeploymentSet, TakesOnlyUsablePointsOfTheModelAndWorkload) {
  auto other_model = point_at(1, 100, 10);
  other_model.model = "n";
  auto other_lengths = point_at(1, 100, 10);
  other_lengths.workload = lengths(8, 16);
  auto no_rate = point_at(1, 100, 10);
  no_rate.output_per_gpu.reset();
  auto no_interactivity = point_at(1, 100, 10);
  no_interactivity.interactivity.reset();
  const std::vector<MeasuredPoint> points = {other_model, other_lengths, no_rate, no_interactivity,
                                             point_at(1, 100, 10)};
  const auto set = set_of(points);
  ASSERT_EQ(set.deployments().size(), 1U);
  ASSERT_EQ(set.deployments()[0].points.size(), 1U);
  EXPECT_EQ(set.deployments()[0].points[0], &points[4]);
}

TEST(DeploymentSet, EveryPartOfTheConfigurationTellsDeploymentsApart) {
  std::vector<MeasuredPoint> points(8, point_at(1, 100, 10));
  points[1].accelerator = "x";
  points[2].precision = "x";
  points[3].engine = "x";
  points[4].spec_decode = "x";
  points[5].serving = Serving::disaggregated;
  points[6].layout.num_gpus = 16;
  points[7].layout.decode_dp_attention = true;
  EXPECT_EQ(set_of(points).deployments().size(), 8U);
}

TEST(DeploymentSet, LoadAndDateDoNotTellDeploymentsApart) {
  std::vector<MeasuredPoint> points(3, point_at(1, 100, 10));
  points[1].concurrency = 2;
  points[2].date = "2026-01-01";
  EXPECT_EQ(set_of(points).deployments().size(), 1U);
}

// ---- one deployment's frontier ----------------------------------------------------------------

RC_GTEST_PROP(OwnFrontierProperty, IsExactlyTheRowsNoOtherBeats, ()) {
  const auto points = *random_points();
  const auto set = set_of(points);
  for (const auto& deployment : set.deployments()) {
    const auto frontier = own_frontier(deployment);
    for (std::size_t i = 1; i < frontier.size(); ++i) {
      RC_ASSERT(*frontier[i]->interactivity < *frontier[i - 1]->interactivity);
      RC_ASSERT(*frontier[i]->output_per_gpu > *frontier[i - 1]->output_per_gpu);
    }
    for (const auto* row : deployment.points) {
      const bool covered = std::any_of(frontier.begin(), frontier.end(), [&](const auto* kept) {
        return kept->interactivity >= row->interactivity &&
               kept->output_per_gpu >= row->output_per_gpu;
      });
      RC_ASSERT(covered);
    }
  }
}

RC_GTEST_PROP(NonDominatedProperty, IsExactlyThePointsNoOtherBeats, ()) {
  const auto points = *random_points();
  std::vector<OperatingPoint> operating;
  for (const auto& point : points) {
    operating.push_back(at_row(point));
  }
  const auto kept = non_dominated(operating);
  for (std::size_t i = 1; i < kept.size(); ++i) {
    RC_ASSERT(operating[kept[i]].interactivity < operating[kept[i - 1]].interactivity);
    RC_ASSERT(*operating[kept[i]].total_per_gpu > *operating[kept[i - 1]].total_per_gpu);
  }
  for (const auto& point : operating) {
    RC_ASSERT(std::any_of(kept.begin(), kept.end(), [&](std::size_t k) {
      return operating[k].interactivity >= point.interactivity &&
             operating[k].total_per_gpu >= point.total_per_gpu;
    }));
  }
}

// ---- points at and between rows ---------------------------------------------------------------

TEST(AtRow, CarriesTheRowAndItsTag) {
  auto point = with_ttft(point_at(4, 100, 10), 0.2);
  const auto at = at_row(point);
  EXPECT_EQ(at.point, &point);
  EXPECT_EQ(at.other, nullptr);
  EXPECT_EQ(at.tag, Tag::measured);
  EXPECT_EQ(at.concurrency, 4);
  EXPECT_EQ(at.ttft, seconds(0.2));
  EXPECT_EQ(at.input_per_gpu(), tokens_per_second(10));
  point.output_is_derived = true;
  EXPECT_EQ(at_row(point).tag, Tag::derived);
  point.total_per_gpu.reset();
  EXPECT_EQ(at_row(point).input_per_gpu(), std::nullopt);
}

TEST(BetweenRows, HalfWayIsTheGeometricMean) {
  const auto high = with_ttft(point_at(4, 100, 10), 0.2);
  const auto low = with_ttft(point_at(64, 50, 40), 0.8);
  const auto middle = between_rows(high, low, tokens_per_second(75));
  EXPECT_EQ(middle.tag, Tag::interpolated);
  EXPECT_DOUBLE_EQ(middle.share_of_other, 0.5);
  EXPECT_NEAR(in_tokens_per_second(middle.output_per_gpu), 20, 1e-9);
  EXPECT_NEAR(in_tokens_per_second(*middle.total_per_gpu), 40, 1e-9);
  EXPECT_NEAR(*middle.concurrency, 16, 1e-9);
  EXPECT_NEAR(in_seconds(*middle.ttft), 0.4, 1e-9);
  EXPECT_EQ(middle.interactivity, tokens_per_second(75));
}

TEST(BetweenRows, TheNearerRowWeighsMore) {
  const auto high = with_ttft(point_at(1, 100, 10), 0.1);
  const auto low = with_ttft(point_at(32, 50, 320), 3.2);
  const auto near_high = between_rows(high, low, tokens_per_second(90));
  EXPECT_DOUBLE_EQ(near_high.share_of_other, 0.2);
  EXPECT_NEAR(in_tokens_per_second(near_high.output_per_gpu), 20, 1e-9);
  EXPECT_NEAR(*near_high.concurrency, 2, 1e-9);
  EXPECT_NEAR(in_seconds(*near_high.ttft), 0.2, 1e-9);
}

TEST(BetweenRows, WhatOneRowLacksIsUnknown) {
  auto low = point_at(64, 50, 40);
  low.concurrency.reset();
  low.total_per_gpu.reset();
  const auto middle =
      between_rows(with_ttft(point_at(4, 100, 10), 0.2), low, tokens_per_second(75));
  EXPECT_EQ(middle.concurrency, std::nullopt);
  EXPECT_EQ(middle.total_per_gpu, std::nullopt);
  EXPECT_EQ(middle.ttft, std::nullopt);
}

// ---- meeting an SLO ---------------------------------------------------------------------------

TEST(Meeting, AddsThePointAtExactlyTheInteractivity) {
  const std::vector<MeasuredPoint> points = {point_at(4, 100, 10), point_at(64, 50, 40)};
  const auto set = set_of(points);
  const auto met = set.meeting(at_least(75));
  ASSERT_EQ(met.size(), 2U);
  EXPECT_EQ(met[0].other, nullptr);
  EXPECT_EQ(met[1].interactivity, tokens_per_second(75));
  EXPECT_EQ(set.meeting(at_least(100)).size(), 1U);
  EXPECT_EQ(set.meeting(at_least(50)).size(), 2U);
  EXPECT_TRUE(set.meeting(at_least(101)).empty());
}

TEST(Meeting, NeverInterpolatesBetweenDeployments) {
  const std::vector<MeasuredPoint> points = {point_at(4, 100, 10),
                                             of_engine(point_at(64, 50, 40), "b")};
  EXPECT_EQ(set_of(points).meeting(at_least(75)).size(), 1U);
}

TEST(Meeting, InterpolatesOnlyAlongRisingKnownLoad) {
  auto unknown = point_at(64, 50, 40);
  unknown.concurrency.reset();
  EXPECT_EQ(set_of({point_at(4, 100, 10), unknown}).meeting(at_least(75)).size(), 1U);
  // Less load yet more rate: another software version, not the same load line.
  EXPECT_EQ(set_of({point_at(64, 100, 10), point_at(4, 50, 40)}).meeting(at_least(75)).size(), 1U);
}

TEST(Meeting, AnUnknownTtftPassesNoLimitByDefault) {
  const std::vector<MeasuredPoint> points = {point_at(4, 100, 10)};
  EXPECT_TRUE(set_of(points).meeting(with_ttft(50, 1)).empty());
  EXPECT_EQ(set_of(points).meeting(with_ttft(50, 1, true)).size(), 1U);
  EXPECT_EQ(set_of(points).meeting(at_least(50)).size(), 1U);
}

TEST(Meeting, ATtftAboveTheLimitIsMissedEvenWhenUnknownIsAllowed) {
  const std::vector<MeasuredPoint> points = {with_ttft(point_at(4, 100, 10), 2)};
  EXPECT_TRUE(set_of(points).meeting(with_ttft(50, 1, true)).empty());
  EXPECT_EQ(set_of(points).meeting(with_ttft(50, 2)).size(), 1U);
}

RC_GTEST_PROP(MeetingProperty, EveryPointMeetsTheSloInsideOneDeployment, ()) {
  const auto points = *random_points();
  const auto set = set_of(points);
  const auto slo = *rc::gen::inRange(0, 2) == 0 ? at_least(*rc::gen::inRange(1, 60) + 0.5)
                                                : with_ttft(*rc::gen::inRange(1, 60), 0.9);
  for (const auto& at : set.meeting(slo)) {
    RC_ASSERT(at.interactivity >= slo.min_interactivity);
    // In its own brackets: rapidcheck evaluates both sides of ||.
    RC_ASSERT((!slo.max_ttft || (at.ttft && *at.ttft <= *slo.max_ttft)));
    RC_ASSERT((at.tag == Tag::interpolated) == (at.other != nullptr));
    if (at.other == nullptr) {
      continue;
    }
    RC_ASSERT((deployment_of(*at.point) == deployment_of(*at.other)));
    RC_ASSERT(at.share_of_other > 0 && at.share_of_other < 1);
    RC_ASSERT(*at.point->concurrency < *at.other->concurrency);
    RC_ASSERT(at.output_per_gpu > *at.point->output_per_gpu);
    RC_ASSERT(at.output_per_gpu < *at.other->output_per_gpu);
    RC_ASSERT(at.interactivity < *at.point->interactivity);
    RC_ASSERT(at.interactivity > *at.other->interactivity);
  }
}

RC_GTEST_PROP(MeetingProperty, EveryMeasuredRowThatMeetsTheSloIsThere, ()) {
  const auto points = *random_points();
  const auto set = set_of(points);
  const auto slo = with_ttft(*rc::gen::inRange(1, 60), 0.9);
  std::size_t expected = 0;
  for (const auto& point : points) {
    expected += point.interactivity >= slo.min_interactivity && point.ttft_median &&
                        point.ttft_median <= slo.max_ttft
                    ? 1U
                    : 0U;
  }
  std::size_t rows = 0;
  for (const auto& at : set.meeting(slo)) {
    rows += at.other == nullptr ? 1U : 0U;
  }
  RC_ASSERT(rows == expected);
}

RC_GTEST_PROP(MeetingProperty, TheOrderOfThePointsDoesNotMatter, ()) {
  auto points = *random_points();
  // Rows alike in everything are the same row; keep one.
  std::map<std::string, MeasuredPoint> unique;
  for (const auto& point : points) {
    unique.emplace(identity(point), point);
  }
  points.clear();
  for (const auto& [id, point] : unique) {
    points.push_back(point);
  }
  auto turned = points;
  std::reverse(turned.begin(), turned.end());
  const auto slo = at_least(*rc::gen::inRange(1, 60) + 0.5);
  const auto a_set = set_of(points);
  const auto b_set = set_of(turned);
  const auto a = a_set.meeting(slo);
  const auto b = b_set.meeting(slo);
  RC_ASSERT(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    RC_ASSERT(identity(*a[i].point) == identity(*b[i].point));
    RC_ASSERT(a[i].output_per_gpu == b[i].output_per_gpu);
    RC_ASSERT(a[i].interactivity == b[i].interactivity);
  }
}

TEST(DeploymentSet, RowsOfEqualRatesAreOrderedByLoadAndDate) {
  auto later = point_at(4, 100, 10);
  later.date = "2026-02-01";
  auto earlier = point_at(4, 100, 10);
  earlier.date = "2026-01-01";
  for (const auto& points : {std::vector{later, point_at(8, 100, 10), earlier},
                             std::vector{earlier, later, point_at(8, 100, 10)}}) {
    const auto set = set_of(points);
    EXPECT_EQ(set.deployments()[0].points[0]->date, "2026-01-01");
    EXPECT_EQ(set.deployments()[0].points[1]->date, "2026-02-01");
    EXPECT_EQ(set.deployments()[0].points[2]->concurrency, 8);
  }
}

// Defect: the TTFT of the point interpolated to the limit is off by rounding, and a fifth of these
// points are then refused for missing the limit by 1e-16.
RC_GTEST_PROP(MeetingProperty, WhereTtftBindsBetweenTwoRowsAPointIsAdded, ()) {
  const double limit = *rc::gen::inRange(101, 999) / 1e3;
  const std::vector<MeasuredPoint> points = {with_ttft(point_at(4, 100, 10), 0.1),
                                             with_ttft(point_at(64, 50, 40), 1.0)};
  const auto set = set_of(points);
  const auto met = set.meeting(with_ttft(10, limit));
  RC_ASSERT(met.size() == 2U);
  RC_ASSERT(std::abs(in_seconds(*met[1].ttft) - limit) < 1e-9);
}

// ---- shipped points ---------------------------------------------------------------------------

TEST(ShippedDeployments, FrontiersFallAndInterpolationStaysInsideOneDeployment) {
  std::size_t interpolated = 0;
  for (const auto& [model, workload] : shipped_uses()) {
    const DeploymentSet set{shipped_points(), model, workload};
    for (const double interactivity : {10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 150.0}) {
      for (const auto& at : set.meeting(at_least(interactivity))) {
        EXPECT_GE(in_tokens_per_second(at.interactivity), interactivity);
        if (at.other != nullptr) {
          ++interpolated;
          EXPECT_EQ(deployment_of(*at.point), deployment_of(*at.other));
          EXPECT_DOUBLE_EQ(in_tokens_per_second(at.interactivity), interactivity);
        }
      }
    }
  }
  EXPECT_GT(interpolated, 100U);
}

TEST(ShippedDeployments, TheOrderOfTheTableDoesNotMatter) {
  auto turned = shipped_points();
  std::reverse(turned.begin(), turned.end());
  std::rotate(turned.begin(), turned.begin() + 1234, turned.end());
  for (const auto& [model, workload] : shipped_uses()) {
    const DeploymentSet a_set{shipped_points(), model, workload};
    const DeploymentSet b_set{turned, model, workload};
    const auto a = a_set.meeting(at_least(40));
    const auto b = b_set.meeting(at_least(40));
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(identity(*a[i].point), identity(*b[i].point));
      EXPECT_EQ(a[i].output_per_gpu, b[i].output_per_gpu);
    }
  }
}

/// Largest total rate of operating points of one accelerator, precision and kind of evidence.
double best_total(const std::vector<OperatingPoint>& points, const std::string& accelerator,
                  const std::string& precision, bool interpolated) {
  double best = 0;
  for (const auto& at : points) {
    if (at.point->accelerator == accelerator && at.point->precision == precision &&
        (at.other != nullptr) == interpolated && at.total_per_gpu) {
      best = std::max(best, in_tokens_per_second(*at.total_per_gpu));
    }
  }
  return best;
}

TEST(BestDeploymentValidation, AgreesWithTheTable) {
  const auto file = fs::path{PERWATT_SOURCE_DIR} / "tests/validation/best_deployment.csv";
  const auto table = CsvTable::parse(read_file(file), file.string());
  EXPECT_EQ(table.rows().size(), 7U);
  for (const auto& row : table.rows()) {
    const auto field = [&](const char* column) { return row.fields[table.require(column)]; };
    const auto number = [&](const char* column) { return parse_number(field(column)).value(); };
    const auto count = [&](const char* column) { return static_cast<int>(number(column)); };
    const DeploymentSet set{shipped_points(), field("model"),
                            lengths(count("isl_tokens"), count("osl_tokens"))};
    const auto met = set.meeting(at_least(number("min_interactivity_tokens_per_s")));
    ASSERT_TRUE(field("evidence") == "measured" || field("evidence") == "interpolated");
    const double best = best_total(met, field("accelerator"), field("precision"),
                                   field("evidence") == "interpolated");
    EXPECT_NEAR(best / number("total_tokens_per_s_per_gpu"), 1, number("tolerance_ratio"))
        << file.string() << ":" << row.line << ": " << best;
  }
}

TEST(MinJoulesValidation, AgreesWithMlEnergy) {
  const auto file =
      fs::path{PERWATT_SOURCE_DIR} / "tests/validation/min_joules_per_output_token.csv";
  const auto table = CsvTable::parse(read_file(file), file.string());
  EXPECT_EQ(table.rows().size(), 2U);
  for (const auto& row : table.rows()) {
    const auto field = [&](const char* column) { return row.fields[table.require(column)]; };
    const auto number = [&](const char* column) { return parse_number(field(column)).value(); };
    const DeploymentSet set{shipped_points(), field("model"), Workload{{}, {}, field("task")}};
    double least = 1e9;
    for (const auto& deployment : set.deployments()) {
      for (const auto* point : deployment.points) {
        if (point->accelerator == field("accelerator") && point->joules_per_output_token) {
          least = std::min(least, in_joules_per_token(*point->joules_per_output_token));
        }
      }
    }
    EXPECT_NEAR(least / number("joules_per_output_token"), 1, number("tolerance_ratio"))
        << file.string() << ":" << row.line << ": " << least;
  }
}

}  // namespace
}  // namespace perwatt::inference
