// The comparison's error and power by simulation, each figure of docs/model/comparison.md:
//   measure_test --gtest_filter='ComparisonErrors.*:ComparisonPower.*'
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "simulation.hpp"
#include <gtest/gtest.h>

#include "perwatt/base/random.hpp"
#include "perwatt/measure/comparison.hpp"
#include "perwatt/measure/confidence_sequence.hpp"
#include "perwatt/measure/intervals.hpp"

namespace perwatt::measure {
namespace {

constexpr int kMostLooks = 200;

/// One run's log joules per token at its place in time (0, 1, 2, ...); no difference of the sides.
using LogRun = std::function<double(std::mt19937_64&, double place)>;

/// What a world without a difference gives, run after run; state is kept by the closure.
using World = std::function<LogRun()>;

LogRun normal_run() {
  return [](std::mt19937_64& generator, double) { return 0.02 * standard_normal(generator); };
}

LogRun t5_run() {
  return [](std::mt19937_64& generator, double) { return 0.02 * t_law(generator, 5); };
}

/// Joules per token of lognormal law far from normal, sigma 0.5, on top of a floor.
LogRun lognormal_run() {
  return [](std::mt19937_64& generator, double) {
    return std::log(1 + 0.1 * std::exp(0.5 * standard_normal(generator)));
  };
}

/// Rises by half a spread from run to run, and wanders on top.
LogRun drifting_run() {
  double wander = 0;
  return [wander](std::mt19937_64& generator, double place) mutable {
    wander += 0.01 * standard_normal(generator);
    return 0.01 * place + wander + 0.02 * standard_normal(generator);
  };
}

/// Now and then a run is 30 % dearer: a neighbour, a throttled board.
LogRun outlier_run() {
  return [](std::mt19937_64& generator, double) {
    const double outlier = uniform_unit(generator) < 0.05 ? 0.26 : 0.0;
    return outlier + 0.02 * standard_normal(generator);
  };
}

/// Pairs of one experiment in the order the runs are made.
class Pairs {
 public:
  Pairs(std::uint64_t seed, LogRun run, double log_effect)
      : generator_{seed}, order_{seed + 1'000'000}, run_{std::move(run)}, log_effect_{log_effect} {}

  PairedRun next() {
    const bool a_first = order_.next_first() == Side::a;
    const double first = run_(generator_, place_++);
    const double second = run_(generator_, place_++);
    const double a = a_first ? first : second;
    const double b = a_first ? second : first;
    return {joules_per_token(2 * std::exp(a)), joules_per_token(2 * std::exp(b + log_effect_))};
  }

 private:
  std::mt19937_64 generator_;
  PairOrder order_;
  LogRun run_;
  double log_effect_;
  double place_ = 0;
};

/// The share of experiments without a difference in which any look gives a verdict.
double false_alarm_ratio(const World& world) {
  int alarms = 0;
  for (int i = 0; i < kExperiments; ++i) {
    Pairs pairs{static_cast<std::uint64_t>(i), world(), 0};
    PairedComparison comparison;
    for (int look = 0; look < kMostLooks; ++look) {
      comparison.add(pairs.next());
      if (comparison.result().verdict != Verdict::not_shown) {
        ++alarms;
        break;
      }
    }
  }
  return static_cast<double>(alarms) / kExperiments;
}

TEST(ComparisonErrors, FalseAlarmsStayBelowTheStatedWithALookAfterEveryPair) {
  const std::vector<std::pair<std::string, World>> worlds{{"normal", normal_run},
                                                          {"Student's t, 5 dof", t5_run},
                                                          {"lognormal on a floor", lognormal_run},
                                                          {"drift and wander", drifting_run},
                                                          {"5 % outliers of +30 %", outlier_run}};
  for (const auto& [name, world] : worlds) {
    const double alarms = false_alarm_ratio(world);
    std::printf("false alarms, %d looks, %s: %.4f\n", kMostLooks, name.c_str(), alarms);
    EXPECT_LE(alarms, 0.05) << name;
  }
}

TEST(ComparisonErrors, ATTestLookedAtAfterEveryPairFailsTheSameTest) {
  std::vector<double> limits(kMostLooks + 1);
  for (int n = 2; n <= kMostLooks; ++n) {
    limits[static_cast<std::size_t>(n)] = student_t_quantile(0.975, n - 1);
  }
  int alarms = 0;
  for (int i = 0; i < kExperiments; ++i) {
    Pairs pairs{static_cast<std::uint64_t>(i), normal_run(), 0};
    ConfidenceSequence logs;
    for (int look = 1; look <= kMostLooks; ++look) {
      const PairedRun pair = pairs.next();
      logs.add(std::log(pair.b / pair.a));
      const double error = logs.spread() / std::sqrt(static_cast<double>(look));
      if (look >= 2 && std::abs(logs.mean()) > limits[static_cast<std::size_t>(look)] * error) {
        ++alarms;
        break;
      }
    }
  }
  const double ratio = static_cast<double>(alarms) / kExperiments;
  std::printf("false alarms of a t test looked at %d times: %.4f\n", kMostLooks, ratio);
  EXPECT_GT(ratio, 0.30);
}

TEST(ComparisonErrors, UnpairedRunsOfADriftingSiteWouldFail) {
  // Twenty runs of A, then twenty of B: Welch's interval blames the drift on B.
  int alarms = 0;
  for (int i = 0; i < 500; ++i) {
    std::mt19937_64 generator{static_cast<std::uint64_t>(i)};
    LogRun run = drifting_run();
    SavedSide a;
    SavedSide b;
    for (int place = 0; place < 40; ++place) {
      (place < 20 ? a : b).runs.push_back(joules_per_token(2 * std::exp(run(generator, place))));
    }
    alarms += compare_saved(a, b).verdict != Verdict::not_shown ? 1 : 0;
  }
  EXPECT_GT(alarms, 400);
}

TEST(ComparisonErrors, TheIntervalHoldsTheTruthAtEveryLook) {
  int missed = 0;
  const double truth = 0.93;
  for (int i = 0; i < kExperiments; ++i) {
    Pairs pairs{static_cast<std::uint64_t>(i), normal_run(), std::log(truth)};
    PairedComparison comparison;
    for (int look = 0; look < kMostLooks; ++look) {
      comparison.add(pairs.next());
      const Comparison result = comparison.result();
      if (result.ratio.low && (*result.ratio.low > truth || *result.ratio.high < truth)) {
        ++missed;
        break;
      }
    }
  }
  const double ratio = static_cast<double>(missed) / kExperiments;
  std::printf("intervals that miss a true ratio of %.2f at any of %d looks: %.4f\n", truth,
              kMostLooks, ratio);
  EXPECT_LE(ratio, 0.05);
}

TEST(ComparisonErrors, SkewedPairsAreNotPromisedAndStated) {
  // If the two sides' noise has different laws the log ratio is skewed, also at mean 0. Here as far
  // as an exponential law goes.
  int alarms = 0;
  for (int i = 0; i < kExperiments; ++i) {
    std::mt19937_64 generator{static_cast<std::uint64_t>(i)};
    PairedComparison comparison;
    for (int look = 0; look < kMostLooks; ++look) {
      const double log_ratio = 0.02 * (unit_exponential(generator) - 1);
      comparison.add({joules_per_token(1), joules_per_token(std::exp(log_ratio))});
      if (comparison.result().verdict != Verdict::not_shown) {
        ++alarms;
        break;
      }
    }
  }
  const double ratio = static_cast<double>(alarms) / kExperiments;
  std::printf("false alarms, %d looks, exponential log ratios: %.4f\n", kMostLooks, ratio);
  EXPECT_LE(ratio, 0.30);
}

TEST(ComparisonErrors, TheEvidenceHasMeanOneWithoutADifference) {
  // The martingale's defining property, at fixed looks; a prior of 0.3 keeps its variance finite
  // enough for a mean of draws.
  for (const int pairs : {1, 2, 5, 20}) {
    std::mt19937_64 generator{3};
    double total = 0;
    constexpr int kDraws = 100'000;
    for (int i = 0; i < kDraws; ++i) {
      ConfidenceSequence sequence{0.05, 0.3};
      for (int n = 0; n < pairs; ++n) {
        sequence.add(7 * standard_normal(generator));
      }
      total += std::exp(*sequence.log_evidence(0));
    }
    EXPECT_NEAR(total / kDraws, 1, 0.02) << pairs;
  }
}

/// The share of experiments that give `wanted` within `most` pairs.
double detected_ratio(double log_effect, double pair_spread, int most, Verdict wanted) {
  constexpr int kPowerExperiments = 1000;
  const double run_spread = pair_spread / std::sqrt(2.0);
  int detected = 0;
  for (int i = 0; i < kPowerExperiments; ++i) {
    Pairs pairs{static_cast<std::uint64_t>(i),
                [run_spread](std::mt19937_64& generator, double) {
                  return run_spread * standard_normal(generator);
                },
                log_effect};
    PairedComparison comparison;
    for (int look = 0; look < most; ++look) {
      comparison.add(pairs.next());
      if (look >= 3 && comparison.result().verdict == wanted) {
        ++detected;
        break;
      }
    }
  }
  return static_cast<double>(detected) / kPowerExperiments;
}

TEST(ComparisonPower, TableOfDetectionByEffectSpreadAndPairs) {
  const std::vector<int> most{5, 10, 20, 50, 100};
  std::printf("| saving | spread of a pair | 5 pairs | 10 | 20 | 50 | 100 |\n");
  for (const double saving : {0.01, 0.02, 0.05, 0.10}) {
    for (const double spread : {0.01, 0.02, 0.05}) {
      std::printf("| %.0f %% | %.0f %% |", 100 * saving, 100 * spread);
      double before = 0;
      for (const int pairs : most) {
        const double detected = detected_ratio(std::log1p(-saving), spread, pairs, Verdict::saves);
        std::printf(" %.2f |", detected);
        EXPECT_GE(detected, before);
        before = detected;
      }
      std::printf("\n");
    }
  }
}

TEST(ComparisonPower, AnEffectOfItsSpreadIsMostlySeenInTwentyPairs) {
  EXPECT_GE(detected_ratio(std::log1p(-0.02), 0.02, 20, Verdict::saves), 0.75);
  EXPECT_GE(detected_ratio(std::log1p(-0.10), 0.02, 5, Verdict::saves), 0.75);
  EXPECT_GE(detected_ratio(std::log(1 / 0.98), 0.02, 20, Verdict::costs), 0.75);
  EXPECT_LE(detected_ratio(std::log1p(-0.02), 0.02, 20, Verdict::costs), 0.01);
}

TEST(ComparisonPower, PairsNeededForetellsTheVerdict) {
  // From 8 pairs of a true effect of 0.7 spreads: the median of the forecasts lies near the median
  // of the pairs that were then needed.
  std::vector<double> forecast;
  std::vector<double> needed;
  for (int i = 0; i < 1000; ++i) {
    Pairs pairs{static_cast<std::uint64_t>(i), normal_run(), -0.02};
    PairedComparison comparison;
    for (int n = 0; n < 8; ++n) {
      comparison.add(pairs.next());
    }
    const std::optional<int> more = comparison.result().pairs_needed;
    forecast.push_back(more ? *more : kMostPairs);
    int extra = 0;
    while (comparison.result().verdict == Verdict::not_shown && extra < 500) {
      comparison.add(pairs.next());
      ++extra;
    }
    needed.push_back(extra);
  }
  std::nth_element(forecast.begin(), forecast.begin() + 500, forecast.end());
  std::nth_element(needed.begin(), needed.begin() + 500, needed.end());
  std::printf("pairs needed after 8: forecast (median) %.0f, was (median) %.0f\n", forecast[500],
              needed[500]);
  EXPECT_GT(forecast[500], 0.5 * needed[500]);
  EXPECT_LT(forecast[500], 2 * needed[500]);
}

TEST(ComparisonErrors, WelchOfSavedRunsKeepsItsErrorAtUnequalSizesAndSpreads) {
  int alarms = 0;
  for (int i = 0; i < kExperiments; ++i) {
    std::mt19937_64 generator{static_cast<std::uint64_t>(i)};
    SavedSide a;
    SavedSide b;
    for (int n = 0; n < 4; ++n) {
      a.runs.push_back(joules_per_token(std::exp(0.01 * standard_normal(generator))));
    }
    for (int n = 0; n < 9; ++n) {
      b.runs.push_back(joules_per_token(std::exp(0.03 * standard_normal(generator))));
    }
    alarms += compare_saved(a, b).verdict != Verdict::not_shown ? 1 : 0;
  }
  const double ratio = static_cast<double>(alarms) / kExperiments;
  std::printf("false alarms of Welch's interval, 4 and 9 runs, spreads 1 %% and 3 %%: %.4f\n",
              ratio);
  EXPECT_LE(ratio, 0.06);
  EXPECT_GE(ratio, 0.03);
}

}  // namespace
}  // namespace perwatt::measure
