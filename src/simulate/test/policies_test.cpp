// The policies by themselves on random sites: caps within limits, when they act, who comes first.
#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <vector>

#include "plants.hpp"
#include "policy.hpp"
#include "random_site.hpp"
#include "scenarios.hpp"
#include <gtest/gtest.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/random.hpp"
#include "perwatt/simulate/simulated_platform.hpp"
#include "perwatt/topology/loads.hpp"

namespace perwatt::simulate {
namespace {

constexpr int kPolicyStepsPerSecond = 10;

DeviceKind obedient_kind() {
  DeviceKind kind;
  kind.name = "obedient";
  kind.highest_cap = watts(1e4);
  return kind;
}

Scenario bare_scenario(topology::PowerTree tree) {
  Scenario scenario{std::move(tree)};
  scenario.plant.step_ns = 100 * kMillisecond;
  scenario.plant.kinds = {obedient_kind()};
  scenario.plant.kind_of_device.assign(scenario.tree.devices().size(), 0);
  scenario.plant.device_sensors = SensorSpec{10, 0, watts(1), watts(0), 0};
  scenario.overshoot_ratio = 0.01;
  scenario.settle = seconds(1);
  return scenario;
}

std::vector<DeviceValue> random_values(const topology::PowerTree& tree, std::mt19937_64& random) {
  std::vector<DeviceValue> values;
  for (const auto& device : tree.devices()) {
    const Watts middle = device.min + (device.max - device.min) * 0.5;
    const double steep = 1 + uniform_unit(random);
    const double flat = steep * uniform_unit(random);
    const double half = in_watts(middle - device.min);
    values.push_back(
        {{{device.min, 0}, {middle, steep * half}, {device.max, (steep + flat) * half}},
         true,
         1,
         static_cast<int>(uniform_below(random, 3))});
  }
  return values;
}

/// A policy on a plant whose devices obey at once.
struct PolicySiteRun {
  PolicySiteRun(const Scenario& of, const PolicyPlan& its_plan, std::vector<DeviceValue> its_values)
      : scenario{of},
        plan{its_plan},
        values{std::move(its_values)},
        demands(values.size()),
        plant{of.tree, of.plant},
        platform{plant},
        is_to_stop(values.size()),
        is_stopped(values.size()),
        policy{make_policy({scenario, plan, 1, platform, values, [this] { return demands; },
                            is_to_stop, is_stopped})} {}

  void demand(std::size_t device, Watts power) {
    demands[device] = power;
    plant.set_demand({static_cast<std::uint32_t>(device)}, power);
  }

  void step() {
    policy->step(plant.now());
    plant.step();
  }

  [[nodiscard]] std::vector<Watts> caps() const {
    std::vector<Watts> all;
    for (std::uint32_t d = 0; d < values.size(); ++d) {
      all.push_back(plant.read_cap({d}));
    }
    return all;
  }

  /// Of the split: what devices would use of their caps.
  [[nodiscard]] double value() const {
    double sum = 0;
    const auto all = caps();
    for (std::size_t d = 0; d < all.size(); ++d) {
      const Watts used = std::clamp(std::min(all[d], demands[d]), values[d].curve.front().power,
                                    values[d].curve.back().power);
      sum += allocate::value_at(values[d].curve, used);
    }
    return sum;
  }

  const Scenario& scenario;
  const PolicyPlan& plan;
  std::vector<DeviceValue> values;
  std::vector<Watts> demands;
  Plant plant;
  SimulatedPlatform platform;
  std::vector<char> is_to_stop;
  std::vector<char> is_stopped;
  std::unique_ptr<Policy> policy;
};

bool fits(const topology::PowerTree& tree, std::vector<Watts> caps, double overshoot_ratio) {
  for (auto& cap : caps) {
    cap = cap * (1 + overshoot_ratio);
  }
  return topology::overloads(tree, topology::loads_at(tree, caps)).empty();
}

TEST(Policies, KeepTheSumOfCapsWithinTheLimitsOfRandomSites) {
  int tried = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto scenario =
        bare_scenario(allocate::random_site(seed, {seed % 3 == 1, seed % 3 == 2, 12}));
    if (!fits(scenario.tree, topology::device_draws(scenario.tree, topology::DrawLevel::minimum),
              0.012)) {
      continue;
    }
    for (const auto kind : kEveryPolicy) {
      std::mt19937_64 random{seed};
      auto plan = policy_of(kind);
      plan.cadence = std::min(plan.cadence, seconds(2));
      std::unique_ptr<PolicySiteRun> run;
      try {
        run = std::make_unique<PolicySiteRun>(scenario, plan, random_values(scenario.tree, random));
      } catch (const Error& error) {
        ADD_FAILURE() << to_string(kind) << " seed " << seed << ": " << error.what();
        continue;
      }
      run->policy->start(run->plant.now());
      for (int s = 0; s < 30 * kPolicyStepsPerSecond; ++s) {
        if (s % 37 == 0) {
          for (std::size_t d = 0; d < run->values.size(); ++d) {
            run->demand(d, watts(700 * uniform_unit(random)));
          }
        }
        run->step();
        const double overshoot = kind == PolicyKind::clairvoyant ? 0 : 0.01;
        ASSERT_TRUE(fits(scenario.tree, run->caps(), overshoot))
            << to_string(kind) << " seed " << seed;
      }
      ++tried;
    }
  }
  EXPECT_GE(tried, 100);
}

TEST(Policies, KeepCapsWithinTheirDevicesRange) {
  const auto scenario = bare_scenario(allocate::random_site(5, {}));
  for (const auto kind : kEveryPolicy) {
    std::mt19937_64 random{5};
    const auto plan = policy_of(kind);
    PolicySiteRun run{scenario, plan, random_values(scenario.tree, random)};
    run.policy->start(run.plant.now());
    for (int s = 0; s < 200; ++s) {
      run.step();
    }
    const auto caps = run.caps();
    for (std::size_t d = 0; d < caps.size(); ++d) {
      const auto& device = scenario.tree.devices()[d];
      EXPECT_GE(in_watts(caps[d]), in_watts(device.min) - 1e-3) << to_string(kind);
      EXPECT_LE(in_watts(caps[d]), in_watts(device.max) + 1e-3) << to_string(kind);
    }
  }
}

/// Four devices of 200 W to 700 W under one limit.
Scenario four_devices(double limit_watts) {
  auto scenario =
      bare_scenario(flat_tree(4, {{topology::LimitKind::breaker, watts(limit_watts), {}, {}, {}}}));
  scenario.overshoot_ratio = 0;
  return scenario;
}

std::vector<DeviceValue> even_values(std::vector<int> priorities) {
  std::vector<DeviceValue> values;
  for (const int priority : priorities) {
    values.push_back({{{watts(200), 0}, {watts(700), 500}}, true, 1, priority});
  }
  return values;
}

TEST(Policies, FixedGivesTheNameplateWhereItFitsElseEvenShares) {
  auto plan = policy_of(PolicyKind::fixed);
  plan.guard_ratio = 0;
  for (const auto& [limit, cap] : {std::pair{3000.0, 700.0}, std::pair{2000.0, 500.0}}) {
    const auto scenario = four_devices(limit);
    PolicySiteRun run{scenario, plan, even_values({0, 0, 0, 0})};
    run.policy->start(run.plant.now());
    const auto writes = run.platform.writes();
    for (int s = 0; s < 100; ++s) {
      run.demand(0, watts(s % 2 == 0 ? 100 : 700));
      run.step();
    }
    EXPECT_EQ(run.platform.writes(), writes) << "it acts once";
    for (const auto got : run.caps()) {
      EXPECT_NEAR(in_watts(got), cap, 25);  // of 24 levels
    }
  }
}

TEST(Policies, FixedFollowsALimitThatIsLowered) {
  const auto scenario = four_devices(2000);
  const auto plan = policy_of(PolicyKind::fixed);
  PolicySiteRun run{scenario, plan, even_values({0, 0, 0, 0})};
  run.policy->start(run.plant.now());
  const Watts lower[] = {watts(1200)};
  run.policy->set_limits(lower);
  for (int s = 0; s < 20; ++s) {
    run.step();
  }
  double sum = 0;
  for (const auto cap : run.caps()) {
    sum += in_watts(cap);
  }
  EXPECT_LE(sum, 1200);
  EXPECT_GT(sum, 1100);
}

TEST(Policies, SteeringActsEvery90SecondsAndMovesWattsToWhoIsAtItsCap) {
  const auto scenario = four_devices(1600);
  const auto plan = policy_of(PolicyKind::steering);
  PolicySiteRun run{scenario, plan, even_values({0, 0, 0, 0})};
  run.demand(0, watts(700));
  run.demand(1, watts(700));
  run.demand(2, watts(220));
  run.demand(3, watts(220));
  run.policy->start(run.plant.now());
  run.step();
  auto before = run.caps();
  for (int s = 1; s < 400 * kPolicyStepsPerSecond; ++s) {
    const bool may_act = s % (90 * kPolicyStepsPerSecond) == 0;
    const auto writes = run.platform.writes();
    run.step();
    if (!may_act) {
      ASSERT_EQ(run.platform.writes(), writes) << "at " << s / 10.0 << " s";
    }
  }
  EXPECT_GT(run.caps()[0], before[0] + watts(50));
  EXPECT_LT(run.caps()[3], before[3] - watts(50));
}

TEST(Policies, StealingFillsTheHighestPriorityFirst) {
  const auto scenario = four_devices(1900);
  auto plan = policy_of(PolicyKind::stealing);
  plan.guard_ratio = 0;
  PolicySiteRun run{scenario, plan, even_values({0, 7, 0, 3})};
  run.policy->start(run.plant.now());
  run.step();
  const auto caps = run.caps();
  EXPECT_EQ(caps[1], watts(700));
  EXPECT_EQ(caps[3], watts(700));
  EXPECT_NEAR(in_watts(caps[0] + caps[2]), 500, 2);
}

TEST(Policies, EvenRaisesAllToOneLevelUpToDemand) {
  const auto scenario = four_devices(1900);
  auto plan = policy_of(PolicyKind::even);
  plan.guard_ratio = 0;
  PolicySiteRun run{scenario, plan, even_values({0, 0, 0, 0})};
  run.policy->start(run.plant.now());
  for (std::size_t d = 0; d < 4; ++d) {
    run.demand(d, watts(d == 0 ? 210 : 700));
  }
  for (int s = 0; s < 100; ++s) {
    run.step();
  }
  const auto caps = run.caps();
  EXPECT_LT(caps[0], watts(300));
  for (std::size_t d = 1; d < 4; ++d) {
    EXPECT_NEAR(in_watts(caps[d]), 550, 35);
  }
}

TEST(Policies, ProportionalGivesMoreToWhoWantsMore) {
  const auto scenario = four_devices(1600);
  auto plan = policy_of(PolicyKind::proportional);
  plan.guard_ratio = 0;
  PolicySiteRun run{scenario, plan, even_values({0, 0, 0, 0})};
  run.policy->start(run.plant.now());
  for (std::size_t d = 0; d < 4; ++d) {
    run.demand(d, watts(d == 0 ? 300 : 700));
  }
  for (int s = 0; s < 100; ++s) {
    run.step();
  }
  const auto caps = run.caps();
  EXPECT_LT(caps[0], caps[1]);
  EXPECT_LE(caps[0] + caps[1] + caps[2] + caps[3], watts(1600));
}

TEST(Policies, TheClairvoyantIsNeverBelowTheOthersAtEqualDemand) {
  for (std::uint64_t seed = 0; seed < 24; ++seed) {
    const auto scenario = bare_scenario(allocate::random_site(seed, {seed % 2 == 1, false, 12}));
    if (!fits(scenario.tree, topology::device_draws(scenario.tree, topology::DrawLevel::minimum),
              0.012)) {
      continue;
    }
    double bound = 0;
    for (auto kind = kEveryPolicy.rbegin(); kind != kEveryPolicy.rend(); ++kind) {
      std::mt19937_64 random{seed};
      auto plan = policy_of(*kind);
      plan.cadence = seconds(1);
      PolicySiteRun run{scenario, plan, random_values(scenario.tree, random)};
      for (std::size_t d = 0; d < run.values.size(); ++d) {
        run.demand(d, watts(700 * uniform_unit(random)));
      }
      run.policy->start(run.plant.now());
      for (int s = 0; s < 30 * kPolicyStepsPerSecond; ++s) {
        run.step();
      }
      if (*kind == PolicyKind::clairvoyant) {
        bound = run.value();
      }
      const double whole_watts = 2.0 * static_cast<double>(run.values.size());
      EXPECT_LE(run.value(), bound * 1.001 + whole_watts) << to_string(*kind) << " seed " << seed;
    }
  }
}

}  // namespace
}  // namespace perwatt::simulate
