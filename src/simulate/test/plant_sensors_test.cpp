// What policies see.
#include <cmath>
#include <vector>

#include "counter_random.hpp"
#include "error_of.hpp"
#include "plants.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::simulate {
namespace {

constexpr Instant at_step(std::int64_t step) {
  return Instant::from_nanoseconds(step * 10 * kMillisecond);
}

Plant sensed_plant(const SensorSpec& device_sensors, int devices = 1) {
  auto spec = plant_spec(prompt_kind());
  spec.device_sensors = device_sensors;
  return Plant{flat_tree(devices), spec};
}

/// Draws 200 + step W in every step from 1 on, 100 W before.
void step_ramp(Plant& plant) {
  plant.set_demand({0}, watts(201.0 + static_cast<double>(plant.steps_done())));
  plant.step();
}

double ramp_watts(std::int64_t step) {
  return step == 0 ? 100 : 200 + static_cast<double>(step);
}

TEST(PlantSensors, ReadingsComeLateByWholeStepsAndRounded) {
  auto plant = sensed_plant({.sample_steps = 3, .delay_steps = 7, .quantum = watts(5)});
  for (std::int64_t s = 0; s < 100; ++s) {
    const auto reading = plant.read_device({0});
    if (s < 7) {
      EXPECT_EQ(reading, (Reading{std::nullopt, {}, ReadingQuality::missing}));
    } else {
      const std::int64_t sampled = (s - 7) / 3 * 3;
      EXPECT_EQ(reading.time, at_step(sampled));
      EXPECT_EQ(reading.power, watts(std::round(ramp_watts(sampled) / 5) * 5)) << s;
      EXPECT_EQ(reading.quality, ReadingQuality::good);
    }
    step_ramp(plant);
  }
}

TEST(PlantSensors, WithoutNoiseDelayOrRoundingTheyTellTheTruth) {
  auto plant = sensed_plant({});
  for (std::int64_t s = 0; s < 5; ++s) {
    EXPECT_EQ(plant.read_device({0}),
              (Reading{watts(ramp_watts(s)), at_step(s), ReadingQuality::good}));
    step_ramp(plant);
  }
}

TEST(PlantSensors, NoiseHasItsMeanAndDeviationAndBiasStays) {
  constexpr int kSensors = 4;
  constexpr int kSamples = 5000;
  auto plant = sensed_plant({.noise = watts(5), .most_bias_ratio = 0.1}, kSensors);
  std::vector<double> sums(kSensors, 0);
  std::vector<double> squares(kSensors, 0);
  for (int s = 0; s < kSamples; ++s) {
    plant.step();
    for (std::uint32_t d = 0; d < kSensors; ++d) {
      const double told = in_watts(*plant.read_device({d}).power);
      sums[d] += told;
      squares[d] += told * told;
    }
  }
  for (int d = 0; d < kSensors; ++d) {
    const double mean = sums[static_cast<std::size_t>(d)] / kSamples;
    const double variance = squares[static_cast<std::size_t>(d)] / kSamples - mean * mean;
    EXPECT_NEAR(mean, 100, 10 + 0.3);
    EXPECT_GT(std::abs(mean - 100), 0.3);
    EXPECT_NEAR(std::sqrt(variance), 5, 0.25);
  }
  EXPECT_GT(std::abs(sums[0] - sums[1]) / kSamples, 0.3);
  EXPECT_EQ(plant.read_device({0}), plant.read_device({0}));
}

TEST(PlantSensors, FrozenAsIfNew) {
  auto plant = sensed_plant({});
  step_ramp(plant);
  plant.set_sensor_fault(topology::DeviceIndex{0}, {SensorFaultKind::frozen_new_time});
  step_ramp(plant);
  step_ramp(plant);
  EXPECT_EQ(plant.read_device({0}), (Reading{watts(201), at_step(3), ReadingQuality::good}));
  plant.set_sensor_fault(topology::DeviceIndex{0}, {});
  EXPECT_EQ(plant.read_device({0}), (Reading{watts(203), at_step(3), ReadingQuality::good}));
}

TEST(PlantSensors, FrozenWithItsTimeAndStale) {
  auto plant = sensed_plant({}, 2);
  step_ramp(plant);
  plant.set_sensor_fault(topology::DeviceIndex{0}, {SensorFaultKind::frozen_old_time});
  step_ramp(plant);
  EXPECT_EQ(plant.read_device({0}), (Reading{watts(201), at_step(1), ReadingQuality::good}));
  plant.set_sensor_fault(topology::DeviceIndex{0}, {SensorFaultKind::stale});
  step_ramp(plant);
  EXPECT_EQ(plant.read_device({0}), (Reading{watts(201), at_step(1), ReadingQuality::stale}));
  EXPECT_EQ(plant.read_device({1}), (Reading{watts(100), at_step(3), ReadingQuality::good}));
}

TEST(PlantSensors, FrozenBeforeItsFirstReadingStaysMissing) {
  for (const auto kind : {SensorFaultKind::frozen_new_time, SensorFaultKind::frozen_old_time,
                          SensorFaultKind::stale}) {
    auto plant = sensed_plant({.delay_steps = 3});
    plant.set_sensor_fault(topology::DeviceIndex{0}, {kind});
    run_steps(plant, 5);
    EXPECT_EQ(plant.read_device({0}).power, std::nullopt);
    EXPECT_EQ(plant.read_device({0}).quality, ReadingQuality::missing);
  }
}

TEST(PlantSensors, MissingAndScaled) {
  auto plant = sensed_plant({.quantum = watts(1)});
  step_ramp(plant);
  plant.set_sensor_fault(topology::DeviceIndex{0}, {SensorFaultKind::missing});
  EXPECT_EQ(plant.read_device({0}), (Reading{std::nullopt, at_step(1), ReadingQuality::missing}));
  plant.set_sensor_fault(topology::DeviceIndex{0}, {SensorFaultKind::scaled, 0.5});
  step_ramp(plant);
  EXPECT_EQ(plant.read_device({0}), (Reading{watts(101), at_step(2), ReadingQuality::good}));
  EXPECT_THAT(error_of([&] {
                plant.set_sensor_fault(topology::DeviceIndex{0}, {SensorFaultKind::scaled, -1});
              }),
              testing::HasSubstr("factor"));
}

TEST(PlantSensors, NodesAreReadOnTheSideOfTheirMeter) {
  std::vector<topology::NodeSpec> nodes{plant_node("site", ""), plant_node("rack", "site"),
                                        plant_node("blind", "site")};
  nodes[0].factor = 1.1;
  nodes[1].factor = 1.05;
  nodes[1].meter = topology::MeterSide::load;
  nodes[2].meter.reset();
  auto spec = plant_spec(prompt_kind());
  spec.node_sensors = SensorSpec{};
  Plant plant{topology::PowerTree::build(nodes, {plant_device("gpu", "rack")}), spec};
  plant.set_demand({0}, watts(400));
  plant.step();
  EXPECT_EQ(plant.read_node(*plant.tree().find_node("rack")).power, watts(400));
  EXPECT_NEAR(in_watts(*plant.read_node(kRoot).power), 1.1 * 1.05 * 400, 1e-3);
  EXPECT_EQ(plant.read_node(*plant.tree().find_node("blind")), Reading{});
  EXPECT_EQ(plant.read_device({0}), Reading{});
  plant.set_sensor_fault(kRoot, {SensorFaultKind::missing});
  EXPECT_EQ(plant.read_node(kRoot).quality, ReadingQuality::missing);
}

TEST(PlantSensors, SteadyWhenASteppedPlantIsBuiltAgain) {
  const SensorSpec noisy{.noise = watts(5), .most_bias_ratio = 0.05};
  auto first = sensed_plant(noisy, 3);
  auto again = sensed_plant(noisy, 3);
  for (int s = 0; s < 20; ++s) {
    first.step();
    again.step();
    if (s % 2 == 0) {
      static_cast<void>(first.read_device({1}));  // asking changes nothing
    }
    for (std::uint32_t d = 0; d < 3; ++d) {
      ASSERT_EQ(first.read_device({d}), again.read_device({d}));
    }
  }
}

TEST(CounterRandom, IsEvenEnough) {
  int low = 0;
  double sum = 0;
  for (std::uint64_t i = 0; i < 10000; ++i) {
    low += random_below(random_bits(1, RandomUse::latency, i, 0), 4) == 0 ? 1 : 0;
    sum += random_unit(random_bits(1, RandomUse::latency, 0, i));
  }
  EXPECT_NEAR(low, 2500, 150);
  EXPECT_NEAR(sum, 5000, 100);
}

}  // namespace
}  // namespace perwatt::simulate
