#include "perwatt/base/arrivals.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "error_of.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/error.hpp"

namespace perwatt {
namespace {

using testing::HasSubstr;

std::vector<double> offsets(const ArrivalPlan& plan) {
  ArrivalProcess process{plan};
  std::vector<double> result;
  while (const auto arrival = process.next()) {
    result.push_back(in_seconds(*arrival->offset));
  }
  return result;
}

ArrivalPlan steady(ArrivalPattern pattern, double rate, std::int64_t count,
                   std::uint64_t seed = 1) {
  ArrivalPlan plan;
  plan.pattern = pattern;
  plan.rate_per_second = rate;
  plan.count = count;
  plan.seed = seed;
  return plan;
}

std::vector<double> gaps(const std::vector<double>& times) {
  std::vector<double> result;
  double before = 0;
  for (const double time : times) {
    result.push_back(time - before);
    before = time;
  }
  return result;
}

double mean(const std::vector<double>& values) {
  double total = 0;
  for (const double value : values) {
    total += value;
  }
  return total / static_cast<double>(values.size());
}

double squared_variation(const std::vector<double>& values) {
  const double centre = mean(values);
  double total = 0;
  for (const double value : values) {
    total += (value - centre) * (value - centre);
  }
  return total / static_cast<double>(values.size() - 1) / (centre * centre);
}

/// sqrt(n) sup |F_n - F| against the unit exponential law.
double kolmogorov_smirnov(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto count = static_cast<double>(values.size());
  double largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double law = -std::expm1(-values[i]);
    largest = std::max(
        {largest, law - static_cast<double>(i) / count, static_cast<double>(i + 1) / count - law});
  }
  return largest * std::sqrt(count);
}

constexpr double kKsOneInThousand = 1.95;  // the asymptotic 99.9 % point of sqrt(n) D

TEST(Arrivals, ConstantStandsAtWholeGapsFromTheStart) {
  const auto times = offsets(steady(ArrivalPattern::constant, 7, 1'000'000));
  for (std::size_t k = 0; k < times.size(); ++k) {
    ASSERT_DOUBLE_EQ(times[k], static_cast<double>(k + 1) / 7);
  }
}

TEST(Arrivals, PoissonGapsFollowTheExponentialLaw) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    auto unit = gaps(offsets(steady(ArrivalPattern::poisson, 40, 20'000, seed)));
    for (double& value : unit) {
      value *= 40;
    }
    EXPECT_NEAR(mean(unit), 1, 0.03) << seed;
    EXPECT_LT(kolmogorov_smirnov(unit), kKsOneInThousand) << seed;
  }
}

TEST(Arrivals, TheKolmogorovSmirnovCheckSeesAnotherLaw) {
  ArrivalPlan plan = steady(ArrivalPattern::gamma, 1, 20'000);
  plan.burstiness = 1.2;
  EXPECT_GT(kolmogorov_smirnov(gaps(offsets(plan))), kKsOneInThousand);
}

TEST(Arrivals, PoissonCountsHaveVarianceEqualToTheirMean) {
  std::vector<double> counts;
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    ArrivalPlan plan = steady(ArrivalPattern::poisson, 5, 0, seed);
    plan.count.reset();
    plan.duration = seconds(8);
    counts.push_back(static_cast<double>(offsets(plan).size()));
  }
  EXPECT_NEAR(mean(counts), 40, 0.4);
  EXPECT_NEAR(squared_variation(counts) * mean(counts), 1, 0.08);
}

TEST(Arrivals, BurstinessKeepsTheRateAndSetsTheVariation) {
  for (const double burstiness : {0.25, 0.5, 1.0, 4.0, 100.0}) {
    ArrivalPlan plan = steady(ArrivalPattern::gamma, 30, 200'000);
    plan.burstiness = burstiness;
    const auto unit = gaps(offsets(plan));
    EXPECT_NEAR(mean(unit) * 30, 1, 0.02) << burstiness;
    EXPECT_NEAR(squared_variation(unit) * burstiness, 1, 0.05) << burstiness;
  }
}

TEST(Arrivals, BurstinessOfOneIsPoissonAndOfInfinityConstant) {
  ArrivalPlan plan = steady(ArrivalPattern::gamma, 3, 1000);
  EXPECT_EQ(offsets(plan), offsets(steady(ArrivalPattern::poisson, 3, 1000)));
  plan.burstiness = std::numeric_limits<double>::infinity();
  EXPECT_EQ(offsets(plan), offsets(steady(ArrivalPattern::constant, 3, 1000)));
}

TEST(Arrivals, BurstsComeTogetherOncePerPeriod) {
  ArrivalPlan plan = steady(ArrivalPattern::bursts, 20, 10);
  plan.burst_size = 4;
  EXPECT_THAT(offsets(plan), testing::ElementsAre(0, 0, 0, 0, 0.2, 0.2, 0.2, 0.2, 0.4, 0.4));
}

TEST(Arrivals, AClosedLoopHasNoOffsetsButACount) {
  ArrivalPlan plan;
  plan.pattern = ArrivalPattern::closed_loop;
  plan.count = 3;
  ArrivalProcess process{plan};
  for (int i = 0; i < 3; ++i) {
    const auto arrival = process.next();
    ASSERT_TRUE(arrival);
    EXPECT_FALSE(arrival->offset);
  }
  EXPECT_FALSE(process.next());
}

TEST(Arrivals, DurationIsAnOpenEndAndStaysReached) {
  ArrivalPlan plan = steady(ArrivalPattern::constant, 10, 1'000'000);
  plan.duration = seconds(1);
  ArrivalProcess process{plan};
  int count = 0;
  while (process.next()) {
    ++count;
  }
  EXPECT_EQ(count, 9);  // 0.1 to 0.9 s
  EXPECT_FALSE(process.next());
}

ArrivalPlan ramped(ArrivalPattern pattern, RateRamp::Shape shape, double from, double to,
                   std::uint64_t seed = 1) {
  ArrivalPlan plan = steady(pattern, to, 0, seed);
  plan.count.reset();
  plan.duration = seconds(90);
  plan.ramp = RateRamp{shape, from, seconds(60)};
  return plan;
}

TEST(Arrivals, TheIntegralOfARampIsItsFormula) {
  const ArrivalProcess linear{ramped(ArrivalPattern::poisson, RateRamp::Shape::linear, 10, 50)};
  EXPECT_NEAR(linear.expected_count(seconds(30)), 10 * 30 + 0.5 * 20 * 30, 1e-9);
  EXPECT_NEAR(linear.expected_count(seconds(60)), 60 * 30, 1e-9);
  EXPECT_NEAR(linear.expected_count(seconds(90)), 60 * 30 + 30 * 50, 1e-9);
  const ArrivalProcess exponential{
      ramped(ArrivalPattern::poisson, RateRamp::Shape::exponential, 5, 80)};
  EXPECT_NEAR(exponential.expected_count(seconds(60)), 60 * 75 / std::log(16.0), 1e-9);
  EXPECT_NEAR(exponential.expected_count(seconds(30)), 60 * 15 / std::log(16.0), 1e-9);
}

TEST(Arrivals, ConstantArrivalsOfARampFollowItsIntegralExactly) {
  for (const auto shape : {RateRamp::Shape::linear, RateRamp::Shape::exponential}) {
    for (const auto& [from, to] : {std::pair{2.0, 40.0}, {40.0, 2.0}, {9.0, 9.0}}) {
      const ArrivalPlan plan = ramped(ArrivalPattern::constant, shape, from, to);
      const ArrivalProcess process{plan};
      const auto times = offsets(plan);
      EXPECT_NEAR(static_cast<double>(times.size()), process.expected_count(seconds(90)), 1);
      for (std::size_t k = 0; k < times.size(); ++k) {
        ASSERT_NEAR(process.expected_count(seconds(times[k])), static_cast<double>(k + 1), 1e-8);
      }
    }
  }
}

TEST(Arrivals, ALinearRampMayStartAtRest) {
  const auto times = offsets(ramped(ArrivalPattern::constant, RateRamp::Shape::linear, 0, 30));
  EXPECT_DOUBLE_EQ(times.front(), std::sqrt(2 * 60.0 / 30));
  EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
}

TEST(Arrivals, ARampedPoissonProcessIsPoissonInOperationalTime) {
  for (const auto shape : {RateRamp::Shape::linear, RateRamp::Shape::exponential}) {
    std::vector<double> counts;
    std::vector<double> operational;
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
      const ArrivalPlan plan = ramped(ArrivalPattern::poisson, shape, 2, 40, seed);
      const ArrivalProcess process{plan};
      double before = 0;
      const auto times = offsets(plan);
      counts.push_back(static_cast<double>(times.size()));
      for (const double time : times) {
        const double now = process.expected_count(seconds(time));
        operational.push_back(now - before);
        before = now;
      }
    }
    const double expected =
        ArrivalProcess{ramped(ArrivalPattern::poisson, shape, 2, 40)}.expected_count(seconds(90));
    EXPECT_NEAR(mean(counts) / expected, 1, 4 / std::sqrt(300 * expected));
    operational.resize(std::min<std::size_t>(operational.size(), 100'000));
    EXPECT_LT(kolmogorov_smirnov(operational), kKsOneInThousand);
  }
}

RC_GTEST_PROP(Arrivals, OffsetsNeverFallAndASeedGivesThemAgain, (std::uint64_t seed)) {
  const std::vector<ArrivalPattern> patterns{ArrivalPattern::constant, ArrivalPattern::poisson,
                                             ArrivalPattern::gamma, ArrivalPattern::bursts};
  ArrivalPlan plan = ramped(
      patterns[seed % 4], seed % 2 == 0 ? RateRamp::Shape::linear : RateRamp::Shape::exponential,
      1 + static_cast<double>(seed % 7), 1 + static_cast<double>(seed % 11), seed);
  plan.burstiness = 0.3;
  plan.burst_size = 3;
  const auto times = offsets(plan);
  RC_ASSERT(std::is_sorted(times.begin(), times.end()));
  RC_ASSERT(times == offsets(plan));
  RC_ASSERT(times.empty() || (times.front() >= 0 && times.back() < 90));
}

TEST(Arrivals, AnotherSeedGivesOtherOffsets) {
  EXPECT_NE(offsets(steady(ArrivalPattern::poisson, 1, 10, 1)),
            offsets(steady(ArrivalPattern::poisson, 1, 10, 2)));
}

TEST(Arrivals, RefusesWhatCannotBeALoad) {
  const auto message = [](auto&& change) {
    ArrivalPlan plan = steady(ArrivalPattern::gamma, 1, 10);
    plan.ramp = RateRamp{RateRamp::Shape::exponential, 1, seconds(10)};
    change(plan);
    return error_of([&] { ArrivalProcess{plan}; });
  };
  using Plan = ArrivalPlan;
  EXPECT_THAT(message([](Plan& p) { p.rate_per_second = 0; }), HasSubstr("request rate"));
  EXPECT_THAT(message([](Plan& p) { p.burstiness = 0; }), HasSubstr("burstiness"));
  EXPECT_THAT(message([](Plan& p) { p.count.reset(); }), HasSubstr("without an end"));
  EXPECT_THAT(message([](Plan& p) { p.count = -1; }), HasSubstr("-1 requests"));
  EXPECT_THAT(message([](Plan& p) { p.duration = seconds(-1); }), HasSubstr("load of -1"));
  EXPECT_THAT(message([](Plan& p) { p.ramp->initial_rate_per_second = 0; }),
              HasSubstr("starts at 0"));
  EXPECT_THAT(message([](Plan& p) { p.ramp->initial_rate_per_second = -1; }),
              HasSubstr("starts at -1"));
  EXPECT_THAT(message([](Plan& p) { p.ramp->duration = seconds(0); }), HasSubstr("ramp lasts"));
  EXPECT_THAT(message([](Plan& p) { p.pattern = ArrivalPattern::closed_loop; }),
              HasSubstr("without a rate"));
  EXPECT_THAT(message([](Plan& p) {
                p.pattern = ArrivalPattern::bursts;
                p.burst_size = 0;
              }),
              HasSubstr("bursts of 0"));
}

}  // namespace
}  // namespace perwatt
