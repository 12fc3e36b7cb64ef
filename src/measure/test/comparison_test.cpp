#include "perwatt/measure/comparison.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "error_of.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::measure {
namespace {

using testing::HasSubstr;

/// `count` pairs whose log ratios are mean +- spread in turn.
PairedComparison alternating(int count, double mean, double spread,
                             const ComparisonRules& rules = {}) {
  PairedComparison comparison{rules};
  for (int i = 0; i < count; ++i) {
    const double log_ratio = mean + (i % 2 == 0 ? spread : -spread);
    comparison.add({joules_per_token(3), joules_per_token(3 * std::exp(log_ratio))});
  }
  return comparison;
}

TEST(Comparison, FourPairsAreTheFewestForAnInterval) {
  EXPECT_EQ(alternating(3, -0.2, 0.001).result().reason, VerdictReason::too_few_runs);
  EXPECT_FALSE(alternating(3, -0.2, 0.001).result().ratio.low);
  const Comparison four = alternating(4, -0.2, 0.001).result();
  EXPECT_EQ(four.verdict, Verdict::saves);
  EXPECT_EQ(four.reason, VerdictReason::shown);
  EXPECT_EQ(four.pairs_needed, 0);
  EXPECT_EQ(four.runs_a, 4);
  EXPECT_TRUE(four.paired);
}

TEST(Comparison, TheIntervalIsTheOneOfTheFormula) {
  // n = 10, g = 2, alpha = 0.05: A = 41, k = (41 / 0.0025)^(1/10) = 2.6391..., computed apart.
  const Comparison got = alternating(10, -0.05, 0.02).result();
  const double k = std::pow(41 / 0.0025, 0.1);
  const double t = std::sqrt(9 * (k - 1) / (1 - k / 41));
  const double spread = 0.02 * std::sqrt(10.0 / 9);
  EXPECT_NEAR(std::log(*got.ratio.high), -0.05 + t * spread / std::sqrt(10.0), 1e-12);
  EXPECT_NEAR(std::log(*got.ratio.low), -0.05 - t * spread / std::sqrt(10.0), 1e-12);
  EXPECT_NEAR(got.ratio.value, std::exp(-0.05), 1e-12);
}

TEST(Comparison, TheIntervalEndsWhereTheEvidenceReachesItsLimit) {
  ConfidenceSequence sequence{0.05, 2.0};
  for (const double value : {1.0, 3.0, 2.5, 0.5, 2.0, 1.7}) {
    sequence.add(value);
  }
  const Estimate interval = *sequence.interval();
  EXPECT_NEAR(*sequence.log_evidence(*interval.low), std::log(20.0), 1e-9);
  EXPECT_NEAR(*sequence.log_evidence(*interval.high), std::log(20.0), 1e-9);
  EXPECT_LT(*sequence.log_evidence(interval.value), 0);
}

TEST(Comparison, BothDirectionsAreJudgedAlike) {
  EXPECT_EQ(alternating(10, 0.05, 0.01).result().verdict, Verdict::costs);
  EXPECT_EQ(alternating(10, -0.05, 0.01).result().verdict, Verdict::saves);
  const Comparison none = alternating(10, 0.001, 0.01).result();
  EXPECT_EQ(none.verdict, Verdict::not_shown);
  EXPECT_EQ(none.reason, VerdictReason::interval_holds_one);
}

TEST(Comparison, ASmallestEffectOfInterestIsAskedForOnBothSides) {
  ComparisonRules rules;
  rules.smallest_effect_ratio = 0.03;
  EXPECT_EQ(alternating(20, -0.035, 0.01, rules).result().verdict, Verdict::not_shown);
  EXPECT_EQ(alternating(20, -0.06, 0.01, rules).result().verdict, Verdict::saves);
  EXPECT_EQ(alternating(20, 0.06, 0.01, rules).result().verdict, Verdict::costs);
  EXPECT_EQ(alternating(20, -0.005, 0.01, rules).result().reason, VerdictReason::effect_too_small);
}

TEST(Comparison, TwoMetersOfUnknownGainWidenTheIntervalHoweverManyPairs) {
  ComparisonRules rules;
  rules.meter_gain_ratio = 0.02;
  const Comparison got = alternating(2000, -0.015, 0.001, rules).result();
  EXPECT_EQ(got.verdict, Verdict::not_shown);
  EXPECT_FALSE(got.pairs_needed);
  EXPECT_GT(*got.ratio.high, 1);
  EXPECT_GT(*got.difference.high, 0);
  EXPECT_EQ(alternating(2000, -0.015, 0.001).result().verdict, Verdict::saves);
}

TEST(Comparison, PairsNeededIsTheFirstNumberThatSuffices) {
  const Comparison early = alternating(6, -0.02, 0.02).result();
  ASSERT_EQ(early.verdict, Verdict::not_shown);
  ASSERT_TRUE(early.pairs_needed);
  // The alternating spread shrinks a little with n, by sqrt(n / (n - 1)): one pair of slack.
  const int total = 6 + *early.pairs_needed;
  EXPECT_EQ(alternating(total - 6, -0.02, 0.02).result().verdict, Verdict::not_shown);
  EXPECT_EQ(alternating(total, -0.02, 0.02).result().verdict, Verdict::saves);
  EXPECT_FALSE(alternating(6, 0.0, 0.02).result().pairs_needed);
  EXPECT_FALSE(alternating(6, 1e-6, 0.02).result().pairs_needed);  // beyond kMostPairs
  EXPECT_FALSE(alternating(1, -0.1, 0.0).result().pairs_needed);
}

TEST(Comparison, DifferenceIsInJoulesPerToken) {
  PairedComparison comparison;
  for (const double a : {2.0, 2.2, 1.9, 2.1, 2.0, 2.05}) {
    comparison.add({joules_per_token(a), joules_per_token(a - 0.5 + 0.01 * (a - 2))});
  }
  const Comparison got = comparison.result();
  EXPECT_NEAR(got.difference.value, -0.5, 0.001);
  EXPECT_LT(*got.difference.high, -0.49);
  EXPECT_GT(*got.difference.low, -0.51);
}

TEST(Comparison, TheOrderIsBalancedInBlocksOfTwoAndDrawnByTheSeed) {
  int a_first = 0;
  bool both_kinds[2] = {false, false};
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    PairOrder order{seed};
    for (int block = 0; block < 5; ++block) {
      const Side first = order.next_first();
      const Side second = order.next_first();
      EXPECT_NE(first, second);
      both_kinds[first == Side::a ? 0 : 1] = true;
      a_first += first == Side::a ? 1 : 0;
    }
  }
  EXPECT_TRUE(both_kinds[0] && both_kinds[1]);
  EXPECT_NEAR(a_first, 500, 70);
  PairOrder one{42};
  PairOrder same{42};
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(one.next_first(), same.next_first());
  }
}

TEST(Comparison, ASteadyDriftCancelsInABlock) {
  PairOrder order{7};
  double place = 0;
  double sum = 0;
  for (int pair = 0; pair < 2; ++pair) {
    const bool a_first = order.next_first() == Side::a;
    const double first = place++;
    const double second = place++;
    sum += a_first ? second - first : first - second;
  }
  EXPECT_DOUBLE_EQ(sum, 0);
}

TEST(Comparison, WorseAnswersWithholdASavingAndNothingElse) {
  const Comparison saving = alternating(10, -0.05, 0.01).result();
  QualityComparison quality;
  quality.significantly_lower = true;
  EXPECT_EQ(guard_quality(saving, quality).verdict, Verdict::not_shown);
  EXPECT_EQ(guard_quality(saving, quality).reason, VerdictReason::quality_lower);
  quality.significantly_lower = false;
  EXPECT_EQ(guard_quality(saving, quality).verdict, Verdict::saves);
  quality.non_inferior = false;
  EXPECT_EQ(guard_quality(saving, quality).reason, VerdictReason::quality_not_shown);
  quality.non_inferior = true;
  EXPECT_EQ(guard_quality(saving, quality).verdict, Verdict::saves);
  quality.significantly_lower = true;
  const Comparison dearer = alternating(10, 0.05, 0.01).result();
  EXPECT_EQ(guard_quality(dearer, quality).verdict, Verdict::costs);
}

SavedSide saved(const std::vector<double>& runs) {
  SavedSide side;
  for (const double run : runs) {
    side.runs.push_back(joules_per_token(run));
  }
  return side;
}

TEST(Comparison, SavedRunsAreComparedByWelch) {
  // scipy 1.10.1: stats.ttest_ind(log b, log a, equal_var=False) gives t = -13.03665 at
  // 2.6384 degrees of freedom; the interval by stats.t.ppf.
  const Comparison got = compare_saved(saved({2.0, 2.05, 1.98, 2.02}), saved({1.5, 1.6, 1.55}));
  EXPECT_EQ(got.verdict, Verdict::saves);
  EXPECT_FALSE(got.paired);
  EXPECT_NEAR(*got.ratio.low, 0.7186070936, 1e-7);
  EXPECT_NEAR(*got.ratio.high, 0.8250309707, 1e-7);
  EXPECT_FALSE(got.pairs_needed);
}

TEST(Comparison, SavedSingleRunsShowNothingButWhatTheyHold) {
  SavedSide a = saved({2.0});
  SavedSide b = saved({1.5});
  Comparison got = compare_saved(a, b);
  EXPECT_EQ(got.verdict, Verdict::not_shown);
  EXPECT_EQ(got.reason, VerdictReason::no_run_to_run_spread);
  EXPECT_DOUBLE_EQ(got.ratio.value, 0.75);
  EXPECT_FALSE(got.ratio.low);
  EXPECT_FALSE(got.ratio_within_runs);
  a.half_width = joules_per_token(0.06);
  b.half_width = joules_per_token(0.06);
  got = compare_saved(a, b);
  EXPECT_EQ(got.verdict, Verdict::not_shown);
  EXPECT_NEAR(std::log(*got.ratio_within_runs->high / 0.75), std::hypot(0.03, 0.04), 1e-12);
  EXPECT_EQ(compare_saved(a, saved({1.5, 1.52})).reason, VerdictReason::no_run_to_run_spread);
}

TEST(Comparison, RefusesWhatIsNoRunOrNoRule) {
  PairedComparison comparison;
  const auto pair = [&](double a, double b) {
    return error_of([&] { comparison.add({joules_per_token(a), joules_per_token(b)}); });
  };
  EXPECT_THAT(pair(0, 1), HasSubstr("per output token"));
  EXPECT_THAT(pair(1, -1), HasSubstr("per output token"));
  EXPECT_THAT(pair(1, std::numeric_limits<double>::infinity()), HasSubstr("per output token"));
  EXPECT_THAT(error_of([] {
                (void)compare_saved({}, saved({1.0, 2.0}));
              }),
              HasSubstr("without a run"));
  const auto rules = [](auto&& change) {
    ComparisonRules changed;
    change(changed);
    return error_of([&] { PairedComparison{changed}; });
  };
  EXPECT_THAT(rules([](auto& r) { r.error_ratio = 0; }), HasSubstr("error ratio"));
  EXPECT_THAT(rules([](auto& r) { r.smallest_effect_ratio = 1; }), HasSubstr("smallest effect"));
  EXPECT_THAT(rules([](auto& r) { r.meter_gain_ratio = -1; }), HasSubstr("meter gain"));
  EXPECT_THAT(rules([](auto& r) { r.prior_spread = 0; }), HasSubstr("prior spread"));
}

}  // namespace
}  // namespace perwatt::measure
