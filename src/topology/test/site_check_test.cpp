#include "perwatt/topology/site_check.hpp"

#include <random>

#include "trees.hpp"
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/file.hpp"
#include "perwatt/base/random.hpp"
#include "perwatt/topology/read_topology.hpp"

namespace perwatt::topology {
namespace {

PowerTree example(const std::string& name) {
  const auto file = PERWATT_SOURCE_DIR "/examples/" + name;
  return read_topology(read_file(file), file);
}

TEST(SiteCheck, TheDpsSiteAtFullCapsIsRefusedOrDowngraded) {
  const auto tree = example("topology-dps-sdk.toml");
  SiteQuestion question;
  auto check = check_site(tree, question);
  EXPECT_EQ(check.status, CheckStatus::refused);
  ASSERT_EQ(check.maximum.overloads.size(), 1U);
  EXPECT_NEAR(in_watts(check.maximum.overloads[0].load), 144 * 7550.0, 1e-6);
  EXPECT_TRUE(check.fail_safe.overloads.empty());
  EXPECT_FALSE(check.downgrade);
  question.downgrade = true;
  check = check_site(tree, question);
  EXPECT_EQ(check.status, CheckStatus::downgraded);
  ASSERT_EQ(check.downgrade->nodes.size(), 144U);
  EXPECT_NEAR(in_watts(check.downgrade->nodes[0].supply), 750e3 / 144, 1e-6);
  question.strict = true;
  EXPECT_EQ(check_site(tree, question).status, CheckStatus::refused) << "strict changes nothing";
}

TEST(SiteCheck, SaysHowALostFeedEnds) {
  const auto tree = example("topology-ab-feeds.toml");
  const auto check = check_site(tree, {});
  EXPECT_EQ(check.status, CheckStatus::fits);
  const auto& losses = check.feeds.losses;
  ASSERT_EQ(losses.size(), 3U);
  for (const auto& loss : losses) {
    if (loss.lost.value == 0) {
      EXPECT_EQ(outcome_of(check, loss), LossOutcome::no_other_feed);
      continue;
    }
    EXPECT_EQ(outcome_of(check, loss), LossOutcome::carried_guaranteed);
    EXPECT_NEAR(in_seconds(*time_to_lower(loss)) / 60, 112, 5) << "by the window of 3 h";
  }
  SiteQuestion strict;
  strict.strict = true;
  EXPECT_EQ(check_site(tree, strict).status, CheckStatus::refused);
}

TEST(SiteCheck, WhatNobodyKnowsDoesNotPass) {
  const auto tree = PowerTree::build({node_spec("pdu", "", 1000), node_spec("rack", "pdu")}, {});
  auto check = check_site(tree, {});
  EXPECT_EQ(check.status, CheckStatus::unknown);
  EXPECT_EQ(check.empty_leaves.size(), 1U);
  const auto readings = read_readings("time,id,watts\n0,rack,1100\n", "r.csv", tree);
  SiteQuestion question;
  question.readings = &readings;
  check = check_site(tree, question);
  EXPECT_EQ(check.status, CheckStatus::refused);
  ASSERT_EQ(check.read_overloads.size(), 1U);
  EXPECT_EQ(check.read_overloads[0].node, NodeIndex{0});
}

RC_GTEST_PROP(Downgrade, FitsEveryLimitAndNoDeviceLeavesItsRange, ()) {
  std::mt19937_64 random{*rc::gen::arbitrary<std::uint64_t>()};
  std::vector<NodeSpec> nodes;
  std::vector<DeviceSpec> devices;
  const auto size = 2 + uniform_below(random, 20);
  for (std::uint64_t i = 0; i < size; ++i) {
    auto node = node_spec("n" + std::to_string(i),
                          i == 0 ? "" : "n" + std::to_string(uniform_below(random, i)));
    node.factor = 1 + 0.1 * uniform_unit(random);
    node.fixed = watts(10 * uniform_unit(random));
    if (i > 1 && uniform_below(random, 3) == 0) {
      const auto other = "n" + std::to_string(uniform_below(random, i));
      if (other != node.supplies[0].parent) {
        node.supplies = {{node.supplies[0].parent, 0.3}, {other, 0.7}};
      }
    }
    if (uniform_below(random, 4) == 0) {
      node.limits = {{LimitKind::breaker,
                      watts(9000 * (0.5 + uniform_unit(random))),
                      {},
                      std::nullopt,
                      Phase::l2}};
    }
    node.limits.push_back({LimitKind::ups,
                           watts(12000 * (0.4 + uniform_unit(random))),
                           {},
                           std::nullopt,
                           std::nullopt});
    nodes.push_back(node);
    auto device = device_spec("d" + std::to_string(i), node.id, 50, 1000);
    device.guaranteed = watts(50 + 300 * uniform_unit(random));
    devices.push_back(device);
  }
  const auto tree = PowerTree::build(nodes, devices);
  const auto fits = downgrade(tree);
  RC_ASSERT(overloads(tree, fits.loads).empty());
  for (std::size_t d = 0; d < fits.draws.size(); ++d) {
    const auto& device = tree.devices()[d];
    const auto floor = fits.keeps_guarantees ? device.guaranteed : device.min;
    RC_ASSERT(fits.draws[d] >= floor && fits.draws[d] <= device.max);
  }
}

}  // namespace
}  // namespace perwatt::topology
