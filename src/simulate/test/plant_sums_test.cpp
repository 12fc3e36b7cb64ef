// Supplies, energies and open breakers.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "plants.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/topology/loads.hpp"

namespace perwatt::simulate {
namespace {

using topology::Phase;

/// Two feeds, losses, fixed parts, phases, and devices on many nodes.
topology::PowerTree fed_tree() {
  std::vector<topology::NodeSpec> nodes{plant_node("site", "")};
  for (const std::string feed : {"A", "B"}) {
    nodes.push_back(plant_node("ups-" + feed, "site"));
    nodes.back().factor = 1.04;
    nodes.back().fixed = watts(500);
  }
  std::vector<topology::DeviceSpec> devices;
  for (int r = 0; r < 6; ++r) {
    const auto rack = "rack-" + std::to_string(r);
    nodes.push_back(plant_node(rack, "ups-A"));
    nodes.back().supplies = {{"ups-A", 0.25}, {"ups-B", 0.75}};
    nodes.back().factor = 1.02;
    nodes.back().fixed = watts(40);
    if (r % 2 == 0) {
      nodes.back().phase = Phase{static_cast<Phase>(r / 2)};
    }
    topology::Limit limit;
    limit.power = watts(9000);
    if (r % 2 == 0) {
      limit.phase = nodes.back().phase;
    }
    nodes.back().limits = {limit};
    for (int d = 0; d < r + 3; ++d) {
      devices.push_back(plant_device(rack + "-" + std::to_string(d), rack));
    }
  }
  devices.push_back(plant_device("lone", "ups-A"));
  topology::Limit phase_limit;
  phase_limit.power = watts(12000);
  phase_limit.phase = Phase::l2;
  nodes[0].limits = {phase_limit};
  return topology::PowerTree::build(nodes, devices);
}

PlantSpec lagging_spec() {
  auto kind = prompt_kind();
  kind.response = seconds(0.07);
  return plant_spec(kind);
}

std::vector<Watts> draws_of(const Plant& plant) {
  std::vector<Watts> draws;
  for (const float draw_watts : plant.draw_watts()) {
    draws.push_back(watts(static_cast<double>(draw_watts)));
  }
  return draws;
}

void set_some_demands(Plant& plant, std::uint32_t turn) {
  for (std::uint32_t d = 0; d < plant.draw_watts().size(); ++d) {
    plant.set_demand({d}, watts((turn * 131 + d * 71) % 700));
  }
}

RC_GTEST_PROP(PlantSums, SuppliesAreThoseOfLoadsAt, ()) {
  Plant plant{fed_tree(), lagging_spec()};
  for (int s = 0; s < 20; ++s) {
    set_some_demands(plant, *rc::gen::inRange<std::uint32_t>(0, 1000));
    plant.step();
    const auto loads = topology::loads_at(plant.tree(), draws_of(plant));
    for (std::size_t n = 0; n < loads.supply.size(); ++n) {
      const double expected = in_watts(loads.supply[n]);
      RC_ASSERT(std::abs(plant.supply_watts()[n] - expected) <= 1e-12 * expected);
    }
  }
}

TEST(PlantSums, LimitsOfPhasesSeeThePhasesOfLoadsAt) {
  Plant plant{fed_tree(), lagging_spec()};
  set_some_demands(plant, 1);
  double worst_ratio = 0;
  for (int s = 0; s < 50; ++s) {
    plant.step();
    const auto loads = topology::loads_at(plant.tree(), draws_of(plant));
    worst_ratio = std::max(worst_ratio, loads.phase_supply[0][1] / watts(12000));
  }
  EXPECT_NEAR(plant.violations(kRoot, 0).worst_ratio, worst_ratio, 1e-12);
}

TEST(PlantSums, EnergyIsTheIntegralOfTheSuppliesAndOfTheDraws) {
  auto spec = lagging_spec();
  spec.kinds.push_back(spec.kinds[0]);
  const auto tree = fed_tree();
  for (std::size_t d = 0; d < tree.devices().size(); ++d) {
    spec.kind_of_device.push_back(static_cast<std::uint16_t>(d % 3 == 0 ? 1 : 0));
  }
  spec.meter_steps = 4;
  Plant plant{tree, spec};
  double root_joules = 0;
  std::vector<double> kind_joules(2, 0);
  for (std::uint32_t s = 1; s <= 400; ++s) {
    set_some_demands(plant, s);
    plant.step();
    if (s % 4 == 0) {
      root_joules += plant.supply_watts()[0] * 0.04;
      for (std::uint32_t d = 0; d < plant.draw_watts().size(); ++d) {
        kind_joules[spec.kind_of_device[d]] += draw_of(plant, d) * 0.04;
      }
    }
  }
  EXPECT_NEAR(plant.energy_of_node(kRoot).in_base(), root_joules, 1e-10 * root_joules);
  EXPECT_NEAR(plant.energy_of_kind(0).in_base(), kind_joules[0], 1e-10 * kind_joules[0]);
  EXPECT_NEAR(plant.energy_of_kind(1).in_base(), kind_joules[1], 1e-10 * kind_joules[1]);
}

TEST(PlantSums, WhatTheRootTakesIsDrawnOrLost) {
  Plant plant{fed_tree(), lagging_spec()};
  for (std::uint32_t s = 0; s < 100; ++s) {
    set_some_demands(plant, s);
    plant.step();
  }
  const auto& tree = plant.tree();
  double lost_joules = 0;
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    const auto& node = tree.node({n});
    const double fixed_joules = in_watts(node.fixed) * 1.0;  // 100 steps of 10 ms
    const double metered_joules = plant.energy_of_node({n}).in_base();
    lost_joules += metered_joules - (metered_joules - fixed_joules) / node.factor;
  }
  const double root_joules = plant.energy_of_node(kRoot).in_base();
  EXPECT_NEAR(root_joules, plant.energy_of_kind(0).in_base() + lost_joules, 1e-9 * root_joules);
}

TEST(PlantSums, AnOpenFeedLeavesItsLoadToTheOther) {
  Plant plant{fed_tree(), plant_spec(prompt_kind())};
  set_some_demands(plant, 3);
  plant.step();
  const auto a = *plant.tree().find_node("ups-A");
  const auto b = *plant.tree().find_node("ups-B");
  const auto lone = *plant.tree().find_device("lone");
  plant.set_breaker_open(a, true);
  EXPECT_FALSE(plant.is_live(a));
  plant.step();
  EXPECT_EQ(plant.supply_watts()[a.value], 0);
  EXPECT_EQ(draw_of(plant, lone.value), 0);
  double racks_watts = 0;
  for (int r = 0; r < 6; ++r) {
    const auto rack = *plant.tree().find_node("rack-" + std::to_string(r));
    EXPECT_TRUE(plant.is_live(rack));
    racks_watts += plant.supply_watts()[rack.value];
  }
  EXPECT_NEAR(plant.supply_watts()[b.value], 500 + 1.04 * racks_watts, 1e-6);
  EXPECT_NEAR(plant.supply_watts()[0], plant.supply_watts()[b.value], 1e-6);

  plant.set_breaker_open(b, true);
  plant.step();
  EXPECT_EQ(plant.supply_watts()[0], 0);
  EXPECT_THAT(plant.draw_watts(), testing::Each(0.0F));

  plant.set_breaker_open(a, false);
  plant.set_breaker_open(b, false);
  run_steps(plant, 2);
  const auto loads = topology::loads_at(plant.tree(), draws_of(plant));
  EXPECT_NEAR(plant.supply_watts()[0], in_watts(loads.supply[0]), 1e-6);
  EXPECT_GT(draw_of(plant, lone.value), 0);
}

TEST(PlantSums, ADeviceThatWasSwitchedOffStaysOffWhenPowerReturns) {
  Plant plant{flat_tree(2), plant_spec(prompt_kind())};
  plant.set_on({1}, false);
  plant.set_breaker_open(kRoot, true);
  plant.step();
  EXPECT_THAT(plant.draw_watts(), testing::Each(0.0F));
  plant.set_breaker_open(kRoot, false);
  plant.step();
  EXPECT_THAT(plant.draw_watts(), testing::ElementsAre(100.0F, 0.0F));
}

/// Everything at once: noise, faults, trips, writes, failures; all that can be asked, as bytes.
std::vector<double> told_of_a_busy_run() {
  auto spec = lagging_spec();
  spec.kinds[0].regulation = seconds(0.2);
  spec.kinds[0].overshoot_ratio = 1.08;
  spec.kinds[0].most_latency_ns = 60 * kMillisecond;
  spec.device_sensors = SensorSpec{2, 3, watts(1), watts(4), 0.02};
  spec.node_sensors = SensorSpec{5, 5, watts(10), watts(8), 0.02};
  spec.trips_open = true;
  Plant plant{fed_tree(), spec};
  std::vector<double> told;
  const auto devices = static_cast<std::uint32_t>(plant.draw_watts().size());
  for (std::uint32_t s = 0; s < 300; ++s) {
    set_some_demands(plant, s / 20);
    plant.write_cap({s % devices}, watts(200 + s % 500));
    plant.set_faults({s * 7 % devices}, DeviceFaults{s % 2 == 0, s % 3 == 0, 0, std::nullopt});
    plant.set_sensor_fault(topology::DeviceIndex{s * 5 % devices},
                           {static_cast<SensorFaultKind>(s % 6), 0.9});
    plant.set_on({s * 3 % devices}, s % 4 != 0);
    plant.set_breaker_open({1 + s / 100 % 2}, s % 100 < 50);
    plant.step();
    for (std::uint32_t d = 0; d < devices; ++d) {
      told.push_back(draw_of(plant, d));
      told.push_back(in_watts(plant.read_device({d}).power.value_or(watts(-1))));
    }
    told.insert(told.end(), plant.supply_watts().begin(), plant.supply_watts().end());
  }
  const auto seen = plant.violations();
  told.insert(told.end(), {in_seconds(seen.time_over), seen.energy_over.in_base(), seen.worst_ratio,
                           plant.energy_of_node(kRoot).in_base()});
  return told;
}

TEST(PlantSums, ABusyRunRepeatsToTheByte) {
  const auto first = told_of_a_busy_run();
  const auto again = told_of_a_busy_run();
  ASSERT_EQ(first.size(), again.size());
  EXPECT_EQ(std::memcmp(first.data(), again.data(), first.size() * sizeof(double)), 0);
}

}  // namespace
}  // namespace perwatt::simulate
