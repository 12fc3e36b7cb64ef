#include "perwatt/base/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace perwatt {
namespace {

constexpr int kDraws = 200000;

struct Moments {
  double mean = 0;
  double variance = 0;
  double skewness = 0;
};

template <class Draw>
Moments moments(Draw&& draw) {
  std::vector<double> values;
  Moments result;
  for (int i = 0; i < kDraws; ++i) {
    values.push_back(draw());
    result.mean += values.back() / kDraws;
  }
  double third = 0;
  for (const double value : values) {
    const double off = value - result.mean;
    result.variance += off * off / kDraws;
    third += off * off * off / kDraws;
  }
  result.skewness = third / std::pow(result.variance, 1.5);
  return result;
}

TEST(Random, UniformUnitNeverReachesItsEndsAndFillsTheInterval) {
  std::mt19937_64 generator{1};
  double low = 1;
  double high = 0;
  const Moments got = moments([&] {
    const double value = uniform_unit(generator);
    low = std::min(low, value);
    high = std::max(high, value);
    return value;
  });
  EXPECT_GT(low, 0);
  EXPECT_LT(high, 1);
  EXPECT_LT(low, 1e-4);
  EXPECT_GT(high, 1 - 1e-4);
  EXPECT_NEAR(got.mean, 0.5, 0.003);
  EXPECT_NEAR(got.variance, 1.0 / 12, 0.001);
}

TEST(Random, ExponentialHasTheMomentsOfItsLaw) {
  std::mt19937_64 generator{2};
  const Moments got = moments([&] { return unit_exponential(generator); });
  EXPECT_NEAR(got.mean, 1, 0.01);
  EXPECT_NEAR(got.variance, 1, 0.02);
  EXPECT_NEAR(got.skewness, 2, 0.1);
}

TEST(Random, NormalHasTheMomentsOfItsLaw) {
  std::mt19937_64 generator{3};
  int beyond_two = 0;
  const Moments got = moments([&] {
    const double value = standard_normal(generator);
    beyond_two += std::abs(value) > 1.959963984540054 ? 1 : 0;
    return value;
  });
  EXPECT_NEAR(got.mean, 0, 0.01);
  EXPECT_NEAR(got.variance, 1, 0.02);
  EXPECT_NEAR(got.skewness, 0, 0.03);
  EXPECT_NEAR(static_cast<double>(beyond_two) / kDraws, 0.05, 0.002);
}

TEST(Random, GammaHasTheMomentsOfItsLawBelowAndAboveShapeOne) {
  for (const double shape : {0.25, 0.5, 1.0, 2.0, 7.5}) {
    std::mt19937_64 generator{4};
    const Moments got = moments([&] { return standard_gamma(generator, shape); });
    EXPECT_NEAR(got.mean / shape, 1, 0.02) << shape;
    EXPECT_NEAR(got.variance / shape, 1, 0.04) << shape;
    EXPECT_NEAR(got.skewness * std::sqrt(shape) / 2, 1, 0.06) << shape;
  }
}

TEST(Random, ASeedGivesTheSameNumbersAndAnotherSeedOthers) {
  const auto draws = [](std::uint64_t seed) {
    std::mt19937_64 generator{seed};
    return std::vector<double>{uniform_unit(generator), unit_exponential(generator),
                               standard_normal(generator), standard_gamma(generator, 0.5)};
  };
  EXPECT_EQ(draws(5), draws(5));
  EXPECT_NE(draws(5), draws(6));
}

}  // namespace
}  // namespace perwatt
