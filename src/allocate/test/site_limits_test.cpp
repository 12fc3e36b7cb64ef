#include "perwatt/allocate/site_limits.hpp"

#include <string>
#include <vector>

#include "random_site.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/topology/loads.hpp"

namespace perwatt::allocate {
namespace {

using topology::PowerTree;

topology::NodeSpec node(const std::string& id, std::vector<topology::SupplySpec> supplies,
                        double limit_watts) {
  topology::NodeSpec spec;
  spec.id = spec.place = id;
  spec.supplies = std::move(supplies);
  if (limit_watts > 0) {
    spec.limits = {
        {topology::LimitKind::breaker, watts(limit_watts), {}, std::nullopt, std::nullopt}};
  }
  return spec;
}

topology::DeviceSpec device(const std::string& id, const std::string& parent) {
  topology::DeviceSpec spec;
  spec.id = spec.place = id;
  spec.parent = parent;
  spec.max = watts(100);
  return spec;
}

/// What each limit bounds, from the sums.
void expect_sums_are_supplies(const PowerTree& tree, std::mt19937_64& random) {
  const auto limits = site_limits(tree);
  std::vector<Watts> draws;
  for (const auto& d : tree.devices()) {
    draws.push_back(d.min + (d.max - d.min) * uniform_unit(random));
  }
  const auto loads = topology::loads_at(tree, draws);
  const std::vector<Watts> nothing(draws.size());
  const auto idle = topology::loads_at(tree, nothing);
  std::vector<double> own(tree.nodes().size(), 0);  // root watts
  for (std::size_t d = 0; d < draws.size(); ++d) {
    own[tree.devices()[d].parent.value] += in_watts(draws[d]) * limits.units.device_factor[d];
  }
  std::vector<double> nested(limits.nested.size(), 0);
  for (std::size_t n = 0; n < own.size(); ++n) {
    if (limits.sum_of[n] != kNoSum) {
      nested[limits.sum_of[n]] += own[n];
    }
  }
  for (std::size_t s = nested.size(); s-- > 1;) {
    ASSERT_LT(limits.nested[s].parent, s);
    nested[limits.nested[s].parent] += nested[s];
  }
  std::size_t expected = 0;
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    expected += tree.node({n}).steady_limit() && in_watts(loads.supply[n] - idle.supply[n]) > 0;
  }
  std::size_t whole = 0;
  for (const auto& limit : limits.limits) {
    const auto n = limit.node.value;
    whole += !limit.phase;
    double sum = 0;
    if (limit.is_cross) {
      for (const auto& [at, ratio] : limits.cross[limit.sum].shares) {
        sum += ratio * own[at.value];
      }
    } else {
      sum = nested[limit.sum];
    }
    Watts supply = loads.supply[n] - idle.supply[n];
    if (limit.phase) {
      const auto p = static_cast<std::size_t>(*limit.phase);
      supply = loads.phase_supply[n][p] - idle.phase_supply[n][p];
    }
    EXPECT_NEAR(sum * limit.ratio, in_watts(supply), 1e-6 * (1 + in_watts(supply)))
        << tree.node(limit.node).id;
    EXPECT_LT(limit.sum, limit.is_cross ? limits.cross.size() : limits.nested.size());
  }
  EXPECT_EQ(whole, expected);
}

TEST(SiteLimits, SumsAreTheSuppliesOfTheTree) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random{seed + 1};
    expect_sums_are_supplies(random_site(seed, {seed % 2 == 1, seed % 4 >= 2, 30}), random);
    if (HasFailure()) {
      return;
    }
  }
}

TEST(SiteLimits, BothSidesOfATwoNFeedBoundTheSameSum) {
  const auto tree = PowerTree::build(
      {node("site", {}, 1000), node("a", {{"site", 1}}, 300), node("b", {{"site", 1}}, 350),
       node("pdu-a", {{"a", 1}}, 200), node("pdu-b", {{"b", 1}}, 200),
       node("r1", {{"pdu-a", 0.5}, {"pdu-b", 0.5}}, 150),
       node("r2", {{"pdu-a", 0.5}, {"pdu-b", 0.5}}, 150), node("r3", {{"a", 0.5}, {"b", 0.5}}, 0)},
      {device("d1", "r1"), device("d2", "r2"), device("d3", "r3")});
  const auto limits = site_limits(tree);
  EXPECT_TRUE(limits.cross.empty());
  // The site; r1 and r2 under both PDUs; r1; r2; r3.
  EXPECT_EQ(limits.nested.size(), 5U);
  const auto sum_at = [&](const char* id) {
    for (const auto& limit : limits.limits) {
      if (tree.node(limit.node).id == id) {
        EXPECT_FALSE(limit.is_cross);
        return limit.sum;
      }
    }
    ADD_FAILURE() << id;
    return kNoSum;
  };
  EXPECT_EQ(sum_at("site"), 0U);
  EXPECT_EQ(sum_at("a"), 0U);
  EXPECT_EQ(sum_at("b"), 0U);
  EXPECT_EQ(sum_at("pdu-a"), sum_at("pdu-b"));
  EXPECT_EQ(limits.nested[sum_at("r1")].parent, sum_at("pdu-a"));
  EXPECT_EQ(limits.nested[sum_at("pdu-a")].parent, 0U);
}

TEST(SiteLimits, BlockRedundantFeedsCross) {
  const auto tree = PowerTree::build(
      {node("site", {}, 0), node("a", {{"site", 1}}, 100), node("b", {{"site", 1}}, 100),
       node("c", {{"site", 1}}, 100), node("ab", {{"a", 0.5}, {"b", 0.5}}, 0),
       node("bc", {{"b", 0.5}, {"c", 0.5}}, 0), node("ca", {{"c", 0.5}, {"a", 0.5}}, 0)},
      {device("d1", "ab"), device("d2", "bc"), device("d3", "ca")});
  const auto limits = site_limits(tree);
  // The first pair of racks nests; the two pairs that overlap it do not.
  EXPECT_EQ(limits.cross.size(), 2U);
  EXPECT_EQ(limits.limits.size(), 3U);
}

TEST(SiteLimits, RacksOfOnePhaseAreASum) {
  auto pdu = node("pdu", {}, 0);
  for (const auto phase : topology::kPhases) {
    pdu.limits.push_back({topology::LimitKind::breaker, watts(90), {}, std::nullopt, phase});
  }
  auto r1 = node("r1", {{"pdu", 1}}, 0);
  r1.phase = topology::Phase::l1;
  auto r2 = node("r2", {{"pdu", 1}}, 0);
  r2.phase = topology::Phase::l2;
  const auto tree =
      PowerTree::build({pdu, r1, r2}, {device("d1", "r1"), device("d2", "r1"), device("d3", "r2")});
  const auto limits = site_limits(tree);
  EXPECT_TRUE(limits.cross.empty());
  ASSERT_EQ(limits.limits.size(), 2U);  // none on L3
  EXPECT_EQ(limits.limits[0].sum, limits.sum_of[tree.find_node("r1")->value]);
}

TEST(SiteLimits, DeepAndTangledIsAnAnswerOrAnError) {
  std::vector<topology::NodeSpec> nodes{node("n0", {}, 1e9), node("m0", {{"n0", 1}}, 1e9)};
  std::vector<topology::DeviceSpec> devices;
  for (int i = 1; i < 20000; ++i) {
    const auto last = std::to_string(i - 1);
    nodes.push_back(node("n" + std::to_string(i), {{"n" + last, 0.5}, {"m" + last, 0.5}}, 1e9));
    nodes.push_back(node("m" + std::to_string(i), {{"m" + last, 1}}, 1e9));
    devices.push_back(device("d" + std::to_string(i), "n" + std::to_string(i)));
  }
  const auto tree = PowerTree::build(nodes, devices);
  EXPECT_THROW(static_cast<void>(site_limits(tree, 100000)), std::exception);
}

}  // namespace
}  // namespace perwatt::allocate
