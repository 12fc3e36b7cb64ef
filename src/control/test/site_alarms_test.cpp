#include "perwatt/control/site_alarms.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "error_of.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/random.hpp"

namespace perwatt::control {
namespace {

using ::testing::HasSubstr;
using Change = SiteAlarms::Change;

constexpr std::uint32_t kWatched = 20;  // devices

/// A site with losses over two metered racks with fixed draws, ten devices each.
topology::PowerTree metered_site(double limit_watts) {
  std::vector<topology::NodeSpec> nodes(3);
  const char* const ids[] = {"site", "r0", "r1"};
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    auto& node = nodes[n];
    node.id = node.place = ids[n];
    node.meter = topology::MeterSide::supply;
    node.factor = n == 0 ? 1.05 : 1.02;
    node.fixed = watts(n == 0 ? 500 : 200);
    if (n > 0) {
      node.supplies = {{"site", 1}};
    }
  }
  nodes[0].limits = {
      {topology::LimitKind::breaker, watts(limit_watts), {}, topology::TripCurve{}, std::nullopt}};
  std::vector<topology::DeviceSpec> devices(kWatched);
  for (std::size_t d = 0; d < devices.size(); ++d) {
    devices[d].id = devices[d].place = "gpu" + std::to_string(d);
    devices[d].parent = d < 10 ? "r0" : "r1";
    devices[d].max = watts(700);
  }
  return topology::PowerTree::build(nodes, devices);
}

TrustRules noisy(double noise_watts) {
  TrustRules rules;
  rules.noise = watts(noise_watts);
  rules.quantum = watts(1);
  return rules;
}

/// The truth, what goes wrong with it, and the classes under test looking at it once a second.
class WatchedSite {
 public:
  explicit WatchedSite(double limit_watts = 20'000, std::uint64_t seed = 1)
      : tree{metered_site(limit_watts)},
        terms(kWatched, {watts(200), 0.02, {}}),
        device_trust{std::vector<Watts>(kWatched, watts(1500)), noisy(2)},
        meter_trust{std::vector<Watts>(3, watts(60'000)), noisy(20)},
        node_trust{tree, {}},
        estimate{tree, {}},
        ladder{tree, {}},
        alarms{tree, terms, {}},
        wanted(kWatched, 500),
        demand(kWatched, 400),
        random{seed} {}

  /// One second; `change_caps` as a controller would, now and then.
  void tick(bool change_caps = true) {
    time += 1;
    const Instant now = Instant{} + seconds(time);
    alarms.begin(now);
    std::vector<double> draws(kWatched);
    for (std::uint32_t d = 0; d < kWatched; ++d) {
      if (change_caps && uniform_below(random, 20) == 0) {
        wanted[d] = 200 + std::floor(500 * uniform_unit(random));
        wanted_at[d] = time;
      }
      if (uniform_below(random, 30) == 0) {
        demand[d] = 60 + 700 * uniform_unit(random);
      }
      const double acted = time - wanted_at[d] > cap_lag ? wanted[d] : acted_before[d];
      acted_before[d] = acted;
      const double in_force = enforced_by ? enforced_by(d) : acted;
      held_before[d] = time - wanted_at[d] > draw_lag ? wanted[d] : held_before[d];
      draws[d] =
          draw_by ? draw_by(d) : std::min(demand[d], std::max(in_force, held_before[d]) * 1.01);
      alarms.want({d}, watts(wanted[d]));
      auto reading = sensor(draws[d] * (1 + device_bias * (d % 3 - 1.0)), 2);
      if (device_fault) {
        device_fault(d, reading);
      }
      const auto& standing = device_trust.read(d, reading, now);
      const auto told = device_trust.demand(d, watts(wanted[d]), watts(wanted[d] * 1.02), now);
      estimate.set_device({d}, told.draw,
                          standing.is_trusted() ? Watts{} : watts(wanted[d] * 1.02));
      node_trust.set_trusted({d}, standing.is_trusted());
      alarms.look(topology::DeviceIndex{d}, standing, watts(in_force));
    }
    std::vector<double> supply(3);
    for (std::uint32_t n = 3; n-- > 0;) {
      double load = n == 0 ? supply[1] + supply[2] : 0;
      for (std::uint32_t d = 0; n > 0 && d < 10; ++d) {
        load += draws[(n - 1) * 10 + d];
      }
      supply[n] = in_watts(tree.node({n}).fixed) + tree.node({n}).factor * load;
      const double shown = meters_lag && n < last_supply.size() ? last_supply[n] : supply[n];
      auto reading = sensor(shown * meter_factor[n], 20);
      if (meter_fault) {
        meter_fault(n, reading);
      }
      const auto& standing = meter_trust.read(n, reading, now);
      estimate.set_meter({n}, standing.is_trusted() ? std::optional{standing.draw} : std::nullopt);
    }
    last_supply = supply;
    estimate.update();
    for (std::uint32_t n = 0; n < 3; ++n) {
      alarms.look(topology::NodeIndex{n}, meter_trust.standing(n), estimate);
    }
    static_cast<void>(node_trust.tick(now));
    ladder.tick(estimate, now);
    alarms.look(node_trust);
    alarms.look(ladder);
    for (const auto& event : alarms.events()) {
      events.push_back(event);
    }
  }

  void run(int ticks, bool change_caps = true) {
    for (int i = 0; i < ticks; ++i) {
      tick(change_caps);
    }
  }

  /// Ticks until `kind` is raised at `index`; nothing within `most`.
  std::optional<int> ticks_until(AlarmKind kind, std::uint32_t index, int most, Change change,
                                 bool change_caps = true) {
    for (int i = 1; i <= most; ++i) {
      events.clear();
      tick(change_caps);
      for (const auto& event : events) {
        if (event.alarm.kind == kind && event.alarm.index == index && event.change == change) {
          last = event.alarm;
          return i;
        }
      }
    }
    return std::nullopt;
  }

  [[nodiscard]] device::PowerReading sensor(double truth, double noise) {
    return {watts(std::round(truth + noise * standard_normal(random))), Instant{} + seconds(time),
            device::ReadingQuality::good};
  }

  topology::PowerTree tree;
  std::vector<ChargeTerms> terms;
  ReadingTrust device_trust;
  ReadingTrust meter_trust;
  NodeTrust node_trust;
  SupplyEstimate estimate;
  BreachLadder ladder;
  SiteAlarms alarms;
  std::vector<double> wanted;
  std::vector<double> demand;
  std::mt19937_64 random;
  double time = 0;
  double cap_lag = 0;   // seconds until a cap is read back
  double draw_lag = 0;  // and until it holds the draw
  std::vector<double> wanted_at = std::vector<double>(kWatched, 0);
  std::vector<double> acted_before = std::vector<double>(kWatched, 500);
  std::vector<double> held_before = std::vector<double>(kWatched, 500);
  double meter_factor[3] = {1, 1, 1};
  double device_bias = 0;   // of two devices in three, to either side
  bool meters_lag = false;  // by a tick
  std::vector<double> last_supply;
  std::function<double(std::uint32_t)> enforced_by;
  std::function<double(std::uint32_t)> draw_by;
  std::function<void(std::uint32_t, device::PowerReading&)> device_fault;
  std::function<void(std::uint32_t, device::PowerReading&)> meter_fault;
  std::vector<SiteAlarms::Event> events;
  Alarm last;
};

/// Ten ticks in all sensors are trusted and what was raised at the start has cleared.
WatchedSite started(double limit_watts = 20'000, std::uint64_t seed = 1) {
  WatchedSite site{limit_watts, seed};
  site.run(40);
  EXPECT_TRUE(site.alarms.standing().empty());
  site.events.clear();
  return site;
}

TEST(SiteAlarms, NothingIsRaisedWhereNothingIsWrong) {
  std::size_t raised = 0;
  int samples = 0;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    WatchedSite site{20'000, seed};
    site.device_bias = 0.04;
    site.meters_lag = seed % 2 == 0;
    site.cap_lag = static_cast<double>(seed % 3);
    site.draw_lag = 2;
    site.meter_factor[0] = 1.015;
    site.meter_factor[1] = 0.985;
    site.run(40);
    site.events.clear();
    site.run(11'000);
    samples += 11'000 * 23;
    raised += site.events.size();
    for (const auto& event : site.events) {
      ADD_FAILURE() << site.alarms.text(event.alarm);
    }
  }
  std::printf("healthy looks %d, alarms %zu\n", samples, raised);
  EXPECT_GE(samples, 1'000'000);
}

struct SiteFault {
  std::string name;
  AlarmKind kind;
  std::uint32_t index;
  int within;  // ticks
  Severity severity;
  std::function<void(WatchedSite&)> inject;
  std::function<void(WatchedSite&)> heal;
  std::string text;
};

std::vector<SiteFault> site_faults() {
  const auto heal_all = [](WatchedSite& site) {
    site.enforced_by = nullptr;
    site.draw_by = nullptr;
    site.device_fault = nullptr;
    site.meter_fault = nullptr;
    std::fill(std::begin(site.meter_factor), std::end(site.meter_factor), 1.0);
    std::fill(site.demand.begin(), site.demand.end(), 300);
  };
  const auto enforce = [](double factor) {
    return [factor](WatchedSite& site) {
      auto* const at = &site;
      site.enforced_by = [at, factor](std::uint32_t d) {
        return d == 3 ? at->wanted[d] * factor : at->wanted[d];
      };
    };
  };
  const auto lose_devices = [](std::uint32_t count) {
    return [count](WatchedSite& site) {
      site.device_fault = [count](std::uint32_t d, device::PowerReading& reading) {
        if (d >= 3 && d < 3 + count) {
          reading = {std::nullopt, reading.time, device::ReadingQuality::missing};
        }
      };
    };
  };
  const auto scale = [](double site_factor, double rack_factor) {
    return [=](WatchedSite& site) {
      site.meter_factor[0] = site_factor;
      site.meter_factor[1] = site.meter_factor[2] = rack_factor;
    };
  };
  return {{"ignores its cap", AlarmKind::ignores_cap, 3, 2, Severity::warning,
           [](WatchedSite& site) {
             auto* const at = &site;
             site.draw_by = [at](std::uint32_t d) {
               return d == 3 ? at->wanted[d] * 1.25 : std::min(at->demand[d], at->wanted[d]);
             };
           },
           heal_all, "device 'gpu3' draws"},
          {"cap not acted on", AlarmKind::cap_not_acted, 3, 2, Severity::warning, enforce(1.1),
           heal_all, "was to hold a cap of"},
          {"another writer", AlarmKind::other_writer, 3, 5, Severity::notice, enforce(0.7),
           heal_all, "something else holds it at"},
          {"reading lost", AlarmKind::reading_lost, 3, 3, Severity::notice, lose_devices(1),
           heal_all, "no reading to be trusted: missing"},
          {"many readings lost", AlarmKind::not_read, 1, 3, Severity::warning, lose_devices(3),
           heal_all, "node 'r0' has too many devices without a reading"},
          {"meter lost", AlarmKind::meter_lost, 2, 3, Severity::notice,
           [](WatchedSite& site) {
             site.meter_fault = [](std::uint32_t n, device::PowerReading& reading) {
               if (n == 2) {
                 reading.time = reading.time - seconds(100);
               }
             };
           },
           heal_all, "the meter of node 'r1' is not to be trusted: stale"},
          {"a meter frozen", AlarmKind::meter_lost, 2, 8, Severity::notice,
           [](WatchedSite& site) {
             site.meter_fault = [](std::uint32_t n, device::PowerReading& reading) {
               if (n == 2) {
                 reading.power = watts(4000);
               }
             };
           },
           heal_all, "frozen"},
          // The doubt of a rack's meter is near 8 %, that of the site's, beside rack meters, near 6
          // %: off by twice it, about 0.7 smoothing + 5 ticks.
          {"a meter that shows too little", AlarmKind::meter_disagrees, 1, 30, Severity::warning,
           [](WatchedSite& site) { site.meter_factor[1] = 0.8; }, heal_all,
           "the meter of node 'r0' says"},
          {"a meter that shows too much", AlarmKind::meter_disagrees, 0, 30, Severity::warning,
           scale(1.2, 1), heal_all, "the meter of node 'site' says"},
          // Within what devices may be off, beyond what meters may: 1.4 times that.
          {"a meter off from meters", AlarmKind::meter_disagrees, 0, 60, Severity::warning,
           scale(1.075, 1), heal_all, "the meter of node 'site' says"},
          {"meters that lie alike", AlarmKind::meter_disagrees, 0, 30, Severity::warning,
           scale(0.75, 0.75), heal_all, "what is below it makes"}};
}

TEST(SiteAlarms, EachFaultIsToldInTimeOnceAndClears) {
  for (const auto& fault : site_faults()) {
    int worst = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      auto site = started(20'000, seed);
      site.run(10, false);  // caps settled
      fault.inject(site);
      const auto told =
          site.ticks_until(fault.kind, fault.index, fault.within, Change::raised, false);
      ASSERT_TRUE(told) << fault.name << " seed " << seed;
      worst = std::max(worst, *told);
      EXPECT_EQ(site.last.severity, fault.severity) << fault.name;
      EXPECT_THAT(site.alarms.text(site.last), HasSubstr(fault.text));
      EXPECT_LE(site.last.since, Instant{} + seconds(site.time));
      site.events.clear();
      site.run(5, false);
      for (const auto& event : site.events) {  // once
        EXPECT_FALSE(event.alarm.kind == fault.kind && event.alarm.index == fault.index &&
                     event.change == Change::raised);
      }
      fault.heal(site);
      EXPECT_TRUE(site.ticks_until(fault.kind, fault.index, 200, Change::cleared, false))
          << fault.name;
    }
    std::printf("%-30s told within %d ticks (stated: %d)\n", fault.name.c_str(), worst,
                fault.within);
  }
}

/// One device held at 500 W, by single looks a second.
struct OneDevice {
  static AlarmRules patient() {
    AlarmRules rules;
    rules.grace = seconds(1000);  // lost readings are not what is looked at
    return rules;
  }

  OneDevice() : tree{metered_site(20'000)}, alarms{tree, terms, patient()} {
    standing.standing = Belief::fresh;
    look(400, 500);
  }

  /// Events of a look at a new reading, unless it is told otherwise.
  std::size_t look(double draw_watts, double enforced_watts, bool is_new = true,
                   Belief belief = Belief::fresh) {
    time += 1;
    alarms.begin(Instant{} + seconds(time));
    alarms.want({0}, watts(wanted));
    standing.standing = belief;
    standing.is_new = is_new;
    standing.draw = watts(draw_watts);
    standing.time = Instant{} + seconds(time - reading_age);
    alarms.look(topology::DeviceIndex{0}, standing, watts(enforced_watts));
    return alarms.events().size();
  }

  topology::PowerTree tree;
  std::vector<ChargeTerms> terms = std::vector<ChargeTerms>(kWatched, {watts(200), 0.02, {}});
  SiteAlarms alarms;
  ReadingTrust::Standing standing;
  double time = 100;
  double reading_age = 0;
  double wanted = 500;
};

TEST(SiteAlarms, OnlyNewTrustedReadingsOfAfterTheSettlingCount) {
  OneDevice one;
  for (int i = 0; i < 3; ++i) {
    one.look(400, 500);
  }
  EXPECT_EQ(one.look(600, 500), 0U);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(one.look(600, 500, false), 0U);  // the same again
    EXPECT_EQ(one.look(600, 500, true, Belief::frozen), 0U);
  }
  EXPECT_EQ(one.look(600, 500), 1U);
  EXPECT_EQ(one.alarms.standing().at(0).kind, AlarmKind::ignores_cap);
  OneDevice lowered;  // by somebody else
  for (int i = 0; i < 3; ++i) {
    lowered.look(480, 500);
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(lowered.look(480, 300), 0U) << i;
  }
  EXPECT_EQ(lowered.look(480, 300), 0U);  // settled, once
  EXPECT_EQ(lowered.look(480, 300), 2U);  // and again: drawn too much, and another writer
  OneDevice late;
  late.wanted = 300;
  late.reading_age = 2;
  for (int i = 0; i < 5; ++i) {  // what was drawn before it settled is no fault
    EXPECT_EQ(late.look(480, 300), 0U) << i;
  }
}

TEST(SiteAlarms, AnAlarmClearsAfterFiveLooksWithNothingWrong) {
  OneDevice one;
  for (int i = 0; i < 5; ++i) {
    one.look(600, 500);
  }
  ASSERT_EQ(one.alarms.standing().size(), 1U);
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(one.look(400, 500), 0U);
    }
    EXPECT_EQ(one.look(600, 500), 0U);  // no new one: it stands
  }
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(one.look(400, 500), 0U);
  }
  EXPECT_EQ(one.look(400, 500), 1U);
  EXPECT_TRUE(one.alarms.standing().empty());
}

TEST(SiteAlarms, NothingIsLostBeforeItCanHaveCome) {
  WatchedSite site;
  site.run(60, false);
  EXPECT_TRUE(site.events.empty());
  WatchedSite blind;
  blind.device_fault = [](std::uint32_t, device::PowerReading& reading) { reading = {}; };
  EXPECT_EQ(blind.ticks_until(AlarmKind::reading_lost, 0, 99, Change::raised), 11);
  EXPECT_EQ(blind.alarms.standing().size(), kWatched + 3);  // and three nodes
}

TEST(SiteAlarms, ARefusedWriteIsToldAtOnceAndEscalates) {
  auto site = started();
  site.run(10, false);
  site.alarms.begin(Instant{} + seconds(site.time));
  site.alarms.answered({4}, device::CapAnswer::refused);
  site.alarms.look(topology::DeviceIndex{4}, site.device_trust.standing(4), std::nullopt);
  ASSERT_EQ(site.alarms.events().size(), 1U);
  EXPECT_EQ(site.alarms.events()[0].alarm.kind, AlarmKind::cap_not_acted);
  auto* const at = &site;
  site.enforced_by = [at](std::uint32_t d) { return d == 4 ? 650.0 : at->wanted[d]; };
  site.wanted[4] = 300;
  const auto told = site.ticks_until(AlarmKind::cap_not_acted, 4, 62, Change::escalated, false);
  ASSERT_TRUE(told);
  EXPECT_EQ(site.last.severity, Severity::critical);
  EXPECT_EQ(site.last.seen, watts(650));
}

TEST(SiteAlarms, AnotherWritersCeilingIsFollowedUpAndLetGo) {
  auto site = started();
  site.run(10, false);
  double other = 350;  // W, what the other writer allows
  auto* const at = &site;
  site.enforced_by = [at, &other](std::uint32_t d) {
    return d == 5 ? std::min(other, at->wanted[d]) : at->wanted[d];
  };
  site.wanted[5] = 600;
  const auto follow = [&](int ticks) {
    for (int i = 0; i < ticks; ++i) {
      site.tick(false);
      const auto ceiling = site.alarms.ceiling({5});
      site.wanted[5] = ceiling ? std::min(600.0, in_watts(*ceiling)) : 600;
    }
  };
  follow(30);
  EXPECT_EQ(site.alarms.ceiling({5}), watts(370));  // 250 W less 20 W are free for others
  EXPECT_EQ(site.wanted[5], 370);
  other = 300;
  follow(30);
  EXPECT_EQ(site.wanted[5], 320);
  other = 1000;
  follow(30);
  EXPECT_EQ(site.alarms.ceiling({5}), std::nullopt);
  EXPECT_EQ(site.wanted[5], 600);
}

TEST(SiteAlarms, APassedLimitIsAWarningUpToTwentyPercentThenCritical) {
  auto site = started(10'000);
  site.draw_by = [](std::uint32_t) { return 420.0; };
  std::fill(site.wanted.begin(), site.wanted.end(), 700);
  // (2 * 200 + 1.02 * 20 * 420) * 1.05 + 500 = 9916 W: within the limit.
  EXPECT_FALSE(site.ticks_until(AlarmKind::limit_passed, 0, 30, Change::raised, false));
  site.draw_by = [](std::uint32_t) { return 460.0; };  // 7.7 % over
  EXPECT_LE(site.ticks_until(AlarmKind::limit_passed, 0, 2, Change::raised, false).value_or(99), 2);
  EXPECT_EQ(site.last.severity, Severity::warning);
  EXPECT_THAT(site.alarms.text(site.last), HasSubstr("node 'site' carries 10."));
  site.draw_by = [](std::uint32_t) { return 560.0; };  // 29 % over
  EXPECT_LE(site.ticks_until(AlarmKind::limit_passed, 0, 2, Change::escalated, false).value_or(99),
            2);
  EXPECT_EQ(site.last.severity, Severity::critical);
  site.draw_by = [](std::uint32_t) { return 400.0; };
  EXPECT_TRUE(site.ticks_until(AlarmKind::limit_passed, 0, 6, Change::cleared, false));
}

TEST(SiteAlarms, WithTheMeterLostTheDevicesShowThePassedLimit) {
  auto site = started(10'000);
  site.meter_fault = [](std::uint32_t, device::PowerReading& reading) {
    reading = {std::nullopt, reading.time, device::ReadingQuality::missing};
  };
  std::fill(site.wanted.begin(), site.wanted.end(), 700);
  site.draw_by = [](std::uint32_t) { return 400.0; };
  site.run(10, false);
  site.draw_by = [](std::uint32_t) { return 500.0; };
  EXPECT_LE(site.ticks_until(AlarmKind::limit_passed, 0, 2, Change::raised, false).value_or(99), 2);
}

TEST(SiteAlarms, RulesOutOfRangeAreRefused) {
  AlarmRules rules;
  rules.ceiling_room = watts(1);
  const auto tree = metered_site(20'000);
  EXPECT_THAT(error_of([&] {
                SiteAlarms{tree, std::vector<ChargeTerms>(kWatched), rules};
              }),
              HasSubstr("ceiling_room"));
}

RC_GTEST_PROP(SiteAlarmsProperty, EveryAlarmIsRaisedThenClearedAndStandsBetween, ()) {
  WatchedSite site{12'000, *rc::gen::arbitrary<std::uint64_t>()};
  std::map<std::tuple<int, std::uint32_t, std::uint32_t>, bool> stands;
  auto& random = site.random;
  for (int i = 0; i < 60; ++i) {
    site.device_fault = [&](std::uint32_t d, device::PowerReading& reading) {
      if (d % 3 == 0 && i % 20 < 8) {
        reading.power = watts(2000 * uniform_unit(random));
      }
    };
    site.meter_factor[1] = i % 30 < 15 ? 1 : 0.5;
    site.events.clear();
    site.tick();
    for (const auto& [change, alarm] : site.events) {
      auto& stand = stands[{static_cast<int>(alarm.kind), alarm.index, alarm.limit}];
      RC_ASSERT(stand == (change != Change::raised));
      stand = change != Change::cleared;
      RC_ASSERT(!site.alarms.text(alarm).empty());
    }
    std::size_t count = 0;
    for (const auto& [id, stand] : stands) {
      count += stand ? 1 : 0;
    }
    RC_ASSERT(site.alarms.standing().size() == count);
  }
}

}  // namespace
}  // namespace perwatt::control
