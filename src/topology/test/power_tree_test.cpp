#include "perwatt/topology/power_tree.hpp"

#include <cmath>
#include <limits>

#include "error_of.hpp"
#include "trees.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/topology/loads.hpp"

namespace perwatt::topology {
namespace {

using testing::HasSubstr;

std::string refusal(std::vector<NodeSpec> nodes, std::vector<DeviceSpec> devices = {}) {
  return error_of([&] { (void)PowerTree::build(std::move(nodes), std::move(devices)); });
}

TEST(PowerTree, StoresParentsBeforeChildrenInAnyOrderOfTheFile) {
  const auto tree = PowerTree::build(
      {node_spec("rack-2", "pdu"), node_spec("rack-1", "pdu"), node_spec("pdu", "utility"),
       node_spec("utility", "")},
      {device_spec("gpu-b", "rack-1", 100, 700), device_spec("gpu-a", "rack-2", 100, 700),
       device_spec("gpu-c", "rack-1", 200, 600)});
  ASSERT_EQ(tree.nodes().size(), 4U);
  EXPECT_EQ(tree.node({0}).id, "utility");
  EXPECT_EQ(tree.depth(), 3U);
  const auto pdu = *tree.find_node("pdu");
  const auto racks = tree.children(pdu);
  ASSERT_EQ(racks.size(), 2U);
  EXPECT_EQ(tree.node(racks[0]).id, "rack-2") << "siblings keep the order of the file";
  const auto range = tree.devices_of(*tree.find_node("rack-1"));
  ASSERT_EQ(range.end.value - range.first.value, 2U);
  EXPECT_EQ(tree.device(range.first).id, "gpu-b");
  EXPECT_EQ(tree.device(*tree.find_device("gpu-c")).max, watts(600));
  EXPECT_FALSE(tree.find_node("gpu-c"));
  EXPECT_FALSE(tree.find_device("pdu"));
  EXPECT_FALSE(tree.find_node("nobody"));
  const auto copy = tree;  // ids are found in a copy, too
  EXPECT_EQ(copy.find_node("pdu"), pdu);
}

TEST(PowerTree, RefusesWhatIsNoTreeAndNamesTheNode) {
  EXPECT_THAT(refusal({}), HasSubstr("there is no node"));
  EXPECT_THAT(refusal({node_spec("a", ""), node_spec("b", "")}),
              HasSubstr("site.toml: b: there are two roots, 'a' and 'b'"));
  EXPECT_THAT(refusal({node_spec("a", ""), node_spec("b", "nobody")}),
              HasSubstr("site.toml: b: 'b' is an orphan: its parent 'nobody' is not there"));
  EXPECT_THAT(refusal({node_spec("a", ""), node_spec("a", "a")}),
              HasSubstr("the id 'a' is given twice"));
  EXPECT_THAT(refusal({node_spec("a", "b"), node_spec("b", "a")}),
              HasSubstr("a cycle: 'a' below 'b' below 'a'"));
  EXPECT_THAT(refusal({node_spec("r", ""), node_spec("a", "c"), node_spec("b", "a"),
                       node_spec("c", "b"), node_spec("below", "a")}),
              HasSubstr("cycle: 'a' below 'c' below 'b' below 'a'"));
  EXPECT_THAT(refusal({node_spec("a", "a")}), HasSubstr("a cycle: 'a' below 'a'"));
  EXPECT_THAT(refusal({node_spec("a", "")}, {device_spec("g", "nobody", 1, 2)}),
              HasSubstr("'g' is an orphan"));
  EXPECT_THAT(refusal({node_spec("a", ""), node_spec("b", "g")}, {device_spec("g", "a", 1, 2)}),
              HasSubstr("its parent 'g' is a device"));
}

TEST(PowerTree, RefusesNumbersOutOfRange) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double bad : {-1.0, 0.0, nan, std::numeric_limits<double>::infinity(), 2e15}) {
    EXPECT_THAT(refusal({node_spec("pdu", "", bad)}), HasSubstr("'pdu' has a limit")) << bad;
  }
  for (const double bad : {0.99, nan, 1001.0, -1.0}) {
    auto node = node_spec("pdu", "");
    node.factor = bad;
    EXPECT_THAT(refusal({node}), HasSubstr("'pdu' has a loss factor")) << bad;
  }
  auto node = node_spec("pdu", "");
  node.fixed = watts(-2);
  EXPECT_THAT(refusal({node}), HasSubstr("'pdu' has a fixed draw of -2 W"));
  node = node_spec("pdu", "", 5);
  node.limits[0].window = seconds(nan);
  EXPECT_THAT(refusal({node}), HasSubstr("window"));
  EXPECT_THAT(refusal({node_spec("a", "")}, {device_spec("g", "a", 300, 200)}),
              HasSubstr("'g' has a minimum of 300 W above its maximum of 200 W"));
  auto device = device_spec("g", "a", 100, 200);
  device.guaranteed = watts(250);
  EXPECT_THAT(refusal({node_spec("a", "")}, {device}), HasSubstr("guaranteed draw of 250 W"));
  device.guaranteed.reset();
  device.fail_safe = watts(50);
  EXPECT_THAT(refusal({node_spec("a", "")}, {device}), HasSubstr("fail-safe cap of 50 W"));
  EXPECT_THAT(refusal({node_spec("", "")}), HasSubstr("empty id"));
  EXPECT_THAT(refusal({node_spec("a", "")}, {device_spec("", "a", 1, 2)}), HasSubstr("empty id"));
}

TEST(PowerTree, RefusesLossesThatMultiplyBeyondReason) {
  std::vector<NodeSpec> nodes{node_spec("n0", "")};
  for (int i = 1; i < 20; ++i) {
    nodes.push_back(node_spec("n" + std::to_string(i), "n" + std::to_string(i - 1)));
    nodes.back().factor = 2;
  }
  EXPECT_THAT(refusal(nodes), HasSubstr("down to 'n10' multiply to 1024"));
}

TEST(PowerTree, RefusesMinimaThatPassALimitOnlyWithLosses) {
  const std::vector<DeviceSpec> devices{device_spec("g1", "rack", 500, 700),
                                        device_spec("g2", "rack", 500, 700)};
  auto pdu = node_spec("pdu", "", 1000);
  auto rack = node_spec("rack", "pdu");
  (void)PowerTree::build({pdu, rack}, devices);
  rack.factor = 1.001;
  EXPECT_THAT(refusal({pdu, rack}, devices),
              HasSubstr("site.toml: pdu: 'pdu' draws 1,001 W while every device below it is at its "
                        "minimum, with losses, above its limit of 1,000 W (breaker)"));
  rack.factor = 1;
  rack.fixed = watts(1);
  EXPECT_THAT(refusal({pdu, rack}, devices), HasSubstr("'pdu' draws 1,001 W"));
  rack.limits = pdu.limits;
  EXPECT_THAT(refusal({pdu, rack}, devices), HasSubstr("'rack' draws 1,001 W"))
      << "the node nearest to the devices is the one to mend";
}

TEST(PowerTree, RefusesFeedsThatDoNotAddUp) {
  auto rack = node_spec("rack", "a");
  rack.supplies = {{"a", 0.5}, {"b", 0.4}};
  const std::vector<NodeSpec> above{node_spec("r", ""), node_spec("a", "r"), node_spec("b", "r")};
  const auto with = [&](const NodeSpec& node) {
    auto nodes = above;
    nodes.push_back(node);
    return nodes;
  };
  EXPECT_THAT(refusal(with(rack)), HasSubstr("'rack' takes shares that sum to 0.9"));
  rack.supplies = {{"a", 0.5}, {"a", 0.5}};
  EXPECT_THAT(refusal(with(rack)), HasSubstr("names its parent 'a' twice"));
  rack.supplies = {{"a", -0.5}, {"b", 1.5}};
  EXPECT_THAT(refusal(with(rack)), HasSubstr("takes a share of -0.5 from 'a'"));
  rack.supplies.assign(17, {"a", 1.0 / 17});
  EXPECT_THAT(refusal(with(rack)), HasSubstr("has 17 feeds"));
}

TEST(PowerTree, BoundsPhases) {
  auto pdu = node_spec("pdu", "");
  for (const auto phase : kPhases) {
    pdu.limits.push_back({LimitKind::breaker, watts(1000), {}, std::nullopt, phase});
  }
  auto one = node_spec("one", "pdu");
  one.phase = Phase::l2;
  const auto tree =
      PowerTree::build({pdu, one, node_spec("under", "one"), node_spec("all", "pdu")},
                       {device_spec("g1", "under", 0, 900), device_spec("g2", "all", 0, 600)});
  EXPECT_TRUE(tree.has_phase_limits());
  EXPECT_EQ(tree.node(*tree.find_node("under")).phase, Phase::l2);
  const auto loads = loads_at(tree, device_draws(tree, DrawLevel::maximum));
  EXPECT_NEAR(in_watts(loads.phase_supply[0][0]), 200, 1e-9);
  EXPECT_NEAR(in_watts(loads.phase_supply[0][1]), 1100, 1e-9);
  const auto passed = overloads(tree, loads);
  ASSERT_EQ(passed.size(), 1U);
  EXPECT_EQ(passed[0].limit, 1U);

  auto wrong = node_spec("wrong", "one");
  wrong.phase = Phase::l1;
  EXPECT_THAT(refusal({pdu, one, wrong}),
              HasSubstr("'wrong' is on L1, but its parent 'one' on L2"));
  one.limits = {{LimitKind::breaker, watts(5), {}, std::nullopt, Phase::l3}};
  EXPECT_THAT(refusal({pdu, one}), HasSubstr("'one' is on L2, but has a limit of L3"));
}

TEST(PowerTree, HoldsAMillionNodesDeepOrWide) {
  constexpr int kNodes = 1'000'000;
  for (const bool is_deep : {true, false}) {
    std::vector<NodeSpec> nodes(kNodes);
    nodes[0] = node_spec("0", "", 2e6);
    for (int i = 1; i < kNodes; ++i) {
      nodes[static_cast<std::size_t>(i)].id = std::to_string(i);
      nodes[static_cast<std::size_t>(i)].supplies = {{is_deep ? std::to_string(i - 1) : "0", 1}};
    }
    const auto leaf = std::to_string(kNodes - 1);
    const auto tree = PowerTree::build(std::move(nodes), {device_spec("gpu", leaf, 1e5, 1e6)});
    EXPECT_EQ(tree.nodes().size(), static_cast<std::size_t>(kNodes));
    EXPECT_EQ(tree.depth(), is_deep ? static_cast<std::size_t>(kNodes) : 2U);
    EXPECT_EQ(loads_at(tree, device_draws(tree, DrawLevel::maximum)).supply[0], watts(1e6));
  }
}

TEST(PowerTree, FindsACycleOfManyNodes) {
  constexpr int kNodes = 100'000;
  std::vector<NodeSpec> nodes;
  for (int i = 0; i < kNodes; ++i) {
    nodes.push_back(node_spec(std::to_string(i), std::to_string((i + 1) % kNodes)));
  }
  EXPECT_THAT(refusal(std::move(nodes)), HasSubstr("… (100000 nodes) below '0'"));
}

TEST(TripCurve, FollowsTheFittedLawOfDynamo) {
  const TripCurve law;
  EXPECT_NEAR(in_seconds(*law.time_to_trip(1.10)), 1020, 10);
  EXPECT_NEAR(in_seconds(*law.time_to_trip(1.40)), 60, 1);
  EXPECT_NEAR(in_seconds(*law.time_to_trip(1.05)) / 60, 65, 1);
  EXPECT_NEAR(in_seconds(*law.time_to_trip(1.3)), 111, 1);
  EXPECT_NEAR(in_seconds(*law.time_to_trip(1.5)), 37, 0.5);
  EXPECT_FALSE(law.time_to_trip(1));
  EXPECT_FALSE(law.time_to_trip(0.2));
}

TEST(TripCurve, StaysOnTheSafeSideOfItsPoints) {
  const TripCurve curve{{{1.1, seconds(600)}, {1.25, seconds(60)}, {2, seconds(1)}}};
  EXPECT_EQ(curve.time_to_trip(1.01), seconds(600));
  EXPECT_EQ(curve.time_to_trip(1.1), seconds(600));
  EXPECT_NEAR(in_seconds(*curve.time_to_trip(1.25)), 60, 1e-9);
  EXPECT_EQ(curve.time_to_trip(2.001), seconds(0));
  double before = 601;
  for (double ratio = 1.1; ratio < 2.1; ratio += 0.01) {
    const double time = in_seconds(*curve.time_to_trip(ratio));
    EXPECT_LE(time, before) << ratio;
    before = time;
  }
  auto node = node_spec("pdu", "", 100);
  node.limits[0].curve = TripCurve{{{1.2, seconds(10)}, {1.1, seconds(5)}}};
  EXPECT_THAT(refusal({node}), HasSubstr("trip points out of order at 1.1"));
  node.limits[0].curve = TripCurve{{{1.2, seconds(10)}, {1.3, seconds(15)}}};
  EXPECT_THAT(refusal({node}), HasSubstr("out of order at 1.3"));
  node.limits[0].curve = TripCurve{{{1.0, seconds(10)}}};
  EXPECT_THAT(refusal({node}), HasSubstr("trip point at 1 times"));
}

TEST(Overloads, AWindowLastsUntilItsMeanPassesTheLimit) {
  const Limit demand{LimitKind::demand, watts(1000), seconds(900), std::nullopt, std::nullopt};
  EXPECT_EQ(time_allowed(demand, watts(2000), watts(500)), seconds(300));
  EXPECT_EQ(time_allowed(demand, watts(2000), watts(1000)), seconds(0));
  EXPECT_EQ(time_allowed(demand, watts(2000), watts(1500)), seconds(0));
  EXPECT_FALSE(time_allowed(demand, watts(2000), std::nullopt));
}

TEST(Words, AreReadAsTheyAreWritten) {
  for (const auto kind :
       {NodeKind::site, NodeKind::utility, NodeKind::switchboard, NodeKind::ups, NodeKind::pdu,
        NodeKind::row, NodeKind::rack, NodeKind::node, NodeKind::other}) {
    EXPECT_EQ(parse_node_kind(to_string(kind)), kind);
  }
  for (const auto kind : {LimitKind::breaker, LimitKind::ups, LimitKind::demand,
                          LimitKind::contract, LimitKind::cooling, LimitKind::other}) {
    EXPECT_EQ(parse_limit_kind(to_string(kind)), kind);
  }
  for (const auto phase : kPhases) {
    EXPECT_EQ(parse_phase(to_string(phase)), phase);
  }
  EXPECT_EQ(parse_phase("B"), Phase::l2);
  EXPECT_FALSE(parse_phase("D"));
  EXPECT_EQ(parse_meter_side("load"), MeterSide::load);
  EXPECT_EQ(to_string(MeterSide::supply), "supply");
  EXPECT_EQ(to_string(DrawLevel::fail_safe), "fail-safe");
}

}  // namespace
}  // namespace perwatt::topology
