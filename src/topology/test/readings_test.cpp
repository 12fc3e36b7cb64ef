#include "perwatt/topology/readings.hpp"

#include "error_of.hpp"
#include "trees.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::topology {
namespace {

using testing::HasSubstr;

PowerTree metered_tree() {
  auto pdu = node_spec("pdu", "utility");
  pdu.factor = 1.05;
  pdu.fixed = watts(10);
  pdu.meter = MeterSide::load;
  return PowerTree::build(
      {node_spec("utility", ""), pdu, node_spec("rack-1", "pdu"), node_spec("rack-2", "pdu")},
      {device_spec("gpu", "rack-2", 0, 900)});
}

TEST(Readings, AreComparedOnOneSideOfTheLosses) {
  const auto tree = metered_tree();
  const auto readings = read_readings(
      "time,id,watts\n5,utility,2110\n0,utility,2110\n0,pdu,2000\n0,rack-1,1200\n0,gpu,790\n",
      "r.csv", tree);
  EXPECT_EQ(readings.nodes[0].times[0], seconds(0));
  const auto findings = check_meters(tree, readings, 0.02);
  ASSERT_EQ(findings.size(), 2U);
  EXPECT_EQ(findings[0].expected, watts(2110));
  EXPECT_TRUE(findings[0].agrees);
  EXPECT_EQ(findings[1].reading, watts(2110));
  EXPECT_EQ(findings[1].expected, watts(10 + 1.05 * 1990));
  EXPECT_TRUE(findings[1].agrees);
  EXPECT_FALSE(check_meters(tree, readings, 0.004)[1].agrees);
  const auto loads = metered_loads(tree, readings);
  EXPECT_FALSE(loads.unknown);
  EXPECT_EQ(loads_from(tree, loads.own_loads).supply[0], watts(10 + 1.05 * 1990));
}

TEST(Readings, AnUnreadLeafLeavesItsParentsUnjudged) {
  const auto tree = metered_tree();
  const auto readings = read_readings("time,id,watts\n0,pdu,2000\n0,rack-1,1200\n", "r.csv", tree);
  EXPECT_TRUE(check_meters(tree, readings, 0.02).empty());
  EXPECT_EQ(metered_loads(tree, readings).unknown, tree.find_node("rack-2"));
}

TEST(Readings, RefuseWhatIsNone) {
  const auto tree = metered_tree();
  const auto refusal = [&](const std::string& text) {
    return error_of([&] { (void)read_readings(text, "r.csv", tree); });
  };
  EXPECT_THAT(refusal("time,id,watts\n"), HasSubstr("there is no reading"));
  EXPECT_THAT(refusal("time,id\n1,pdu\n"), HasSubstr("watts"));
  EXPECT_THAT(refusal("time,id,watts\n0,nobody,5\n"), HasSubstr("r.csv:2"));
  EXPECT_THAT(refusal("time,id,watts\n0,pdu,nan\n"), HasSubstr("'nan' is no watts"));
  EXPECT_THAT(refusal("time,id,watts\nx,pdu,1\n"), HasSubstr("'x' is no time"));
}

}  // namespace
}  // namespace perwatt::topology
