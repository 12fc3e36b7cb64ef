// What the controller is told not to do, it does not do.

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/random.hpp"
#include "perwatt/control/controller.hpp"
#include "perwatt/control/node_trust.hpp"
#include "perwatt/control/reading_trust.hpp"

namespace perwatt::control {
namespace {

constexpr std::uint32_t kHeldDevices = 8;

Instant hold_time(double time_seconds) {
  return Instant{} + seconds(time_seconds);
}

/// A site of two racks with four devices each.
topology::PowerTree two_racks(double limit_watts) {
  std::vector<topology::NodeSpec> nodes(3);
  const char* const ids[] = {"site", "r0", "r1"};
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    nodes[n].id = nodes[n].place = ids[n];
    if (n > 0) {
      nodes[n].supplies = {{"site", 1}};
    }
  }
  nodes[0].limits = {
      {topology::LimitKind::breaker, watts(limit_watts), {}, std::nullopt, std::nullopt}};
  std::vector<topology::DeviceSpec> devices(kHeldDevices);
  for (std::size_t d = 0; d < devices.size(); ++d) {
    devices[d].id = devices[d].place = "d" + std::to_string(d);
    devices[d].parent = d < 4 ? "r0" : "r1";
    devices[d].max = watts(700);
  }
  return topology::PowerTree::build(nodes, devices);
}

/// Devices that take every grant at once and draw what they want, up to their caps.
struct HeldSite {
  explicit HeldSite(double limit_watts)
      : tree{two_racks(limit_watts)},
        controller{
            tree,
            std::vector<ControlledDevice>(kHeldDevices, {{watts(200), 0, {}},
                                                         watts(100),
                                                         watts(700),
                                                         {{watts(100), 0}, {watts(700), 600}}}),
            {}},
        want(kHeldDevices, 700),
        cap(kHeldDevices, 200) {}

  template <class OnGrant>
  void tick(const OnGrant& on_grant) {
    time += 1;
    for (std::uint32_t d = 0; d < kHeldDevices; ++d) {
      controller.ask({d}, {1, ++asks}, hold_time(time));
    }
    for (const auto& grant : controller.tick(hold_time(time))) {
      const auto d = grant.device.value;
      on_grant(d, cap[d], in_watts(grant.grant.cap));
      cap[d] = in_watts(grant.grant.cap);
      controller.report(grant.device, {1, grant.grant.id, false, true, grant.grant.cap});
    }
    ASSERT_EQ(controller.ledger().fault(), std::nullopt);
  }

  void read_all() {
    for (std::uint32_t d = 0; d < kHeldDevices; ++d) {
      controller.read({d}, hold_time(time), watts(std::min(want[d], cap[d])), watts(cap[d]));
    }
  }

  void run(int ticks) {
    for (int i = 0; i < ticks; ++i) {
      tick([](auto, auto, auto) {});
      read_all();
    }
  }

  topology::PowerTree tree;
  Controller controller;
  std::vector<double> want;
  std::vector<double> cap;
  double time = 0;
  std::uint64_t asks = 0;
};

TEST(Restraints, FailSafeBelowANodeGivesItsWattsToTheOthers) {
  HeldSite site{3200};
  site.run(30);
  EXPECT_NEAR(site.cap[0], 400, 15);
  site.controller.to_fail_safe({1}, true);
  site.run(40);
  for (std::size_t d = 0; d < kHeldDevices; ++d) {
    EXPECT_NEAR(site.cap[d], d < 4 ? 200 : 600, 15) << d;
  }
  site.controller.to_fail_safe({1}, false);
  site.run(60);
  EXPECT_GT(site.cap[0], 280);
}

TEST(Restraints, MaintenanceHoldsFailSafeWhateverTheWatchOrders) {
  HeldSite site{3200};
  site.run(30);
  site.controller.maintain({1}, true);
  site.controller.to_fail_safe({1}, true);
  site.controller.to_fail_safe({1}, false);
  site.run(40);
  for (std::size_t d = 0; d < kHeldDevices; ++d) {
    EXPECT_NEAR(site.cap[d], d < 4 ? 200 : 600, 15) << d;
  }
  int grants = 0;
  for (int i = 0; i < 30; ++i) {
    site.tick([&](std::uint32_t d, auto, auto) { grants += d < 4 ? 1 : 0; });
    site.read_all();
  }
  EXPECT_EQ(grants, 0) << "nothing is granted there";
  site.controller.maintain({1}, false);
  site.run(60);
  EXPECT_GT(site.cap[0], 280);
}

TEST(Restraints, WhatIsReleasedIsAtFailSafeInOneTick) {
  HeldSite site{3200};
  site.run(30);
  site.controller.release(true);
  site.run(1);
  for (const double cap : site.cap) {
    EXPECT_EQ(cap, 200);
  }
  site.run(60);
  for (const double cap : site.cap) {
    EXPECT_EQ(cap, 200) << "and stays there";
  }
  site.controller.release(false);
  site.run(40);
  EXPECT_NEAR(site.cap[0], 400, 15);
}

TEST(Restraints, MaintenanceLowersByLessThanTheDeadBandToo) {
  HeldSite site{8 * 205.0};
  site.want.assign(kHeldDevices, 150);
  site.want[0] = 700;
  site.run(30);
  site.controller.set_most({0}, watts(205));
  site.run(10);
  ASSERT_NEAR(site.cap[0], 205, 1e-6);
  site.controller.maintain({1}, true);
  site.run(1);
  EXPECT_EQ(site.cap[0], 200);
}

TEST(Restraints, WhatPeopleOrderedIsInTheState) {
  HeldSite site{3200};
  site.controller.maintain({2}, true);
  HeldSite other{3200};
  other.controller.resume(site.controller.state());
  other.controller.maintain({2}, true);
  EXPECT_EQ(other.controller.state(), site.controller.state());
  site.controller.release(true);
  EXPECT_NE(other.controller.state(), site.controller.state());
}

TEST(Restraints, AMostIsKeptBelowFailSafeTooAndLifted) {
  HeldSite site{3200};
  site.run(30);
  site.controller.set_most({2}, watts(120));
  site.controller.set_most({3}, watts(300));
  site.run(1);
  EXPECT_NEAR(site.cap[2], 120, 1e-6);
  EXPECT_LE(site.cap[3], 300 + 1e-6);
  double granted_at = site.time;
  for (int i = 0; i < 40; ++i) {  // and renewed before the lease of 10 s has run out
    site.tick([&](std::uint32_t d, auto, double to) {
      EXPECT_TRUE(d != 2 || to <= 120 + 1e-6) << to;
      granted_at = d == 2 ? site.time : granted_at;
    });
    EXPECT_LT(site.time - granted_at, 6);
    site.read_all();
  }
  EXPECT_GT(site.cap[4], 420);  // who can use them has the freed watts
  for (const std::uint32_t d : {2U, 3U}) {
    site.controller.set_most({d}, watts(std::numeric_limits<double>::infinity()));
  }
  std::fill(site.want.begin() + 4, site.want.end(), 150);
  site.run(60);
  EXPECT_GT(site.cap[2], 330);
}

RC_GTEST_PROP(RestraintsProperty, NothingHeldIsRaised, ()) {
  HeldSite site{3200};
  std::mt19937_64 random{*rc::gen::arbitrary<std::uint64_t>()};
  std::vector<bool> is_held(kHeldDevices);
  std::vector<bool> is_node_held(3);
  for (int i = 0; i < 120; ++i) {
    const auto d = static_cast<std::uint32_t>(uniform_below(random, kHeldDevices));
    const auto n = static_cast<std::uint32_t>(uniform_below(random, 3));
    is_held[d] = uniform_below(random, 2) == 0;
    is_node_held[n] = uniform_below(random, 3) == 0;
    site.controller.hold_raises(topology::DeviceIndex{d}, is_held[d]);
    site.controller.hold_raises(topology::NodeIndex{n}, is_node_held[n]);
    site.want[d] = 700 * uniform_unit(random);
    site.tick([&](std::uint32_t at, double from, double to) {
      if (is_held[at] || is_node_held[0] || is_node_held[at < 4 ? 1 : 2]) {
        RC_ASSERT(to <= from + 1e-6);
      }
    });
    site.read_all();
  }
}

/// Of device 0, from second 20 on, under a site whose other devices go idle: raises of device 0
/// after `told`. Its last reading stands at its cap, which looks like a device that wants more.
int raises_of_a_lost_device(bool is_gullible, const device::PowerReading& lost, double told) {
  HeldSite site{3200};
  const std::vector<Watts> most(kHeldDevices, watts(700));
  ReadingTrust trust{most, {}};
  int raises = 0;
  for (int i = 0; i < 80; ++i) {
    site.tick([&](std::uint32_t d, double from, double to) {
      raises += d == 0 && site.time > told && to > from + 1e-6 ? 1 : 0;
    });
    for (std::uint32_t d = 0; d < kHeldDevices; ++d) {
      if (site.time > 20) {
        site.want[d] = d == 0 ? 300 : 150;
      }
      device::PowerReading reading{watts(std::min(site.want[d], site.cap[d])), hold_time(site.time),
                                   device::ReadingQuality::good};
      if (d == 0 && site.time > 20) {
        reading = lost;
      }
      const auto& standing = trust.read(d, reading, hold_time(site.time));
      const bool is_believed = is_gullible || standing.is_trusted();
      if (is_believed && reading.power) {
        const Watts seen = d == 0 && site.time > 20 ? watts(site.cap[d]) : *reading.power;
        site.controller.read({d}, hold_time(site.time), seen, watts(site.cap[d]));
      }
      site.controller.hold_raises(topology::DeviceIndex{d}, !is_believed);
    }
  }
  return raises;
}

TEST(Restraints, AStaleReadingRaisesNothingUnlessItIsBelieved) {
  const device::PowerReading stale{watts(400), hold_time(20), device::ReadingQuality::good};
  const device::PowerReading lies{watts(5000), hold_time(20), device::ReadingQuality::good};
  for (const auto& reading : {stale, lies}) {
    EXPECT_EQ(raises_of_a_lost_device(false, reading, 23), 0);
    EXPECT_GT(raises_of_a_lost_device(true, reading, 23), 0);  // the mutant is found out
  }
}

}  // namespace
}  // namespace perwatt::control
