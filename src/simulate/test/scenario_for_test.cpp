// A scenario as it is under one policy: jobs that are off, nodes that are absent, feeds.
#include <string>

#include "error_of.hpp"
#include "scenarios.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::simulate {
namespace {

using testing::HasSubstr;

PolicyPlan without(const Scenario& scenario, std::vector<std::string> off,
                   const std::vector<std::string>& absent) {
  auto plan = policy_of(PolicyKind::even);
  plan.off = std::move(off);
  for (const auto& id : absent) {
    plan.absent.push_back(*scenario.tree.find_node(id));
  }
  return plan;
}

TEST(ScenarioFor, WithoutAbsencesOnlyJobsThatAreOffLeave) {
  const auto scenario = scenario_of(small_scenario_text());
  const auto left = scenario_for(scenario, without(scenario, {"chat"}, {}));
  EXPECT_TRUE(left.services.empty());
  EXPECT_EQ(left.trainings.size(), 1U);
  EXPECT_EQ(left.tree.devices().size(), 16U);
}

TEST(ScenarioFor, JobsKeepTheirGpusUnderNewNumbers) {
  const auto scenario = scenario_of(small_scenario_text());
  const auto left = scenario_for(scenario, without(scenario, {"chat"}, {"rack-1"}));
  ASSERT_EQ(left.tree.devices().size(), 8U);
  ASSERT_EQ(left.plant.kind_of_device.size(), 8U);
  const auto& before = scenario.trainings[0].gpus;
  const auto& after = left.trainings[0].gpus;
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t g = 0; g < before.size(); ++g) {
    EXPECT_NE(before[g], after[g]);
    EXPECT_EQ(scenario.tree.device(before[g]).id, left.tree.device(after[g]).id);
  }
}

TEST(ScenarioFor, KindsOfDevicesFollowThem) {
  const auto text = with(small_scenario_text(), "below = \"rack-2\"\nstep", "step") +
                    "[[topology.node]]\nid = \"other\"\nparent = \"site\"\n"
                    "[[topology.device]]\nid = \"old\"\nparent = \"other\"\nmin = \"50W\"\n"
                    "max = \"300W\"\naccelerator = \"old\"\n"
                    "[[device_kind]]\naccelerator = \"old\"\nidle = \"40W\"\n";
  const auto scenario = scenario_of(text);
  const auto left = scenario_for(scenario, without(scenario, {"chat", "train"}, {"rack-1"}));
  ASSERT_EQ(left.tree.devices().size(), 9U);
  for (std::uint32_t d = 0; d < 9; ++d) {
    EXPECT_EQ(left.plant.kinds[left.plant.kind_of_device[d]].name,
              left.tree.devices()[d].accelerator);
  }
}

TEST(ScenarioFor, FaultsOfAbsentNodesLeaveAndOthersAreRenumbered) {
  const std::string times = "at = \"1s\"\nlasts = \"5s\"\n";
  const auto scenario =
      scenario_of(small_scenario_text() + "[[fault]]\nkind = \"node-off\"\nnode = \"rack-1\"\n" +
                  times + "[[fault]]\nkind = \"node-off\"\nnode = \"rack-2\"\n" + times +
                  "[[fault]]\nkind = \"controller-killed\"\n" + times);
  const auto left = scenario_for(scenario, without(scenario, {"chat"}, {"rack-1"}));
  ASSERT_EQ(left.faults.size(), 2U);
  EXPECT_EQ(left.tree.node(left.faults[0].node).id, "rack-2");
  EXPECT_EQ(left.faults[1].kind, FaultKind::controller_killed);
}

TEST(ScenarioFor, AJobThatLosesGpusMustBeOff) {
  const auto scenario = scenario_of(small_scenario_text());
  EXPECT_THAT(error_of([&] {
                static_cast<void>(scenario_for(scenario, without(scenario, {}, {"rack-2"})));
              }),
              testing::AllOf(HasSubstr("'train'"), HasSubstr("off")));
}

const std::string kFeedsText = R"([[topology.node]]
id = "utility"
[[topology.node]]
id = "a"
parent = "utility"
limits = [{ power = "6kW" }]
[[topology.node]]
id = "b"
parent = "utility"
limits = [{ power = "6kW" }]
[[topology.node]]
id = "rack"
feeds = [{ parent = "a", share = 0.6 }, { parent = "b", share = 0.4 }]
[[topology.node]]
id = "lone"
parent = "a"
[[topology.device]]
id = "gpu"
parent = "rack"
count = 4
min = "200W"
max = "700W"
accelerator = "gpu"
[[topology.device]]
id = "more"
parent = "lone"
count = 2
min = "200W"
max = "700W"
accelerator = "gpu"
)";

TEST(ScenarioFor, WhatHasAnotherFeedStaysWithAllOfItsShare) {
  const auto scenario = scenario_of(kHeadText + kKindText + kFeedsText);
  const auto left = scenario_for(scenario, without(scenario, {}, {"a"}));
  EXPECT_FALSE(left.tree.find_node("a"));
  EXPECT_FALSE(left.tree.find_node("lone"));
  EXPECT_EQ(left.tree.devices().size(), 4U);
  const auto rack = left.tree.find_node("rack");
  ASSERT_TRUE(rack);
  ASSERT_EQ(left.tree.node(*rack).supplies.size(), 1U);
  EXPECT_DOUBLE_EQ(left.tree.node(*rack).supplies[0].share_ratio, 1);
}

TEST(ScenarioFor, WithoutBothFeedsANodeIsAbsentToo) {
  const auto scenario = scenario_of(kHeadText + kKindText + kFeedsText);
  EXPECT_THAT(error_of([&] {
                static_cast<void>(scenario_for(scenario, without(scenario, {}, {"a", "b"})));
              }),
              HasSubstr("no device"));
}

}  // namespace
}  // namespace perwatt::simulate
