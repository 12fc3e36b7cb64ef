#include "perwatt/control/site_watch.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "perwatt/base/random.hpp"

namespace perwatt::control {
namespace {

constexpr std::size_t kRackGpus = 4;
constexpr double kWatchLimit = 2000;

Instant watch_second(int time) {
  return Instant{} + seconds(time);
}

topology::PowerTree watched_rack(bool trips = true) {
  topology::NodeSpec rack;
  rack.id = rack.place = "rack";
  rack.limits = {{topology::LimitKind::breaker, watts(kWatchLimit), {}, topology::TripCurve{}, {}}};
  if (!trips) {
    rack.limits[0].kind = topology::LimitKind::contract;
    rack.limits[0].curve.reset();
  }
  rack.meter = topology::MeterSide::supply;
  std::vector<topology::DeviceSpec> devices(kRackGpus);
  for (std::size_t d = 0; d < kRackGpus; ++d) {
    devices[d].id = devices[d].place = "gpu-" + std::to_string(d);
    devices[d].parent = "rack";
    devices[d].max = watts(700);
  }
  return topology::PowerTree::build({rack}, devices);
}

WatchRules watch_rules() {
  WatchRules rules;
  rules.devices.noise = watts(2);
  rules.devices.quantum = watts(1);
  rules.alarms.settle = seconds(1);
  return rules;
}

/// A rack that obeys at once, its watch and its controller, a second at a time.
struct WatchedRack {
  explicit WatchedRack(std::vector<char> is_flexible = {0, 0, 0, 0}, bool trips = true)
      : tree{watched_rack(trips)},
        watch{tree, devices, std::move(is_flexible), watch_rules()},
        controller{tree, devices, control_rules()} {}

  static ControlRules control_rules() {
    ControlRules rules;
    rules.demand.memory = seconds(5);
    return rules;
  }

  void run(int ticks) {
    for (int i = 0; i < ticks; ++i) {
      tick();
    }
  }

  void tick() {
    const Instant now = watch_second(++time);
    std::vector<device::PowerReading> readings(kRackGpus);
    std::vector<std::optional<Watts>> enforced;
    double total = 0;
    for (std::uint32_t d = 0; d < kRackGpus; ++d) {
      enforced.push_back(watts(std::min(cap[d], held[d])));
      const double draw = ignores[d] ? demand[d] : std::min(demand[d], in_watts(*enforced[d]));
      total += draw;
      if (!is_silent[d]) {
        told[d] = {watts(std::round(draw + 2 * standard_normal(random))), now,
                   device::ReadingQuality::good};
      }
      readings[d] = told[d];
      controller.ask({d}, {1, ++asks}, now);
      controller.report({d}, {1, accepted[d], accepted[d] == 0, true, *enforced[d]});
      watch.want({d}, watts(cap[d]));
    }
    const std::vector<device::PowerReading> meters{
        {watts(total), now, device::ReadingQuality::good}};
    watch.tick(now, readings, meters, enforced, controller);
    for (const auto& event : watch.alarms().events()) {
      events.push_back(event);
    }
    for (const auto& grant : controller.tick(now)) {
      const auto d = grant.device.value;
      raised[d] = std::max(raised[d], in_watts(grant.grant.cap) - cap[d]);
      cap[d] = in_watts(grant.grant.cap);
      accepted[d] = grant.grant.id;
    }
    ASSERT_EQ(controller.ledger().fault(), std::nullopt);
  }

  [[nodiscard]] bool has_alarm(AlarmKind kind) const {
    return std::any_of(events.begin(), events.end(), [&](const SiteAlarms::Event& event) {
      return event.alarm.kind == kind && event.change == SiteAlarms::Change::raised;
    });
  }

  topology::PowerTree tree;
  std::vector<ControlledDevice> devices{
      kRackGpus,
      {{watts(200), 0, {}}, watts(100), watts(700), {{watts(100), 0}, {watts(700), 600}}}};
  SiteWatch watch;
  Controller controller;
  std::vector<double> demand = std::vector<double>(kRackGpus, 400);
  std::vector<double> cap = std::vector<double>(kRackGpus, 200);
  std::vector<double> held = std::vector<double>(kRackGpus, 1e9);  // by another writer
  std::vector<double> raised = std::vector<double>(kRackGpus, 0);  // the most in one grant
  std::vector<bool> is_silent = std::vector<bool>(kRackGpus, false);
  std::vector<bool> ignores = std::vector<bool>(kRackGpus, false);
  std::vector<device::PowerReading> told = std::vector<device::PowerReading>(kRackGpus);
  std::vector<device::GrantId> accepted = std::vector<device::GrantId>(kRackGpus, 0);
  std::vector<SiteAlarms::Event> events;
  int time = 0;
  std::uint64_t asks = 0;
  std::mt19937_64 random{1};
};

TEST(SiteWatch, ASiteInOrderRaisesNoAlarmAndGetsItsWatts) {
  WatchedRack rack;
  rack.run(120);
  EXPECT_TRUE(rack.events.empty());
  for (const double cap : rack.cap) {
    EXPECT_GE(cap, 400);
  }
}

TEST(SiteWatch, WhatHasNoTrustedReadingIsNotRaised) {
  WatchedRack rack;
  rack.run(60);
  rack.demand = {150, 150, 150, 150};
  rack.run(700);  // habits of before are forgotten
  rack.is_silent[1] = true;
  rack.run(5);  // the watch notices
  rack.raised = {0, 0, 0, 0};
  rack.demand = {600, 600, 150, 150};
  rack.run(30);
  EXPECT_TRUE(rack.has_alarm(AlarmKind::reading_lost));
  EXPECT_EQ(rack.raised[1], 0) << "raised though nothing is known of it";
  EXPECT_GT(rack.cap[0], 550);
  rack.is_silent[1] = false;
  rack.run(30);
  EXPECT_GT(rack.cap[1], 550);
}

/// Of a controller that goes on with a journal: it still obeys the watch of before.
TEST(SiteWatch, AWatchThatBeginsAnewTakesBackWhatTheOneBeforeTold) {
  WatchedRack rack;
  rack.run(60);
  rack.held[0] = 250;
  rack.demand = {150, 150, 150, 150};
  rack.run(60);
  rack.is_silent = {true, true, true, true};
  rack.run(60);  // all held, then to fail-safe
  EXPECT_EQ(rack.cap[3], 200);
  rack.is_silent = {false, false, false, false};
  rack.held[0] = 1e9;
  rack.watch = SiteWatch{rack.tree, rack.devices, {0, 0, 0, 0}, watch_rules()};
  rack.watch.begin(rack.controller);
  rack.demand = {480, 480, 480, 480};
  rack.run(60);
  for (const double cap : rack.cap) {
    EXPECT_GE(cap, 470);
  }
}

TEST(SiteWatch, WattsThatAnotherWriterHoldsBackGoToOthers) {
  WatchedRack rack;
  rack.demand = {700, 700, 700, 700};
  rack.run(60);
  EXPECT_NEAR(rack.cap[1], 500, 40);
  rack.held[0] = 250;
  rack.run(60);
  EXPECT_TRUE(rack.has_alarm(AlarmKind::other_writer));
  EXPECT_LT(rack.cap[0], 300);
  EXPECT_GT(rack.cap[1], 560);
  rack.held[0] = 1e9;
  rack.demand = {700, 300, 300, 300};
  rack.run(60);
  EXPECT_GT(rack.cap[0], 650);
}

TEST(SiteWatch, AnotherWritersCeilingIsKeptThoughNoLimitIsNear) {
  WatchedRack rack;
  rack.run(60);
  EXPECT_GT(rack.cap[0], 400);
  rack.held[0] = 250;
  rack.run(60);
  EXPECT_FALSE(rack.has_alarm(AlarmKind::limit_passed));
  EXPECT_LT(rack.cap[0], 300);
  rack.held[0] = 1e9;
  rack.run(60);
  EXPECT_GT(rack.cap[0], 400);
}

TEST(SiteWatch, WhatIsNotTaggedIsNotTouchedForALimitThatTripsNothing) {
  WatchedRack rack{{0, 0, 0, 0}, false};
  rack.demand = {690, 690, 690, 690};
  rack.run(60);
  rack.ignores[2] = true;
  rack.demand[2] = 1300;
  rack.run(60);
  EXPECT_TRUE(rack.has_alarm(AlarmKind::limit_passed));
  ASSERT_FALSE(rack.watch.required().empty());
  EXPECT_EQ(rack.watch.required()[0].step, BreachStep::pause);  // the caller's to take
  EXPECT_GE(rack.cap[0], 400);
}

TEST(SiteWatch, ADeviceThatIgnoresItsCapIsNamedAndTheRestMakesRoom) {
  for (const bool is_flexible : {false, true}) {
    WatchedRack rack{std::vector<char>(kRackGpus, is_flexible ? 1 : 0)};
    rack.demand = {690, 690, 690, 690};
    rack.run(60);
    rack.ignores[2] = true;
    rack.demand[2] = 1300;  // 800 W more than its share: 40 % over the limit
    rack.run(4);
    EXPECT_TRUE(rack.has_alarm(AlarmKind::ignores_cap));
    if (is_flexible) {  // throttled to the least before it is an alarm
      EXPECT_LE(rack.cap[0], 100);
    } else {  // to fail-safe, before the breaker would trip
      EXPECT_TRUE(rack.has_alarm(AlarmKind::limit_passed));
      EXPECT_GE(rack.cap[0], 400);
      rack.run(21);
      EXPECT_LE(rack.cap[0], 200);
    }
    EXPECT_FALSE(rack.watch.required().empty());
  }
}

TEST(SiteWatch, MaintenanceMutesAndCountsAgainstNobody) {
  for (const bool is_maintained : {false, true}) {
    WatchedRack rack;
    rack.watch.maintain({0}, is_maintained);
    rack.run(20);
    std::fill(rack.is_silent.begin(), rack.is_silent.end(), true);
    rack.run(60);
    ASSERT_TRUE(rack.has_alarm(AlarmKind::reading_lost)) << "it is raised all the same";
    EXPECT_EQ(rack.has_alarm(AlarmKind::not_read), !is_maintained);
    for (const auto& alarm : rack.watch.alarms().standing()) {
      EXPECT_EQ(rack.watch.is_muted(alarm), is_maintained) << rack.watch.alarms().text(alarm);
    }
    rack.watch.maintain({0}, false);
    EXPECT_FALSE(rack.watch.is_muted(rack.watch.alarms().standing().front()));
    rack.run(5);
    EXPECT_TRUE(rack.has_alarm(AlarmKind::not_read)) << "it counts again";
  }
}

}  // namespace
}  // namespace perwatt::control
