#include "perwatt/simulate/service_setup.hpp"

#include "error_of.hpp"
#include "service_support.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/error.hpp"

namespace perwatt::simulate {
namespace {

using testing::HasSubstr;

std::string setup_error(const ServiceSetup& setup) {
  return error_of([&] { setup.check(); });
}

std::string model_error(const InstanceModel& model) {
  return setup_error(aggregated_service(1, model));
}

TEST(ServiceSetup, OtherPoolsAreRefused) {
  ServiceSetup setup;
  EXPECT_THAT(setup_error(setup), HasSubstr("aggregated pool alone"));
  setup.prefill = PoolSetup{};
  EXPECT_THAT(setup_error(setup), HasSubstr("aggregated pool alone"));
  setup = aggregated_service(1);
  setup.decode = setup.aggregated;
  EXPECT_THAT(setup_error(setup), HasSubstr("aggregated pool alone"));
}

TEST(ServiceSetup, ValuesOutOfRangeAreRefused) {
  InstanceModel model = small_model();
  model.gpus = 0;
  EXPECT_THAT(model_error(model), HasSubstr("0 GPUs"));
  model = small_model();
  model.prefill_rate = tokens_per_second(0);
  EXPECT_THAT(model_error(model), HasSubstr("prefill rate of 0"));
  model = small_model();
  model.step_base = model.step_per_sequence = seconds(0);
  EXPECT_THAT(model_error(model), HasSubstr("decode step"));
  model = small_model(0);
  EXPECT_THAT(model_error(model), HasSubstr("0 sequences"));
  model = small_model();
  model.power.prefill = watts(-1);
  EXPECT_THAT(model_error(model), HasSubstr("-1 W"));
  model = small_model();
  model.power.rising_sequences = -1;
  EXPECT_THAT(model_error(model), HasSubstr("-1 sequences"));
  ServiceSetup setup = pooled_service(1, -1);
  EXPECT_THAT(setup_error(setup), HasSubstr("decode: -1 instances"));
  setup = aggregated_service(1);
  setup.limits.max_ttft = seconds(0);
  EXPECT_THAT(setup_error(setup), HasSubstr("max_ttft"));
}

TEST(PhasePower, DecodeRisesWithTheBatchUpToALimit) {
  const PhasePower power = small_model().power;
  EXPECT_EQ(power.decode(1), watts(210));
  EXPECT_EQ(power.decode(16), watts(360));
  EXPECT_EQ(power.decode(40), watts(360));
}

TEST(SpeedTable, IsLinearBetweenPointsAndLevelBeyond) {
  const SpeedTable table{{{watts(200), 0.4}, {watts(400), 0.9}, {watts(700), 1.0}}};
  EXPECT_DOUBLE_EQ(table.speed_ratio(watts(100)), 0.4);
  EXPECT_DOUBLE_EQ(table.speed_ratio(watts(200)), 0.4);
  EXPECT_DOUBLE_EQ(table.speed_ratio(watts(300)), 0.65);
  EXPECT_DOUBLE_EQ(table.speed_ratio(watts(400)), 0.9);
  EXPECT_DOUBLE_EQ(table.speed_ratio(watts(550)), 0.95);
  EXPECT_DOUBLE_EQ(table.speed_ratio(watts(800)), 1.0);
}

TEST(SpeedTable, IsACurveOverItsHighestValue) {
  const std::vector<curve::CurvePoint<TokensPerSecond>> points{{watts(200), tokens_per_second(40)},
                                                               {watts(500), tokens_per_second(80)}};
  const SpeedTable table = SpeedTable::of_curve(
      curve::PowerCurve<TokensPerSecond>::hull_of(std::span{points.data(), points.size()}));
  EXPECT_DOUBLE_EQ(table.speed_ratio(watts(200)), 0.5);
  EXPECT_DOUBLE_EQ(table.speed_ratio(watts(350)), 0.75);
}

TEST(SpeedTable, OtherTablesAreRefused) {
  const auto error = [](std::vector<SpeedTable::Point> points) {
    return error_of([&] { SpeedTable{points}; });
  };
  EXPECT_THAT(error({}), HasSubstr("end at 1"));
  EXPECT_THAT(error({{watts(1), 0.9}}), HasSubstr("end at 1"));
  EXPECT_THAT(error({{watts(1), 0}, {watts(2), 1}}), HasSubstr("speed of 0"));
  EXPECT_THAT(error({{watts(2), 0.5}, {watts(2), 1}}), HasSubstr("rising caps"));
  EXPECT_THAT(error({{watts(1), 0.5}, {watts(2), 0.4}, {watts(3), 1}}), HasSubstr("falls to 0.4"));
}

}  // namespace
}  // namespace perwatt::simulate
