#include "perwatt/topology/outline.hpp"

#include "trees.hpp"
#include <gtest/gtest.h>

#include "perwatt/topology/read_topology.hpp"

namespace perwatt::topology {
namespace {

KnownDraws unknown(const PowerTree& tree) {
  return {std::vector<std::optional<Watts>>(tree.nodes().size()),
          std::vector<std::optional<Watts>>(tree.devices().size())};
}

PowerTree repeated() {
  return read_topology(R"(
[[topology.node]]
id = "u"
[[topology.node]]
id = "pdu"
parent = "u"
count = 3
limits = [{ power = "2kW" }]
[[topology.node]]
id = "rack"
parent = "pdu"
count = 2
[[topology.device]]
id = "gpu"
parent = "rack"
count = 4
max = "500W"
)",
                       "s.toml");
}

TEST(Outline, PutsAlikeSiblingsOnOneLine) {
  const auto tree = repeated();
  const auto lines = outline(tree, unknown(tree), false);
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[1].id, "pdu-1");
  EXPECT_EQ(lines[1].last_id, "pdu-3");
  EXPECT_EQ(lines[1].alike, 3U);
  EXPECT_EQ(lines[2].id, "rack-1");
  EXPECT_EQ(lines[3].depth, 3U);
  EXPECT_TRUE(lines[3].device);
  EXPECT_EQ(lines[3].alike, 4U);
  EXPECT_EQ(outline(tree, unknown(tree), true).size(), 1U + 3 + 6 + 24);
}

TEST(Outline, DrawsTellSiblingsApart) {
  const auto tree = repeated();
  auto draws = unknown(tree);
  draws.nodes[tree.find_node("pdu-2")->value] = watts(5);
  const auto lines = outline(tree, draws, false);
  EXPECT_EQ(lines.size(), 1U + 3 * 3);
  const auto maximum = loads_at(tree, device_draws(tree, DrawLevel::maximum));
  const auto figures = figures_of(tree, maximum, draws, lines[4]);
  EXPECT_EQ(figures.draw, watts(5));
  EXPECT_EQ(figures.headroom, watts(1995));
  EXPECT_EQ(figures.at_maximum, watts(4000));
  EXPECT_EQ(figures.use_ratio, 0.0025);
  EXPECT_EQ(figures_of(tree, maximum, draws, lines[1]).use_ratio, 2);
}

TEST(Outline, OfALongChainIsFlat) {
  std::vector<NodeSpec> nodes{node_spec("0", "")};
  for (int i = 1; i < 50'000; ++i) {
    nodes.push_back(node_spec(std::to_string(i), std::to_string(i - 1)));
  }
  const auto tree = PowerTree::build(std::move(nodes), {});
  const auto lines = outline(tree, unknown(tree), false);
  ASSERT_EQ(lines.size(), 50'000U);
  EXPECT_EQ(lines.back().depth, 49'999U);
}

}  // namespace
}  // namespace perwatt::topology
