#include "perwatt/control/node_trust.hpp"

#include <string>
#include <vector>

#include "error_of.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::control {
namespace {

Instant node_time(double time_seconds) {
  return Instant{} + seconds(time_seconds);
}

/// A site with feeds A and B, two racks on both, ten devices each: nodes site, a, b, r0, r1.
topology::PowerTree two_feeds() {
  std::vector<topology::NodeSpec> nodes(5);
  const char* const ids[] = {"site", "a", "b", "r0", "r1"};
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    nodes[n].id = nodes[n].place = ids[n];
    if (n == 1 || n == 2) {
      nodes[n].supplies = {{"site", 1}};
    } else if (n > 2) {
      nodes[n].supplies = {{"a", 0.5}, {"b", 0.5}};
    }
  }
  std::vector<topology::DeviceSpec> devices(20);
  for (std::size_t d = 0; d < devices.size(); ++d) {
    devices[d].id = devices[d].place = "d" + std::to_string(d);
    devices[d].parent = d < 10 ? "r0" : "r1";
    devices[d].max = watts(700);
  }
  return topology::PowerTree::build(nodes, devices);
}

TEST(NodeTrust, CountsEachDeviceOnceAlongAllFeeds) {
  const auto tree = two_feeds();
  NodeTrust trust{tree, {}};
  for (const char* const id : {"site", "a", "b"}) {
    EXPECT_EQ(trust.devices(*tree.find_node(id)), 20U) << id;
  }
  trust.set_trusted({0}, false);
  trust.set_trusted({0}, false);
  trust.set_trusted({11}, false);
  EXPECT_EQ(trust.untrusted(*tree.find_node("site")), 2U);
  EXPECT_EQ(trust.untrusted(*tree.find_node("b")), 2U);
  EXPECT_EQ(trust.untrusted(*tree.find_node("r0")), 1U);
  trust.set_trusted({0}, true);
  EXPECT_EQ(trust.untrusted(*tree.find_node("site")), 1U);
}

TEST(NodeTrust, HoldsAtOnceThenGoesToFailSafeAndComesBackLater) {
  const auto tree = two_feeds();
  const auto rack = *tree.find_node("r0");
  NodeTrust trust{tree, {}};
  const auto lose = [&](std::uint32_t count) {
    for (std::uint32_t d = 0; d < 10; ++d) {
      trust.set_trusted({d}, d >= count);
    }
  };
  lose(2);
  EXPECT_TRUE(trust.tick(node_time(1)).empty());  // 20 % is not above 20 %
  lose(3);
  const auto changes = trust.tick(node_time(2));
  ASSERT_EQ(changes.size(), 1U);  // the site has 3 of 20
  EXPECT_EQ(changes[0].node, rack);
  EXPECT_EQ(changes[0].order, NodeOrder::hold_raises);
  EXPECT_TRUE(trust.tick(node_time(32)).empty());
  ASSERT_EQ(trust.tick(node_time(32.1)).size(), 1U);
  EXPECT_EQ(trust.order(rack), NodeOrder::to_fail_safe);
  lose(2);  // between the two ratios: nothing changes, nor when it is over again
  for (int t = 33; t < 200; ++t) {
    lose(t % 40 == 0 ? 3 : 2);
    EXPECT_TRUE(trust.tick(node_time(t)).empty());
  }
  lose(1);
  EXPECT_TRUE(trust.tick(node_time(200)).empty());
  EXPECT_TRUE(trust.tick(node_time(229.9)).empty());
  ASSERT_EQ(trust.tick(node_time(230)).size(), 1U);
  EXPECT_EQ(trust.order(rack), NodeOrder::normal);
  lose(3);
  ASSERT_EQ(trust.tick(node_time(231)).size(), 1U);
  lose(0);
  EXPECT_TRUE(trust.tick(node_time(232)).empty());
  EXPECT_TRUE(trust.tick(node_time(236.9)).empty());
  EXPECT_EQ(trust.tick(node_time(237)).size(), 1U);
  EXPECT_EQ(trust.order(rack), NodeOrder::normal);
}

TEST(NodeTrust, OneBrokenSensorHoldsNoNodeAndFlickerStartsTheWaitAnew) {
  const auto tree = two_feeds();
  NodeTrustRules rules;
  rules.untrusted_ratio = 0.05;
  rules.clear_ratio = 0.05;
  NodeTrust trust{tree, rules};
  trust.set_trusted({3}, false);
  EXPECT_TRUE(trust.tick(node_time(1)).empty());
  for (int t = 2; t < 100; ++t) {  // two lost in every second tick
    trust.set_trusted({4}, t % 2 == 1);
    static_cast<void>(trust.tick(node_time(t)));
    EXPECT_EQ(trust.order(*tree.find_node("r0")), NodeOrder::hold_raises);
  }
}

TEST(NodeTrust, RulesOutOfRangeAreRefused) {
  NodeTrustRules rules;
  rules.clear_ratio = 0.5;
  EXPECT_THAT(error_of([&] {
                NodeTrust{two_feeds(), rules};
              }),
              ::testing::HasSubstr("clear_ratio"));
}

}  // namespace
}  // namespace perwatt::control
