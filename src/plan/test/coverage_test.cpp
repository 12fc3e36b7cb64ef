// The promise of the excursion rule on a joint law that is known: a load chosen from few samples
// passes its limit with the stated probability only, on draws that the choice has not seen.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "perwatt/plan/excursion.hpp"

namespace perwatt::plan {
namespace {

using Numbers = std::vector<double>;

constexpr int kRepetitions = 100;
constexpr std::size_t kFreshDraws = 100'000;
constexpr std::size_t kMixes = 20;
constexpr double kLimit = 1000;

/// Correlated lognormal ratios of mean 1: skewed, with a heavy upper tail.
struct Law {
  Numbers sigmas;
  double correlation = 0.8;

  [[nodiscard]] Numbers draw(std::size_t count, std::mt19937_64& generator) const {
    std::normal_distribution<double> normal;
    Numbers ratios;
    ratios.reserve(count * sigmas.size());
    for (std::size_t w = 0; w < count; ++w) {
      const double common = std::sqrt(correlation) * normal(generator);
      for (const double sigma : sigmas) {
        const double score = common + std::sqrt(1 - correlation) * normal(generator);
        ratios.push_back(std::exp(sigma * score - sigma * sigma / 2));
      }
    }
    return ratios;
  }
};

struct Trial {
  Law law;
  std::size_t samples = 0;
  double probability = 0;
  std::vector<Numbers> mixes;  // shares of the mean load, each sums to 1
};

Trial some_trial(std::mt19937_64& generator) {
  std::uniform_real_distribution<double> uniform;
  Trial trial;
  trial.samples = 300 + generator() % 1701;
  trial.probability = 0.02 + 0.06 * uniform(generator);
  const std::size_t groups = 3 + generator() % 3;
  for (std::size_t g = 0; g < groups; ++g) {
    trial.law.sigmas.push_back(0.15 + 0.3 * uniform(generator));
  }
  for (std::size_t k = 0; k < kMixes; ++k) {
    Numbers mix(groups);
    double sum = 0;
    for (auto& share : mix) {
      share = 0.2 - std::log(1 - uniform(generator));
      sum += share;
    }
    for (auto& share : mix) {
      share /= sum;
    }
    trial.mixes.push_back(std::move(mix));
  }
  return trial;
}

/// The largest load within the limit by the rule, over the first `mixes` mixes: with many, the best
/// one is chosen with the same samples that judge it.
Numbers largest_load(const Trial& trial, const ScenarioSet& samples, std::size_t mixes,
                     double probability) {
  const auto share = tail_share(samples.samples_effective(), probability);
  const ExcursionLimit rule{samples, share.value()};
  Numbers best;
  double best_scale = 0;
  for (std::size_t k = 0; k < mixes; ++k) {
    const auto& mix = trial.mixes[k];
    const double scale = kLimit / rule.tail_mean(mix, mix);  // the tail mean is homogeneous
    if (scale > best_scale) {
      best_scale = scale;
      best = mix;
    }
  }
  for (auto& mean : best) {
    mean *= best_scale;
  }
  return best;
}

/// Every column in an order of its own: each group keeps its distribution, all correlation is lost.
Numbers with_columns_permuted(const Numbers& ratios, std::size_t groups,
                              std::mt19937_64& generator) {
  Numbers permuted(ratios.size());
  const std::size_t rows = ratios.size() / groups;
  for (std::size_t g = 0; g < groups; ++g) {
    Numbers column(rows);
    for (std::size_t w = 0; w < rows; ++w) {
      column[w] = ratios[w * groups + g];
    }
    std::shuffle(column.begin(), column.end(), generator);
    for (std::size_t w = 0; w < rows; ++w) {
      permuted[w * groups + g] = column[w];
    }
  }
  return permuted;
}

/// In how many repetitions the promise was kept, and the mean share of the stated probability used.
struct Kept {
  int times = 0;
  double used_sum = 0;

  void add(double excursion_ratio, double probability) {
    times += excursion_ratio <= probability ? 1 : 0;
    used_sum += excursion_ratio / probability;
  }
};

struct Outcome {
  Kept given_mix;
  Kept best_mix;
  Kept given_mix_as_if_independent;
  Kept best_mix_as_if_independent;
  Kept given_mix_at_the_edge;  // the smallest probability that is not refused
  Kept best_mix_at_the_edge;

  void record(int repetitions) const {
    const auto one = [repetitions](const std::string& name, const Kept& kept) {
      testing::Test::RecordProperty(name + "_kept", kept.times);
      testing::Test::RecordProperty(name + "_used_percent",
                                    static_cast<int>(100 * kept.used_sum / repetitions));
    };
    one("given_mix", given_mix);
    one("best_mix", best_mix);
    one("given_mix_as_if_independent", given_mix_as_if_independent);
    one("best_mix_as_if_independent", best_mix_as_if_independent);
    one("given_mix_at_the_edge", given_mix_at_the_edge);
    one("best_mix_at_the_edge", best_mix_at_the_edge);
  }
};

Outcome repeat(int repetitions, std::uint64_t seed) {
  std::mt19937_64 generator{seed};
  Outcome outcome;
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    const auto trial = some_trial(generator);
    const std::size_t groups = trial.law.sigmas.size();
    const auto ratios = trial.law.draw(trial.samples, generator);
    const auto effective = static_cast<double>(trial.samples);
    const auto joint = ScenarioSet::from_samples(groups, ratios, effective);
    const auto independent = ScenarioSet::from_samples(
        groups, with_columns_permuted(ratios, groups, generator), effective);
    const ExcursionLimit fresh{
        ScenarioSet::from_samples(groups, trial.law.draw(kFreshDraws, generator), kFreshDraws), 1};
    const auto judge = [&](Kept& kept, const ScenarioSet& samples, std::size_t mixes,
                           double probability) {
      const auto load = largest_load(trial, samples, mixes, probability);
      kept.add(fresh.excursion_ratio(load, load, kLimit), probability);
    };
    judge(outcome.given_mix, joint, 1, trial.probability);
    judge(outcome.best_mix, joint, kMixes, trial.probability);
    judge(outcome.given_mix_as_if_independent, independent, 1, trial.probability);
    judge(outcome.best_mix_as_if_independent, independent, kMixes, trial.probability);
    const double edge = 3.001 / effective;
    judge(outcome.given_mix_at_the_edge, joint, 1, edge);
    judge(outcome.best_mix_at_the_edge, joint, kMixes, edge);
  }
  return outcome;
}

TEST(ExcursionPromise, IsKeptOutOfSampleUnlessIndependenceIsWronglyAssumed) {
  const auto outcome = repeat(kRepetitions, 20);
  outcome.record(kRepetitions);
  EXPECT_GE(outcome.given_mix.times, 95);
  EXPECT_GE(outcome.best_mix.times, 95);
  // Not kept by giving the headroom away.
  EXPECT_GT(outcome.given_mix.used_sum, 0.2 * kRepetitions);
  EXPECT_GT(outcome.best_mix.used_sum, 0.2 * kRepetitions);
  EXPECT_LT(outcome.given_mix_as_if_independent.times, 50);
  EXPECT_LT(outcome.best_mix_as_if_independent.times, 50);
  // At the edge one sample makes the tail: the confidence is bare for a given load and the choice
  // of the best mix eats into it (docs/model/provisioning.md).
  EXPECT_LE(outcome.best_mix_at_the_edge.times, outcome.given_mix_at_the_edge.times);
}

// For the figures at the edge; half a minute: --gtest_also_run_disabled_tests.
TEST(ExcursionPromise, DISABLED_AtTheEdgeOverOneThousandRepetitions) {
  const auto outcome = repeat(1000, 30);
  outcome.record(1000);
  EXPECT_GE(outcome.given_mix_at_the_edge.times, 935);  // 950 less two standard deviations
  EXPECT_GE(outcome.best_mix.times, 950);
}

}  // namespace
}  // namespace perwatt::plan
