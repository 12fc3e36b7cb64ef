#include "perwatt/simulate/policy_diff.hpp"

#include <algorithm>
#include <cstddef>
#include <string>

#include "scenarios.hpp"
#include <gtest/gtest.h>

namespace perwatt::simulate {
namespace {

TEST(PolicyDiff, AChangeOfNothingChangesNothing) {
  const auto scenario = scenario_of(small_scenario_text());
  const auto plan = policy_of(PolicyKind::perwatt);
  const auto diff = policy_diff({scenario, plan}, {scenario, plan}, seconds(30));
  ASSERT_EQ(diff.nodes.size(), 3U);
  ASSERT_EQ(diff.devices.size(), 16U);
  for (const auto& device : diff.devices) {
    EXPECT_EQ(device.before, device.after) << device.id;
  }
  EXPECT_EQ(diff.nodes[0].before->value, diff.nodes[0].after->value);
}

TEST(PolicyDiff, TellsWhatAnotherPolicyWouldGive) {
  const auto scenario = scenario_of(small_scenario_text());
  const auto fixed = policy_of(PolicyKind::fixed);
  const auto managed = policy_of(PolicyKind::perwatt);
  const auto diff = policy_diff({scenario, fixed}, {scenario, managed}, seconds(30));
  EXPECT_EQ(diff.at, seconds(30));
  const auto& site = diff.nodes[0];
  EXPECT_EQ(site.id, "site");
  EXPECT_EQ(site.before->limit, watts(7000));
  EXPECT_LE(site.after->at_caps, watts(7000));
  EXPECT_GE(site.after->value, site.before->value) << "it gives watts to who wants them";
  Watts moved;
  Watts sum;
  for (const auto& device : diff.devices) {
    ASSERT_TRUE(device.before && device.after);
    EXPECT_GT(device.demand, watts(0));
    moved += std::max(Watts{}, *device.after - *device.before);
    sum += *device.after;
  }
  EXPECT_GT(moved, watts(50));
  EXPECT_NEAR(in_watts(sum), in_watts(site.after->at_caps), 1e-6) << "a tree without losses";
  EXPECT_EQ(diff.nodes[1].before->value + diff.nodes[2].before->value, site.before->value);
}

TEST(PolicyDiff, ALowerLimitShowsAsLostValue) {
  const auto scenario = scenario_of(small_scenario_text());
  const auto lower = scenario_of(with(small_scenario_text(), "7kW", "5.5kW"));
  const auto plan = policy_of(PolicyKind::perwatt);
  const auto diff = policy_diff({scenario, plan}, {lower, plan}, seconds(30));
  EXPECT_EQ(diff.nodes[0].after->limit, watts(5500));
  EXPECT_LE(diff.nodes[0].after->at_caps, watts(5500));
  EXPECT_LT(diff.nodes[0].after->value, diff.nodes[0].before->value);
}

TEST(PolicyDiff, WhatIsNotThereHasNoCap) {
  const auto scenario = scenario_of(small_scenario_text());
  const auto whole = policy_of(PolicyKind::perwatt);
  auto less = whole;
  less.absent = {*scenario.tree.find_node("rack-2")};
  less.off = {"train"};
  const auto there = [](const PolicyDiff& diff, bool after) {
    return std::count_if(diff.devices.begin(), diff.devices.end(), [&](const DeviceDiff& device) {
      return (after ? device.after : device.before).has_value();
    });
  };
  const auto taken = policy_diff({scenario, whole}, {scenario, less}, seconds(30));
  EXPECT_EQ(there(taken, true), 8);
  EXPECT_FALSE(taken.nodes[2].after);
  const auto added = policy_diff({scenario, less}, {scenario, whole}, seconds(30));
  EXPECT_EQ(added.nodes.size(), 3U);
  EXPECT_EQ(there(added, false), 8);
  EXPECT_EQ(there(added, true), 16);
}

}  // namespace
}  // namespace perwatt::simulate
