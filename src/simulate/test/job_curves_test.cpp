// What devices make of their watts: concave, rising, worth the job's revenue at full speed.
#include "job_curves.hpp"

#include <cmath>

#include "scenarios.hpp"
#include <gtest/gtest.h>

namespace perwatt::simulate {
namespace {

void expect_concave_and_rising(const std::vector<allocate::CurvePoint>& curve) {
  ASSERT_GE(curve.size(), 2U);
  double slope = 1e300;
  for (std::size_t i = 1; i < curve.size(); ++i) {
    ASSERT_GT(curve[i].power, curve[i - 1].power);
    const double next =
        (curve[i].value - curve[i - 1].value) / in_watts(curve[i].power - curve[i - 1].power);
    EXPECT_GE(next, 0);
    EXPECT_LE(next, slope * (1 + 1e-9));
    slope = next;
  }
}

TEST(JobCurves, AreConcaveAndRisingWithinTheCaps) {
  for (const double exponent : {1.0, 1.5, 3.0, 8.0, 40.0}) {
    for (const double power : {150.0, 350.0, 650.0, 1200.0}) {
      auto text = with(small_scenario_text(), "decode_exponent = 8",
                       "decode_exponent = " + std::to_string(exponent));
      text = with(text, "prefill_power = \"650W\"",
                  "prefill_exponent = " + std::to_string(exponent) + "\nprefill_power = \"" +
                      std::to_string(power) + "W\"");
      text = with(text, "usd_per_gpu_hour = 2", "exponent = " + std::to_string(exponent));
      const auto scenario = scenario_of(text);
      const auto values = device_values(scenario);
      ASSERT_EQ(values.size(), scenario.tree.devices().size());
      for (std::size_t d = 0; d < values.size(); ++d) {
        EXPECT_EQ(values[d].curve.front().power, scenario.tree.devices()[d].min);
        EXPECT_EQ(values[d].curve.back().power, scenario.tree.devices()[d].max);
        expect_concave_and_rising(values[d].curve);
      }
    }
  }
}

TEST(JobCurves, ATrainingGpuIsWorthItsPriceAtFullSpeed) {
  const auto scenario = scenario_of(small_scenario_text());
  const auto values = device_values(scenario);
  const auto gpu = scenario.trainings[0].gpus[0].value;
  EXPECT_NEAR(values[gpu].curve.back().value, 2.0 / 3600, 1e-9);
  EXPECT_EQ(values[gpu].priority, 1);
  EXPECT_EQ(values[gpu].clock_ratio, 1);
}

TEST(JobCurves, AServiceIsWorthWhatItIsOfferedAndItsNarrowestPoolCanServe) {
  for (const double offered : {1.0, 1e6}) {
    auto scenario = scenario_of(small_scenario_text());
    auto& chat = scenario.services[0];
    chat.arrivals = SteadyArrivals{.rate_per_second = offered};
    const auto values = device_values(scenario);
    const double prompt = in_tokens(chat.lengths.input.mean());
    const double answer = in_tokens(chat.lengths.output.mean());
    const double prefill = 2 * 20'000 / prompt;
    const double decode = 128 / ((0.01 + 0.0001 * 128) * (answer - 1));
    const double usd = std::min({prefill, decode, offered}) * answer * 2e-6;
    for (const auto pool : {Pool::prefill, Pool::decode}) {
      for (const auto gpu : chat.gpus[static_cast<std::size_t>(pool)]) {
        EXPECT_NEAR(values[gpu.value].curve.back().value, usd / 4, 1e-9);
        EXPECT_DOUBLE_EQ(values[gpu.value].clock_ratio, 0.95);
      }
    }
  }
}

TEST(JobCurves, DevicesWithoutAJobAreWorthNothing) {
  const auto scenario = scenario_of(kHeadText + kKindText + kTreeText);
  for (const auto& value : device_values(scenario)) {
    EXPECT_EQ(value.curve.back().value, 0);
    EXPECT_EQ(value.clock_ratio, 1);
  }
}

TEST(SpeedLaw, IsTheRootOfThePowerAboveIdle) {
  EXPECT_DOUBLE_EQ(speed_at(watts(350), watts(600), watts(100), 1), 0.5);
  EXPECT_NEAR(speed_at(watts(162.5), watts(600), watts(100), 3), 0.5, 1e-12);
  EXPECT_EQ(speed_at(watts(600), watts(600), watts(100), 3), 1);
  EXPECT_EQ(speed_at(watts(50), watts(600), watts(100), 1), 1e-3);
}

TEST(SpeedLaw, StaysWithinItsRangeWhateverTheWatts) {
  for (double allowed = 0; allowed <= 1000; allowed += 50) {
    for (double demand = 0; demand <= 1000; demand += 50) {
      for (double idle = 0; idle <= 1000; idle += 50) {
        for (const double exponent : {1.0, 3.0, 100.0}) {
          const double speed = speed_at(watts(allowed), watts(demand), watts(idle), exponent);
          ASSERT_GE(speed, 1e-3) << allowed << " " << demand << " " << idle;
          ASSERT_LE(speed, 1) << allowed << " " << demand << " " << idle;
        }
      }
    }
  }
}

}  // namespace
}  // namespace perwatt::simulate
