// Deployments that nobody measured, lower clocks and caps in plans.
#include <algorithm>

#include "two_sites.hpp"
#include <gtest/gtest.h>

#include "perwatt/inference/serving/calibration_file.hpp"
#include "perwatt/inference/serving/modelled_serving.hpp"
#include "perwatt/plan/candidate.hpp"

namespace perwatt::plan {
namespace {

using inference::serving::ModelledServing;

ModelledServing& shipped_model() {
  static const auto kCalibration =
      inference::serving::load_calibration(PERWATT_TEST_DATA_DIR "/serving");
  static ModelledServing model{shipped_catalog(), PERWATT_TEST_DATA_DIR "/models", kCalibration};
  return model;
}

/// Two loads of DeepSeek-R1 on H200 that draw more and less than a cap of 420 W.
std::vector<inference::MeasuredPoint> two_loads() {
  auto busy = row(200, 30, 600);
  busy.concurrency = 256;
  auto calm = row(80, 60, 380);
  calm.concurrency = 32;
  return {busy, calm};
}

CandidateSet candidates_of(const std::string& text,
                           const std::vector<inference::MeasuredPoint>& points,
                           ModelledServing* model) {
  static std::vector<std::unique_ptr<Site>> sites;  // candidates point into them
  sites.push_back(std::make_unique<Site>(site_of(text)));
  const inference::GpuPowerEstimator estimator{points, shipped_catalog()};
  return build_candidates(*sites.back(), shipped_catalog(), points, estimator, model);
}

TEST(ModelledOption, ACapSlowsWhatDrawsMoreInsteadOfLeavingItOut) {
  const auto points = two_loads();
  const auto text = base_text("[provisioning]\npolicy = \"static\"\ngpu_cap_ratio = 0.6\n");
  EXPECT_EQ(candidates_of(text, points, nullptr).candidates.size(), 1U);
  EXPECT_EQ(candidates_of(text, points, nullptr).excluded[0].above_cap, 1U);
  const auto set = candidates_of(text, points, &shipped_model());
  EXPECT_EQ(set.excluded[0].above_cap, 0U);
  ASSERT_EQ(set.candidates.size(), 2U);
  const auto slowed = std::find_if(set.candidates.begin(), set.candidates.end(),
                                   [](const Candidate& c) { return c.point.clock_ratio < 1; });
  ASSERT_NE(slowed, set.candidates.end());
  EXPECT_NEAR(in_watts(slowed->gpu_power.mean), 420, 1e-9);
  EXPECT_EQ(slowed->point.tag, Tag::modelled);
  EXPECT_LT(slowed->point.output_per_gpu, tokens_per_second(200));
  EXPECT_GT(slowed->point.output_per_gpu, tokens_per_second(100));
}

TEST(ModelledOption, LowerClocksNeedARuleKeepTheSloAndLieOnTheHull) {
  const auto points = two_loads();
  EXPECT_EQ(candidates_of(base_text(), points, &shipped_model()).candidates.size(), 2U);
  const auto set =
      candidates_of(base_text("[deployments]\nmin_clock_ratio = 0.5\n"), points, &shipped_model());
  EXPECT_GT(set.candidates.size(), 2U);
  for (const auto& candidate : set.candidates) {
    const auto& point = candidate.point;
    EXPECT_GE(point.clock_ratio, 0.5);
    EXPECT_GE(point.interactivity, tokens_per_second(20));
    EXPECT_EQ(point.tag, point.clock_ratio < 1 ? Tag::modelled : Tag::measured);
    const auto least = point.clock_ratio < 1 ? Tag::modelled : candidate.gpu_power.tag;
    EXPECT_EQ(candidate.gpu_power.tag, least);
  }
  // What an SLO close to the measured point keeps out.
  const auto strict =
      candidates_of(base_text("[deployments]\nmin_clock_ratio = 0.5\n", "max_ttft = \"1s\""),
                    points, &shipped_model());
  EXPECT_LE(strict.candidates.size(), set.candidates.size());
}

TEST(ModelledOption, OnlyWhereAnAcceleratorHasNoMeasurementOfTheModel) {
  const auto points = two_loads();
  const auto text = base_text("[[rack]]\nsystem = \"hgx-b200-air\"\nowned = 1\n");
  const auto set = candidates_of(text, points, &shipped_model());
  std::size_t modelled = 0;
  for (const auto& candidate : set.candidates) {
    const auto& row = *candidate.point.point;
    EXPECT_EQ(row.source == inference::serving::kModelSource, row.accelerator == "b200");
    if (row.accelerator == "b200") {
      ++modelled;
      EXPECT_EQ(candidate.point.tag, Tag::modelled);
      EXPECT_EQ(candidate.gpu_power.tag, Tag::modelled);
      const auto interval = inference::rate_interval(candidate.point);
      EXPECT_LT(interval.low_factor, 0.9);
      EXPECT_GT(interval.high_factor, 1.1);
    }
  }
  EXPECT_GT(modelled, 5U);
  for (const auto& candidate : candidates_of(text, points, nullptr).candidates) {
    EXPECT_EQ(candidate.point.point->accelerator, "h200");
  }
}

TEST(ModelledOption, SaysWhatCannotBeModelled) {
  Service service = site_of(base_text()).services.front();
  service.workload = {};
  service.workload.task = "gpqa";
  const inference::GpuPowerEstimator estimator{{}, shipped_catalog()};
  const auto set = find_options({&service, 1}, {"h200"}, {}, estimator, &shipped_model());
  EXPECT_TRUE(set.options.empty());
  ASSERT_EQ(set.unmodelled[0].size(), 1U);
  EXPECT_NE(set.unmodelled[0][0].reason.find("task"), std::string::npos);
}

/// Two sites with the model's options.
Attribution attribution_of(const std::string& text) {
  const auto plan = site_of(text);
  const auto baseline = as_it_stands(plan);
  const auto points = two_loads();
  const inference::GpuPowerEstimator estimator{points, shipped_catalog()};
  const auto options = find_options(plan.services, accelerators_of(plan, shipped_catalog()), points,
                                    estimator, &shipped_model());
  return attribute(baseline, plan, shipped_catalog(), options, {});
}

// Boards that may draw 700 W fill 0.5 MW with fewer racks than capped ones; slower clocks draw
// less energy.
TEST(ModelledOption, ClockAndPowerCapAreLevers) {
  auto text = base_text(
      "[provisioning]\npolicy = \"static\"\ngpu_cap_ratio = 0.6\n"
      "[deployments]\nmin_clock_ratio = 0.5\n"
      "[baseline]\nsite = \"self\"\n[baseline.deployments]\nmin_clock_ratio = 1\n"
      "[baseline.provisioning]\npolicy = \"nameplate\"\n",
      "", "owned = 40");
  text.replace(text.find("10MW"), 4, "0.5MW");
  const auto attribution = attribution_of(text);
  EXPECT_GT(part_of(attribution, Lever::power_cap).part.profit, UsdPerSecond{});
  EXPECT_GE(part_of(attribution, Lever::clock).part.profit, UsdPerSecond{});
  EXPECT_TRUE(part_of(attribution, Lever::clock).differs);
  EXPECT_FALSE(part_of(attribution, Lever::provisioning).differs);
}

}  // namespace
}  // namespace perwatt::plan
