// Nodes in maintenance, and a site that is released.
#include <algorithm>
#include <cstdint>
#include <string>

#include "scenarios.hpp"
#include <gtest/gtest.h>

#include "perwatt/simulate/scenario_run.hpp"
#include "perwatt/simulate/site_order.hpp"

namespace perwatt::simulate {
namespace {

const std::string kMaintenanceText =
    "[[maintenance]]\nnode = \"rack-1\"\nat = \"20s\"\nlasts = \"20s\"\n";

void run_up_to(ScenarioRun& run, double time_seconds) {
  while (in_seconds(run.time()) < time_seconds - 0.05) {
    run.step();
  }
}

/// The highest of the rack's eight devices.
Watts highest_cap(const ScenarioRun& run, std::uint32_t rack) {
  Watts highest;
  for (std::uint32_t d = 8 * rack; d < 8 * rack + 8; ++d) {
    highest = std::max(highest, run.plant().read_cap({d}));
  }
  return highest;
}

std::int64_t told(const ScenarioRun& run, const std::string& text) {
  return std::count_if(run.events().begin(), run.events().end(), [&](const RunEvent& event) {
    return event.text.find(text) != std::string::npos;
  });
}

TEST(Maintenance, HoldsANodeAtFailSafeFromItsBeginningToItsEnd) {
  const auto scenario = scenario_of(small_scenario_text() + kMaintenanceText);
  const auto plan = policy_of(PolicyKind::perwatt);
  ScenarioRun run{scenario, plan, 1};
  run_up_to(run, 19);
  EXPECT_GT(highest_cap(run, 0), watts(310));
  run_up_to(run, 25);
  EXPECT_EQ(highest_cap(run, 0), watts(300)) << "at once, not when the leases run out";
  EXPECT_EQ(run.maintained_nodes()[1], 1);
  EXPECT_EQ(run.maintained_nodes()[2], 0);
  run_up_to(run, 39);
  EXPECT_EQ(highest_cap(run, 0), watts(300));
  EXPECT_GT(highest_cap(run, 1), watts(450)) << "the other rack works on";
  run_up_to(run, 60);
  EXPECT_GT(highest_cap(run, 0), watts(310));
  EXPECT_EQ(told(run, "maintenance of 'rack-1' began"), 1);
  EXPECT_EQ(told(run, "maintenance of 'rack-1' ended"), 1);
}

TEST(Maintenance, IsKeptByAControllerThatStartsAnew) {
  const auto scenario =
      scenario_of(small_scenario_text() + kMaintenanceText +
                  "[[fault]]\nkind = \"controller-killed\"\nat = \"24s\"\nlasts = \"2s\"\n");
  const auto plan = policy_of(PolicyKind::perwatt);
  ScenarioRun run{scenario, plan, 1};
  run_up_to(run, 25);
  while (in_seconds(run.time()) < 39.9) {
    run.step();
    ASSERT_EQ(highest_cap(run, 0), watts(300)) << in_seconds(run.time());
  }
}

TEST(Maintenance, AlarmsAreMutedAndToldWhenTheyStandAtTheEnd) {
  const auto silent = [](const char* lasts) {
    return "[[fault]]\nkind = \"sensor-missing\"\nnode = \"rack-1\"\nat = \"20s\"\nlasts = \"" +
           std::string{lasts} + "\"\n";
  };
  const auto plan = policy_of(PolicyKind::perwatt);
  for (const bool is_repaired : {true, false}) {
    const auto scenario =
        scenario_of(small_scenario_text() + kMaintenanceText + silent(is_repaired ? "8s" : "60s"));
    ScenarioRun run{scenario, plan, 1};
    run_up_to(run, 39);
    EXPECT_EQ(told(run, "has no reading to be trusted"), 0);
    EXPECT_EQ(told(run, "too many devices"), 0);
    run_up_to(run, 69);
    EXPECT_EQ(told(run, "has no reading to be trusted"), is_repaired ? 0 : 8);
  }
}

TEST(Maintenance, ComesByOrderToo) {
  const auto scenario = scenario_of(small_scenario_text());
  const auto plan = policy_of(PolicyKind::perwatt);
  ScenarioRun run{scenario, plan, 1};
  run_up_to(run, 20);
  run.order({OrderKind::maintain, {2}, true});
  run_up_to(run, 25);
  EXPECT_EQ(highest_cap(run, 1), watts(300));
  run.order({OrderKind::maintain, {2}, false});
  run_up_to(run, 45);
  EXPECT_GT(highest_cap(run, 1), watts(310));
}

TEST(Release, GivesUpTheWholeSiteAndTakesItAgain) {
  const auto scenario = scenario_of(small_scenario_text());
  const auto plan = policy_of(PolicyKind::perwatt);
  ScenarioRun run{scenario, plan, 1};
  run_up_to(run, 20);
  run.order({OrderKind::release, {}, true});
  run.order({OrderKind::release, {}, true});
  run_up_to(run, 24);
  while (in_seconds(run.time()) < 40) {
    run.step();
    ASSERT_EQ(std::max(highest_cap(run, 0), highest_cap(run, 1)), watts(300));
  }
  EXPECT_TRUE(run.is_released());
  EXPECT_EQ(told(run, "all caps are released"), 1);
  run.order({OrderKind::release, {}, false});
  run_up_to(run, 60);
  EXPECT_GT(highest_cap(run, 1), watts(310));
  EXPECT_EQ(told(run, "control is taken again"), 1);
}

}  // namespace
}  // namespace perwatt::simulate
