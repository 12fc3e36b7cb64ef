#include "perwatt/control/charge_ledger.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "error_of.hpp"
#include "random_site.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/topology/loads.hpp"

namespace perwatt::control {
namespace {

using ::testing::HasSubstr;
using topology::DeviceIndex;
using topology::PowerTree;

Instant at(double time_seconds) {
  return Instant{} + seconds(time_seconds);
}

/// Two devices of 100 to 700 W under one limit.
PowerTree pair_of(double limit_watts) {
  topology::NodeSpec rack;
  rack.id = rack.place = "rack";
  rack.limits = {
      {topology::LimitKind::breaker, watts(limit_watts), {}, std::nullopt, std::nullopt}};
  std::vector<topology::DeviceSpec> devices(2);
  for (int d = 0; d < 2; ++d) {
    auto& device = devices[static_cast<std::size_t>(d)];
    device.id = device.place = "d" + std::to_string(d);
    device.parent = "rack";
    device.max = watts(700);
  }
  return PowerTree::build({rack}, devices);
}

const std::vector<ChargeTerms> kTerms(2, {watts(200), 0, {}});

device::LeaseReport settled(device::GrantId accepted, bool is_lapsed = false,
                            device::AgentEpoch epoch = 1) {
  return {epoch, accepted, is_lapsed, true, {}};
}

TEST(ChargeLedger, ARaiseWaitsForTheLowerThatIsReadBack) {
  ChargeLedger ledger{pair_of(1000), kTerms};
  ASSERT_TRUE(ledger.admit({{0}, 1, 1, watts(700), at(10)}));
  EXPECT_FALSE(ledger.admit({{1}, 1, 1, watts(400), at(10)}));
  EXPECT_TRUE(ledger.admit({{0}, 1, 2, watts(500), at(11)}));  // sent, but who knows
  EXPECT_FALSE(ledger.admit({{1}, 1, 1, watts(400), at(10)}));
  auto unsettled = settled(2);
  unsettled.is_settled = false;
  ledger.report({0}, unsettled);
  EXPECT_FALSE(ledger.admit({{1}, 1, 1, watts(400), at(10)}));
  ledger.report({0}, settled(1));  // an old report: the lower may still be under way
  EXPECT_FALSE(ledger.admit({{1}, 1, 1, watts(400), at(10)}));
  ledger.report({0}, settled(2));
  EXPECT_EQ(ledger.charge({0}), watts(500));
  EXPECT_TRUE(ledger.admit({{1}, 1, 1, watts(400), at(10)}));
  EXPECT_EQ(ledger.fault(), std::nullopt);
}

TEST(ChargeLedger, GrantsLapseAndDieWithTheEpoch) {
  ChargeLedger ledger{pair_of(1000), kTerms};
  ASSERT_TRUE(ledger.admit({{0}, 1, 1, watts(700), at(10)}));
  ledger.advance(at(9.9));
  EXPECT_EQ(ledger.charge({0}), watts(700));
  ledger.advance(at(10));
  EXPECT_EQ(ledger.charge({0}), watts(200));
  ASSERT_TRUE(ledger.admit({{0}, 1, 2, watts(700), at(20)}));
  ledger.report({0}, settled(2, true));
  EXPECT_EQ(ledger.charge({0}), watts(200));
  ASSERT_TRUE(ledger.admit({{0}, 1, 3, watts(700), at(20)}));
  ledger.report({0}, settled(0, true, 2));  // restarted: nothing of before can be taken
  EXPECT_EQ(ledger.charge({0}), watts(200));
}

TEST(ChargeLedger, RenewalsTakeNoPlaceLowersDo) {
  ChargeLedger ledger{pair_of(1000), kTerms};
  ASSERT_TRUE(ledger.admit({{0}, 1, 1, watts(700), at(10)}));
  for (device::GrantId id = 2; id < 20; ++id) {
    ASSERT_TRUE(ledger.admit({{0}, 1, id, watts(300), at(10 + static_cast<double>(id))}));
    EXPECT_EQ(ledger.charge({0}), watts(700));
    EXPECT_EQ(ledger.grants({0}).size(), 2U);
  }
  for (device::GrantId id = 20; id < 24; ++id) {  // each lower: any may be in force
    ASSERT_TRUE(ledger.admit({{0}, 1, id, watts(300 - static_cast<double>(id)), at(40)}));
  }
  EXPECT_FALSE(ledger.admit({{0}, 1, 24, watts(250), at(41)}));
  EXPECT_TRUE(ledger.admit({{0}, 1, 24, watts(300), at(41)}));  // stands for all but the first
  EXPECT_EQ(ledger.grants({0}).size(), 2U);
  ledger.report({0}, settled(18));
  EXPECT_EQ(ledger.charge({0}), watts(300));
  EXPECT_EQ(ledger.fault(), std::nullopt);
}

TEST(ChargeLedger, GrantsOfAnEarlierEpochComeLateWithoutHarm) {
  ChargeLedger ledger{pair_of(1000), kTerms};
  ASSERT_TRUE(ledger.admit({{0}, 2, 1, watts(700), at(10)}));  // in force
  ASSERT_TRUE(ledger.admit({{0}, 1, 2, watts(700), at(11)}));  // answers an ask of before a restart
  ledger.report({0}, settled(1, false, 2));
  EXPECT_EQ(ledger.charge({0}), watts(700));
}

TEST(ChargeLedger, WhatIsRestoredIsChargedWhateverTheLimits) {
  ChargeLedger ledger{pair_of(1000), kTerms};
  for (device::GrantId id = 1; id < 12; ++id) {
    ledger.restore({{0}, 1, id, watts(712 - static_cast<double>(id)), at(static_cast<double>(id))});
    ledger.restore({{1}, 1, id, watts(500), at(10)});
  }
  EXPECT_TRUE(ledger.is_over());
  EXPECT_EQ(ledger.charge({0}), watts(711));
  EXPECT_EQ(ledger.fault(), std::nullopt);
  ledger.advance(at(11));
  EXPECT_FALSE(ledger.is_over());
  EXPECT_EQ(ledger.charge({0}), watts(200));
}

TEST(ChargeLedger, ChargesHoldOvershootAndWhatTheCapDoesNotBound) {
  ChargeLedger ledger{pair_of(1000), std::vector<ChargeTerms>(2, {watts(200), 0.05, watts(40)})};
  EXPECT_NEAR(in_watts(ledger.charge({0})), 250, 1e-5);
  const Watts highest = ledger.highest_cap({0});
  EXPECT_NEAR(in_watts(highest), (750 - 40) / 1.05, 1e-4);
  EXPECT_FALSE(ledger.admit({{0}, 1, 1, highest + watts(1e-4), at(9)}));
  EXPECT_TRUE(ledger.admit({{0}, 1, 1, highest, at(9)}));
}

TEST(ChargeLedger, ALowerLimitMustLeaveRoomForFailSafe) {
  ChargeLedger ledger{pair_of(1000), kTerms};
  ASSERT_TRUE(ledger.admit({{0}, 1, 1, watts(700), at(10)}));
  EXPECT_FALSE(ledger.set_limit({0}, watts(399)));
  EXPECT_EQ(ledger.is_over(), std::nullopt);
  EXPECT_TRUE(ledger.set_limit({0}, watts(600)));
  EXPECT_EQ(ledger.is_over(), topology::NodeIndex{0});
  EXPECT_FALSE(ledger.admit({{1}, 1, 1, watts(201), at(10)}));
  EXPECT_TRUE(ledger.admit({{0}, 1, 2, watts(400), at(10)}));
  EXPECT_TRUE(ledger.is_over());
  ledger.report({0}, settled(2));
  EXPECT_EQ(ledger.is_over(), std::nullopt);
  EXPECT_TRUE(ledger.set_limit({0}, watts(900)));
  EXPECT_TRUE(ledger.admit({{1}, 1, 1, watts(500), at(10)}));
}

TEST(ChargeLedger, ALimitThatIsOverIsKeptByLoweringManyAtOnce) {
  ChargeLedger ledger{pair_of(1400), kTerms};
  ASSERT_TRUE(ledger.admit({{0}, 1, 1, watts(700), at(10)}));
  ASSERT_TRUE(ledger.admit({{1}, 1, 1, watts(700), at(10)}));
  ASSERT_TRUE(ledger.set_limit({0}, watts(800)));
  EXPECT_FALSE(ledger.admit({{0}, 1, 2, watts(700), at(12)}));  // it would go on like that
  EXPECT_FALSE(ledger.admit({{0}, 1, 2, watts(400), at(12)}));  // not enough by itself
  const std::vector<ChargeLedger::Request> too_little{{{0}, 1, 2, watts(500), at(12)},
                                                      {{1}, 1, 2, watts(500), at(12)}};
  EXPECT_FALSE(ledger.admit_lowers(too_little));
  const std::vector<ChargeLedger::Request> raise{{{0}, 1, 2, watts(701), at(12)}};
  EXPECT_FALSE(ledger.admit_lowers(raise));
  const std::vector<ChargeLedger::Request> enough{{{0}, 1, 2, watts(500), at(12)},
                                                  {{1}, 1, 2, watts(300), at(12)}};
  EXPECT_TRUE(ledger.admit_lowers(enough));
  EXPECT_TRUE(ledger.is_over());
  EXPECT_TRUE(ledger.admit({{0}, 1, 3, watts(500), at(13)}));  // renewed
  EXPECT_FALSE(ledger.admit({{0}, 1, 4, watts(501), at(13)}));
  ledger.advance(at(10));
  EXPECT_FALSE(ledger.is_over());
  EXPECT_EQ(ledger.fault(), std::nullopt);
}

TEST(ChargeLedger, WhatIsRestoredIsNoGroundToRenewIt) {
  // d0 got 700 W, restarted and fell back; its watts went to d1. The controller restarts.
  ChargeLedger ledger{pair_of(1000), kTerms};
  ledger.restore({{0}, 1, 1, watts(700), at(9)});
  ledger.restore({{1}, 1, 1, watts(700), at(12)});
  ASSERT_TRUE(ledger.is_over());
  EXPECT_FALSE(ledger.admit({{1}, 1, 2, watts(300), at(13)}));
  EXPECT_FALSE(ledger.admit({{0}, 2, 2, watts(700), at(13)}));
  const std::vector<ChargeLedger::Request> both{{{0}, 2, 2, watts(700), at(13)},
                                                {{1}, 1, 2, watts(300), at(13)}};
  EXPECT_FALSE(ledger.admit_lowers(both));
  ledger.report({0}, settled(0, true, 2));
  EXPECT_FALSE(ledger.is_over());
  EXPECT_TRUE(ledger.admit({{1}, 1, 2, watts(700), at(13)}));  // goes on without a jolt
}

TEST(ChargeLedger, CeilingsOnlyFallWhileALimitIsOver) {
  ChargeLedger ledger{pair_of(1400), kTerms};
  ASSERT_TRUE(ledger.admit({{0}, 1, 1, watts(700), at(30)}));
  ASSERT_TRUE(ledger.admit({{1}, 1, 1, watts(700), at(10)}));
  ASSERT_TRUE(ledger.set_limit({0}, watts(900)));
  const std::vector<ChargeLedger::Request> lowers{{{0}, 1, 2, watts(300), at(12)},
                                                  {{1}, 1, 2, watts(500), at(40)}};
  ASSERT_TRUE(ledger.admit_lowers(lowers));
  ledger.advance(at(12));  // the lower of d0 is void before the grant that it lowered
  EXPECT_EQ(ledger.charge({0}), watts(700));
  const std::vector<ChargeLedger::Request> back{{{0}, 1, 3, watts(700), at(42)},
                                                {{1}, 1, 3, watts(200), at(42)}};
  EXPECT_FALSE(ledger.admit_lowers(back));
  EXPECT_EQ(in_watts(ledger.highest_cap({0})), 300);
  ledger.advance(at(30));
  EXPECT_FALSE(ledger.is_over());
}

TEST(ChargeLedger, ALimitThatRisesAgainIsNoMoreThanTheTrees) {
  ChargeLedger ledger{pair_of(1000), kTerms};
  ASSERT_TRUE(ledger.set_limit({0}, watts(500)));
  ASSERT_TRUE(ledger.set_limit({0}, watts(5000)));
  ASSERT_TRUE(ledger.admit({{0}, 1, 1, watts(700), at(10)}));
  EXPECT_FALSE(ledger.admit({{1}, 1, 1, watts(301), at(10)}));
}

TEST(ChargeLedger, WhatIsOffLeavesRoomAndIsChargedBeforeItComesBack) {
  const std::vector<ChargeTerms> terms(2, {watts(200), 0, watts(10)});  // fans go on
  ChargeLedger ledger{pair_of(1000), terms};
  ASSERT_TRUE(ledger.admit({{0}, 1, 1, watts(400), at(10)}));
  EXPECT_FALSE(ledger.set_limit({0}, watts(300)));
  ledger.switched_off({0});
  EXPECT_TRUE(ledger.is_off({0}));
  EXPECT_EQ(ledger.charge({0}), watts(10));
  EXPECT_FALSE(ledger.admit({{0}, 1, 2, watts(100), at(12)}));  // nothing to what is off
  ASSERT_TRUE(ledger.set_limit({0}, watts(300)));
  ASSERT_TRUE(ledger.admit({{1}, 1, 1, watts(280), at(30)}));
  EXPECT_FALSE(ledger.admit({{1}, 1, 2, watts(281), at(30)}));
  EXPECT_FALSE(ledger.switch_on({0}));
  EXPECT_EQ(ledger.charge({0}), watts(10));
  ASSERT_TRUE(ledger.set_limit({0}, watts(690)));
  EXPECT_FALSE(ledger.switch_on({0}));  // its grant of before may still be in force
  ledger.advance(at(10));
  ASSERT_TRUE(ledger.switch_on({0}));
  EXPECT_FALSE(ledger.is_off({0}));
  EXPECT_EQ(ledger.charge({0}), watts(210));
  EXPECT_FALSE(ledger.set_limit({0}, watts(419)));
  EXPECT_TRUE(ledger.admit({{0}, 1, 3, watts(390), at(40)}));
  EXPECT_FALSE(ledger.admit({{0}, 1, 4, watts(391), at(41)}));
  EXPECT_EQ(ledger.fault(), std::nullopt);
}

TEST(ChargeLedger, RefusesWhatIsNoGrant) {
  ChargeLedger ledger{pair_of(1000), kTerms};
  for (const double cap : {-1.0, 1e7, std::numeric_limits<double>::infinity(), std::nan("")}) {
    EXPECT_FALSE(ledger.admit({{0}, 1, 1, watts(cap), at(10)}));
  }
  ASSERT_TRUE(ledger.admit({{0}, 1, 5, watts(600), at(10)}));
  EXPECT_FALSE(ledger.admit({{0}, 1, 5, watts(600), at(11)}));
  EXPECT_FALSE(ledger.admit({{0}, 1, 3, watts(600), at(11)}));
  EXPECT_THAT(error_of([] {
                static_cast<void>(ChargeLedger{pair_of(1000), std::vector<ChargeTerms>(1)});
              }),
              HasSubstr("terms of 1 devices for 2"));
  EXPECT_THAT(error_of([] {
                static_cast<void>(ChargeLedger{
                    pair_of(1000), std::vector<ChargeTerms>(2, {watts(std::nan("")), 0, {}})});
              }),
              HasSubstr("'d0' are out of range"));
}

TEST(ChargeLedger, RefusesASiteWithoutASafeState) {
  EXPECT_THAT(error_of([] {
                static_cast<void>(ChargeLedger{pair_of(399), kTerms});
              }),
              HasSubstr("fail-safe caps of the devices below 'rack' pass its limit"));
}

/// On random trees with losses, feeds and phases: whatever is admitted, the supplies with every
/// device at its charge pass no limit, and what is refused would.
TEST(ChargeLedger, AdmitsWhatTheTreeCarriesAndNoMore) {
  int refused = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    const auto tree = allocate::random_site(seed, {seed % 2 == 1, seed % 4 >= 2, 15});
    std::mt19937_64 random{seed};
    std::vector<ChargeTerms> terms;
    for (const auto& device : tree.devices()) {
      terms.push_back({device.min, 0, {}});
    }
    ChargeLedger ledger{tree, terms};
    std::vector<device::GrantId> last(terms.size(), 0);
    const auto passes = [&](DeviceIndex changed, Watts cap) {
      std::vector<Watts> draws;
      for (std::uint32_t d = 0; d < terms.size(); ++d) {
        draws.push_back(d == changed.value ? std::max(cap, ledger.charge({d}))
                                           : ledger.charge({d}));
      }
      const auto loads = topology::loads_at(tree, draws);
      double worst = 0;
      for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
        for (const auto& limit : tree.node({n}).limits) {
          worst = std::max(worst, loads.bounded_by(limit, {n}) / limit.power);
        }
      }
      return worst;
    };
    for (int step = 0; step < 60; ++step) {
      const DeviceIndex d{static_cast<std::uint32_t>(uniform_below(random, terms.size()))};
      const auto& device = tree.device(d);
      const Watts cap = device.min + (device.max - device.min) * uniform_unit(random);
      const double worst = passes(d, cap);
      if (ledger.admit({d, 1, ++last[d.value], cap, at(1e6)})) {
        EXPECT_LE(worst, 1 + 1e-9);
      } else {
        ++refused;
        EXPECT_GT(worst, 1 - 1e-7);
      }
      ASSERT_EQ(ledger.fault(), std::nullopt);
      ASSERT_EQ(ledger.is_over(), std::nullopt);
      if (uniform_below(random, 3) == 0) {
        ledger.report(d, settled(last[d.value]));
      }
    }
  }
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace perwatt::control
