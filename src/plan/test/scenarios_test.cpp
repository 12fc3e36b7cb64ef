#include "perwatt/plan/scenarios.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/normal_law.hpp"

namespace perwatt::plan {
namespace {

PowerProfile profile(QuantileFunction ratio, double samples_effective = 300) {
  return {"test",           "gb300",           "test",       Tag::derived, std::nullopt,
          std::move(ratio), samples_effective, std::nullopt, std::nullopt};
}

PowerProfile skewed() {
  return profile({{0, 0.1, 0.5, 0.9, 0.99, 1}, {0.5, 0.8, 0.97, 1.2, 1.4, 2}});
}

std::vector<double> column(const ScenarioSet& set, std::size_t group) {
  std::vector<double> values;
  for (std::size_t w = 0; w < set.scenarios(); ++w) {
    values.push_back(set.ratio(w, group));
  }
  return values;
}

double mean(const std::vector<double>& values) {
  double total = 0;
  for (const double value : values) {
    total += value;
  }
  return total / static_cast<double>(values.size());
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const double mean_a = mean(a);
  const double mean_b = mean(b);
  double ab = 0;
  double aa = 0;
  double bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return ab / std::sqrt(aa * bb);
}

TEST(NormalLaw, QuantileInvertsTheDistribution) {
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-13);
  EXPECT_NEAR(normal_quantile(1e-9), -5.997807015007687, 1e-11);
  EXPECT_EQ(normal_quantile(0.5), 0);
  for (const double p : {1e-12, 1e-4, 0.2, 0.7, 0.999}) {
    EXPECT_NEAR(normal_cdf(normal_quantile(p)) / p, 1, 1e-12);
  }
}

TEST(NormalLaw, QuadratureGivesTheMomentsOfTheNormalLaw) {
  const auto rule = normal_quadrature(64);
  // Even moments: 1, 1, 3, 15, … (double factorials).
  double want = 1;
  for (int power = 0; power <= 40; power += 2) {
    double moment = 0;
    for (std::size_t i = 0; i < rule.nodes.size(); ++i) {
      moment += rule.weights[i] * std::pow(rule.nodes[i], power);
    }
    EXPECT_NEAR(moment / want, 1, 1e-10) << power;
    want *= power + 1;
  }
  EXPECT_NEAR(normal_quadrature(1).nodes[0], 0, 1e-15);
  EXPECT_NEAR(normal_quadrature(2).nodes[1], 1, 1e-12);
}

TEST(DrawScenarios, WithAllNodesTogetherEachGroupHasTheProfileExactly) {
  const std::vector<PowerProfile> groups = {skewed(), profile({{0, 1}, {0.9, 1.1}})};
  const auto set = draw_scenarios(groups, {1, 0.3}, 1000, 1);
  ASSERT_EQ(set.scenarios(), 1000U);
  for (std::size_t g = 0; g < 2; ++g) {
    auto values = column(set, g);
    std::sort(values.begin(), values.end());
    for (std::size_t k = 0; k < values.size(); ++k) {
      ASSERT_NEAR(values[k], groups[g].ratio.at((static_cast<double>(k) + 0.5) / 1000), 1e-12);
    }
  }
}

TEST(DrawScenarios, ByDefaultEverythingIsComonotone) {
  const std::vector<PowerProfile> groups = {skewed(), profile({{0, 1}, {0.9, 1.1}})};
  const auto set = draw_scenarios(groups, {}, 200, 1);
  for (std::size_t w = 0; w < set.scenarios(); ++w) {
    const double level = (set.ratio(w, 1) - 0.9) / 0.2;
    ASSERT_NEAR(set.ratio(w, 0), groups[0].ratio.at(level), 1e-9);
  }
}

TEST(DrawScenarios, IndependentNodesAverageOut) {
  const auto set = draw_scenarios(std::vector{skewed()}, {0, 1}, 50, 1);
  for (const double ratio : column(set, 0)) {
    EXPECT_NEAR(ratio, skewed().ratio.mean(), 2e-3);
  }
}

TEST(DrawScenarios, TheConditionalMeanKeepsTheMeanAndNarrowsTheTail) {
  double last_top = 10;
  for (const double rho : {1.0, 0.7, 0.4, 0.1}) {
    const auto values = column(draw_scenarios(std::vector{skewed()}, {rho, 1}, 4000, 1), 0);
    EXPECT_NEAR(mean(values), skewed().ratio.mean(), 2e-3) << rho;
    const double top = *std::max_element(values.begin(), values.end());
    EXPECT_LT(top, last_top);
    last_top = top;
  }
}

TEST(DrawScenarios, TheConditionalMeanIsTheIntegral) {
  const double rho = 0.5;
  const auto set = draw_scenarios(std::vector{skewed()}, {rho, 1}, 9, 1);
  auto values = column(set, 0);
  std::sort(values.begin(), values.end());
  for (std::size_t k = 0; k < values.size(); ++k) {
    const double factor = normal_quantile((static_cast<double>(k) + 0.5) / 9);
    double integral = 0;
    constexpr int kSteps = 20'000;
    for (int i = 0; i < kSteps; ++i) {
      const double own = normal_quantile((i + 0.5) / kSteps);
      integral += skewed().ratio.at(normal_cdf(std::sqrt(rho) * factor + std::sqrt(1 - rho) * own));
    }
    EXPECT_NEAR(values[k], integral / kSteps, 2e-3) << k;
  }
}

TEST(DrawScenarios, GroupsCorrelateAsTold) {
  // Uniform profiles: correlation of the ratios is 6/pi asin(r/2) (the rank correlation).
  const std::vector<PowerProfile> groups(2, profile({{0, 1}, {0.9, 1.1}}));
  for (const double r : {0.0, 0.3, 0.6, 0.9}) {
    const auto set = draw_scenarios(groups, {1, r}, 20'000, 3);
    const double want = 6 / 3.14159265358979 * std::asin(r / 2);
    EXPECT_NEAR(correlation(column(set, 0), column(set, 1)), want, 0.02) << r;
  }
}

TEST(DrawScenarios, RepeatWithTheSeedOnly) {
  const std::vector<PowerProfile> groups(3, skewed());
  const auto a = draw_scenarios(groups, {0.5, 0.5}, 100, 4);
  const auto b = draw_scenarios(groups, {0.5, 0.5}, 100, 4);
  const auto c = draw_scenarios(groups, {0.5, 0.5}, 100, 5);
  EXPECT_EQ(column(a, 1), column(b, 1));
  EXPECT_NE(column(a, 1), column(c, 1));
}

TEST(DrawScenarios, MoreScenariosAreNoMoreEvidence) {
  const std::vector<PowerProfile> groups = {skewed(), profile({{0, 1}, {0.9, 1.1}}, 84.7)};
  EXPECT_EQ(draw_scenarios(groups, {}, 5000, 1).samples_effective(), 84.7);
  EXPECT_EQ(draw_scenarios(groups, {}, 50, 1).samples_effective(), 50);
}

TEST(ScenarioSet, KeepsRowsAndRefusesWrongCalls) {
  const auto set = ScenarioSet::from_samples(2, {1, 2, 3, 4, 5, 6}, 2.5);
  EXPECT_EQ(set.scenarios(), 3U);
  EXPECT_EQ(set.ratio(1, 0), 3);
  EXPECT_EQ(set.ratio(2, 1), 6);
  EXPECT_THROW((void)ScenarioSet::from_samples(2, {1, 2, 3}, 1), Error);
  EXPECT_THROW((void)ScenarioSet::from_samples(0, {1}, 1), Error);
  EXPECT_THROW((void)ScenarioSet::from_samples(1, {1, 2}, 3), Error);
  EXPECT_THROW((void)ScenarioSet::from_samples(1, {1, 2}, 0), Error);
  EXPECT_THROW((void)draw_scenarios({}, {}, 10, 1), Error);
  EXPECT_THROW((void)draw_scenarios(std::vector{skewed()}, {1.2, 0}, 10, 1), Error);
}

}  // namespace
}  // namespace perwatt::plan
