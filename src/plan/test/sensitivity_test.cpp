#include "perwatt/plan/sensitivity.hpp"

#include <cmath>

#include "two_sites.hpp"
#include <gtest/gtest.h>

namespace perwatt::plan {
namespace {

using Rows = std::vector<inference::MeasuredPoint>;

/// Two services' worth of choice: a fast row and a cheap one.
Rows fast_and_cheap() {
  auto cheap = row(200, 21, 520);
  cheap.concurrency = 64;
  return {row(100, 40, 500), cheap};
}

Sensitivities sensitivities_of(const Site& site, const Rows& rows) {
  const inference::GpuPowerEstimator estimator{rows, shipped_catalog()};
  return find_sensitivities(site, shipped_catalog(), rows, estimator);
}

/// Optimum with fractions of racks, from the planner itself.
double relaxed_usd_per_hour(const Site& site, const Rows& rows) {
  const inference::GpuPowerEstimator estimator{rows, shipped_catalog()};
  const auto set = build_candidates(site, shipped_catalog(), rows, estimator);
  return in_usd_per_hour(solve_plan(site, set).relaxed_profit);
}

const Sensitivity& change_of(const Sensitivities& all, const std::string& input,
                             const std::string& change) {
  for (const auto& c : all.changes) {
    if (c.input == input && c.change == change) {
      return c;
    }
  }
  throw std::out_of_range{input + " " + change};
}

TEST(Sensitivity, EachChangeIsThePlanOfTheChangedSite) {
  const Rows rows = fast_and_cheap();
  const Site site = site_of(base_text("", "max_ttft = \"5s\"\n"));
  auto timed = rows;
  timed[0].ttft_median = seconds(1.0);
  timed[1].ttft_median = seconds(4.9);
  const auto all = sensitivities_of(site, timed);
  const double base = relaxed_usd_per_hour(site, timed);
  const auto expect = [&](const std::string& input, const std::string& change, auto apply) {
    Site changed = site;
    apply(changed);
    const auto& told = change_of(all, input, change);
    EXPECT_TRUE(told.feasible) << input;
    EXPECT_NEAR(in_usd_per_hour(told.profit), relaxed_usd_per_hour(changed, timed) - base, 1e-6)
        << input << ' ' << change;
  };
  expect("prices.energy", "+10 %", [](Site& s) {
    s.energy_price = s.energy_price * 1.1;
    s.year[0].energy_price = s.year[0].energy_price * 1.1;
  });
  expect("prices of tokens", "-10 %", [](Site& s) {
    s.services[0].output_price = s.services[0].output_price * 0.9;
    s.services[0].input_price = s.services[0].input_price * 0.9;
  });
  expect("demand", "-10 %",
         [](Site& s) { s.services[0].demand_output = s.services[0].demand_output * 0.9; });
  expect("service[chat].min_interactivity", "+10 %", [](Site& s) {
    s.services[0].slo.min_interactivity = s.services[0].slo.min_interactivity * 1.1;
  });
  expect("service[chat].max_ttft", "-10 %",
         [](Site& s) { s.services[0].slo.max_ttft = *s.services[0].slo.max_ttft * 0.9; });
  expect("rack[hgx-h200-air].owned", "+1 rack", [](Site& s) { ++s.racks[0].owned; });
}

TEST(Sensitivity, ATighterSloThatShutsTheCheapRowOutCostsTokens) {
  const auto all = sensitivities_of(site_of(base_text()), fast_and_cheap());
  const auto& tighter = change_of(all, "service[chat].min_interactivity", "+10 %");
  EXPECT_LT(tighter.profit, UsdPerSecond{});
  EXPECT_LT(tighter.output, TokensPerSecond{});
}

TEST(Sensitivity, AnExtraRackIsWorthItsGpusByHand) {
  const auto all = sensitivities_of(site_of(base_text()), {row(100, 30, 500)});
  const auto& rack = change_of(all, "rack[hgx-h200-air].owned", "+1 rack");
  EXPECT_NEAR(in_tokens_per_second(rack.output), 3200, 1e-6);
  const double energy = in_megawatts(rack.meter) * 1e3 * 0.10;
  EXPECT_NEAR(in_usd_per_hour(rack.profit), 3200 * 3600 * 2 / 1e6 - energy, 1e-6);
}

TEST(Sensitivity, AChangeThatBreaksACommitmentIsToldAsInfeasible) {
  const auto all = sensitivities_of(
      site_of(base_text("", "committed_output_tokens_per_s = 9000\n")), {row(100, 21, 500)});
  EXPECT_FALSE(change_of(all, "service[chat].min_interactivity", "+10 %").feasible);
  EXPECT_TRUE(change_of(all, "service[chat].min_interactivity", "-10 %").feasible);
}

TEST(Sensitivity, OnePercentMoreTokensPerJouleIsEveryRateTimes101) {
  const Rows rows = fast_and_cheap();
  const Site site = site_of(base_text());
  Rows faster = rows;
  for (auto& point : faster) {
    point.output_per_gpu = *point.output_per_gpu * 1.01;
    point.total_per_gpu = *point.total_per_gpu * 1.01;
  }
  const double want = relaxed_usd_per_hour(site, faster) - relaxed_usd_per_hour(site, rows);
  ASSERT_GT(want, 0);
  EXPECT_NEAR(in_usd_per_hour(sensitivities_of(site, rows).per_percent_tokens_per_joule), want,
              1e-6 * want);
}

}  // namespace
}  // namespace perwatt::plan
