#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>

#include "charts.hpp"
#include "claims/claims_tables.hpp"
#include "lever_tables.hpp"
#include "plan_case.hpp"
#include "plan_tables.hpp"
#include "ratio_curves.hpp"
#include "text.hpp"
#include <gtest/gtest.h>

namespace perwatt::report {
namespace {

Json values_of(const Chart& chart, std::size_t layer = 0) {
  return chart.spec["layer"][layer]["data"]["values"];
}

plan::LeverPart part_of(plan::Lever lever, double usd, double low, double high) {
  plan::LeverPart part;
  part.lever = lever;
  part.differs = true;
  part.part.profit = usd_per_hour(usd);
  part.low.profit = usd_per_hour(low);
  part.high.profit = usd_per_hour(high);
  part.part.output = tokens_per_second(10 * usd);
  return part;
}

/// A loss turned into a profit by three levers of two classes, one of them harmful.
plan::Attribution some_attribution() {
  plan::Attribution attribution;
  attribution.baseline.profit = usd_per_hour(-100);
  attribution.plan.profit = usd_per_hour(300);
  attribution.parts = {part_of(plan::Lever::placement, 250, 200, 320),
                       part_of(plan::Lever::precision, -50, -90, 10),
                       part_of(plan::Lever::capacity, 200, 150, 230)};
  plan::LeverPart alike;
  alike.lever = plan::Lever::cooling;
  attribution.parts.push_back(alike);
  attribution.interactions = {{plan::Lever::placement, plan::Lever::precision, usd_per_hour(-5)},
                              {plan::Lever::placement, plan::Lever::capacity, usd_per_hour(40)},
                              {plan::Lever::precision, plan::Lever::capacity, usd_per_hour(1e-12)}};
  return attribution;
}

void expect_waterfall(const plan::Attribution& attribution) {
  PlanReport report;
  report.attribution = attribution;
  const auto charts = lever_charts(report);
  ASSERT_EQ(charts.size(), 1U);
  const auto bars = values_of(charts[0]);
  double at = in_usd_per_hour(attribution.baseline.profit);
  const double rounding =
      1e-9 * (std::abs(at) + std::abs(in_usd_per_hour(attribution.plan.profit)));
  EXPECT_EQ(bars.front()["end"].get<double>(), at);
  for (std::size_t i = 1; i + 1 < bars.size(); ++i) {
    EXPECT_NEAR(bars[i]["start"].get<double>(), at, rounding);
    at = bars[i]["end"].get<double>();
    EXPECT_LE(bars[i]["low"].get<double>(), bars[i]["high"].get<double>());
    EXPECT_NE(bars[i]["class"], "total");
  }
  EXPECT_NEAR(bars.back()["end"].get<double>(), at, 1e3 * rounding);
  EXPECT_EQ(bars.back()["end"].get<double>(), in_usd_per_hour(attribution.plan.profit));
}

TEST(LeverChart, EveryBarStartsWhereTheOneBeforeEnds) {
  expect_waterfall(some_attribution());
  expect_waterfall(*make_rich_case()->report.attribution);
}

TEST(LeverChart, ShowsOnlyLeversThatDifferByClass) {
  PlanReport report;
  report.attribution = some_attribution();
  std::vector<std::string> steps;
  std::vector<std::string> classes;
  for (const auto& bar : values_of(lever_charts(report)[0])) {
    steps.push_back(bar["step"]);
    classes.push_back(bar["class"]);
  }
  EXPECT_EQ(steps,
            (std::vector<std::string>{"baseline", "placement", "precision", "capacity", "plan"}));
  EXPECT_EQ(classes,
            (std::vector<std::string>{"total", "operations", "operations", "hardware", "total"}));
}

TEST(LeverChart, WithoutPartsThereIsNone) {
  PlanReport report;
  EXPECT_TRUE(lever_charts(report).empty());
  EXPECT_TRUE(lever_tables(report).empty());
  report.attribution = plan::Attribution{};
  EXPECT_TRUE(lever_charts(report).empty());
  report.attribution = some_attribution();
  report.attribution->unavailable_because = "the sites do not sell the same";
  EXPECT_TRUE(lever_charts(report).empty());
  EXPECT_TRUE(lever_tables(report).empty());
}

TEST(LeverTables, SayWhatIsNotSureAndWhichPairsMatter) {
  PlanReport report;
  report.attribution = some_attribution();
  const auto tables = lever_tables(report);
  ASSERT_EQ(tables.size(), 2U);
  ASSERT_EQ(tables[0].rows.size(), 5U);  // two classes, three levers
  EXPECT_TRUE(tables[0].rows[0].is_heading);
  EXPECT_EQ(tables[0].rows[0].cells[0].text,
            "operations: +200 USD/h, +2,000 output tok/s, 50 % of the change");
  EXPECT_EQ(tables[0].rows[1].cells.back().text, "");
  EXPECT_EQ(tables[0].rows[2].cells[0].text, "precision");
  EXPECT_NE(tables[0].rows[2].cells.back().text.find("holds 0"), std::string::npos);
  EXPECT_NE(tables[0].note.find("without a part: cooling"), std::string::npos);
  ASSERT_EQ(tables[1].rows.size(), 2U);  // the third pair is rounding
  EXPECT_EQ(tables[1].rows[0].cells[2].text, "+40");
  EXPECT_EQ(tables[1].rows[1].cells[3].text, "replace each other");
}

plan::Sensitivity change_of(std::string input, std::string change, double usd) {
  plan::Sensitivity sensitivity{std::move(input), std::move(change), true, {}, {}, {}, {}};
  sensitivity.profit = usd_per_hour(usd);
  return sensitivity;
}

TEST(SensitivityChart, LargestFirstAndInfeasibleSaysSo) {
  PlanReport report;
  report.sensitivities =
      plan::Sensitivities{{change_of("small", "+10 %", 1), change_of("large", "+10 %", 3),
                           change_of("none", "+10 %", 0), change_of("large", "-10 %", -700),
                           change_of("cannot", "-10 %", 0), change_of("not here", "+1 C", 9)},
                          usd_per_hour(2)};
  report.sensitivities->changes[4].feasible = false;
  report.sensitivities->changes[5].unavailable_because = "the hall has a constant PUE";
  const auto charts = sensitivity_charts(report);
  ASSERT_EQ(charts.size(), 1U);
  std::vector<std::string> labels;
  for (const auto& bar : values_of(charts[0])) {
    labels.push_back(bar["input"].get<std::string>() + " " + bar["label"].get<std::string>());
  }
  EXPECT_EQ(labels, (std::vector<std::string>{"large +10 %: +3", "large -10 %: -700",
                                              "small +10 %: +1", "cannot -10 %: infeasible"}));
  const auto tables = sensitivity_tables(report);
  ASSERT_EQ(tables.size(), 1U);
  ASSERT_EQ(tables[0].rows.size(), 7U);  // all changes, and tokens per joule
  EXPECT_EQ(tables[0].rows[4].cells.back().text, "infeasible");
  EXPECT_EQ(tables[0].rows[5].cells.back().text, "the hall has a constant PUE");
  EXPECT_EQ(tables[0].rows[6].cells.back().text, "+17,520 USD a year");
}

TEST(SensitivityChart, WithoutAnEffectThereIsNone) {
  PlanReport report;
  EXPECT_TRUE(sensitivity_charts(report).empty());
  report.sensitivities = plan::Sensitivities{{change_of("none", "+10 %", 0)}, {}};
  EXPECT_TRUE(sensitivity_charts(report).empty());
  EXPECT_EQ(sensitivity_tables(report)[0].rows.size(), 2U);
}

TEST(RatioCurves, AtMeasuredRowsTheyAreTheRowsRatio) {
  const auto made = make_rich_case();
  const auto all = service_ratios(made->report, RackNames{made->set});
  ASSERT_EQ(all.size(), 1U);
  ASSERT_EQ(all[0].racks.size(), 2U);
  EXPECT_EQ(all[0].racks[0].name, "hgx-h200-air");  // owned
  const auto& rack = all[0].racks[1];
  const auto& divisor = all[0].racks[0];
  const auto ratio = ratio_at(rack, divisor, tokens_per_second(60));
  ASSERT_TRUE(ratio);
  EXPECT_DOUBLE_EQ(ratio->per_gpu, 4);
  EXPECT_EQ(ratio->tag, Tag::measured);
  EXPECT_FALSE(ratio->is_between_deployments);
  const auto watts_of = [&](std::size_t k) {
    const auto& kind = made->set.racks[k];
    return in_watts(kind.provisioned_per_rack.value) / kind.gpus_per_rack;
  };
  EXPECT_DOUBLE_EQ(ratio->per_provisioned_mw, 4 * watts_of(0) / watts_of(1));
  EXPECT_DOUBLE_EQ(ratio_at(rack, divisor, tokens_per_second(40))->per_gpu, 8 * 900.0 / 1500);
  EXPECT_EQ(ratio_at(rack, divisor, tokens_per_second(50))->tag, Tag::interpolated);
  EXPECT_FALSE(ratio_at(rack, divisor, tokens_per_second(61)));
}

TEST(RatioCurves, OneAcceleratorHasNone) {
  const auto made = make_case("1MW");
  EXPECT_TRUE(ratio_charts(made->report, RackNames{made->set}).empty());
  EXPECT_TRUE(ratio_tables(made->report).empty());
  const auto rich = make_rich_case();
  rich->report.points = {};
  EXPECT_TRUE(ratio_charts(rich->report, RackNames{rich->set}).empty());
}

TEST(RatioCurves, WhatWasNotMeasuredIsSaid) {
  auto made = make_rich_case();
  made->site.services.push_back(made->site.services[0]);
  made->site.services[1].id = "other";
  made->site.services[1].workload.isl_tokens = 4096;
  const auto all = service_ratios(made->report, RackNames{made->set});
  ASSERT_EQ(all.size(), 2U);
  EXPECT_TRUE(all[1].racks.empty());
  EXPECT_EQ(all[1].unmeasured, (std::vector<std::string>{"hgx-h200-air", "gb300-nvl72"}));
  EXPECT_EQ(ratio_charts(made->report, RackNames{made->set}).size(), 1U);
}

TEST(RatioCharts, BothPanelsHoldTheCurveToItsEnd) {
  const auto made = make_rich_case();
  const auto charts = ratio_charts(made->report, RackNames{made->set});
  ASSERT_EQ(charts.size(), 1U);
  ASSERT_EQ(charts[0].spec["hconcat"].size(), 2U);
  for (const auto& panel : charts[0].spec["hconcat"]) {
    const auto& points = panel["layer"][0]["data"]["values"];
    ASSERT_GT(points.size(), 10U);
    EXPECT_EQ(points.front()["interactivity"], 15);  // the lowest row of both
    EXPECT_EQ(points.back()["interactivity"], 60);
    for (const auto& point : points) {
      EXPECT_GT(point["ratio"].get<double>(), 0);  // the axis is logarithmic
    }
  }
}

TEST(HourChart, ShadesEveryRowFromItsLowestToItsHighest) {
  const auto made = make_rich_case();
  const auto hours = made->plan.hours.size();
  ASSERT_GT(hours, 1U);
  const auto charts = hour_charts(made->report);
  ASSERT_EQ(charts.size(), 1U);
  const auto cells = values_of(charts[0]);
  EXPECT_EQ(cells.size(), 7 * hours);
  std::map<std::string, std::pair<double, double>> shades;
  for (const auto& cell : cells) {
    auto& [low, high] = shades.try_emplace(cell["quantity"], 1.0, 0.0).first->second;
    low = std::min(low, cell["shade"].get<double>());
    high = std::max(high, cell["shade"].get<double>());
  }
  EXPECT_EQ(shades.size(), 7U);
  for (const auto& quantity : {"price, USD/kWh", "demand, %"}) {
    EXPECT_EQ(shades.at(quantity), (std::pair{0.0, 1.0})) << quantity;
  }
  for (const auto& cell : cells) {
    if (cell["quantity"] == "headroom, MW") {
      const auto at =
          std::find_if(made->site.year.begin(), made->site.year.end(),
                       [&](const plan::HourClass& hour) { return cell["hour"] == hour.name; });
      const auto h = static_cast<std::size_t>(at - made->site.year.begin());
      EXPECT_DOUBLE_EQ(cell["value"], 1 - in_megawatts(made->plan.hours[h].reserved));
    }
  }
}

TEST(HourChart, AFlatRowIsLight) {
  auto made = make_rich_case();
  for (auto& hour : made->site.year) {
    hour.demand_ratio = 0.7;
  }
  for (const auto& cell : values_of(hour_charts(made->report)[0])) {
    if (cell["quantity"] == "demand, %") {
      EXPECT_EQ(cell["shade"], 0);
    }
  }
}

TEST(HourTables, OneHourClassAndConstantPuesHaveNone) {
  const auto made = make_case("1MW");
  EXPECT_TRUE(hour_charts(made->report).empty());
  EXPECT_TRUE(hour_tables(made->report).empty());
  const auto rich = make_rich_case();
  const auto tables = hour_tables(rich->report);
  ASSERT_EQ(tables.size(), 2U);
  EXPECT_EQ(tables[0].rows.size(), rich->site.year.size());
  EXPECT_EQ(tables[1].rows.size(), rich->site.halls.size());
}

TEST(ShortClaims, NameOneSideAndCountTheOthers) {
  ClaimResult result;
  result.claim.statement = "50 times";
  result.verdict = {
      VerdictKind::supported_only_against, VerdictReason::none, {"a", "b", "c"}, true};
  EXPECT_EQ(short_text(result.verdict), "supported only against a and 2 more");
  const auto table = short_claims_table({&result, 1});
  ASSERT_EQ(table.rows.size(), 1U);
  EXPECT_EQ(table.rows[0].cells.size(), table.columns.size());
  EXPECT_EQ(table.rows[0].cells[3].text, "supported only against a and 2 more");
}

}  // namespace
}  // namespace perwatt::report
