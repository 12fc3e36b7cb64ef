#include "perwatt/topology/root_units.hpp"

#include <algorithm>
#include <numeric>
#include <random>

#include "trees.hpp"
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/random.hpp"
#include "perwatt/topology/loads.hpp"

namespace perwatt::topology {
namespace {

struct Specs {
  std::vector<NodeSpec> nodes;
  std::vector<DeviceSpec> devices;
};

/// A random tree: losses everywhere, and with `feeds` nodes of two parents.
Specs random_specs(std::uint64_t seed, bool feeds) {
  std::mt19937_64 random{seed};
  const auto size = 2 + uniform_below(random, 30);
  Specs specs;
  for (std::uint64_t i = 0; i < size; ++i) {
    const auto above = i == 0 ? std::string{} : "n" + std::to_string(uniform_below(random, i));
    auto node = node_spec("n" + std::to_string(i), above);
    node.factor = 1 + 0.1 * uniform_unit(random);
    node.fixed = watts(100 * uniform_unit(random));
    if (feeds && i > 2 && uniform_below(random, 3) == 0) {
      const auto other = "n" + std::to_string(uniform_below(random, i));
      if (other != above) {
        const double share = 0.1 + 0.8 * uniform_unit(random);
        node.supplies = {{above, share}, {other, 1 - share}};
      }
    }
    node.limits = {{LimitKind::breaker,
                    watts(1e6 * (1 + uniform_unit(random))),
                    {},
                    std::nullopt,
                    std::nullopt}};
    specs.nodes.push_back(node);
  }
  for (std::uint64_t i = 0; i < 2 * size; ++i) {
    specs.devices.push_back(device_spec("d" + std::to_string(i),
                                        "n" + std::to_string(uniform_below(random, size)),
                                        100 * uniform_unit(random), 100 + uniform_unit(random)));
  }
  return specs;
}

RC_GTEST_PROP(RootUnits, OneWattMoreOfADeviceIsItsFactorAtEveryAncestor, ()) {
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  const auto specs = random_specs(seed, true);
  const auto tree = PowerTree::build(specs.nodes, specs.devices);
  const auto units = root_units(tree);
  auto draws = device_draws(tree, DrawLevel::minimum);
  const auto before = loads_at(tree, draws);
  const auto d = static_cast<std::uint32_t>(
      uniform_below(*std::make_unique<std::mt19937_64>(seed), tree.devices().size()));
  draws[d] += watts(1);
  const auto after = loads_at(tree, draws);
  RC_ASSERT(std::abs(in_watts(after.supply[0] - before.supply[0]) - units.device_factor[d]) < 1e-6);
  const auto parent = tree.device({d}).parent;
  std::vector<double> expected(tree.nodes().size(), 0);
  for (const auto& above : ancestors_of(tree, parent)) {
    expected[above.node.value] = above.factor * tree.node(parent).factor;
  }
  for (std::size_t n = 0; n < tree.nodes().size(); ++n) {
    RC_ASSERT(std::abs(in_watts(after.supply[n] - before.supply[n]) - expected[n]) < 1e-6);
  }
}

RC_GTEST_PROP(RootUnits, ALimitIsANestedSumInRootWatts, ()) {
  const auto specs = random_specs(*rc::gen::arbitrary<std::uint64_t>(), false);
  const auto tree = PowerTree::build(specs.nodes, specs.devices);
  RC_ASSERT(!tree.has_feeds());
  const auto units = root_units(tree);
  const auto draws = device_draws(tree, DrawLevel::maximum);
  const auto loads = loads_at(tree, draws);
  std::vector<double> below(tree.nodes().size(), 0);  // sum of R(d) watts(d)
  for (std::size_t d = 0; d < draws.size(); ++d) {
    for (auto n = tree.devices()[d].parent;; n = tree.parent(n)) {
      below[n.value] += units.device_factor[d] * in_watts(draws[d]);
      if (n.value == 0) {
        break;
      }
    }
  }
  for (std::size_t n = 0; n < tree.nodes().size(); ++n) {
    const double at_node = below[n] / units.node_factor[n] + in_watts(units.fixed_supply[n]);
    RC_ASSERT(std::abs(at_node - in_watts(loads.supply[n])) < 1e-6 * at_node + 1e-9);
    const double room =
        (in_watts(*tree.nodes()[n].steady_limit()) - at_node) * units.node_factor[n];
    RC_ASSERT(std::abs(in_watts(*units.limit_at_root[n]) - below[n] - room) < 1e-6 * 1e6);
  }
}

RC_GTEST_PROP(RootUnits, TheOrderOfTheFileDoesNotMatter, ()) {
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  auto specs = random_specs(seed, true);
  const auto tree = PowerTree::build(specs.nodes, specs.devices);
  const auto units = root_units(tree);
  std::mt19937_64 random{seed};
  shuffle<NodeSpec>(specs.nodes, random);
  shuffle<DeviceSpec>(specs.devices, random);
  const auto other = PowerTree::build(specs.nodes, specs.devices);
  const auto other_units = root_units(other);
  RC_ASSERT(tree.depth() == other.depth());
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    const auto at = *other.find_node(tree.node({n}).id);
    RC_ASSERT(std::abs(units.node_factor[n] - other_units.node_factor[at.value]) < 1e-12);
    RC_ASSERT(std::abs(in_watts(units.fixed_supply[n] - other_units.fixed_supply[at.value])) <
              1e-6);
    RC_ASSERT(tree.fed_by({n}).size() == other.fed_by(at).size());
  }
  for (std::uint32_t d = 0; d < tree.devices().size(); ++d) {
    const auto at = *other.find_device(tree.device({d}).id);
    RC_ASSERT(std::abs(units.device_factor[d] - other_units.device_factor[at.value]) < 1e-12);
  }
}

TEST(RootUnits, ByHand) {
  auto ups = node_spec("ups", "", 1000);
  ups.factor = 1.25;
  ups.fixed = watts(50);
  auto rack = node_spec("rack", "ups", 600);
  rack.factor = 2;
  rack.fixed = watts(10);
  const auto tree = PowerTree::build({ups, rack}, {device_spec("gpu", "rack", 100, 200)});
  const auto units = root_units(tree);
  EXPECT_EQ(units.node_factor, (std::vector<double>{1, 1.25}));
  EXPECT_EQ(units.device_factor, (std::vector<double>{2.5}));
  EXPECT_EQ(units.fixed_supply[1], watts(10));
  EXPECT_EQ(units.fixed_supply[0], watts(62.5));
  EXPECT_EQ(units.limit_at_root[0], watts(937.5));
  EXPECT_EQ(units.limit_at_root[1], watts(590 * 1.25));
  EXPECT_EQ(units.device_max_at_root[0], watts(500));
  EXPECT_EQ(units.device_min_at_root[0], watts(250));
  EXPECT_EQ(phase_share(Phase::l1, Phase::l2), 0);
  EXPECT_EQ(phase_share(Phase::l1, Phase::l1), 1);
}

}  // namespace
}  // namespace perwatt::topology
