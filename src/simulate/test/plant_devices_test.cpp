// How devices draw and obey.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "error_of.hpp"
#include "plants.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/random.hpp"

namespace perwatt::simulate {
namespace {

using testing::HasSubstr;

TEST(PlantDevices, DrawFollowsTheClosedFormOfAFirstOrderLag) {
  auto kind = prompt_kind();
  kind.response = seconds(0.25);
  Plant plant{flat_tree(1), plant_spec(kind)};
  plant.set_demand({0}, watts(600));
  for (int s = 1; s <= 200; ++s) {
    plant.step();
    const double expected = 600 + (100 - 600) * std::exp(-s * 0.01 / 0.25);
    ASSERT_NEAR(draw_of(plant, 0), expected, 1e-3) << s;
  }
  plant.set_demand({0}, watts(0));
  const double start = draw_of(plant, 0);
  for (int s = 1; s <= 200; ++s) {
    plant.step();
    ASSERT_NEAR(draw_of(plant, 0), 100 + (start - 100) * std::exp(-s * 0.01 / 0.25), 1e-3) << s;
  }
}

RC_GTEST_PROP(PlantDevices, NeverBelowIdleAndNeverOverTheOvershootOfTheHighestCap, ()) {
  auto kind = prompt_kind();
  kind.response = seconds(*rc::gen::inRange(0, 100) * 0.01);
  kind.regulation = seconds(*rc::gen::inRange(0, 100) * 0.01);
  kind.overshoot_ratio = 1 + *rc::gen::inRange(0, 20) * 0.01;
  Plant plant{flat_tree(1), plant_spec(kind)};
  double most_cap_watts = 700;
  for (const int change : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 2000))) {
    if (change % 2 == 0) {
      plant.set_demand({0}, watts(change));
    } else {
      plant.write_cap({0}, watts(200 + change / 4.0));
    }
    run_steps(plant, change % 7);
    RC_ASSERT(draw_of(plant, 0) >= 100);
    RC_ASSERT(draw_of(plant, 0) <= most_cap_watts * kind.overshoot_ratio * (1 + 1e-6));
  }
}

TEST(PlantDevices, OvershootsACapOnTheWayUpAndIsPulledInToIt) {
  auto kind = prompt_kind();
  kind.response = seconds(0.02);
  kind.regulation = seconds(0.5);
  kind.overshoot_ratio = 1.1;
  Plant plant{flat_tree(1), plant_spec(kind)};
  plant.write_cap({0}, watts(400));
  plant.step();
  plant.set_demand({0}, watts(650));
  double highest = 0;
  for (int s = 0; s < 1000; ++s) {
    plant.step();
    highest = std::max(highest, draw_of(plant, 0));
  }
  EXPECT_GT(highest, 420);
  EXPECT_LE(highest, 440);
  EXPECT_NEAR(draw_of(plant, 0), 400, 1e-3);
}

/// The formulas of plant.hpp in double, for one device with prompt caps.
struct ReferenceDevice {
  double cap_watts = 700;
  double ceiling_watts;
  double draw_watts = 100;

  void step(const DeviceKind& kind, double demand_watts) {
    const double top = kind.overshoot_ratio * cap_watts;
    const auto kept = [](Seconds lag) {
      return lag == Seconds{} ? 0 : std::exp(-0.01 / in_seconds(lag));
    };
    if (demand_watts > cap_watts) {
      ceiling_watts = cap_watts + (ceiling_watts - cap_watts) * kept(kind.regulation);
      ceiling_watts = std::clamp(ceiling_watts, cap_watts, top);
    } else {
      ceiling_watts = top;
    }
    const double aim = std::min(std::max(100.0, demand_watts), ceiling_watts);
    draw_watts = aim + (draw_watts - aim) * kept(kind.response);
  }
};

RC_GTEST_PROP(PlantDevices, DrawFollowsTheFormulas, ()) {
  auto kind = prompt_kind();
  kind.response = seconds(*rc::gen::inRange(0, 20) * 0.01);
  kind.regulation = seconds(*rc::gen::inRange(0, 100) * 0.01);
  kind.overshoot_ratio = 1 + *rc::gen::inRange(0, 50) * 0.01;
  Plant plant{flat_tree(1), plant_spec(kind)};
  ReferenceDevice reference{};
  reference.ceiling_watts = kind.overshoot_ratio * 700;
  double demand_watts = 0;
  for (int change = 0; change < 40; ++change) {
    if (*rc::gen::inRange(0, 2) == 0) {
      demand_watts = *rc::gen::inRange(0, 1200);
      plant.set_demand({0}, watts(demand_watts));
    } else {
      reference.cap_watts = *rc::gen::inRange(200, 701);
      plant.write_cap({0}, watts(reference.cap_watts));
    }
    for (int s = *rc::gen::inRange(1, 8); s > 0; --s) {
      plant.step();
      reference.step(kind, demand_watts);
      RC_ASSERT(std::abs(draw_of(plant, 0) - reference.draw_watts) < 2e-3);
    }
  }
}

TEST(PlantDevices, WithoutOvershootTheCapIsTheMost) {
  auto kind = prompt_kind();
  kind.response = seconds(0.02);
  kind.regulation = seconds(0.5);
  Plant plant{flat_tree(1), plant_spec(kind)};
  plant.write_cap({0}, watts(400));
  plant.step();
  plant.set_demand({0}, watts(650));
  for (int s = 0; s < 100; ++s) {
    plant.step();
    ASSERT_LE(draw_of(plant, 0), 400);
  }
}

TEST(PlantDevices, AfterACutTheDrawFallsWithTheResponse) {
  auto kind = prompt_kind();
  kind.response = seconds(0.1);
  Plant plant{flat_tree(1), plant_spec(kind)};
  plant.set_demand({0}, watts(600));
  run_steps(plant, 500);
  plant.write_cap({0}, watts(300));
  for (int s = 1; s <= 50; ++s) {
    plant.step();
    ASSERT_NEAR(draw_of(plant, 0), 300 + 300 * std::exp(-s * 0.01 / 0.1), 1e-2) << s;
  }
}

TEST(PlantDevices, ACapActsInTheFirstStepThatBeginsAfterItsLatency) {
  auto kind = prompt_kind();
  kind.least_latency_ns = 45 * kMillisecond;  // five steps of 10 ms
  kind.most_latency_ns = 45 * kMillisecond;
  Plant plant{flat_tree(1), plant_spec(kind)};
  plant.set_demand({0}, watts(650));
  run_steps(plant, 3);
  EXPECT_EQ(plant.write_cap({0}, watts(300)), CapWrite::accepted);
  run_steps(plant, 5);
  EXPECT_EQ(draw_of(plant, 0), 650);
  EXPECT_EQ(plant.read_cap({0}), watts(700));
  plant.step();
  EXPECT_EQ(draw_of(plant, 0), 300);
  EXPECT_EQ(plant.read_cap({0}), watts(300));
}

TEST(PlantDevices, LatenciesFillTheirRangeAndNothingElse) {
  auto kind = prompt_kind();
  kind.least_latency_ns = 20 * kMillisecond;
  kind.most_latency_ns = 50 * kMillisecond;
  constexpr int kDevices = 1000;
  Plant plant{flat_tree(kDevices), plant_spec(kind)};
  for (std::uint32_t d = 0; d < kDevices; ++d) {
    plant.write_cap({d}, watts(300));
  }
  int before = 0;
  for (int s = 0; s <= 6; ++s) {
    plant.step();
    int acting = 0;
    for (std::uint32_t d = 0; d < kDevices; ++d) {
      acting += plant.read_cap({d}) == watts(300) ? 1 : 0;
    }
    const int latency_steps = s;
    const bool in_range = latency_steps >= 2 && latency_steps <= 5;
    EXPECT_NEAR(acting - before, in_range ? kDevices / 4 : 0, in_range ? 60 : 0) << s;
    before = acting;
  }
  EXPECT_EQ(before, kDevices);
}

TEST(PlantDevices, WritesOfOneDeviceActInTheirOrder) {
  auto kind = prompt_kind();
  kind.most_latency_ns = 200 * kMillisecond;
  Plant plant{flat_tree(50), plant_spec(kind)};
  for (int write = 0; write < 20; ++write) {
    for (std::uint32_t d = 0; d < 50; ++d) {
      plant.write_cap({d}, watts(200 + write));
    }
  }
  std::vector<double> last(50, 0);
  for (int s = 0; s < 30; ++s) {
    plant.step();
    for (std::uint32_t d = 0; d < 50; ++d) {
      const double cap = in_watts(plant.read_cap({d}));
      if (cap != 700) {
        ASSERT_GE(cap, last[d]);
        last[d] = cap;
      }
    }
  }
  EXPECT_THAT(last, testing::Each(219));
}

TEST(PlantDevices, CapsAreCutToTheirResolutionAndKeptInTheirRange) {
  auto kind = prompt_kind();
  kind.lowest_cap = watts(200);
  kind.cap_resolution = watts(30);
  Plant plant{flat_tree(1), plant_spec(kind)};
  EXPECT_EQ(plant.write_cap({0}, watts(359.9)), CapWrite::accepted);
  plant.step();
  EXPECT_EQ(plant.read_cap({0}), watts(330));
  EXPECT_EQ(plant.write_cap({0}, watts(205)), CapWrite::accepted);
  plant.step();
  EXPECT_EQ(plant.read_cap({0}), watts(200));
  EXPECT_EQ(plant.write_cap({0}, watts(199.5)), CapWrite::out_of_range);
  EXPECT_EQ(plant.write_cap({0}, watts(700.5)), CapWrite::out_of_range);
  plant.step();
  EXPECT_EQ(plant.read_cap({0}), watts(200));
}

TEST(PlantDevices, OffDrawsNothingAndOnBeginsAtIdle) {
  auto kind = prompt_kind();
  kind.response = seconds(0.1);
  Plant plant{flat_tree(2), plant_spec(kind)};
  plant.set_demand({0}, watts(600));
  run_steps(plant, 100);
  plant.set_on({0}, false);
  EXPECT_EQ(draw_of(plant, 0), 0);
  plant.set_demand({0}, watts(500));
  run_steps(plant, 10);
  EXPECT_EQ(draw_of(plant, 0), 0);
  EXPECT_EQ(draw_of(plant, 1), 100);
  plant.set_on({0}, true);
  EXPECT_EQ(draw_of(plant, 0), 100);
  run_steps(plant, 200);
  EXPECT_NEAR(draw_of(plant, 0), 500, 1e-3);
}

TEST(PlantDevices, FaultsOfActuation) {
  Plant plant{flat_tree(4), plant_spec(prompt_kind())};
  const std::vector<float> demands(4, 650.0F);
  plant.set_demands({0}, demands);
  plant.set_faults({0}, {.refuses_caps = true});
  plant.set_faults({1}, {.ignores_caps = true});
  plant.set_faults({2}, {.extra_latency_ns = 30 * kMillisecond});
  plant.set_faults({3}, {.other_cap = watts(250)});
  EXPECT_EQ(plant.write_cap({0}, watts(300)), CapWrite::refused);
  for (const std::uint32_t d : {1U, 2U, 3U}) {
    EXPECT_EQ(plant.write_cap({d}, watts(300)), CapWrite::accepted);
  }
  plant.step();
  EXPECT_EQ(draw_of(plant, 0), 650);
  EXPECT_EQ(plant.read_cap({0}), watts(700));
  EXPECT_EQ(draw_of(plant, 1), 650);
  EXPECT_EQ(plant.read_cap({1}), watts(300));
  EXPECT_EQ(draw_of(plant, 2), 650);
  EXPECT_EQ(draw_of(plant, 3), 250);
  EXPECT_EQ(plant.read_cap({3}), watts(250));
  run_steps(plant, 2);
  EXPECT_EQ(draw_of(plant, 2), 650);
  plant.step();
  EXPECT_EQ(draw_of(plant, 2), 300);
  for (std::uint32_t d = 0; d < 4; ++d) {
    plant.set_faults({d}, {});
  }
  plant.step();
  EXPECT_EQ(draw_of(plant, 0), 650);
  EXPECT_EQ(draw_of(plant, 1), 300);
  EXPECT_EQ(draw_of(plant, 3), 300);
}

/// The draws after each of 100 steps with caps written now and then, in an order by `shuffle_seed`.
std::vector<float> eventful_draws(std::uint64_t shuffle_seed) {
  auto kind = prompt_kind();
  kind.response = seconds(0.05);
  kind.regulation = seconds(0.1);
  kind.overshoot_ratio = 1.05;
  kind.most_latency_ns = 100 * kMillisecond;
  constexpr std::uint32_t kDevices = 40;
  Plant plant{flat_tree(kDevices), plant_spec(kind)};
  std::mt19937_64 order{shuffle_seed};
  std::vector<std::uint32_t> devices(kDevices);
  for (std::uint32_t d = 0; d < kDevices; ++d) {
    devices[d] = d;
  }
  std::vector<float> draws;
  for (std::uint32_t s = 0; s < 100; ++s) {
    shuffle<std::uint32_t>(devices, order);
    for (const std::uint32_t d : devices) {
      if ((s + d) % 3 == 0) {
        plant.write_cap({d}, watts(200 + (s * 37 + d * 11) % 500));
      }
      plant.set_demand({d}, watts((s * 53 + d * 17) % 800));
    }
    plant.step();
    draws.insert(draws.end(), plant.draw_watts().begin(), plant.draw_watts().end());
  }
  return draws;
}

TEST(PlantDevices, SameSeedSameBytesInWhateverOrderOfDevices) {
  const auto first = eventful_draws(1);
  for (const std::uint64_t shuffle_seed : {1ULL, 2ULL, 3ULL}) {
    const auto again = eventful_draws(shuffle_seed);
    ASSERT_EQ(first.size(), again.size());
    EXPECT_EQ(std::memcmp(first.data(), again.data(), first.size() * sizeof(float)), 0);
  }
}

TEST(PlantDevices, DemandsOverBordersOfKinds) {
  auto spec = plant_spec(prompt_kind());
  spec.kinds.push_back(prompt_kind());
  spec.kinds[1].idle = watts(150);
  spec.kind_of_device = {0, 0, 1, 1, 0, 1};
  Plant plant{flat_tree(6), spec};
  plant.set_demands({1}, std::vector<float>{120, 120, 180, 120, 0});
  plant.step();
  EXPECT_THAT(plant.draw_watts(), testing::ElementsAre(100, 120, 150, 180, 120, 150));
}

TEST(PlantDevices, RefusesWhatIsOutOfRange) {
  const auto error = [](const auto& change) {
    auto spec = plant_spec(prompt_kind());
    change(spec);
    return error_of([&] { Plant(flat_tree(2), spec); });
  };
  EXPECT_THAT(error([](auto& s) { s.step_ns = 0; }), HasSubstr("a step of 0 ns"));
  EXPECT_THAT(error([](auto& s) { s.step_ns = -5; }), HasSubstr("a step of -5 ns"));
  EXPECT_THAT(error([](auto& s) { s.meter_steps = 0; }), HasSubstr("metering every 0 steps"));
  EXPECT_THAT(error([](auto& s) { s.kinds.clear(); }), HasSubstr("no kind"));
  EXPECT_THAT(error([](auto& s) { s.kinds[0].idle = watts(201); }), HasSubstr("idle"));
  EXPECT_THAT(error([](auto& s) { s.kinds[0].lowest_cap = watts(201); }), HasSubstr("gpu-0"));
  EXPECT_THAT(error([](auto& s) { s.kinds[0].highest_cap = watts(100); }),
              HasSubstr("highest cap"));
  EXPECT_THAT(error([](auto& s) { s.kinds[0].response = seconds(1001); }), HasSubstr("response"));
  EXPECT_THAT(error([](auto& s) { s.kinds[0].overshoot_ratio = 0.9; }), HasSubstr("overshoot"));
  EXPECT_THAT(error([](auto& s) { s.kinds[0].least_latency_ns = 1; }), HasSubstr("latency"));
  EXPECT_THAT(error([](auto& s) { s.kind_of_device = {0}; }), HasSubstr("1 kinds for 2"));
  EXPECT_THAT(error([](auto& s) { s.kind_of_device = {0, 1}; }), HasSubstr("of kind 1"));
  EXPECT_THAT(error([](auto& s) { s.breaker_recovery = {}; }), HasSubstr("recovery"));
  EXPECT_THAT(error([](auto& s) { s.device_sensors = SensorSpec{.sample_steps = 0}; }),
              HasSubstr("every 0 steps"));
  EXPECT_THAT(error([](auto& s) { s.device_sensors = SensorSpec{.most_bias_ratio = 1}; }),
              HasSubstr("bias"));
  EXPECT_THAT(error([](auto& s) { s.device_sensors = SensorSpec{.delay_steps = 1'000'000'000}; }),
              HasSubstr("hold"));
  EXPECT_THAT(error([](auto& s) {
                s.meter_steps = 2;
                s.node_sensors = SensorSpec{.sample_steps = 3};
              }),
              HasSubstr("multiple"));
  Plant plant{flat_tree(1), plant_spec(prompt_kind())};
  EXPECT_THAT(error_of([&] { plant.set_faults({0}, {.extra_latency_ns = -1}); }),
              HasSubstr("extra latency"));
  EXPECT_THAT(error_of([&] { plant.set_faults({0}, {.other_cap = watts(-1)}); }),
              HasSubstr("other cap"));
}

}  // namespace
}  // namespace perwatt::simulate
