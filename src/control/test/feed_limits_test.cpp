// Limits of a tree with lost feeds: the declared sums that keep what truly flows within them.
#include "perwatt/control/feed_limits.hpp"

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "random_site.hpp"
#include <gtest/gtest.h>

#include "perwatt/base/random.hpp"
#include "perwatt/topology/loads.hpp"

namespace perwatt::control {
namespace {

using topology::NodeIndex;
using topology::PowerTree;

/// By node; with feeds lost, recomputed from scratch.
std::vector<double> true_supplies(const PowerTree& tree, const std::vector<char>& is_lost,
                                  const std::vector<Watts>& draws) {
  const auto nodes = tree.nodes();
  std::vector<char> is_live(nodes.size(), 1);
  std::vector<double> live_share(nodes.size(), 0);
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    for (const auto& supply : nodes[n].supplies) {
      live_share[n] += is_live[supply.parent.value] != 0 ? supply.share_ratio : 0;
    }
    is_live[n] = is_lost[n] == 0 && (n == 0 || live_share[n] > 0) ? 1 : 0;
  }
  std::vector<double> load(nodes.size(), 0);
  std::vector<double> supply(nodes.size(), 0);
  for (std::size_t d = 0; d < draws.size(); ++d) {
    load[tree.devices()[d].parent.value] += in_watts(draws[d]);
  }
  for (std::size_t n = nodes.size(); n-- > 0;) {
    if (is_live[n] == 0) {
      continue;
    }
    supply[n] = in_watts(nodes[n].fixed) + nodes[n].factor * load[n];
    for (const auto& from : nodes[n].supplies) {
      if (is_live[from.parent.value] != 0) {
        load[from.parent.value] += supply[n] * from.share_ratio / live_share[n];
      }
    }
  }
  return supply;
}

topology::NodeSpec feed_node(const std::string& id, std::vector<topology::SupplySpec> supplies,
                             double limit_watts = 0) {
  topology::NodeSpec spec;
  spec.id = id;
  spec.supplies = std::move(supplies);
  if (limit_watts > 0) {
    spec.limits = {
        {topology::LimitKind::breaker, watts(limit_watts), {}, topology::TripCurve{}, {}}};
  }
  return spec;
}

/// Two feeds of one rack, each of 10 kW.
PowerTree shared_rack(double share_of_a = 0.5) {
  topology::DeviceSpec gpu;
  gpu.id = "gpu";
  gpu.parent = "rack";
  gpu.max = watts(20'000);
  return PowerTree::build({feed_node("utility", {}), feed_node("a", {{"utility", 1}}, 10'000),
                           feed_node("b", {{"utility", 1}}, 10'000),
                           feed_node("rack", {{"a", share_of_a}, {"b", 1 - share_of_a}})},
                          {gpu});
}

TEST(FeedLimits, WithAllFeedsUpTheyAreTheSteadyLimits) {
  const auto tree = shared_rack();
  const auto limits = steady_limits(tree);
  EXPECT_EQ(limits_without(tree, {}, limits), limits);
  EXPECT_TRUE(std::isinf(in_watts(limits[0])));
}

TEST(FeedLimits, OfTwoEqualFeedsTheOtherHoldsHalfOfItsDeclaredSumExactly) {
  const auto tree = shared_rack();
  const NodeIndex a = *tree.find_node("a");
  const NodeIndex b = *tree.find_node("b");
  const auto changed = limits_without(tree, std::vector<NodeIndex>{a}, steady_limits(tree));
  EXPECT_DOUBLE_EQ(in_watts(changed[b.value]), 5000);
  EXPECT_EQ(changed[a.value], watts(10'000)) << "what carries nothing keeps its own";
}

TEST(FeedLimits, UnequalSharesGrowByTheirOwn) {
  const auto tree = shared_rack(0.8);
  const auto b = tree.find_node("b")->value;
  const auto changed =
      limits_without(tree, std::vector<NodeIndex>{*tree.find_node("a")}, steady_limits(tree));
  EXPECT_NEAR(in_watts(changed[b]), 2000, 1e-6);
}

/// Draws that keep every declared sum within the limits: a random way, as far as they allow.
std::vector<Watts> draws_within(const PowerTree& tree, const std::vector<Watts>& limits,
                                std::mt19937_64& random) {
  std::vector<Watts> way;
  for (std::size_t d = 0; d < tree.devices().size(); ++d) {
    way.push_back(watts(uniform_unit(random) * 1000));
  }
  const auto scaled = [&](double scale) {
    auto draws = way;
    for (auto& draw : draws) {
      draw = draw * scale;
    }
    return draws;
  };
  double low = 0;
  double high = 4;
  for (int i = 0; i < 50; ++i) {
    const double middle = (low + high) / 2;
    const auto loads = topology::loads_at(tree, scaled(middle));
    bool is_within = true;
    for (std::size_t n = 0; n < limits.size(); ++n) {
      is_within = is_within && loads.supply[n] <= limits[n];
    }
    (is_within ? low : high) = middle;
  }
  return scaled(low);
}

TEST(FeedLimits, DeclaredSumsWithinThemKeepTheTrueSupplyOfRandomSitesWithinTheLimits) {
  int losses = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const auto tree = allocate::random_site(seed, {true, false, 20});
    std::mt19937_64 random{seed};
    std::vector<char> is_lost(tree.nodes().size());
    std::vector<NodeIndex> lost;
    for (std::uint32_t n = 1; n < is_lost.size(); ++n) {
      if (uniform_below(random, 8) == 0) {
        is_lost[n] = 1;
        lost.push_back({n});
      }
    }
    const auto steady = steady_limits(tree);
    const auto changed = limits_without(tree, lost, steady);
    for (std::size_t n = 0; n < changed.size(); ++n) {
      ASSERT_LE(changed[n], steady[n]);
    }
    const auto draws = draws_within(tree, changed, random);
    const auto declared = topology::loads_at(tree, draws);
    const auto supplies = true_supplies(tree, is_lost, draws);
    for (std::size_t n = 0; n < changed.size(); ++n) {
      if (declared.supply[n] <= changed[n]) {  // fixed draws alone may pass what is left
        ASSERT_LE(supplies[n], in_watts(steady[n]) * (1 + 1e-9))
            << "node " << tree.node({static_cast<std::uint32_t>(n)}).id << " seed " << seed;
      }
    }
    losses += static_cast<int>(lost.size());
  }
  EXPECT_GT(losses, 400);
}

TEST(FeedLimits, ASurvivableLimitIsWhatTheCurveHoldsForTheResponse) {
  const auto tree = shared_rack();
  const auto a = tree.find_node("a")->value;
  const auto kept = survivable_limits(tree, seconds(60));
  // 1.4 times for a minute (the curve is fitted through it), carried by half of each before.
  EXPECT_NEAR(in_watts(kept[a]), 1.4 * 10'000 / 2, 100);
  EXPECT_LE(survivable_limits(tree, seconds(600))[a], kept[a]);
  EXPECT_NEAR(in_watts(survivable_limits(tree, seconds(1e9))[a]), 5000, 5);
}

TEST(FeedLimits, AfterAnySingleLossTheSurvivorsHoldForTheResponse) {
  int survived = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const auto tree = allocate::random_site(seed, {true, false, 15});
    std::mt19937_64 random{seed};
    const Seconds response = seconds(5 + 100 * uniform_unit(random));
    const auto kept = survivable_limits(tree, response);
    const auto draws = draws_within(tree, kept, random);
    const auto declared = topology::loads_at(tree, draws);
    std::vector<char> is_a_feed(tree.nodes().size());
    for (const auto& node : tree.nodes()) {
      for (const auto& supply : node.supplies) {
        if (node.supplies.size() > 1) {
          is_a_feed[supply.parent.value] = 1;
        }
      }
    }
    for (std::uint32_t lost = 1; lost < tree.nodes().size(); ++lost) {
      if (is_a_feed[lost] == 0) {
        continue;
      }
      std::vector<char> is_lost(tree.nodes().size());
      is_lost[lost] = 1;
      const auto supplies = true_supplies(tree, is_lost, draws);
      for (std::size_t n = 0; n < supplies.size(); ++n) {
        for (const auto& limit : tree.nodes()[n].limits) {
          const double ratio = supplies[n] / in_watts(limit.power);
          if (ratio <= 1 + 1e-9 || declared.supply[n] > kept[n]) {
            continue;
          }
          ASSERT_TRUE(limit.curve) << "a limit without a curve is passed; seed " << seed;
          const auto time = limit.curve->time_to_trip(ratio);
          ASSERT_TRUE(!time || *time >= response * (1 - 1e-6)) << "seed " << seed;
          ++survived;
        }
      }
    }
  }
  RecordProperty("overloads_survived", survived);
}

TEST(FeedLimits, ALossAboveSeveralFeedsIsASingleLossToo) {
  auto rack = feed_node("rack", {{"a1", 0.25}, {"a2", 0.25}, {"b", 0.5}});
  auto b = feed_node("b", {{"site", 1}});
  b.limits = {{topology::LimitKind::other, watts(100'000), {}, {}, {}}};  // stands nothing
  std::vector<topology::NodeSpec> nodes{
      feed_node("site", {}),       feed_node("a", {{"site", 1}}), b,
      feed_node("a1", {{"a", 1}}), feed_node("a2", {{"a", 1}}),   rack};
  topology::DeviceSpec gpu;
  gpu.id = "gpu";
  gpu.parent = "rack";
  gpu.max = watts(1000);
  const auto tree = PowerTree::build(nodes, {gpu});
  const auto kept = survivable_limits(tree, seconds(10));
  EXPECT_DOUBLE_EQ(in_watts(kept[tree.find_node("b")->value]), 50'000);  // all of it with a lost
}

}  // namespace
}  // namespace perwatt::control
