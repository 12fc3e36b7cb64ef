#include "trimmed_step.hpp"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "perwatt/base/random.hpp"

namespace perwatt::topology {
namespace {

TEST(StudentQuantile, MatchesTables) {
  // Fisher and Yates, Statistical Tables, table III: one-sided.
  EXPECT_NEAR(student_quantile(0.975, 10), 2.228, 0.002);
  EXPECT_NEAR(student_quantile(0.995, 20), 2.845, 0.002);
  EXPECT_NEAR(student_quantile(0.9995, 30), 3.646, 0.005);
  EXPECT_NEAR(student_quantile(0.995, 5), 4.032, 0.05);
  EXPECT_NEAR(student_quantile(0.975, 1e9), 1.960, 0.001);
}

TEST(TrimmedStep, IgnoresOutliersAndStatesItsError) {
  std::mt19937_64 random{5};
  double squares = 0;
  double stated = 0;
  constexpr int kRuns = 400;
  for (int run = 0; run < kRuns; ++run) {
    OnOffSamples samples;
    for (int i = 0; i < 60; ++i) {
      const bool is_on = i >= 30;
      samples.values.push_back((is_on ? 10 : 0) + standard_normal(random) +
                               (i % 20 == 0 ? 500 : 0));
      samples.is_on.push_back(is_on);
    }
    const auto step = trimmed_step(samples);
    squares += (step.step - 10) * (step.step - 10);
    stated += step.standard_error * step.standard_error;
    EXPECT_EQ(step.on, 30U);
  }
  EXPECT_LT(std::sqrt(squares / kRuns), 0.4);
  EXPECT_NEAR(std::sqrt(squares / stated), 1, 0.25);
}

TEST(TwoLevels, AreSplitBetween) {
  const std::vector<double> values{5, 101, 4, 6, 100, 5, 99};
  const double threshold = two_level_threshold(values);
  EXPECT_GT(threshold, 6);
  EXPECT_LT(threshold, 99);
}

}  // namespace
}  // namespace perwatt::topology
