#include "executive.hpp"

#include <algorithm>
#include <string>

#include "limits.hpp"
#include "plan_case.hpp"
#include "text.hpp"
#include <gtest/gtest.h>

namespace perwatt::report {
namespace {

std::string said(const PlanReport& report, const std::string& label) {
  for (const auto& statement : executive_statements(report)) {
    if (statement.label.starts_with(label)) {
      return statement.text;
    }
  }
  ADD_FAILURE() << "nothing is said about " << label;
  return {};
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Executive, SaysGainClassesNextStepAndLimits) {
  const auto made = make_rich_case();
  const auto& report = made->report;
  const auto gain = made->plan.totals.profit() - made->base_plan.totals.profit();
  EXPECT_TRUE(holds(said(report, "Gain"), signed_text(in_usd_per_hour(gain)) + " USD/h"));
  EXPECT_TRUE(holds(said(report, "Operations"), "speculative decoding"));
  EXPECT_TRUE(holds(said(report, "Operations"), "--only operations"));  // racks are bought
  EXPECT_TRUE(holds(said(report, "Hardware"), "USD/h"));
  EXPECT_EQ(said(report, "Model"), "As in the baseline: no part.");
  EXPECT_TRUE(holds(
      said(report, "One more"),
      signed_text(in_usd_per_hour(report.sensitivities->per_percent_tokens_per_joule)) + " USD/h"));
  EXPECT_TRUE(holds(said(report, "Limits"), "envelope"));
  EXPECT_TRUE(holds(said(report, "How sure"), "nameplate"));
  EXPECT_TRUE(holds(said(report, "Unknown"), "carbon"));
}

TEST(Executive, WithoutABaselineTheGainIsUnknown) {
  const auto made = make_case("1MW");
  EXPECT_TRUE(holds(said(made->report, "Gain"), "Unknown"));
  for (const auto& statement : executive_statements(made->report)) {
    EXPECT_FALSE(statement.label.starts_with("Hardware"));
  }
}

TEST(Executive, AnInfeasibleBaselineAndLeversThatCannotBeToldApartSayWhy) {
  auto made = make_rich_case();
  made->base_plan.status = plan::PlanStatus::infeasible;
  made->base_plan.infeasible_because = "no rack fits";
  made->report.attribution->unavailable_because = "the sites do not sell the same";
  EXPECT_TRUE(holds(said(made->report, "Gain"), "no rack fits"));
  EXPECT_TRUE(holds(said(made->report, "Levers"), "do not sell the same"));
}

TEST(Executive, ManagedProvisioningStatesItsProbabilities) {
  auto made = make_rich_case();
  made->site.provisioning.policy = plan::ProvisioningPolicy::managed;
  made->site.provisioning.excursion_probability = 0.05;
  plan::ExcursionCheck check;
  check.samples_effective = 89.6;
  check.out_of_sample_ratio = 0.0125;
  made->plan.excursion = check;
  const auto text = said(made->report, "How sure");
  EXPECT_TRUE(holds(text, "at most 5 %"));
  EXPECT_TRUE(holds(text, "89.6 independent samples"));
  EXPECT_TRUE(holds(text, "1.25 % of the scenarios it was not planned with"));
}

TEST(Executive, NamesTheLeversWhoseGainIsNotSure) {
  auto made = make_rich_case();
  auto& parts = made->report.attribution->parts;
  EXPECT_FALSE(holds(said(made->report, "How sure"), "not sure"));
  const auto at = std::find_if(parts.begin(), parts.end(),
                               [](const plan::LeverPart& part) { return part.differs; });
  ASSERT_NE(at, parts.end());
  at->low.profit = usd_per_hour(-1);
  at->high.profit = usd_per_hour(1);
  EXPECT_TRUE(holds(said(made->report, "How sure"), "not sure"));
}

TEST(Limits, TheTightestHourHasTheMostReserved) {
  auto made = make_rich_case();
  const auto tightest = tightest_hour(made->report.solved);
  for (const auto& hour : made->plan.hours) {
    EXPECT_LE(hour.reserved, made->plan.hours[tightest].reserved);
  }
  made->plan.hours[1 - std::min<std::size_t>(tightest, 1)].reserved = megawatts(0.999);
  EXPECT_NE(tightest_hour(made->report.solved), tightest);
}

TEST(Limits, DemandIsMetOrShortByHourClass) {
  auto made = make_rich_case();
  ASSERT_EQ(made->site.year.size(), 2U);
  EXPECT_EQ(hours_with_demand_met(made->report.solved, 0).classes, 2U);
  made->site.year[0].demand_ratio *= 2;  // asked for, but not served
  const auto met = hours_with_demand_met(made->report.solved, 0);
  EXPECT_EQ(met.names, std::vector{made->site.year[1].name});
  EXPECT_EQ(met.year_ratio, made->site.year[1].year_ratio);
  EXPECT_TRUE(holds(limit_texts(made->report.solved)[1], "less in '" + made->site.year[0].name));
  made->site.services[0].demand_output = made->site.services[0].demand_output * 3.0;
  EXPECT_EQ(hours_with_demand_met(made->report.solved, 0).classes, 0U);
  EXPECT_TRUE(holds(limit_texts(made->report.solved)[1], "in no hour class all of it"));
}

TEST(Limits, AWorthlessMegawattIsNoLimit) {
  auto made = make_rich_case();
  made->plan.duals.per_megawatt_up = usd_per_hour(5);
  EXPECT_TRUE(holds(limit_texts(made->report.solved)[0], "The envelope is tight"));
  made->plan.duals.per_megawatt_up = UsdPerSecond{};
  EXPECT_TRUE(holds(limit_texts(made->report.solved)[0], "not tight"));
  made->plan.duals.per_megawatt_up.reset();
  EXPECT_TRUE(holds(limit_texts(made->report.solved)[0], "not known"));
}

TEST(Limits, FullHallsAndSpentCapitalAreNamed) {
  auto made = make_rich_case();
  const auto says = [&](const std::string& part) {
    const auto texts = limit_texts(made->report.solved);
    return std::any_of(texts.begin(), texts.end(),
                       [&](const auto& text) { return holds(text, part); });
  };
  EXPECT_FALSE(says("no free position"));
  EXPECT_FALSE(says("capital is spent"));
  made->plan.halls[0].racks = 5;
  made->site.max_capital = made->plan.totals.capital_cost;
  EXPECT_TRUE(says("Hall dlc has no free position"));
  EXPECT_TRUE(says("capital is spent"));
}

}  // namespace
}  // namespace perwatt::report
