// A controller that may only look on.
#include <algorithm>
#include <string>
#include <vector>

#include "scenarios.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/device/read_only_platform.hpp"
#include "perwatt/simulate/plant.hpp"
#include "perwatt/simulate/scenario_run.hpp"
#include "perwatt/simulate/simulated_platform.hpp"

namespace perwatt::simulate {
namespace {

PolicyPlan plan_in(control::Mode mode) {
  auto plan = policy_of(PolicyKind::perwatt);
  plan.mode = mode;
  return plan;
}

/// By device.
std::vector<Watts> standing_caps(const ScenarioRun& run) {
  std::vector<Watts> caps;
  for (std::uint32_t d = 0; d < run.plant().tree().devices().size(); ++d) {
    caps.push_back(run.plant().read_cap({d}));
  }
  return caps;
}

void run_for(ScenarioRun& run, int steps) {
  for (int s = 0; s < steps; ++s) {
    run.step();
  }
}

TEST(ShadowPolicy, LeavesTheSiteAsItIsWithoutIt) {
  const auto scenario = scenario_of(small_scenario_text());
  ScenarioRun without{scenario, policy_of(PolicyKind::fixed), 1};
  run_for(without, 600);
  for (const auto mode : {control::Mode::observe, control::Mode::advise}) {
    const auto plan = plan_in(mode);
    ScenarioRun run{scenario, plan, 1};
    run_for(run, 600);
    EXPECT_EQ(standing_caps(run), standing_caps(without)) << control::to_string(mode);
    EXPECT_EQ(run.totals().output_tokens, without.totals().output_tokens);
    EXPECT_EQ(run.advised_caps().empty(), mode == control::Mode::observe);
  }
}

TEST(ShadowPolicy, AdvisesWhatWouldBeSafeAndDiffers) {
  const auto scenario = scenario_of(small_scenario_text());
  const auto plan = plan_in(control::Mode::advise);
  ScenarioRun run{scenario, plan, 1};
  double most_moved_watts = 0;
  for (int s = 0; s < 700; ++s) {
    run.step();
    const auto advised = run.advised_caps();
    ASSERT_EQ(advised.size(), 16U);
    Watts sum;
    for (std::uint32_t d = 0; d < advised.size(); ++d) {
      sum += advised[d];
      most_moved_watts =
          std::max(most_moved_watts, in_watts(advised[d] - run.plant().read_cap({d})));
    }
    ASSERT_LE(in_watts(sum), 7000) << "advice that passes the site's limit, step " << s;
  }
  EXPECT_GT(most_moved_watts, 100) << "it would raise somebody above the even shares that stand";
}

TEST(ShadowPolicy, AlarmsAllTheSame) {
  const std::string fault =
      "[[fault]]\nkind = \"sensor-missing\"\nnode = \"rack-1\"\nat = \"20s\"\nlasts = \"30s\"\n";
  const auto scenario = scenario_of(small_scenario_text() + fault);
  const auto plan = plan_in(control::Mode::observe);
  ScenarioRun run{scenario, plan, 1};
  run_for(run, 600);
  const auto is_lost = [](const RunEvent& event) {
    return event.text.find("reading") != std::string::npos;
  };
  EXPECT_TRUE(std::any_of(run.events().begin(), run.events().end(), is_lost));
}

TEST(ShadowPolicy, WhatIsReadOnlyTakesNothing) {
  const auto scenario = scenario_of(small_scenario_text());
  Plant plant{scenario.tree, scenario.plant};
  SimulatedPlatform platform{plant};
  device::ReadOnlyPlatform looked_at{platform};
  const std::vector<device::CapCommand> commands{{0, watts(300)}};
  std::vector<device::CapAnswer> answers(1, device::CapAnswer::accepted);
  looked_at.write(commands, answers);
  EXPECT_EQ(answers[0], device::CapAnswer::refused);
  EXPECT_FALSE(looked_at.lock_clock(0, 0.5));
  EXPECT_FALSE(looked_at.capabilities().sets_caps);
  EXPECT_TRUE(looked_at.capabilities().reads_caps);
  EXPECT_EQ(platform.writes(), 0);
  EXPECT_EQ(looked_at.enforced_cap(0), platform.enforced_cap(0));
}

TEST(WriteRules, AreReadFromTheFile) {
  const auto read = scenario_of(small_scenario_text() +
                                "[[policy]]\nkind = \"perwatt\"\nraise_per_second = \"25W\"\n"
                                "raise_spread = \"10s\"\nchanges_per_hour = 30\n");
  const auto& writes = read.policies[0].writes;
  ASSERT_TRUE(writes.slew && writes.changes_per_hour);
  EXPECT_EQ(*writes.slew * seconds(2), watts(50));
  EXPECT_EQ(writes.spread, seconds(10));
  EXPECT_EQ(*writes.changes_per_hour, 30);
}

TEST(WriteRules, MakeFewerWrites) {
  auto plan = policy_of(PolicyKind::perwatt);
  const auto scenario = scenario_of(small_scenario_text());
  const auto without = run_scenario(scenario, plan, 1);
  plan.writes.changes_per_hour = 60;
  const auto with_budget = run_scenario(scenario, plan, 1);
  EXPECT_LT(with_budget.cap_writes_per_device_hour, 0.7 * without.cap_writes_per_device_hour);
  EXPECT_EQ(with_budget.violations.count, 0);
}

TEST(ShadowPolicy, IsChosenInTheFile) {
  const auto text = small_scenario_text();
  EXPECT_EQ(
      scenario_of(text + "[[policy]]\nkind = \"perwatt\"\nmode = \"advise\"\n").policies[0].mode,
      control::Mode::advise);
  EXPECT_ANY_THROW(scenario_of(text + "[[policy]]\nkind = \"perwatt\"\nmode = \"advice\"\n"));
  EXPECT_ANY_THROW(scenario_of(text + "[[policy]]\nkind = \"even\"\nmode = \"observe\"\n"));
}

}  // namespace
}  // namespace perwatt::simulate
