// The delivery schedule and billing by energy, counted by hand.
#include "perwatt/plan/delivery.hpp"

#include <memory>
#include <string>
#include <vector>

#include "error_of.hpp"
#include "measured_points.hpp"
#include "shipped_catalog.hpp"
#include <gtest/gtest.h>

namespace perwatt::plan {
namespace {

/// H200 racks of 32 GPUs that yield 100 tok/s each at 500 W; `rest` holds the deliveries.
std::string delivery_site(const std::string& price, const std::string& rest) {
  return "[site]\nenvelope = \"10MW\"\n[prices]\ntable = \"2026-08\"\nenergy_usd_per_kwh = 0.10\n"
         "[[service]]\nid = \"chat\"\nmodel = \"deepseek-r1\"\nisl_tokens = 1024\n"
         "osl_tokens = 1024\nmin_interactivity = \"20tok/s\"\ndemand_output_tokens_per_s = 1e12\n" +
         price +
         "\n[[rack]]\nsystem = \"hgx-h200-air\"\nowned = 1\nmax_buy = 5\n"
         "capital_usd_per_gpu_hour = 0.5\n" +
         rest;
}

const std::string kByToken =
    "price_usd_per_million_output_tokens = 20\nprice_usd_per_million_input_tokens = 0";

struct Prepared {
  Site site;
  std::vector<inference::MeasuredPoint> points;
  OptionSet options;
};

std::unique_ptr<Prepared> prepare(const std::string& text,
                                  std::vector<inference::MeasuredPoint> points) {
  auto prepared = std::make_unique<Prepared>();
  prepared->site = parse_site(text, "test.toml", shipped_catalog());
  prepared->points = std::move(points);
  const inference::GpuPowerEstimator estimator{prepared->points, shipped_catalog()};
  prepared->options =
      find_options(prepared->site.services, accelerators_of(prepared->site, shipped_catalog()),
                   prepared->points, estimator);
  return prepared;
}

constexpr const char* kThreeSteps = R"(
[[delivery]]
after_months = 0
[[delivery]]
after_months = 6
envelope = "0.12MW"
[[delivery.racks]]
system = "hgx-h200-air"
count = 2
[[delivery]]
after_months = 12
[[delivery.racks]]
system = "hgx-h200-air"
count = 3
)";

TEST(Delivery, EachStepHasWhatArrivedAndTheEnvelopeOfThatMonth) {
  const auto prepared = prepare(delivery_site(kByToken, kThreeSteps), {row(100, 30, 500)});
  const auto phases = plan_phases(prepared->site, shipped_catalog(), prepared->options);
  ASSERT_EQ(phases.size(), 3U);
  // One rack reserves 4 nodes x 8 boards at their cap, about 42 kW at the meter.
  const double expected[] = {1, 2, 6};
  for (std::size_t i = 0; i < phases.size(); ++i) {
    ASSERT_EQ(phases[i].status, PlanStatus::optimal);
    EXPECT_EQ(phases[i].racks[0].powered, expected[i]) << "phase " << i;
    EXPECT_NEAR(in_tokens_per_second(phases[i].totals.output), expected[i] * 32 * 100, 1e-6);
    EXPECT_LE(phases[i].totals.provisioned, phases[i].envelope);
    EXPECT_NEAR(in_usd_per_hour(phases[i].totals.capital_cost), (expected[i] - 1) * 32 * 0.5, 1e-9);
  }
}

TEST(Delivery, WhatWasBoughtStaysEvenWhereALaterStepWouldNotBuyIt) {
  // The second step's envelope carries one rack only: the second, bought before, stands dark.
  const auto prepared = prepare(delivery_site(kByToken, R"(
[[delivery]]
after_months = 0
[[delivery.racks]]
system = "hgx-h200-air"
count = 1
[[delivery]]
after_months = 1
envelope = "0.06MW"
)"),
                                {row(100, 30, 500)});
  const auto phases = plan_phases(prepared->site, shipped_catalog(), prepared->options);
  ASSERT_EQ(phases.size(), 2U);
  EXPECT_EQ(phases[0].racks[0].bought, 1);
  EXPECT_EQ(phases[1].racks[0].powered, 1);
  EXPECT_EQ(phases[1].racks[0].bought, 1);
  EXPECT_NEAR(in_usd_per_hour(phases[1].totals.capital_cost), 16, 1e-9);
}

TEST(Delivery, ASiteWithoutAScheduleHasNoPhases) {
  const auto prepared = prepare(delivery_site(kByToken, ""), {row(100, 30, 500)});
  EXPECT_TRUE(plan_phases(prepared->site, shipped_catalog(), prepared->options).empty());
}

TEST(Billing, EnergyIsSoldInPlaceOfTokens) {
  const auto prepared = prepare(
      delivery_site("billing = \"per_joule\"\nprice_usd_per_it_kwh = 2", ""), {row(100, 30, 500)});
  const auto set = build_candidates(prepared->site, shipped_catalog(), prepared->options);
  const auto plan = solve_plan(prepared->site, set);
  ASSERT_EQ(plan.status, PlanStatus::optimal);
  const double it_kw_per_gpu = in_kilowatts(set.racks[0].chain.it_per_gpu(watts(500)).value);
  EXPECT_NEAR(in_usd_per_hour(plan.totals.revenue), 6 * 32 * it_kw_per_gpu * 2, 1e-6);
}

TEST(Billing, ByEnergyTheRowThatDrawsMoreWins) {
  auto frugal = row(100, 30, 400);
  auto hungry = row(100, 25, 600);
  hungry.engine = "vllm";
  const auto prepared = prepare(
      delivery_site("billing = \"per_joule\"\nprice_usd_per_it_kwh = 2", ""), {frugal, hungry});
  const auto set = build_candidates(prepared->site, shipped_catalog(), prepared->options);
  const auto plan = solve_plan(prepared->site, set);
  ASSERT_EQ(plan.assignments.size(), 1U);
  EXPECT_EQ(set.candidates[plan.assignments[0].candidate].point.point->engine, "vllm");
}

}  // namespace
}  // namespace perwatt::plan
