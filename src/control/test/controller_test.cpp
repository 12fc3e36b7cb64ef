#include "perwatt/control/controller.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "perwatt/topology/loads.hpp"

namespace perwatt::control {
namespace {

using topology::PowerTree;

Instant second(double time_seconds) {
  return Instant{} + seconds(time_seconds);
}

PowerTree rack_of(int count, double limit_watts) {
  topology::NodeSpec rack;
  rack.id = rack.place = "rack";
  rack.limits = {
      {topology::LimitKind::breaker, watts(limit_watts), {}, std::nullopt, std::nullopt}};
  std::vector<topology::DeviceSpec> devices(static_cast<std::size_t>(count));
  for (int d = 0; d < count; ++d) {
    auto& device = devices[static_cast<std::size_t>(d)];
    device.id = device.place = "d" + std::to_string(d);
    device.parent = "rack";
    device.max = watts(700);
  }
  return PowerTree::build({rack}, devices);
}

ControlledDevice device_of(double value_per_watt) {
  return {{watts(200), 0, {}},
          watts(100),
          watts(700),
          {{watts(100), 0}, {watts(700), 600 * value_per_watt}}};
}

/// Devices that do at once what they are granted, report it, and draw what they are told to want.
class Rack {
 public:
  Rack(int count, double limit_watts, const std::vector<double>& worth, const ControlRules& rules)
      : tree_{rack_of(count, limit_watts)},
        controller{tree_, controlled(worth), rules},
        demand(static_cast<std::size_t>(count), 700),
        cap(static_cast<std::size_t>(count), 200) {}

  void tick(double time_seconds) {
    for (std::uint32_t d = 0; d < cap.size(); ++d) {
      controller.ask({d}, {1, ++asks_}, second(time_seconds));
      controller.read({d}, second(time_seconds), watts(std::min(demand[d], cap[d])), watts(cap[d]));
    }
    for (const auto& grant : controller.tick(second(time_seconds))) {
      cap[grant.device.value] = in_watts(grant.grant.cap);
      controller.report(grant.device, {1, grant.grant.id, false, true, grant.grant.cap});
      ++writes;
    }
    ASSERT_EQ(controller.ledger().fault(), std::nullopt);
  }

  void run(int ticks) {
    for (int i = 0; i < ticks; ++i) {
      tick(time_ += 1);
    }
  }

  [[nodiscard]] double total() const {
    double sum = 0;
    for (const double one : cap) {
      sum += one;
    }
    return sum;
  }

 private:
  static std::vector<ControlledDevice> controlled(const std::vector<double>& worth) {
    std::vector<ControlledDevice> devices;
    for (const double one : worth) {
      devices.push_back(device_of(one));
    }
    return devices;
  }

  PowerTree tree_;
  double time_ = 0;
  std::uint64_t asks_ = 0;

 public:
  Controller controller;
  std::vector<double> demand;
  std::vector<double> cap;
  int writes = 0;
};

TEST(Demand, IsTheHighestDrawUnlessTheCapHoldsIt) {
  DemandRules rules;
  rules.margin_ratio = 1.1;
  HabitWeight weight{rules.habit};
  Demand demand;
  demand.read(rules, weight, second(1), watts(300), watts(700), watts(200), watts(700));
  EXPECT_NEAR(in_watts(demand.estimate()), 330, 1e-9);
  demand.read(rules, weight, second(2), watts(400), watts(400), watts(200), watts(700));
  EXPECT_NEAR(in_watts(demand.estimate()), 500, 1e-9);
  for (int t = 3; t < 60; ++t) {
    demand.read(rules, weight, second(t), watts(200), watts(700), watts(200), watts(700));
  }
  EXPECT_NEAR(in_watts(demand.estimate()), 220, 1e-9);
}

TEST(Demand, TellsHowOftenALevelWasWanted) {
  DemandRules rules;
  rules.habit = seconds(100);
  HabitWeight weight{rules.habit};
  Demand demand;
  for (int t = 1; t <= 2000; ++t) {  // a quarter of the time at 500 W, else at 220 W
    demand.read(rules, weight, second(t), watts(t % 4 == 0 ? 500 : 220), watts(700), watts(200),
                watts(700));
  }
  const auto habits = demand.habits();
  EXPECT_EQ(habits[0], Demand::kParts);  // 242 W is above the least
  for (std::size_t k = 1; k < Demand::kLevels; ++k) {
    const double level = 200 + 500.0 * static_cast<double>(k) / Demand::kLevels;
    EXPECT_NEAR(habits[k], level < 550 ? Demand::kParts / 4 : 0, 1) << level;
  }
}

TEST(Controller, WattsThatOneDoesNotUseGoToThoseThatDo) {
  Rack rack{4, 1600, {1, 1, 1, 1}, {}};
  rack.run(20);
  EXPECT_NEAR(rack.total(), 1600, 1);
  rack.demand = {150, 150, 700, 700};  // stranded in two of them
  rack.run(60);
  EXPECT_LT(rack.cap[0], 300);
  EXPECT_GT(rack.cap[2], 500);
  EXPECT_NEAR(rack.total(), 1600, 1);
  rack.demand = {700, 700, 150, 150};
  rack.run(60);
  EXPECT_GT(rack.cap[0], 500);
  EXPECT_LT(rack.cap[2], 300);
}

TEST(Controller, WattsGoWhereTheyAreWorthMost) {
  Rack rack{3, 1200, {1, 3, 1}, {}};
  rack.run(60);
  EXPECT_GT(rack.cap[1], 690);
  EXPECT_NEAR(rack.cap[0], rack.cap[2], 15);
}

TEST(Controller, AFallenLimitIsKeptAndARisenOneUsed) {
  Rack rack{4, 2000, {1, 1, 1, 1}, {}};
  rack.run(30);
  EXPECT_NEAR(rack.total(), 2000, 1);
  EXPECT_FALSE(rack.controller.set_limit({0}, watts(799)));
  ASSERT_TRUE(rack.controller.set_limit({0}, watts(1000)));
  rack.run(2);
  EXPECT_LE(rack.total(), 1000 + 1e-6);
  EXPECT_FALSE(rack.controller.ledger().is_over());
  rack.run(30);
  EXPECT_NEAR(rack.total(), 1000, 1);
  ASSERT_TRUE(rack.controller.set_limit({0}, watts(2400)));
  rack.run(30);
  EXPECT_NEAR(rack.total(), 2000, 1);  // the tree's own limit holds
}

TEST(Controller, WhatIsOffGetsNothingAndItsWattsGoToTheOthers) {
  Rack rack{4, 2000, {1, 1, 1, 1}, {}};
  rack.run(30);
  EXPECT_FALSE(rack.controller.set_limit({0}, watts(750)));
  rack.controller.switched_off({1});
  rack.cap[1] = 0;
  ASSERT_TRUE(rack.controller.set_limit({0}, watts(750)));
  rack.run(3);
  EXPECT_EQ(rack.cap[1], 0);
  EXPECT_LE(rack.total(), 750 + 1e-6);
  EXPECT_FALSE(rack.controller.ledger().is_over());
  EXPECT_FALSE(rack.controller.switch_on({1}));
  ASSERT_TRUE(rack.controller.set_limit({0}, watts(1500)));
  rack.run(30);
  EXPECT_NEAR(rack.total(), 1500, 1);  // the others have it all
  EXPECT_FALSE(rack.controller.switch_on({1}));
  rack.run(1);  // makes room
  EXPECT_NEAR(rack.total(), 1299, 1);
  ASSERT_TRUE(rack.controller.switch_on({1}));
  ASSERT_TRUE(rack.controller.set_limit({0}, watts(2000)));
  rack.cap[1] = 200;
  rack.run(60);
  EXPECT_NEAR(rack.total(), 2000, 1);
  EXPECT_GT(rack.cap[1], 250);
}

TEST(Controller, ALimitThatFallsByLessThanTheDeadBandIsKeptToo) {
  Rack rack{6, 4200, {1, 1, 1, 1, 1, 1}, {}};
  rack.run(30);
  EXPECT_NEAR(rack.total(), 4200, 1);
  ASSERT_TRUE(rack.controller.set_limit({0}, watts(4150)));  // 8.3 W of each
  for (int t = 0; t < 30; ++t) {
    rack.run(1);
    EXPECT_GT(rack.total(), 4100) << "fell back after " << t << " s";
  }
  EXPECT_NEAR(rack.total(), 4150, 1);
  EXPECT_FALSE(rack.controller.ledger().is_over());
}

TEST(Controller, GoesOnAboveTheNumberThatAnAgentHasTaken) {
  const auto tree = rack_of(1, 1000);
  Controller controller{tree, {device_of(1)}, {}};
  controller.report({0}, {1, 20, true, true, watts(200)});  // of a controller before it
  controller.ask({0}, {1, 1}, second(1));
  controller.read({0}, second(1), watts(200), watts(200));
  const auto grants = controller.tick(second(1));
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_GT(grants[0].grant.id, 20u);
}

TEST(Controller, ACurveThatBeginsAboveFailSafeIsClimbed) {
  const auto tree = rack_of(1, 1000);
  auto device = device_of(1);
  device.curve = {{watts(300), 0}, {watts(700), 400}};
  Controller controller{tree, {device}, {}};
  double cap = 200;
  for (int t = 1; t < 30; ++t) {
    controller.ask({0}, {1, static_cast<std::uint64_t>(t)}, second(t));
    controller.read({0}, second(t), watts(cap), watts(cap));
    for (const auto& grant : controller.tick(second(t))) {
      cap = in_watts(grant.grant.cap);
      controller.report({0}, {1, grant.grant.id, false, true, grant.grant.cap});
    }
  }
  EXPECT_GT(cap, 690);
}

TEST(Controller, WritesOnlyToChangeAndToRenew) {
  Rack rack{4, 1600, {1, 1, 1, 1}, {}};
  rack.demand = {300, 300, 300, 300};
  rack.run(40);
  const int before = rack.writes;
  rack.run(100);
  // A lease of 10 s renewed when less than 6 s are left: every fourth or fifth second.
  EXPECT_LE(rack.writes - before, 4 * 26);
  EXPECT_GE(rack.writes - before, 4 * 15);
}

TEST(Controller, WithoutAsksNothingIsGranted) {
  Rack rack{2, 1000, {1, 1}, {}};
  EXPECT_TRUE(rack.controller.tick(second(1)).empty());
}

}  // namespace
}  // namespace perwatt::control
