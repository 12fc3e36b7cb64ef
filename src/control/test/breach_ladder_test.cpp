#include "perwatt/control/breach_ladder.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <deque>
#include <numeric>
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

using topology::LimitKind;

/// One node of one device, whose draw is the supply; its limit is 1 kW.
topology::PowerTree one_limit(LimitKind kind, bool has_curve, double window_seconds) {
  topology::NodeSpec node;
  node.id = node.place = "row";
  topology::Limit limit;
  limit.kind = kind;
  limit.power = watts(1000);
  limit.window = seconds(window_seconds);
  if (has_curve) {
    limit.curve = topology::TripCurve{};
  }
  node.limits = {limit};
  topology::DeviceSpec device;
  device.id = device.place = "d";
  device.parent = "row";
  device.max = watts(9000);
  return topology::PowerTree::build({node}, {device});
}

struct LadderRig {
  explicit LadderRig(const topology::PowerTree& of, const LadderRules& with = {})
      : tree{of}, estimate{tree, {}}, ladder{tree, with} {}

  const Breach& tick(double ratio) {
    time += 1;
    estimate.set_device({0}, watts(1000 * ratio), {});
    estimate.update();
    ladder.tick(estimate, Instant{} + seconds(time));
    return ladder.limits()[0];
  }

  topology::PowerTree tree;
  SupplyEstimate estimate;
  BreachLadder ladder;
  double time = 0;
};

LadderRig breaker_rig() {
  return LadderRig{one_limit(LimitKind::breaker, true, 0)};
}

/// Trips as the law says, apart from the code under test.
struct Breaker {
  /// After a tick at `ratio`.
  bool has_tripped(double ratio) {
    if (ratio > 1) {
      share += 1 / (55.6 / std::pow(ratio * ratio - 1, 1.864));
    } else {
      share = std::max(0.0, share - 1.0 / 300);
    }
    return share >= 1;
  }

  double share = 0;
};

/// Of one run over the limit: at which tick each step was first required, and when it tripped.
struct Climb {
  double at[5] = {0, 0, 0, 0, 0};
  double trip = 0;
  bool was_told_late = false;
};

template <class NextRatio>
Climb climb(const NextRatio& next_ratio) {
  auto rig = breaker_rig();
  Breaker breaker;
  Climb climb;
  rig.tick(0.9);
  for (int t = 1; t < 20'000; ++t) {
    const double ratio = next_ratio();
    const auto& breach = rig.tick(ratio);
    for (std::size_t s = 1; s <= static_cast<std::size_t>(breach.step); ++s) {
      climb.at[s] = climb.at[s] > 0 ? climb.at[s] : t;
    }
    climb.was_told_late = climb.was_told_late || breach.is_too_late;
    const bool has_tripped = breaker.has_tripped(ratio);
    EXPECT_NEAR(breach.trip_share, std::min(1.0, breaker.share), 1e-9);
    if (has_tripped) {
      climb.trip = t;
      return climb;
    }
  }
  return climb;
}

TEST(BreachLadder, EveryStepLeavesTheNextItsTimeAtEveryConstantOverload) {
  const StepTimes times;
  int runs = 0;
  double least_left = 1e9;
  for (double ratio = 1.03; ratio < 1.6; ratio += 0.003) {
    const auto one = climb([&] { return ratio; });
    ASSERT_GT(one.trip, 0) << ratio;
    ASSERT_GT(one.at[4], 0) << ratio;
    const double need = in_seconds(breaker_rig().ladder.need(BreachStep::throttle));
    const double risen = ratio * (1 + LadderRules{}.rise_ratio);
    if (55.6 / std::pow(risen * risen - 1, 1.864) <= need + 1) {
      continue;  // faster than all steps together: they overlap
    }
    ++runs;
    least_left = std::min(least_left, one.trip - one.at[4]);
    EXPECT_GE(one.trip - one.at[4], in_seconds(times.shut)) << ratio;
    EXPECT_GE(one.at[4] - one.at[3], in_seconds(times.pause)) << ratio;
    EXPECT_GE(one.at[3] - one.at[2], in_seconds(times.fail_safe)) << ratio;
    EXPECT_LE(one.at[1], 2) << ratio;
  }
  std::printf("constant overloads %d: shut at least %.0f s before the trip\n", runs, least_left);
  EXPECT_GT(runs, 100);
}

TEST(BreachLadder, ShutComesInTimeWhileTheSupplyVariesByTheRise) {
  std::mt19937_64 random{11};
  int runs = 0;
  int told_late = 0;
  double least_left = 1e9;
  for (int run = 0; run < 1500; ++run) {
    const double base = 1.01 + 0.6 * uniform_unit(random);
    const auto one = climb([&] {
      // Over and under in turns; over, it varies by the rise.
      return uniform_below(random, 10) == 0 ? 0.97 : base * (1 + 0.05 * uniform_unit(random));
    });
    if (one.trip == 0) {
      continue;
    }
    ++runs;
    least_left = std::min(least_left, one.trip - one.at[4]);
    told_late += one.was_told_late && one.at[4] == 1 ? 1 : 0;
    EXPECT_TRUE(one.trip - one.at[4] >= in_seconds(StepTimes{}.shut) || one.at[4] == 1)
        << base << ": shut at " << one.at[4] << ", trip at " << one.trip;
  }
  std::printf("random overloads %d that trip: shut at least %.0f s before (%d too fast)\n", runs,
              least_left, told_late);
  EXPECT_GT(runs, 1000);
}

TEST(BreachLadder, FarTooMuchIsSaidToBeTooLate) {
  auto rig = breaker_rig();
  const auto& breach = rig.tick(3);
  EXPECT_EQ(breach.step, BreachStep::shut);
  EXPECT_TRUE(breach.is_too_late);
  EXPECT_LT(in_seconds(*breach.left), 2);
}

RC_GTEST_PROP(BreachLadderProperty, NothingIsRequiredOfALimitThatIsKept, ()) {
  LadderRig rig{one_limit(*rc::gen::element(LimitKind::breaker, LimitKind::contract),
                          *rc::gen::arbitrary<bool>(), *rc::gen::element(0, 60))};
  std::mt19937_64 random{*rc::gen::arbitrary<std::uint64_t>()};
  for (int t = 0; t < 300; ++t) {
    const auto& breach = rig.tick(uniform_below(random, 3) == 0 ? 1 : uniform_unit(random));
    RC_ASSERT(breach.step == BreachStep::none);
    RC_ASSERT(!breach.is_over && !breach.left && breach.trip_share == 0);
    RC_ASSERT(rig.ladder.step({0}) == BreachStep::none);
  }
}

TEST(BreachLadder, NoiseWithinTheToleranceThrottlesNothing) {
  auto rig = breaker_rig();
  std::mt19937_64 random{5};
  for (int t = 0; t < 20'000; ++t) {
    const auto& breach = rig.tick(1 + 0.002 * standard_normal(random));
    ASSERT_EQ(breach.step, BreachStep::none) << t << " " << breach.trip_share;
  }
}

TEST(BreachLadder, StepsAreReleasedOneByOneAndOnlyWellBelow) {
  auto rig = breaker_rig();
  int t = 0;
  while (rig.tick(1.3).step != BreachStep::pause) {
    ASSERT_LT(++t, 100);
  }
  for (int i = 0; i < 500; ++i) {
    ASSERT_EQ(rig.tick(0.99).step, BreachStep::pause);  // not far enough
  }
  rig.tick(0.97);
  for (int i = 0; i < 29; ++i) {
    ASSERT_EQ(rig.tick(0.97).step, BreachStep::pause) << i;
  }
  ASSERT_EQ(rig.tick(0.97).step, BreachStep::fail_safe);
  rig.tick(0.99);  // starts the wait anew
  for (int i = 0; i < 30; ++i) {
    ASSERT_EQ(rig.tick(0.97).step, BreachStep::fail_safe);
  }
  ASSERT_EQ(rig.tick(0.97).step, BreachStep::throttle);
  for (int i = 0; i < 29; ++i) {
    ASSERT_EQ(rig.tick(0.97).step, BreachStep::throttle);
  }
  EXPECT_EQ(rig.tick(0.97).step, BreachStep::none);
}

TEST(BreachLadder, WhatDoesNotTripNeverTouchesWhatIsNotTagged) {
  for (const auto kind : {LimitKind::contract, LimitKind::demand, LimitKind::cooling}) {
    for (const int window : {0, 60}) {
      LadderRig rig{one_limit(kind, false, window)};
      auto highest = BreachStep::none;
      for (int t = 0; t < 600; ++t) {
        const auto step = rig.tick(t < 300 ? 2 : 0.5).step;
        EXPECT_TRUE(step == BreachStep::none || step == BreachStep::throttle ||
                    step == BreachStep::pause);
        highest = std::max(highest, step);
      }
      EXPECT_EQ(highest, BreachStep::pause);
      EXPECT_EQ(rig.ladder.step({0}), BreachStep::none);
    }
  }
}

TEST(BreachLadder, WithoutCurveAndWindowItClimbsAsFastAsStepsShow) {
  LadderRig rig{one_limit(LimitKind::breaker, false, 0)};
  std::vector<int> first(5, 0);
  for (int t = 1; t <= 60; ++t) {
    const auto step = static_cast<std::size_t>(rig.tick(1.1).step);
    first[step] = first[step] > 0 ? first[step] : t;
  }
  EXPECT_THAT(first, ::testing::ElementsAre(1, 2, 7, 20, 30));
  LadderRig brief{one_limit(LimitKind::breaker, false, 0)};
  for (int t = 1; t <= 1000; ++t) {  // one tick over in ten is no breach to act on
    EXPECT_EQ(brief.tick(t % 10 == 0 ? 1.1 : 0.9).step, BreachStep::none);
  }
}

TEST(BreachLadder, AWindowIsNeverFoundFullerThanLeftSaid) {
  std::mt19937_64 random{3};
  int full = 0;
  for (int run = 0; run < 300; ++run) {
    const int window = 10 + static_cast<int>(uniform_below(random, 200));
    LadderRig rig{one_limit(LimitKind::demand, false, window)};
    std::deque<double> last;
    const double idle = uniform_unit(random);
    const double busy = 1.02 + uniform_unit(random);
    double deadline = 0;
    for (int t = 1; t < 3 * window; ++t) {
      const double ratio = t <= window ? idle : busy;
      const auto& breach = rig.tick(ratio);
      last.push_back(ratio);
      if (static_cast<int>(last.size()) > window) {
        last.pop_front();
      }
      const double mean =
          std::accumulate(last.begin(), last.end(), 0.0) / static_cast<double>(last.size());
      // The window kept is up to a 64th and a tick shorter: it sees the newer loads earlier.
      const double part = busy * (1.0 / 64 + 1.0 / window);
      EXPECT_NEAR(in_watts(breach.mean) / 1000, mean, part);
      if (ratio > 1 && mean <= 1) {
        deadline = std::max(deadline, t + in_seconds(breach.left.value_or(Seconds{})));
      }
      if (ratio > 1 && mean > 1 && t > window + 1) {
        EXPECT_LE(deadline, t + 1) << window << " " << idle << " " << busy;
        ++full;
        break;
      }
    }
  }
  EXPECT_GT(full, 200);
}

TEST(BreachLadder, AFullWindowHoldsItsSteps) {
  LadderRig rig{one_limit(LimitKind::breaker, false, 600)};
  for (int t = 0; t < 600; ++t) {
    rig.tick(0.9);
  }
  for (int t = 0; in_watts(rig.tick(1.5).mean) < 1000; ++t) {
    ASSERT_LT(t, 600);
  }
  ASSERT_EQ(rig.ladder.step({0}), BreachStep::shut);
  int ticks = 0;
  while (in_watts(rig.tick(0.5).mean) >= 980) {
    ASSERT_EQ(rig.ladder.step({0}), BreachStep::shut) << ++ticks;
  }
  for (int t = 0; t < 29; ++t) {
    EXPECT_EQ(rig.tick(0.5).step, BreachStep::shut) << t;
  }
  EXPECT_EQ(rig.tick(0.5).step, BreachStep::pause);
}

TEST(BreachLadder, AMeanThatIsOverClimbsNothingOnceTheSupplyIsBelow) {
  LadderRig rig{one_limit(LimitKind::demand, false, 60)};
  for (int t = 0; t < 60; ++t) {
    rig.tick(1);
  }
  EXPECT_EQ(rig.tick(1.5).step, BreachStep::throttle);
  for (int t = 0; t < 30; ++t) {
    EXPECT_EQ(rig.tick(0.995).step, BreachStep::throttle);
    EXPECT_TRUE(rig.ladder.limits()[0].is_over);  // the mean is
  }
}

TEST(BreachLadder, AWindowThatIsNotKnownYetIsNoDeadline) {
  LadderRig rig{one_limit(LimitKind::breaker, false, 60)};
  EXPECT_EQ(rig.tick(1.005).step, BreachStep::none);
  EXPECT_EQ(rig.tick(1.2).step, BreachStep::none);
  EXPECT_EQ(rig.tick(1.2).step, BreachStep::throttle);
  EXPECT_FALSE(rig.ladder.limits()[0].left);
  while (rig.time < 59) {
    rig.tick(1.005);
  }
  EXPECT_EQ(rig.tick(1.005).step, BreachStep::throttle);
  EXPECT_EQ(rig.tick(1.005).step, BreachStep::shut);  // known, and full
}

TEST(BreachLadder, RulesOutOfRangeAreRefused) {
  LadderRules rules;
  rules.tick = Seconds{};
  const auto tree = one_limit(LimitKind::breaker, true, 0);
  EXPECT_THAT(error_of([&] { BreachLadder{tree, rules}; }), ::testing::HasSubstr("tick"));
}

}  // namespace
}  // namespace perwatt::control
