#include "perwatt/measure/quality.hpp"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "perwatt/base/random.hpp"

namespace perwatt::measure {
namespace {

std::vector<PromptScores> right_wrong(int both, int only_a, int only_b, int neither) {
  std::vector<PromptScores> scores;
  scores.insert(scores.end(), static_cast<std::size_t>(both), {1, 1});
  scores.insert(scores.end(), static_cast<std::size_t>(only_a), {1, 0});
  scores.insert(scores.end(), static_cast<std::size_t>(only_b), {0, 1});
  scores.insert(scores.end(), static_cast<std::size_t>(neither), {0, 0});
  return scores;
}

TEST(Quality, McNemarIsTheExactBinomialTail) {
  // P(Binomial(12, 1/2) >= 10) = (66 + 12 + 1) / 4096.
  const QualityComparison got = compare_quality(right_wrong(80, 10, 2, 8));
  EXPECT_EQ(got.test, QualityTest::mcnemar_exact);
  EXPECT_NEAR(got.p_lower, 79.0 / 4096, 1e-12);
  EXPECT_TRUE(got.significantly_lower);
  EXPECT_DOUBLE_EQ(got.mean_a, 0.90);
  EXPECT_DOUBLE_EQ(got.mean_b, 0.82);
  EXPECT_NEAR(got.difference.value, -0.08, 1e-12);
  // Agresti and Min: (10.5, 2.5) of 102, computed apart.
  const double centre = -8.0 / 102;
  const double error = std::sqrt(13.0 - 64.0 / 102) / 102;
  EXPECT_NEAR(*got.difference.low, centre - 1.959963984540054 * error, 1e-9);
  EXPECT_NEAR(*got.difference.high, centre + 1.959963984540054 * error, 1e-9);
}

TEST(Quality, AsGoodOrBetterIsNotLower) {
  EXPECT_DOUBLE_EQ(compare_quality(right_wrong(50, 0, 0, 5)).p_lower, 1);
  EXPECT_FALSE(compare_quality(right_wrong(50, 2, 9, 5)).significantly_lower);
  EXPECT_GT(compare_quality(right_wrong(50, 2, 9, 5)).p_lower, 0.9);
  EXPECT_FALSE(compare_quality(right_wrong(50, 3, 0, 5)).significantly_lower);  // 1/8
}

TEST(Quality, AMarginIsOnlyKeptByEnoughPrompts) {
  const QualityRules rules{0.05, 0.02};
  EXPECT_FALSE(compare_quality(right_wrong(50, 0, 0, 5)).non_inferior);
  EXPECT_EQ(compare_quality(right_wrong(50, 1, 1, 5), rules).non_inferior, false);
  EXPECT_EQ(compare_quality(right_wrong(5000, 10, 10, 500), rules).non_inferior, true);
  EXPECT_EQ(compare_quality(right_wrong(5000, 210, 10, 500), rules).non_inferior, false);
}

TEST(Quality, RealScoresAreComparedByPairedT) {
  // scipy 1.10.1: stats.ttest_rel(b, a, alternative="less").
  const std::vector<PromptScores> scores{
      {0.9, 0.8}, {0.7, 0.72}, {0.95, 0.9}, {0.6, 0.5}, {0.8, 0.71}};
  const QualityComparison got = compare_quality(scores);
  EXPECT_EQ(got.test, QualityTest::paired_t);
  EXPECT_NEAR(got.p_lower, 0.0246426214, 1e-7);
  EXPECT_NEAR(got.difference.value, -0.064, 1e-12);
}

TEST(Quality, TooFewOrEqualRealScoresAreHandled) {
  EXPECT_EQ(compare_quality({}).test, QualityTest::none);
  const std::vector<PromptScores> one{{0.5, 0.1}};
  EXPECT_EQ(compare_quality(one).test, QualityTest::none);
  EXPECT_FALSE(compare_quality(one).significantly_lower);
  const std::vector<PromptScores> all_lower(6, {0.5, 0.25});
  EXPECT_DOUBLE_EQ(compare_quality(all_lower).p_lower, 1.0 / 64);
  const std::vector<PromptScores> equal(6, {0.5, 0.5});
  EXPECT_DOUBLE_EQ(compare_quality(equal).p_lower, 1);
}

TEST(Quality, FalseAlarmsStayBelowTheStatedAndLossesAreSeen) {
  const auto alarms = [](double right_a, double right_b) {
    int lower = 0;
    std::mt19937_64 generator{5};
    for (int i = 0; i < 4000; ++i) {
      std::vector<PromptScores> scores;
      for (int prompt = 0; prompt < 200; ++prompt) {
        scores.push_back({uniform_unit(generator) < right_a ? 1.0 : 0.0,
                          uniform_unit(generator) < right_b ? 1.0 : 0.0});
      }
      lower += compare_quality(scores).significantly_lower ? 1 : 0;
    }
    return lower / 4000.0;
  };
  const double none = alarms(0.8, 0.8);
  const double loss = alarms(0.8, 0.65);
  std::printf("quality, 200 prompts: false alarms %.4f, a loss of 15 points seen %.3f\n", none,
              loss);
  EXPECT_LE(none, 0.05);
  EXPECT_GE(loss, 0.9);
}

TEST(Quality, TheIntervalOfRightAnswersCovers) {
  std::mt19937_64 generator{6};
  int covered = 0;
  for (int i = 0; i < 4000; ++i) {
    std::vector<PromptScores> scores;
    for (int prompt = 0; prompt < 100; ++prompt) {
      const double a = uniform_unit(generator) < 0.9 ? 1.0 : 0.0;
      const bool kept = uniform_unit(generator) < 0.85;
      scores.push_back({a, kept ? a : 1 - a});
    }
    // P(b right) = 0.9 x 0.85 + 0.1 x 0.15 = 0.78.
    const Estimate got = compare_quality(scores).difference;
    covered += *got.low <= -0.12 && -0.12 <= *got.high ? 1 : 0;
  }
  EXPECT_GE(covered / 4000.0, 0.93);
  EXPECT_LE(covered / 4000.0, 0.97);
}

TEST(Quality, LongerAnswersShowInJoulesPerAnswer) {
  // Twice the tokens at the same joules per token: the same J/token, twice the J/answer.
  const std::vector<AnswerBatch> batches{{Joules::from_base(100), 10, 8},
                                         {Joules::from_base(110), 10, 7},
                                         {Joules::from_base(90), 10, 9}};
  const AnswerCost cost = answer_cost(batches);
  EXPECT_DOUBLE_EQ(cost.joules_per_answer->value, 10);
  EXPECT_DOUBLE_EQ(cost.joules_per_right_answer->value, 12.5);
  EXPECT_LT(*cost.joules_per_answer->low, 10);
  const std::vector<AnswerBatch> none_right{{Joules::from_base(100), 10, 0}};
  EXPECT_FALSE(answer_cost(none_right).joules_per_right_answer);
  EXPECT_FALSE(answer_cost(none_right).joules_per_answer->low);
}

}  // namespace
}  // namespace perwatt::measure
