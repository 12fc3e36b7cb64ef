#include "perwatt/plan/plan.hpp"

#include <cmath>
#include <string>

#include "measured_points.hpp"
#include <gtest/gtest.h>

namespace perwatt::plan {
namespace {

struct Solved {
  Site site;
  std::vector<inference::MeasuredPoint> points;
  CandidateSet set;
  Plan plan;
};

/// Solves a site text; heap-held, because candidates point into the site and the points.
std::unique_ptr<Solved> solve(const std::string& text, std::vector<inference::MeasuredPoint> points,
                              bool allow_unknown_ttft = false) {
  auto solved = std::make_unique<Solved>();
  solved->site = parse_site(text, "test.toml", shipped_catalog());
  for (auto& service : solved->site.services) {
    service.slo.allow_unknown_ttft = allow_unknown_ttft;
  }
  solved->points = std::move(points);
  const inference::GpuPowerEstimator estimator{solved->points, shipped_catalog()};
  solved->set = build_candidates(solved->site, shipped_catalog(), solved->points, estimator);
  solved->plan = solve_plan(solved->site, solved->set);
  return solved;
}

/// `extra` goes into the service table.
std::string site_text(const std::string& envelope, const std::string& rack,
                      const std::string& extra = "demand_output_tokens_per_s = 1e12") {
  return "[site]\nenvelope = \"" + envelope +
         "\"\n[prices]\ntable = \"2026-08\"\nenergy_usd_per_kwh = 0.10\n"
         "[[service]]\nid = \"chat\"\nmodel = \"deepseek-r1\"\nisl_tokens = 1024\nosl_tokens = "
         "1024\n"
         "min_interactivity = \"20tok/s\"\nprice_usd_per_million_output_tokens = 2\n"
         "price_usd_per_million_input_tokens = 0\n" +
         extra + "\n[[rack]]\nsystem = \"hgx-h200-air\"\n" + rack + "\n";
}

TEST(Plan, FillsOwnedRacksWhenTheEnvelopeAllowsAndCountsByHand) {
  const auto solved = solve(site_text("10MW", "owned = 3"), {row(100, 30, 500)});
  const auto& plan = solved->plan;
  ASSERT_EQ(plan.status, PlanStatus::optimal);
  EXPECT_EQ(plan.racks[0].powered, 3);
  EXPECT_NEAR(in_tokens_per_second(plan.totals.output), 3 * 32 * 100, 1e-6);
  // By hand from the power chain: 96 GPUs at 500 W in chassis of 8, PUE 1.3.
  const facility::PowerChain chain{shipped_catalog(), shipped_catalog().system("hgx-h200-air", "")};
  const double meter = in_watts(chain.it_per_gpu(watts(500)).value) * 96 * 1.3;
  EXPECT_NEAR(in_watts(plan.totals.meter), meter, 1e-6 * meter);
  EXPECT_NEAR(in_usd_per_hour(plan.totals.revenue), 9600 * 3600 * 2 / 1e6, 1e-6);
  EXPECT_NEAR(in_usd_per_hour(plan.totals.energy_cost), meter / 1e3 * 0.10, 1e-6);
  EXPECT_NEAR(in_joules_per_token(plan.totals.meter / plan.totals.output), meter / 9600, 1e-9);
}

TEST(Plan, PowersOnlyWholeRacksInsideTheEnvelope) {
  // One rack of 32 H200 is provisioned with 32 x 1.30 kW = 41.6 kW: two fit 100 kW, with 16.8 kW
  // left.
  const auto solved = solve(site_text("100kW", "owned = 5"), {row(100, 30, 500)});
  EXPECT_EQ(solved->plan.racks[0].powered, 2);
  EXPECT_LE(solved->plan.totals.provisioned, solved->site.envelope);
  EXPECT_GT(solved->plan.rack_gap_ratio, 0.1);
  EXPECT_LE(solved->plan.proven_gap_ratio, 1e-3);
}

TEST(Plan, AMegawattIsWorthTheProfitOfTheRacksItProvisions) {
  const auto solved = solve(site_text("2MW", "owned = 1000"), {row(100, 30, 500)});
  const auto& rack = solved->set.racks[0];
  const double racks_per_megawatt = 1e6 / in_watts(rack.provisioned_per_rack.value);
  const double expected = racks_per_megawatt * rack.gpus_per_rack *
                          in_usd_per_hour(solved->set.candidates[0].margin_per_gpu);
  EXPECT_NEAR(in_usd_per_hour(*solved->plan.duals.per_megawatt_up), expected, 1e-6 * expected);
  EXPECT_NEAR(in_usd_per_hour(*solved->plan.duals.per_megawatt_down), expected, 1e-6 * expected);
  EXPECT_EQ(in_usd_per_hour(*solved->plan.duals.per_rack[0]), 0);
}

TEST(Plan, DemandLimitsWhatIsSoldAndAnIdleRackStaysOff) {
  const auto solved = solve(site_text("10MW", "owned = 3", "demand_output_tokens_per_s = 1600"),
                            {row(100, 30, 500)});
  EXPECT_NEAR(in_tokens_per_second(solved->plan.totals.output), 1600, 1e-6);
  EXPECT_EQ(solved->plan.racks[0].powered, 1);
  EXPECT_NEAR(solved->plan.racks[0].idle_gpus, 16, 1e-6);
  EXPECT_GT(solved->plan.flow.idle_gpu, Watts{});
}

TEST(Plan, BuysOnlyWhatEarnsMoreThanItCosts) {
  // 2 USD/Mtok x 100 tok/s = 0.72 USD/h per GPU, 0.09 of it energy; capital decides.
  const auto dear =
      solve(site_text("10MW", "max_buy = 3\ncapital_usd_per_gpu_hour = 1.0"), {row(100, 30, 500)});
  EXPECT_EQ(dear->plan.racks[0].bought, 0);
  EXPECT_EQ(dear->plan.status, PlanStatus::optimal);
  const auto cheap =
      solve(site_text("10MW", "max_buy = 3\ncapital_usd_per_gpu_hour = 0.1"), {row(100, 30, 500)});
  EXPECT_EQ(cheap->plan.racks[0].bought, 3);
  EXPECT_NEAR(in_usd_per_hour(cheap->plan.totals.capital_cost), 9.6, 1e-9);
}

TEST(Plan, CapitalLimitBinds) {
  auto text = site_text("10MW", "max_buy = 30\ncapital_usd_per_gpu_hour = 0.1");
  text.replace(text.find("[prices]"), 0, "max_capital_usd_per_hour = 10\n");
  const auto solved = solve(text, {row(100, 30, 500)});
  EXPECT_EQ(solved->plan.racks[0].bought, 3);  // 3.2 USD/h each
}

TEST(Plan, AvailabilityScalesTokensAndMixesIdlePower) {
  auto text = site_text("10MW", "owned = 1");
  text.replace(text.find("[prices]"), 0, "availability_ratio = 0.5\n");
  const auto solved = solve(text, {row(100, 30, 500)});
  EXPECT_NEAR(in_tokens_per_second(solved->plan.totals.output), 1600, 1e-6);
  const auto& rack = solved->set.racks[0];
  const double it = 16 * in_watts(rack.chain.it_per_gpu(watts(500)).value) +
                    16 * in_watts(rack.idle_it_per_gpu.value);
  EXPECT_NEAR(in_watts(solved->plan.totals.meter), 1.3 * it, 1e-6 * it);
}

TEST(Plan, RowsBelowTheSloAreNotUsed) {
  const auto solved = solve(site_text("10MW", "owned = 1"), {row(100, 30, 500), row(900, 19, 600)});
  ASSERT_EQ(solved->plan.assignments.size(), 1U);
  const auto& chosen = solved->set.candidates[solved->plan.assignments[0].candidate];
  EXPECT_GE(chosen.point.interactivity, tokens_per_second(20));
}

TEST(Plan, UnknownTtftIsLeftOutUnlessAllowedAndThenMarked) {
  const auto text =
      site_text("10MW", "owned = 1", "demand_output_tokens_per_s = 1e9\nmax_ttft = \"2s\"");
  const auto strict = solve(text, {row(100, 30, 500)});
  EXPECT_EQ(strict->plan.status, PlanStatus::infeasible);
  EXPECT_EQ(strict->set.excluded[0].unknown_ttft, 1U);
  EXPECT_NE(strict->plan.remedies.at(0).needed.find("--allow-unknown-ttft"), std::string::npos);
  const auto lenient = solve(text, {row(100, 30, 500)}, true);
  ASSERT_EQ(lenient->plan.status, PlanStatus::optimal);
  EXPECT_FALSE(lenient->set.candidates[0].ttft_known);
}

TEST(Plan, DeploymentLargerThanAllRacksIsLeftOut) {
  auto large = row(100, 30, 500);
  large.layout.num_gpus = 64;
  const auto solved = solve(site_text("10MW", "owned = 1"), {large});
  EXPECT_EQ(solved->plan.status, PlanStatus::infeasible);
  EXPECT_EQ(solved->set.excluded[0].too_large, 1U);
}

TEST(Infeasible, CommitmentBeyondTheRacksNamesEveryWayOut) {
  const auto solved = solve(site_text("10MW", "owned = 1",
                                      "demand_output_tokens_per_s = 10000\n"
                                      "committed_output_tokens_per_s = 6400"),
                            {row(100, 30, 500)});
  ASSERT_EQ(solved->plan.status, PlanStatus::infeasible);
  ASSERT_EQ(solved->plan.remedies.size(), 2U);
  EXPECT_EQ(solved->plan.remedies[0].limit, "service[chat].committed_output_tokens_per_s");
  EXPECT_EQ(solved->plan.remedies[0].needed, "at most 3200 tok/s");
  EXPECT_EQ(solved->plan.remedies[1].limit, "rack[hgx-h200-air].owned");
  EXPECT_EQ(solved->plan.remedies[1].needed, "at least 2 racks");
}

TEST(Infeasible, LoadsAboveTheEnvelopeNameTheEnvelopeNeeded) {
  const auto solved =
      solve(site_text("1MW", "owned = 1") + "[[load]]\nname = \"storage\"\npower = \"1MW\"\n",
            {row(100, 30, 500)});
  ASSERT_EQ(solved->plan.status, PlanStatus::infeasible);
  EXPECT_EQ(solved->plan.remedies.at(0).limit, "site.envelope");
  EXPECT_EQ(solved->plan.remedies.at(0).needed, "at least 1.3 MW");
}

TEST(Infeasible, InteractivityNobodyReachesSaysWhatWasMeasured) {
  const auto solved = solve(site_text("10MW", "owned = 1"), {row(100, 12, 500)});
  ASSERT_EQ(solved->plan.status, PlanStatus::infeasible);
  EXPECT_EQ(solved->plan.remedies.at(0).limit, "service[chat].min_interactivity");
  EXPECT_NE(solved->plan.remedies.at(0).needed.find("12 tok/s"), std::string::npos);
}

class ExampleSites : public testing::TestWithParam<const char*> {};

TEST_P(ExampleSites, BalanceAndStayInsideEveryLimit) {
  const auto file = std::string{PERWATT_SOURCE_DIR} + "/examples/" + GetParam();
  const auto site = load_site(file, shipped_catalog());
  const inference::GpuPowerEstimator estimator{shipped_points(), shipped_catalog()};
  const auto set = build_candidates(site, shipped_catalog(), shipped_points(), estimator);
  const auto plan = solve_plan(site, set);
  ASSERT_EQ(plan.status, PlanStatus::optimal);
  Watts parts = plan.flow.distribution + plan.flow.cooling + plan.flow.other_loads +
                plan.flow.network + plan.flow.conversion + plan.flow.fans + plan.flow.host +
                plan.flow.idle_gpu;
  for (const auto service : plan.flow.service_gpu) {
    parts += service;
  }
  EXPECT_NEAR(parts / plan.totals.meter, 1.0, 1e-9);
  EXPECT_LE(plan.totals.provisioned, site.envelope * (1 + 1e-9));
  EXPECT_LE(plan.totals.meter_low, plan.totals.meter);
  EXPECT_LE(plan.totals.meter, plan.totals.meter_high);
  EXPECT_LE(plan.totals.meter_high, plan.totals.meter_peak);
  EXPECT_LT(plan.rack_gap_ratio, 0.01);
  EXPECT_LE(plan.totals.profit(), plan.relaxed_profit * (1 + 1e-9));
  for (std::size_t k = 0; k < set.racks.size(); ++k) {
    EXPECT_LE(plan.racks[k].powered, set.racks[k].stock->owned + set.racks[k].stock->max_buy);
    EXPECT_EQ(plan.racks[k].powered, std::round(plan.racks[k].powered));
  }
  for (std::size_t s = 0; s < site.services.size(); ++s) {
    EXPECT_LE(plan.served[s], site.services[s].demand_output * (1 + 1e-6));
  }
}

INSTANTIATE_TEST_SUITE_P(Shipped, ExampleSites,
                         testing::Values("site-100mw.toml", "site-20mw-hopper.toml",
                                         "site-mixed-vendor.toml", "site-1gw.toml"));

TEST(PowerCurves, AreTheHullOfTheCandidates) {
  const auto solved = solve(site_text("10MW", "owned = 1"),
                            {row(100, 60, 300), row(110, 50, 400), row(300, 30, 500)});
  const auto curve = power_curve(solved->set, 0, 0);
  ASSERT_TRUE(curve);
  ASSERT_EQ(curve->points().size(), 2U);  // the middle row lies below the line
  EXPECT_EQ(curve->points()[1].value, tokens_per_second(300));
}

}  // namespace
}  // namespace perwatt::plan
