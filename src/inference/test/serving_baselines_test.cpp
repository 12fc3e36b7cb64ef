#include <cmath>

#include "points.hpp"
#include "serving_cases.hpp"
#include "shipped_catalog.hpp"
#include <gtest/gtest.h>

#include "perwatt/inference/serving/baselines.hpp"

namespace perwatt::inference::serving {
namespace {

/// Rows of DeepSeek-R1 on H200 and MI355X with their rates and watts.
std::vector<MeasuredCase> made_cases() {
  static ShapeLibrary shapes{PERWATT_TEST_DATA_DIR "/models"};
  std::vector<MeasuredCase> cases;
  const auto add = [&](const char* accelerator, const char* precision, int concurrency, double rate,
                       double power) {
    MeasuredPoint point = row(rate, 30, power);
    point.accelerator = accelerator;
    point.precision = precision;
    point.concurrency = concurrency;
    cases.push_back(case_of(point, shipped_catalog(), shapes).value());
    cases.back().screen.clear();
  };
  add("h200", "fp8", 8, 50, 350);
  add("h200", "fp8", 64, 200, 560);
  add("h200", "fp4", 16, 90, 420);
  add("mi355x", "fp8", 60, 400, 1120);
  return cases;
}

TEST(Baselines, TheNeighbourIsTheMostAlikeRowOfAnotherFamily) {
  const auto cases = made_cases();
  const auto rows = pointers(cases);
  const auto scored = predict_by(Baseline::nearest_neighbour, rows, rows, HoldOut::family);
  ASSERT_EQ(scored.size(), 4U);
  // The fp4 row is one precision away, three octaves of load and one.
  EXPECT_EQ(scored[0].estimated.output_per_gpu, 90);
  EXPECT_EQ(scored[1].estimated.output_per_gpu, 400);  // the load of the other board is nearer
  EXPECT_EQ(scored[2].estimated.output_per_gpu, 50);
  EXPECT_EQ(scored[3].estimated.output_per_gpu, 200);
  EXPECT_EQ(scored[3].estimated.gpu_power_watts, 560);
}

TEST(Baselines, NeverLookAtWhatIsLeftOut) {
  auto cases = made_cases();
  const auto of = [&](Baseline baseline) {
    const auto rows = pointers(cases);
    return predict_by(baseline, {rows.data() + 2, 1}, rows, HoldOut::family).front().estimated;
  };
  for (const auto baseline : kBaselines) {
    const auto before = of(baseline).gpu_power_watts;
    cases[2].gpu_power_watts = 699;
    EXPECT_EQ(of(baseline).gpu_power_watts, before) << to_string(baseline);
    EXPECT_GT(before, 0) << to_string(baseline);
    cases[2].gpu_power_watts = 420;
  }
}

TEST(Baselines, WattsAreAShareOfTdpOrRiseWithTheLoad) {
  const auto cases = made_cases();
  const auto rows = pointers(cases);
  const std::span<const MeasuredCase* const> asked{rows.data() + 2, 1};  // of another family
  const auto share = predict_by(Baseline::tdp_share, asked, rows, HoldOut::family);
  EXPECT_NEAR(share.front().estimated.gpu_power_watts, (350.0 + 560.0) / 2, 1e-9);
  const auto curve = predict_by(Baseline::logistic, asked, rows, HoldOut::family);
  EXPECT_GT(curve.front().estimated.gpu_power_watts, 350);
  EXPECT_LT(curve.front().estimated.gpu_power_watts, 560);
  // Nothing is known of an accelerator whose only row is left out.
  EXPECT_TRUE(
      predict_by(Baseline::tdp_share, {rows.data() + 3, 1}, rows, HoldOut::accelerator).empty());
}

}  // namespace
}  // namespace perwatt::inference::serving
