#include "perwatt/control/reading_trust.hpp"

#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "error_of.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/random.hpp"

namespace perwatt::control {
namespace {

using Reading = device::PowerReading;
using device::ReadingQuality;

Instant trust_time(double time_seconds) {
  return Instant{} + seconds(time_seconds);
}

Reading good_reading(double power_watts, double time_seconds) {
  return {watts(power_watts), trust_time(time_seconds), ReadingQuality::good};
}

const std::vector<Watts> kOneSensor{watts(700)};

/// Trusted at 300 W, 10 samples in, one a second.
ReadingTrust trusted_sensor(const TrustRules& rules = {}) {
  ReadingTrust trust{kOneSensor, rules};
  for (int t = 1; t <= 10; ++t) {
    trust.read(0, good_reading(300 + t % 2, t), trust_time(t));
  }
  return trust;
}

struct TrustFault {
  std::string name;
  std::function<Reading(int)> reading;  // of the ticks 11, 12, …
  Belief standing;
  int told_at;  // the first tick with it
};

TEST(ReadingTrust, EachFaultIsToldInItsTick) {
  const auto nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<TrustFault> faults{
      {"old time", [](int) { return good_reading(300, 10); }, Belief::stale, 13},
      {"said to be stale",
       [](int t) {
         return Reading{watts(300), trust_time(t), ReadingQuality::stale};
       },
       Belief::stale, 13},
      {"no answer",
       [](int t) {
         return Reading{std::nullopt, trust_time(t), ReadingQuality::missing};
       },
       Belief::missing, 13},
      {"no sensor",
       [](int t) {
         return Reading{std::nullopt, trust_time(t), ReadingQuality::no_sensor};
       },
       Belief::missing, 11},
      {"running back", [](int t) { return good_reading(300, 20 - t); }, Belief::stale, 13},
      {"negative", [](int t) { return good_reading(-1, t); }, Belief::impossible, 11},
      {"above all bounds", [](int t) { return good_reading(701, t); }, Belief::impossible, 11},
      {"no number", [nan](int t) { return good_reading(nan, t); }, Belief::impossible, 11},
      {"from the future", [](int t) { return good_reading(300, t + 1); }, Belief::impossible, 11}};
  for (const auto& fault : faults) {
    auto trust = trusted_sensor();
    ASSERT_TRUE(trust.standing(0).is_trusted());
    for (int t = 11; t < 30; ++t) {
      const auto& standing = trust.read(0, fault.reading(t), trust_time(t));
      EXPECT_EQ(standing.standing, t < fault.told_at ? Belief::fresh : fault.standing)
          << fault.name << " at " << t;
    }
    for (int t = 30; t < 33; ++t) {  // and comes back after three readings
      EXPECT_FALSE(trust.standing(0).is_trusted()) << fault.name;
      trust.read(0, good_reading(300 + t % 2, t), trust_time(t));
    }
    EXPECT_TRUE(trust.standing(0).is_trusted()) << fault.name;
  }
}

TEST(ReadingTrust, ReorderedAndRepeatedReadingsAreNoNewsAndNoFault) {
  auto trust = trusted_sensor();
  EXPECT_TRUE(trust.read(0, good_reading(310, 11), trust_time(11)).is_new);
  const auto& standing = trust.read(0, good_reading(999, 9), trust_time(11.1));
  EXPECT_EQ(standing.reading, Belief::impossible);  // of an old time or not: it cannot be
  for (int t = 12; t < 15; ++t) {
    trust.read(0, good_reading(310, t), trust_time(t));
  }
  trust.read(0, good_reading(500, 12), trust_time(14.1));
  EXPECT_EQ(standing.reading, Belief::reordered);
  EXPECT_TRUE(standing.is_trusted());
  EXPECT_EQ(standing.draw, watts(310));
  EXPECT_EQ(standing.time, trust_time(14));
  trust.read(0, good_reading(500, 14), trust_time(14.2));
  EXPECT_FALSE(standing.is_new);
  EXPECT_EQ(standing.draw, watts(310));
}

TEST(ReadingTrust, AConstantReadingIsFrozenOnlyWhereNoiseIsKnown) {
  struct Case {
    double noise;
    double quantum;
    int samples;  // 0: never
  };

  // By hand: 1 + ceil(ln 1e-9 / ln erf(quantum / noise / 2^1.5)), at least 4.
  for (const auto& one : {Case{0, 0, 0}, Case{0, 1, 0}, Case{2, 0, 4}, Case{2, 1, 14},
                          Case{1, 1, 23}, Case{2, 0.001, 4}, Case{0.1, 5, 0}}) {
    TrustRules rules;
    rules.noise = watts(one.noise);
    rules.quantum = watts(one.quantum);
    ReadingTrust trust{kOneSensor, rules};
    EXPECT_EQ(trust.frozen_samples().value_or(0), one.samples) << one.noise << " " << one.quantum;
    trust.read(0, good_reading(301, 1), trust_time(1));
    for (int t = 2; t < 3000; ++t) {
      const auto& standing = trust.read(0, good_reading(300, t), trust_time(t));
      const bool is_frozen = one.samples > 0 && t - 1 >= one.samples;
      ASSERT_EQ(standing.standing == Belief::frozen, is_frozen) << t;
    }
  }
}

TEST(ReadingTrust, DemandFallsBackToTheRecentHighestThenToTheCharge) {
  using Source = ReadingTrust::Source;
  ReadingTrust trust{kOneSensor, {}};
  EXPECT_EQ(trust.demand(0, watts(400), watts(420), trust_time(0)).source, Source::charge);
  for (int t = 1; t <= 1000; ++t) {
    trust.read(0, good_reading(t == 500 ? 450 : t == 100 ? 600 : 200, t), trust_time(t));
  }
  const auto draw = [&](double cap, double t) {
    return in_watts(trust.demand(0, watts(cap), watts(cap + 20), trust_time(t)).draw);
  };
  EXPECT_EQ(draw(400, 1000), 200);
  trust.read(0, {}, trust_time(1001));  // no sensor
  EXPECT_EQ(draw(400, 1001), 400);      // the highest of the last ten minutes is 450
  EXPECT_EQ(draw(500, 1001), 450);      // and what was before is forgotten
  EXPECT_EQ(draw(500, 1010), 450);
  EXPECT_EQ(draw(500, 1010.1), 520);
  EXPECT_EQ(trust.demand(0, watts(500), watts(520), trust_time(1011)).source, Source::charge);
}

TEST(ReadingTrust, TimeWithoutTrustRunsFromItsLossNotFromTheLastFault) {
  auto trust = trusted_sensor();
  for (int t = 11; t <= 22; ++t) {
    trust.read(0, good_reading(-100, t), trust_time(t));
    const auto told = trust.demand(0, watts(500), watts(520), trust_time(t));
    EXPECT_EQ(in_watts(told.draw), t <= 21 ? 301 : 520) << t;
  }
}

TEST(ReadingTrust, RulesOutOfRangeAreRefused) {
  TrustRules rules;
  rules.stale_periods = 0.5;
  EXPECT_THAT(error_of([&] {
                ReadingTrust{kOneSensor, rules};
              }),
              ::testing::HasSubstr("stale_periods"));
}

TEST(ReadingTrust, HealthySensorsAreNotCalledWrong) {
  struct Case {
    double noise;
    double quantum;
    double period;
  };

  int samples = 0;
  int wrong = 0;
  for (const auto& one : {Case{2, 1, 1}, Case{2, 0.001, 1}, Case{0.5, 1, 0.5}, Case{5, 1, 2}}) {
    TrustRules rules;
    rules.noise = watts(one.noise);
    rules.quantum = watts(one.quantum);
    rules.period = seconds(one.period);
    rules.delay = seconds(0.3);
    ReadingTrust trust{kOneSensor, rules};
    std::mt19937_64 random{7};
    double level = 300;
    for (int k = 1; k <= 250'000; ++k) {
      level = uniform_below(random, 50) == 0 ? 700 * uniform_unit(random) : level;
      const double noisy = level + one.noise * standard_normal(random);
      const double shown = std::round(noisy / one.quantum) * one.quantum;
      const double taken = k * one.period;
      const double seen = taken + 0.3 * uniform_unit(random);
      auto reading = good_reading(shown, taken);
      if (uniform_below(random, 1000) == 0) {
        reading = {std::nullopt, reading.time, ReadingQuality::missing};
      }
      trust.read(0, reading, trust_time(seen));
      ++samples;
      wrong += k > 3 && !trust.standing(0).is_trusted() ? 1 : 0;
    }
  }
  std::printf("healthy samples %d, without trust %d\n", samples, wrong);
  EXPECT_EQ(wrong, 0);
}

RC_GTEST_PROP(ReadingTrustProperty, WhatIsTrustedIsPossibleAndRecent, ()) {
  TrustRules rules;
  rules.noise = watts(*rc::gen::inRange(0, 3));
  rules.quantum = watts(*rc::gen::inRange(0, 3));
  ReadingTrust trust{kOneSensor, rules};
  Instant now = trust_time(10);
  Instant last;
  const auto steps =
      *rc::gen::container<std::vector<std::uint64_t>>(rc::gen::arbitrary<std::uint64_t>());
  for (const auto seed : steps) {
    std::mt19937_64 random{seed};
    now = now + seconds(2 * uniform_unit(random));
    Reading reading;
    reading.quality = static_cast<ReadingQuality>(uniform_below(random, 4));
    reading.time = now + seconds(3 * uniform_unit(random) - 2);
    if (uniform_below(random, 3) > 0) {
      reading.quality = ReadingQuality::good;
    }
    if (uniform_below(random, 8) > 0) {
      reading.power = watts(1000 * uniform_unit(random) - 100);
    }
    const auto& standing = trust.read(0, reading, now);
    RC_ASSERT(standing.time >= last);
    last = standing.time;
    RC_ASSERT(standing.draw >= Watts{} && standing.draw <= watts(700 + 6 * 2 + 2));
    RC_ASSERT(!standing.is_new || (standing.time == reading.time && reading.power.has_value()));
    if (standing.is_trusted()) {
      RC_ASSERT(now - standing.time <= seconds(2));
      RC_ASSERT(trust.demand(0, watts(500), watts(500), now).draw == standing.draw);
    } else {
      RC_ASSERT(trust.demand(0, watts(500), watts(520), now).draw <= watts(520));
    }
  }
}

}  // namespace
}  // namespace perwatt::control
