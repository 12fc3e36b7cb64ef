#include "perwatt/measure/phase_split.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "simulation.hpp"
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/least_squares.hpp"

namespace perwatt::measure {
namespace {

/// What the test exporter's energy is: gpus idle t + jp prompt + jd out.
struct Law {
  double idle = 640.0;  // 8 boards
  double prefill = 0.08;
  double decode = 1.9;
};

constexpr double kSecondsPerInput = 2e-5;
constexpr double kSecondsPerOutput = 6e-4;

/// A sweep of input and output lengths with 200 requests each.
std::vector<SplitRun> sweep_of(const Law& law) {
  std::vector<SplitRun> runs;
  for (const int input : {128, 1024, 4096, 8192}) {
    for (const int output : {32, 128, 512}) {
      SplitRun run;
      run.input_tokens = 200LL * input;
      run.output_tokens = 200LL * output;
      const auto in = static_cast<double>(run.input_tokens);
      const auto out = static_cast<double>(run.output_tokens);
      run.length = seconds(in * kSecondsPerInput + out * kSecondsPerOutput + 2.0);
      run.energy = Joules::from_base(law.idle * in_seconds(run.length) + law.prefill * in +
                                     law.decode * out);
      run.concurrency = 16;
      runs.push_back(run);
    }
  }
  return runs;
}

SplitBaseline baseline_of(const Law& law, double half_width = 0.0) {
  return {watts(law.idle), watts(half_width)};
}

double value(const TokenEnergy& energy) {
  return in_joules_per_token(energy.value);
}

bool holds(const TokenEnergy& energy, double truth) {
  return in_joules_per_token(energy.low) <= truth && truth <= in_joules_per_token(energy.high);
}

/// Energies with Gaussian noise of `ratio` of each, half-widths to match.
std::vector<SplitRun> noisy(const Law& law, double ratio, std::mt19937_64& random) {
  auto runs = sweep_of(law);
  std::normal_distribution<double> normal;
  for (auto& run : runs) {
    run.half_width = run.energy * (1.96 * ratio);
    run.energy = run.energy * (1.0 + ratio * normal(random));
  }
  return runs;
}

TEST(PhaseSplitTest, RecoversTheLawExactlyWithoutNoise) {
  const Law law;
  const auto split = phase_split(sweep_of(law), baseline_of(law));
  ASSERT_EQ(split.status, SplitStatus::ok) << split.detail;
  EXPECT_NEAR(value(split.prefill), law.prefill, 1e-9);
  EXPECT_NEAR(value(split.decode), law.decode, 1e-8);
  EXPECT_EQ(split.runs, 12);
  EXPECT_GE(split.condition_number, 1.0);
}

TEST(PhaseSplitTest, FitsTheIdlePowerWhereTimeDoesNotFollowTheTokens) {
  const Law law;
  auto runs = sweep_of(law);
  for (std::size_t i = 0; i < runs.size(); ++i) {  // pauses that differ
    const double pause = 40.0 * static_cast<double>(i % 3);
    runs[i].length += seconds(pause);
    runs[i].energy += Joules::from_base(law.idle * pause);
  }
  const auto split = phase_split(runs, {});
  ASSERT_EQ(split.status, SplitStatus::ok) << split.detail;
  EXPECT_NEAR(in_watts(*split.fitted_idle), law.idle, 1e-5);
  EXPECT_NEAR(value(split.decode), law.decode, 1e-6);
}

TEST(PhaseSplitTest, IsWithinFivePercentUnderNoise) {
  const Law law;
  constexpr int kSeeds = 500;
  int near = 0;
  for (int seed = 0; seed < kSeeds; ++seed) {
    std::mt19937_64 random{static_cast<std::uint64_t>(seed)};
    const auto split = phase_split(noisy(law, 0.005, random), baseline_of(law));
    ASSERT_EQ(split.status, SplitStatus::ok) << split.detail;
    near += std::fabs(value(split.prefill) / law.prefill - 1) <= 0.05 &&
                    std::fabs(value(split.decode) / law.decode - 1) <= 0.05
                ? 1
                : 0;
  }
  EXPECT_EQ(near, kSeeds);
}

TEST(PhaseSplitTest, IntervalsCoverTheTruthAsOftenAsTheySay) {
  const Law law;
  int prefill = 0;
  int decode = 0;
  for (int i = 0; i < kExperiments; ++i) {
    std::mt19937_64 random{static_cast<std::uint64_t>(i)};
    const auto split = phase_split(noisy(law, 0.01, random), baseline_of(law));
    prefill += holds(split.prefill, law.prefill) ? 1 : 0;
    decode += holds(split.decode, law.decode) ? 1 : 0;
  }
  EXPECT_GE(prefill, 0.93 * kExperiments);
  EXPECT_LE(prefill, 0.97 * kExperiments);
  EXPECT_GE(decode, 0.93 * kExperiments);
  EXPECT_LE(decode, 0.97 * kExperiments);
}

TEST(PhaseSplitTest, IntervalsHoldTheBaselinesErrorAndTheMeters) {
  const Law law;
  constexpr int kFewer = kExperiments / 2;
  constexpr double kAccuracy = 0.03;
  int decode = 0;
  for (int i = 0; i < kFewer; ++i) {
    std::mt19937_64 random{static_cast<std::uint64_t>(i)};
    std::normal_distribution<double> normal;
    const double gain = 1.0 + kAccuracy / 1.96 * normal(random);
    auto runs = noisy(law, 0.003, random);
    for (auto& run : runs) {
      run.energy = run.energy * gain;
    }
    const SplitBaseline baseline{watts(gain * (law.idle + 60.0 / 1.96 * normal(random))),
                                 watts(60)};
    decode += holds(phase_split(runs, baseline, kAccuracy).decode, law.decode) ? 1 : 0;
  }
  EXPECT_GE(decode, 0.93 * kFewer);
  EXPECT_LE(decode, 0.97 * kFewer);
}

// ---- refusals ----------------------------------------------------------------------------------

TEST(PhaseSplitTest, RefusesOneRatio) {
  const Law law;
  auto runs = sweep_of(law);
  for (auto& run : runs) {
    run.output_tokens = run.input_tokens / 4;
  }
  const auto split = phase_split(runs, baseline_of(law));
  EXPECT_EQ(split.status, SplitStatus::one_ratio) << split.detail;
  EXPECT_FALSE(split.detail.empty());
}

TEST(PhaseSplitTest, RefusesTooFewRuns) {
  const Law law;
  auto runs = sweep_of(law);
  runs.resize(3);
  EXPECT_EQ(phase_split(runs, baseline_of(law)).status, SplitStatus::too_few_runs);
  runs = sweep_of(law);
  runs.resize(4);
  EXPECT_EQ(phase_split(runs, {}).status, SplitStatus::too_few_runs);
  EXPECT_EQ(phase_split({}, baseline_of(law)).status, SplitStatus::too_few_runs);
}

TEST(PhaseSplitTest, RefusesDifferentConcurrency) {
  const Law law;
  auto runs = sweep_of(law);
  runs[3].concurrency = 32;
  EXPECT_EQ(phase_split(runs, baseline_of(law)).status, SplitStatus::different_concurrency);
}

TEST(PhaseSplitTest, RefusesLengthsThatBarelyDiffer) {
  const Law law;
  auto runs = sweep_of(law);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    runs[i].input_tokens = 100'000 + 1000 * static_cast<std::int64_t>(i % 4);
    runs[i].output_tokens = 20'000 + 200 * static_cast<std::int64_t>(i % 3);
  }
  const auto split = phase_split(runs, baseline_of(law));
  EXPECT_EQ(split.status, SplitStatus::collinear) << split.condition_number;
  EXPECT_GT(split.condition_number, kMostConditionNumber);
}

TEST(PhaseSplitTest, RefusesToFitIdleWhereTimeFollowsTheTokens) {
  const Law law;
  auto runs = sweep_of(law);
  for (auto& run : runs) {
    run.length = seconds(static_cast<double>(run.input_tokens) * kSecondsPerInput +
                         static_cast<double>(run.output_tokens) * kSecondsPerOutput);
  }
  EXPECT_EQ(phase_split(runs, {}).status, SplitStatus::collinear);
}

TEST(PhaseSplitTest, RefusesRunsWithoutTokensTimeOrEnergy) {
  const Law law;
  for (int what = 0; what < 3; ++what) {
    auto runs = sweep_of(law);
    if (what == 0) {
      runs[1].input_tokens = 0;
      runs[1].output_tokens = 0;
    } else if (what == 1) {
      runs[1].length = Seconds{};
    } else {
      runs[1].energy = Joules{};
    }
    EXPECT_EQ(phase_split(runs, baseline_of(law)).status, SplitStatus::unusable);
  }
}

TEST(PhaseSplitTest, NamesAreThoseOfTheJson) {
  EXPECT_EQ(to_string(SplitStatus::one_ratio), "one_ratio");
  EXPECT_EQ(to_string(SplitStatus::ok), "ok");
  EXPECT_EQ(to_string(TenantBasis::phase_energy), "phase_energy");
}

// ---- the mathematics ---------------------------------------------------------------------------

// R: qt(0.975, c(1, 2, 3, 5, 10, 30, 120))
RC_GTEST_PROP(LeastSquaresTest, SolvesWhatIsExact, ()) {
  const int unknowns = *rc::gen::inRange(1, 4);
  std::array<double, kMostUnknowns> truth{};
  for (auto& one : truth) {
    one = *rc::gen::inRange(-1000, 1000);
  }
  std::vector<LeastSquaresRow> rows;
  for (int i = 0; i < 8; ++i) {
    LeastSquaresRow row;
    row.sigma = *rc::gen::inRange(1, 9);
    for (std::size_t k = 0; k < static_cast<std::size_t>(unknowns); ++k) {
      row.x[k] = *rc::gen::inRange(-99, 99) * std::pow(1000.0, static_cast<double>(k));
      row.y += row.x[k] * truth[k];
    }
    rows.push_back(row);
  }
  const auto fit = least_squares(rows, unknowns);
  RC_PRE(fit.condition_number < 1e3);
  for (std::size_t k = 0; k < static_cast<std::size_t>(unknowns); ++k) {
    RC_ASSERT(std::fabs(fit.value[k] - truth[k]) <=
              1e-6 * (1 + std::fabs(truth[k])) * std::pow(1e3, 2.0 - static_cast<double>(k)));
  }
}

// ---- tenants -----------------------------------------------------------------------------------

PhaseSplit known_split() {
  const Law law;
  return phase_split(sweep_of(law), baseline_of(law));
}

std::vector<TenantUse> two_tenants() {
  return {{"a", 100'000, 1'000, {}}, {"b", 1'000, 50'000, {}}};
}

TEST(ShareByTenant, WeighsInputAndOutputByTheSplit) {
  const auto split = known_split();
  auto tenants = two_tenants();
  EXPECT_EQ(share_by_tenant(Joules::from_base(1e6), &split, tenants), TenantBasis::phase_energy);
  const double a = 0.08 * 100'000 + 1.9 * 1'000;
  const double b = 0.08 * 1'000 + 1.9 * 50'000;
  EXPECT_NEAR(tenants[0].energy->in_base(), 1e6 * a / (a + b), 0.1);
}

TEST(ShareByTenant, CountsTokensWhereNoSplitIsKnown) {
  auto tenants = two_tenants();
  EXPECT_EQ(share_by_tenant(Joules::from_base(1.52e6), nullptr, tenants), TenantBasis::tokens);
  EXPECT_NEAR(tenants[0].energy->in_base(), 1.01e6, 1e-3);
  auto split = known_split();
  split.status = SplitStatus::collinear;
  EXPECT_EQ(share_by_tenant(Joules::from_base(1.52e6), &split, tenants), TenantBasis::tokens);
}

TEST(ShareByTenant, SharesNothingWithoutTokens) {
  std::vector<TenantUse> tenants{{"a", 0, 0, Joules::from_base(3)}};
  EXPECT_EQ(share_by_tenant(Joules::from_base(1e6), nullptr, tenants), TenantBasis::none);
  EXPECT_FALSE(tenants[0].energy);
  std::vector<TenantUse> nobody;
  EXPECT_EQ(share_by_tenant(Joules::from_base(1e6), nullptr, nobody), TenantBasis::none);
}

RC_GTEST_PROP(ShareByTenant, PartsSumExactlyInAnyOrder, ()) {
  const auto split = known_split();
  std::vector<TenantUse> tenants;
  for (const auto& [in, out] : *rc::gen::container<std::vector<std::pair<int, int>>>(
           rc::gen::pair(rc::gen::inRange(0, 1'000'000), rc::gen::inRange(0, 1'000'000)))) {
    tenants.push_back({"t" + std::to_string(tenants.size()), in, out, {}});
  }
  const double energy = *rc::gen::inRange(0, 2'000'000'000) / 997.0;
  const auto basis = share_by_tenant(Joules::from_base(energy),
                                     *rc::gen::arbitrary<bool>() ? &split : nullptr, tenants);
  RC_PRE(basis != TenantBasis::none);
  double forward = 0.0;
  double backward = 0.0;
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    RC_ASSERT(*tenants[i].energy >= Joules{});
    forward += tenants[i].energy->in_base();
    backward += tenants[tenants.size() - 1 - i].energy->in_base();
  }
  RC_ASSERT(forward == energy);
  RC_ASSERT(backward == energy);
}

}  // namespace
}  // namespace perwatt::measure
