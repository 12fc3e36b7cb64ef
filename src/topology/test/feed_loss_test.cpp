#include "perwatt/topology/feed_loss.hpp"

#include <cmath>
#include <map>
#include <random>
#include <set>

#include "trees.hpp"
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/random.hpp"

namespace perwatt::topology {
namespace {

/// A site with two feeds of unequal losses and two racks on both.
std::vector<NodeSpec> ab_site(double pdu_limit) {
  std::vector<NodeSpec> nodes{node_spec("site", "", 5000), node_spec("ups-a", "site"),
                              node_spec("ups-b", "site"), node_spec("pdu-a", "ups-a", pdu_limit),
                              node_spec("pdu-b", "ups-b", pdu_limit)};
  for (const auto* id : {"rack-1", "rack-2"}) {
    auto rack = node_spec(id, "");
    rack.supplies = {{"pdu-a", 0.5}, {"pdu-b", 0.5}};
    nodes.push_back(rack);
  }
  return nodes;
}

std::vector<LevelLoads> levels_of(const PowerTree& tree) {
  return {level_loads(tree, DrawLevel::maximum), level_loads(tree, DrawLevel::minimum)};
}

TEST(FeedLoss, TheOtherFeedCarriesEverything) {
  auto nodes = ab_site(1000);
  nodes.push_back(node_spec("office", "pdu-a"));
  nodes[3].limits[0].curve = TripCurve{};
  nodes[4].limits[0].curve = TripCurve{};
  const auto tree = PowerTree::build(
      nodes, {device_spec("g1", "rack-1", 100, 700), device_spec("g2", "rack-2", 100, 700),
              device_spec("pc", "office", 50, 50)});
  const auto levels = levels_of(tree);
  const auto study = study_feed_losses(tree, levels);
  std::map<std::string, FeedLoss> by_id;
  for (const auto& loss : study.losses) {
    by_id[tree.node(loss.lost).id] = loss;
  }
  ASSERT_EQ(by_id.size(), 3U) << "the two sides and the site; a ups carries what its pdu does";
  const auto& a = by_id.at("pdu-a");
  EXPECT_EQ(a.switched_nodes, 2U);
  EXPECT_EQ(a.or_above, std::vector<NodeIndex>{*tree.find_node("ups-a")});
  EXPECT_EQ(a.dark_nodes, 2U);
  EXPECT_EQ(a.dark_devices, 1U);
  ASSERT_EQ(a.levels[0].overloads.size(), 1U);
  EXPECT_EQ(tree.node(a.levels[0].overloads[0].node).id, "pdu-b");
  EXPECT_EQ(a.levels[0].overloads[0].load, watts(1400));
  EXPECT_NEAR(in_seconds(*a.levels[0].overloads[0].time_allowed), 60, 1);
  EXPECT_TRUE(a.carried_at(1));
  const auto& b = by_id.at("pdu-b");
  ASSERT_EQ(b.levels[0].overloads.size(), 1U);
  EXPECT_EQ(b.levels[0].overloads[0].load, watts(1450)) << "the office is on A alone";
  const auto& site = by_id.at("site");
  EXPECT_EQ(site.switched_nodes, 0U) << "no redundancy above the site";
  EXPECT_EQ(site.dark_devices, 3U);
}

TEST(FeedLoss, ASiteWithoutFeedsHasNone) {
  const auto tree = PowerTree::build({node_spec("site", "", 10)}, {});
  EXPECT_TRUE(study_feed_losses(tree, levels_of(tree)).losses.empty());
}

TEST(FeedLoss, SaysWhatItLeftOut) {
  const auto tree = PowerTree::build(ab_site(100), {});
  const auto study = study_feed_losses(tree, levels_of(tree), 0);
  EXPECT_EQ(study.losses.size(), 1U);
  EXPECT_EQ(study.not_studied, 2U);
}

/// The tree without the lost node, built anew: what the study must agree with.
NodeLoads brute_force(const std::vector<NodeSpec>& nodes, const std::vector<DeviceSpec>& devices,
                      const std::string& lost, std::set<std::string>& dark, PowerTree& left) {
  dark = {lost};
  std::vector<NodeSpec> kept;
  for (auto node : nodes) {  // written parents first
    const bool was_root = node.supplies.empty();
    std::erase_if(node.supplies, [&](const auto& supply) { return dark.count(supply.parent) > 0; });
    if (node.id == lost || (!was_root && node.supplies.empty())) {
      dark.insert(node.id);
      continue;
    }
    double sum = 0;
    for (const auto& supply : node.supplies) {
      sum += supply.share_ratio;
    }
    for (auto& supply : node.supplies) {
      supply.share_ratio /= sum;
    }
    kept.push_back(node);
  }
  std::vector<DeviceSpec> kept_devices;
  for (const auto& device : devices) {
    if (dark.count(device.parent) == 0) {
      kept_devices.push_back(device);
    }
  }
  left = PowerTree::build(kept, kept_devices);
  return loads_at(left, device_draws(left, DrawLevel::maximum));
}

struct RandomSite {
  std::vector<NodeSpec> nodes;
  std::vector<DeviceSpec> devices;
};

RandomSite random_site(std::uint64_t seed) {
  std::mt19937_64 random{seed};
  RandomSite site;
  const auto size = 4 + uniform_below(random, 20);
  for (std::uint64_t i = 0; i < size; ++i) {
    auto node = node_spec("n" + std::to_string(i),
                          i == 0 ? "" : "n" + std::to_string(uniform_below(random, i)));
    node.factor = 1 + 0.1 * uniform_unit(random);
    node.fixed = watts(20 * uniform_unit(random));
    node.limits = {{LimitKind::breaker,
                    watts(3000 * (0.2 + uniform_unit(random))),
                    {},
                    std::nullopt,
                    std::nullopt}};
    if (i > 2 && uniform_below(random, 2) == 0) {
      const auto other = "n" + std::to_string(uniform_below(random, i));
      if (other != node.supplies[0].parent) {
        const double share = 0.2 + 0.6 * uniform_unit(random);
        node.supplies = {{node.supplies[0].parent, share}, {other, 1 - share}};
      }
    }
    site.nodes.push_back(node);
    site.devices.push_back(device_spec("d" + std::to_string(i), node.id, 0, 300));
  }
  for (auto& node : site.nodes) {
    node.limits[0].power = node.limits[0].power + watts(1500);  // minima fit
  }
  return site;
}

RC_GTEST_PROP(FeedLoss, AgreesWithATreeBuiltWithoutTheLostNode, ()) {
  const auto site = random_site(*rc::gen::arbitrary<std::uint64_t>());
  const auto tree = PowerTree::build(site.nodes, site.devices);
  const std::vector<LevelLoads> levels{level_loads(tree, DrawLevel::maximum)};
  const auto base = loads_at(tree, device_draws(tree, DrawLevel::maximum));
  for (const auto& loss : study_feed_losses(tree, levels).losses) {
    if (loss.lost.value == 0) {
      RC_ASSERT(loss.dark_nodes == tree.nodes().size());
      continue;
    }
    std::set<std::string> dark;
    auto left = tree;
    const auto loads = brute_force(site.nodes, site.devices, tree.node(loss.lost).id, dark, left);
    RC_ASSERT(loss.dark_nodes == dark.size());
    std::map<std::string, double> expected;
    for (std::uint32_t n = 0; n < left.nodes().size(); ++n) {
      const auto& node = left.node({n});
      const double before = in_watts(base.supply[tree.find_node(node.id)->value]);
      const double now = in_watts(loads.supply[n]);
      if (now > in_watts(node.limits[0].power) * (1 + 1e-9) && now > before * (1 + 1e-9)) {
        expected[node.id] = now;
      }
    }
    std::map<std::string, double> found;
    for (const auto& overload : loss.levels[0].overloads) {
      found[tree.node(overload.node).id] = in_watts(overload.load);
    }
    RC_ASSERT(found.size() == expected.size());
    for (const auto& [id, load] : expected) {
      RC_ASSERT(std::abs(found.at(id) - load) < 1e-6 * load);
    }
  }
}

TEST(FeedLoss, WorkGrowsWithTheSiteNotItsSquare) {
  // Counted in visits: 100 pairs of PDUs with 100 racks each.
  std::vector<NodeSpec> nodes{node_spec("site", "")};
  for (int pair = 0; pair < 100; ++pair) {
    const auto name = std::to_string(pair);
    nodes.push_back(node_spec("a" + name, "site"));
    nodes.push_back(node_spec("b" + name, "site"));
    for (int rack = 0; rack < 100; ++rack) {
      auto fed = node_spec("r" + name + "-" + std::to_string(rack), "");
      fed.supplies = {{"a" + name, 0.5}, {"b" + name, 0.5}};
      nodes.push_back(fed);
    }
  }
  const auto tree = PowerTree::build(nodes, {});
  const std::vector<LevelLoads> levels{level_loads(tree, DrawLevel::maximum)};
  const auto study = study_feed_losses(tree, levels, 10 * tree.nodes().size());
  EXPECT_EQ(study.losses.size(), 201U);
  EXPECT_EQ(study.not_studied, 0U);
}

}  // namespace
}  // namespace perwatt::topology
