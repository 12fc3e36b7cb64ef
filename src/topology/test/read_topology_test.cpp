#include "perwatt/topology/read_topology.hpp"

#include "error_of.hpp"
#include "same_tree.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/file.hpp"
#include "perwatt/topology/compliance.hpp"
#include "perwatt/topology/read_bms.hpp"

namespace perwatt::topology {
namespace {

using testing::HasSubstr;

constexpr const char* kRepeated = R"(
[[topology.device]]
id = "gpu"
parent = "node"
count = 2
min = "200W"
max = "1.4kW"
guaranteed = "300W"
fail_safe = "250W"
vendor = "NVIDIA"
accelerator = "gb300"
[[topology.node]]
id = "node"
parent = "rack"
count = 3
fixed = "500W"
[[topology.node]]
id = "rack"
kind = "rack"
parent = "pdu"
[[topology.node]]
id = "meter-room"
parent = "pdu-2"
[[topology.node]]
id = "pdu"
kind = "pdu"
parent = "utility"
count = 2
efficiency = 0.8
phase = "L2"
meter = "load"
feed = "A"
[[topology.node]]
id = "utility"
kind = "utility"
limits = [{ power = "750kW", what = "demand", window = "15min" },
          { power = "1MW", what = "breaker" },
          { power = "1MW", what = "ups", trip = [{ at = 1.1, after = "1min" }] }]
)";

TEST(ReadTopology, RepeatsBelowEveryNodeOfAnEntryInAnyOrder) {
  const auto tree = read_topology(kRepeated, "site.toml");
  EXPECT_EQ(tree.nodes().size(), 1U + 2 + 1 + 2 + 6);
  EXPECT_EQ(tree.devices().size(), 12U);
  const auto gpu = tree.find_device("pdu-2/rack/node-3/gpu-1");
  ASSERT_TRUE(gpu);
  const auto& device = tree.device(*gpu);
  EXPECT_EQ(device.min, watts(200));
  EXPECT_EQ(device.guaranteed, watts(300));
  EXPECT_EQ(device.fail_safe, watts(250));
  EXPECT_EQ(device.vendor, "NVIDIA");
  EXPECT_EQ(tree.node(device.parent).id, "pdu-2/rack/node-3");
  EXPECT_EQ(tree.node(device.parent).fixed, watts(500));
  EXPECT_EQ(tree.node(*tree.find_node("meter-room")).supplies[0].parent, *tree.find_node("pdu-2"));
  const auto& pdu = tree.node(*tree.find_node("pdu-1"));
  EXPECT_EQ(pdu.factor, 1.25);
  EXPECT_EQ(pdu.phase, Phase::l2);
  EXPECT_EQ(pdu.meter, MeterSide::load);
  EXPECT_EQ(pdu.feed, "A");
  const auto& limits = tree.node({0}).limits;
  ASSERT_EQ(limits.size(), 3U);
  EXPECT_EQ(limits[0].window, seconds(900));
  EXPECT_FALSE(limits[0].curve);
  EXPECT_TRUE(limits[1].curve) << "a breaker has the law of breakers unless told otherwise";
  ASSERT_EQ(limits[2].curve->points.size(), 1U);
  EXPECT_EQ(tree.node({0}).steady_limit(), watts(750e3));
}

TEST(ReadTopology, PairsFeeds) {
  const auto tree = read_topology(R"(
[[topology.node]]
id = "site"
[[topology.node]]
id = "a"
parent = "site"
count = 2
limits = [{ power = "1kW", phase = "each" }]
[[topology.node]]
id = "b"
parent = "site"
count = 2
[[topology.node]]
id = "rack"
feeds = [{ parent = "a", share = 0.4 }, { parent = "b", share = 0.6 }]
count = 2
)",
                                  "site.toml");
  const auto& rack = tree.node(*tree.find_node("a-2/rack-1"));
  ASSERT_EQ(rack.supplies.size(), 2U);
  EXPECT_EQ(tree.node(rack.supplies[1].parent).id, "b-2");
  EXPECT_EQ(rack.supplies[1].share_ratio, 0.6);
  EXPECT_EQ(tree.node(*tree.find_node("a-1")).limits.size(), 3U);
}

TEST(ReadTopology, SaysWhatIsWrongAndWhere) {
  const auto refusal = [](const std::string& text) {
    return error_of([&] { (void)read_topology(text, "s.toml", {1000, 1000}); });
  };
  const std::string root = "[[topology.node]]\nid = \"r\"\n";
  const auto child = [&](const std::string& keys) {
    return refusal(root + "[[topology.node]]\nid = \"c\"\n" + keys);
  };
  EXPECT_THAT(refusal(""), HasSubstr("s.toml: there is no [[topology.node]]"));
  EXPECT_THAT(refusal("[topolgy]\n"), HasSubstr("there is no [[topology.node]]"));
  EXPECT_THAT(child("parent = \"x\"\n"),
              HasSubstr("s.toml:4: topology.node[2].id: 'c' is an orphan"));
  EXPECT_THAT(child(""), HasSubstr("two roots, 'r' and 'c'"));
  EXPECT_THAT(child("parent = \"c\"\n"), HasSubstr("a cycle: 'c' below 'c'"));
  EXPECT_THAT(child("parent = \"c\"\ncount = 2\n"), HasSubstr("a cycle: 'c' below 'c'"));
  EXPECT_THAT(child("parent = \"r\"\nkind = \"rak\"\n"), HasSubstr("did you mean 'rack'"));
  EXPECT_THAT(child("parent = \"r\"\nlimit = []\n"), HasSubstr("limit"));
  EXPECT_THAT(child("parent = \"r\"\nlimits = [{ power = 5 }]\n"), HasSubstr("without a unit"));
  EXPECT_THAT(child("parent = \"r\"\nlimits = [{ power = \"-5W\" }]\n"), HasSubstr("power"));
  EXPECT_THAT(child("parent = \"r\"\nefficiency = nan\n"), HasSubstr("efficiency"));
  EXPECT_THAT(child("parent = \"r\"\ncount = 1000\n"), HasSubstr("at most 1000 in all"));
  EXPECT_THAT(child("parent = \"r\"\nfeeds = [{ parent = \"r\" }]\n"), HasSubstr("beside parent"));
  EXPECT_THAT(child("parent = \"r\"\nlimits = [{ power = \"5W\", trip = [{ at = 2 }] }]\n"),
              HasSubstr("after"));
  EXPECT_THAT(refusal(root + root), HasSubstr("the id 'r' is given twice"));
  EXPECT_THAT(refusal(root + "[[topology.node]]\nid = \"a\"\nparent = \"r\"\ncount = 2\n" +
                      "[[topology.node]]\nid = \"b\"\nparent = \"r\"\ncount = 3\n" +
                      "[[topology.node]]\nid = \"c\"\n" +
                      "feeds = [{ parent = \"a\" }, { parent = \"b\" }]\n"),
              HasSubstr("'c' is fed by 2 nodes and by 3 of 'b'"));
  EXPECT_THAT(refusal(root + "[[topology.device]]\nid = \"g\"\nparent = \"r\"\nmin = \"2W\"\n" +
                      "max = \"1W\"\n"),
              HasSubstr("'g' has a minimum of 2 W above its maximum of 1 W"));
}

TEST(ReadTopology, ReadsALongChainInOnePass) {
  std::string text;
  for (int i = 20'000; i > 0; --i) {
    text += "[[topology.node]]\nid = \"n" + std::to_string(i) + "\"\nparent = \"n" +
            std::to_string(i - 1) + "\"\n";
  }
  EXPECT_EQ(read_topology(text + "[[topology.node]]\nid = \"n0\"\n", "s.toml").depth(), 20'001U);
}

TEST(ReadTopology, ReadsTheDpsTopology) {
  const std::string file = PERWATT_SOURCE_DIR "/examples/topology-dps-sdk.toml";
  const auto tree = read_topology(read_file(file), file);
  std::size_t racks = 0;
  std::size_t nodes = 0;
  for (const auto& node : tree.nodes()) {
    racks += node.kind == NodeKind::rack;
    nodes += node.kind == NodeKind::node;
  }
  EXPECT_EQ(racks, 8U);
  EXPECT_EQ(nodes, 144U);
  const auto check = check_level(tree, DrawLevel::maximum);
  ASSERT_FALSE(check.overloads.empty());
  EXPECT_EQ(tree.node(check.overloads[0].node).id, "utility");
  EXPECT_TRUE(check_level(tree, DrawLevel::minimum).overloads.empty());
  const auto fits = downgrade(tree);
  EXPECT_EQ(fits.nodes.size(), 144U);
  EXPECT_TRUE(overloads(tree, fits.loads).empty());
  EXPECT_NEAR(in_watts(fits.loads.supply[0]), 750e3, 1e-3) << "the utility is full";
}

TEST(ReadBms, EqualsTheSameTreeFromToml) {
  const std::string folder = PERWATT_SOURCE_DIR "/tests/data/topology/";
  const auto bms = read_bms(read_file(folder + "bms.jsonl"), "bms.jsonl");
  const auto toml = read_topology(read_file(folder + "bms.toml"), "bms.toml");
  expect_same_tree(bms.tree, toml);
  EXPECT_EQ(bms.readings.size(), 14U);
  EXPECT_EQ(bms.untrusted, std::vector<std::string>{"rack 'R2': RackPower"});
  EXPECT_EQ(bms.passed_over, 3U);
}

}  // namespace
}  // namespace perwatt::topology
