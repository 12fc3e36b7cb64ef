#include "perwatt/plan/attribution.hpp"

#include <cmath>
#include <numeric>

#include "two_sites.hpp"
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/facility/tco.hpp"

namespace perwatt::plan {
namespace {

constexpr const char* kToday = R"([baseline]
site = "self"
[baseline.deployments]
precisions = ["fp8"]
spec_decode = ["none"]
serving = ["aggregated"]
not_after = "2025-12-31"
max_concurrency_per_gpu = 8
)";

double hourly(UsdPerSecond rate) {
  return in_usd_per_hour(rate);
}

double sum_of(const Attribution& attribution, double (*get)(const Worth&)) {
  return std::accumulate(attribution.parts.begin(), attribution.parts.end(), 0.0,
                         [&](double sum, const LeverPart& p) { return sum + get(p.part); });
}

void expect_parts_sum_to_the_total(const Attribution& a) {
  const auto check = [&](double (*get)(const Worth&)) {
    const double total = get(a.plan) - get(a.baseline);
    EXPECT_NEAR(sum_of(a, get), total, 1e-9 * (std::abs(get(a.plan)) + std::abs(get(a.baseline))));
  };
  check([](const Worth& w) { return w.profit.in_base(); });
  check([](const Worth& w) { return w.capital.in_base(); });
  check([](const Worth& w) { return w.output.in_base(); });
  check([](const Worth& w) { return w.meter.in_base(); });
  check([](const Worth& w) { return w.joules_per_output_token.in_base(); });
}

TEST(Attribution, ItsEndsAreTheBaselineAndThePlanAsSolvedAlone) {
  const auto sites = self(base_text(kToday), varied_rows());
  const auto a = sites->attribution();
  EXPECT_NEAR(hourly(a.baseline.profit), hourly(sites->profit_of(sites->baseline)), 1e-9);
  EXPECT_NEAR(hourly(a.plan.profit), hourly(sites->profit_of(sites->plan)), 1e-9);
  EXPECT_EQ(a.plans_solved, 32U);
  EXPECT_TRUE(a.is_exact);
  expect_parts_sum_to_the_total(a);
}

TEST(Attribution, TwoLeversThatUnlockOneDeploymentShareItEqually) {
  auto plain = row(100, 30, 500);
  auto both = row(200, 30, 500);
  both.precision = "fp4";
  both.spec_decode = "mtp";
  const auto sites = self(base_text("[baseline]\nsite = \"self\"\n[baseline.deployments]\n"
                                    "precisions = [\"fp8\"]\nspec_decode = [\"none\"]\n"),
                          {plain, both});
  const auto a = sites->attribution();
  // By hand: 96 GPUs, 100 tok/s more each at 2 USD per million, the same watts.
  const double gain = 96 * 100 * 3600 * 2 / 1e6;
  EXPECT_NEAR(hourly(a.plan.profit - a.baseline.profit), gain, 1e-6);
  EXPECT_NEAR(hourly(part_of(a, Lever::precision).part.profit), gain / 2, 1e-6);
  EXPECT_NEAR(hourly(part_of(a, Lever::speculative_decoding).part.profit), gain / 2, 1e-6);
  ASSERT_EQ(a.interactions.size(), 1U);
  EXPECT_NEAR(hourly(a.interactions[0].profit), gain, 1e-6);
}

RC_GTEST_PROP(Attribution, NoLeverLosesAndThePartsSumToTheTotal, ()) {
  auto rows = varied_rows();
  for (auto& point : rows) {
    const double rate = *rc::gen::inRange(50, 300);
    point.output_per_gpu = tokens_per_second(rate);
    point.total_per_gpu = tokens_per_second(2 * rate);
  }
  auto text = base_text(kToday);
  const auto planned = std::to_string(*rc::gen::inRange(50, 100));
  const auto today = std::to_string(*rc::gen::inRange(50, 100));
  text.replace(text.find("[prices]"), 0, "availability_ratio = 0." + planned + "\n");
  text.replace(text.find("site = \"self\""), 13,
               "site = \"self\"\navailability_ratio = 0." + today);
  const auto a = self(text, rows)->attribution();
  const double scale = std::abs(hourly(a.plan.profit)) + std::abs(hourly(a.baseline.profit));
  double sum = 0;
  for (const auto& part : a.parts) {
    RC_ASSERT(hourly(part.part.profit) >= -1e-9 * scale);
    sum += hourly(part.part.profit);
  }
  RC_ASSERT(std::abs(sum - hourly(a.plan.profit - a.baseline.profit)) <= 1e-9 * scale);
}

TEST(Attribution, ALeverThatWouldLoseIsNotPulled) {
  // The plan is up less often than today: the best of its subsets leaves availability alone.
  auto text = base_text(std::string{kToday});
  text.replace(text.find("[prices]"), 0, "availability_ratio = 0.6\n");
  text.replace(text.find("site = \"self\""), 13, "site = \"self\"\navailability_ratio = 0.9");
  const auto a = self(text, varied_rows())->attribution();
  EXPECT_TRUE(part_of(a, Lever::availability).differs);
  EXPECT_EQ(hourly(part_of(a, Lever::availability).part.profit), 0);
  expect_parts_sum_to_the_total(a);
}

TEST(Attribution, ALeverWithoutEffectGetsNothing) {
  const auto a = self(base_text("[baseline]\nsite = \"self\"\n[baseline.deployments]\n"
                                "max_concurrency_per_gpu = 8\nengines = [\"sglang\"]\n"),
                      varied_rows())
                     ->attribution();
  const auto& engine = part_of(a, Lever::engine_version);
  EXPECT_TRUE(engine.differs);
  EXPECT_EQ(hourly(engine.part.profit), 0);
  EXPECT_EQ(hourly(engine.low.profit), 0);
  EXPECT_EQ(hourly(engine.high.profit), 0);
  EXPECT_GT(hourly(part_of(a, Lever::operating_point).part.profit), 0);
  EXPECT_FALSE(part_of(a, Lever::smoothing).differs);
}

TEST(Attribution, UnservedCommitmentsCostTenTimesTheirPrice) {
  // Today 96 GPUs serve 9,600 tok/s of 12,000 committed; the plan serves all of them.
  auto better = row(200, 30, 500);
  better.spec_decode = "mtp";
  const auto sites = self(base_text("[baseline]\nsite = \"self\"\n[baseline.deployments]\n"
                                    "spec_decode = [\"none\"]\n",
                                    "committed_output_tokens_per_s = 12000\n"),
                          {row(100, 30, 500), better});
  const auto a = sites->attribution();
  Site free = sites->baseline;
  free.services[0].committed_output.reset();
  const double penalty = (12000 - 9600) * 3600 * 2 / 1e6 * 10;
  EXPECT_NEAR(hourly(a.baseline.profit), hourly(sites->profit_of(free)) - penalty, 1e-6);
  EXPECT_NEAR(hourly(a.plan.profit), hourly(sites->profit_of(sites->plan)), 1e-9);
}

TEST(Attribution, OnlyOneClassPullsItsLeversAlone) {
  const auto sites = self(base_text(std::string{kToday} + "[[rack]]\nsystem = \"hgx-b200-air\"\n"
                                                          "max_buy = 2\n"
                                                          "capital_usd_per_gpu_hour = 0.1\n"),
                          [] {
                            auto rows = varied_rows();
                            rows.push_back(row(400, 30, 700));
                            rows.back().accelerator = "b200";
                            rows.back().date = "2025-11-01";
                            return rows;
                          }());
  const auto operations = sites->attribution({LeverClass::operations, 1, {}});
  Site without = sites->plan;
  without.racks.pop_back();
  EXPECT_NEAR(hourly(operations.plan.profit), hourly(sites->profit_of(without)), 1e-9);
  EXPECT_EQ(operations.plan.capital, UsdPerSecond{});
  for (const auto& part : operations.parts) {
    EXPECT_EQ(info_of(part.lever).lever_class, LeverClass::operations);
  }
  const auto hardware = sites->attribution({LeverClass::hardware, 1, {}});
  EXPECT_GT(hourly(part_of(hardware, Lever::accelerator_generation).part.profit), 0);
  EXPECT_GT(hardware.plan.capital, UsdPerSecond{});
}

TEST(Attribution, MoneyOverTheHorizonFollowsTheFormulas) {
  const auto sites = self(base_text("[finance]\nhorizon_years = 4\ncost_of_capital_ratio = 0.1\n"
                                    "payback_years = 2\n[baseline]\nsite = \"self\"\n",
                                    "", "owned = 3\nmax_buy = 2\ncapital_usd_per_gpu_hour = 0.3"),
                          {row(100, 30, 500)});
  const auto a = sites->attribution();
  const auto& part = part_of(a, Lever::capacity);
  const double hours = 8760;
  const double life = shipped_catalog().finance().server_lifetime_years.value;
  const double outlay =
      64 * 0.3 * hours / facility::annuity_ratio_per_year(0.1, life);  // 2 racks of 32
  EXPECT_NEAR(in_usd(part.outlay), outlay, 1e-6 * outlay);
  const double gain = (hourly(part.part.profit) + hourly(part.part.capital)) * hours;
  const double value = gain * (1 - std::pow(1.1, -4)) / 0.1 - outlay;
  EXPECT_NEAR(in_usd(part.net_present_value), value, 1e-6 * std::abs(value));
  EXPECT_GE(part.payback_probability, 0);
  EXPECT_LE(part.payback_probability, 1);
}

TEST(Attribution, PaybackIsCertainWithoutOutlayAndImpossibleForATrifle) {
  const auto free = self(base_text(kToday), varied_rows())->attribution();
  EXPECT_EQ(part_of(free, Lever::provisioning).payback_probability, 1);  // as in the baseline
  const auto dear = self(base_text("[finance]\npayback_years = 0.1\n[baseline]\nsite = \"self\"\n",
                                   "", "owned = 3\nmax_buy = 2\ncapital_usd_per_gpu_hour = 0.3"),
                         {row(100, 30, 500)})
                        ->attribution();
  EXPECT_EQ(part_of(dear, Lever::capacity).payback_probability, 0);
}

TEST(Attribution, TheSeedMovesIntervalsAndNothingElse) {
  const auto sites = self(base_text(kToday), varied_rows());
  const auto one = sites->attribution({{}, 1, {}});
  const auto again = sites->attribution({{}, 1, {}});
  const auto other = sites->attribution({{}, 2, {}});
  bool moved = false;
  for (std::size_t i = 0; i < one.parts.size(); ++i) {
    EXPECT_EQ(one.parts[i].part.profit, other.parts[i].part.profit);
    EXPECT_EQ(one.parts[i].low.profit, again.parts[i].low.profit);
    EXPECT_LE(one.parts[i].low.profit, one.parts[i].high.profit);
    moved = moved || one.parts[i].low.profit != other.parts[i].low.profit;
  }
  EXPECT_TRUE(moved);
  EXPECT_LT(one.gain_low.profit, one.gain_high.profit);
  EXPECT_LT(one.gain_low.output, one.gain_high.output);
}

TEST(Attribution, MoreThanTenLeversAreSampledWithAStatedErrorAndAnExactSum) {
  const Site before = site_of(base_text(
      "[[rack]]\nsystem = \"hgx-h100-air\"\nowned = 1\n[[load]]\nname = \"storage\"\n"
      "power = \"20kW\"\n[[placement]]\nsystem = \"hgx-h200-air\"\nservice = \"chat\"\n"
      "gpu_share_ratio = 0.5\n[deployments]\nprecisions = [\"fp8\"]\nspec_decode = [\"none\"]\n"
      "serving = [\"aggregated\"]\nnot_after = \"2025-12-31\"\nmax_concurrency_per_gpu = 8\n"));
  auto text = base_text(
      "[[rack]]\nsystem = \"hgx-b200-air\"\nmax_buy = 2\ncapital_usd_per_gpu_hour = 0.1\n"
      "[[load]]\nname = \"storage\"\npower = \"10kW\"\n",
      "alternative_models = [\"deepseek-v3\"]\n", "owned = 3\ncooling_plant = \"liquid\"");
  text.replace(text.find("10MW"), 4, "12MW");
  text.replace(text.find("[prices]"), 0, "availability_ratio = 0.98\n");
  auto rows = varied_rows();
  rows.push_back(row(400, 30, 700));
  rows.back().accelerator = "b200";
  rows.back().date = "2025-11-01";
  const TwoSites sites{before, site_of(text), rows};
  const auto differing = differing_levers(before, sites.plan, shipped_catalog());
  ASSERT_GT(differing.count(), 10U);
  const auto a = sites.attribution();
  ASSERT_EQ(a.unavailable_because, "");
  EXPECT_FALSE(a.is_exact);
  expect_parts_sum_to_the_total(a);
  EXPECT_TRUE(std::any_of(a.parts.begin(), a.parts.end(), [](const LeverPart& part) {
    return part.standard_error > UsdPerSecond{};
  }));
  const double total = hourly(a.plan.profit - a.baseline.profit);
  for (const auto& part : a.parts) {
    EXPECT_LT(hourly(part.standard_error), 0.1 * std::abs(total));
  }
}

TEST(Attribution, SitesWithoutAPlanOrOfOtherTradeAnswerWhy) {
  auto text = base_text(kToday);
  const auto loads = self(text + "[[load]]\nname = \"all\"\npower = \"20MW\"\n", varied_rows());
  EXPECT_NE(loads->attribution().unavailable_because.find("envelope"), std::string::npos);
  Site dearer = site_of(base_text());
  dearer.services[0].output_price = dearer.services[0].output_price * 2;
  const TwoSites other{dearer, site_of(base_text()), varied_rows()};
  EXPECT_NE(other.attribution().unavailable_because.find("sells something else"),
            std::string::npos);
}

TEST(Attribution, TheOrderOfTheBaselinesServicesSaysNothing) {
  const std::string other =
      "[[service]]\nid = \"agents\"\nmodel = \"deepseek-r1\"\nisl_tokens = 1024\n"
      "osl_tokens = 1024\nmin_interactivity = \"35tok/s\"\ndemand_output_tokens_per_s = 5000\n"
      "price_usd_per_million_output_tokens = 3\n";
  const auto sites = self(base_text(other + kToday), varied_rows());
  Site turned = sites->baseline;
  std::swap(turned.services[0], turned.services[1]);
  const TwoSites swapped{turned, sites->plan, varied_rows()};
  const auto a = sites->attribution();
  const auto b = swapped.attribution();
  ASSERT_EQ(b.unavailable_because, "");
  for (std::size_t i = 0; i < a.parts.size(); ++i) {
    EXPECT_NEAR(hourly(a.parts[i].part.profit), hourly(b.parts[i].part.profit), 1e-9);
  }
}

TEST(Attribution, APrecisionWithScoresCountsAndOneThatLosesTooMuchDoesNot) {
  const auto text = base_text(
      "[baseline]\nsite = \"self\"\n[baseline.deployments]\n"
      "precisions = [\"fp8\"]\n");
  auto narrow = row(200, 30, 470);
  narrow.precision = "fp4";
  const auto good = self(text, {row(100, 30, 500), narrow})->attribution();
  const double total = hourly(good.plan.profit - good.baseline.profit);
  ASSERT_GT(total, 0);
  ASSERT_EQ(part_of(good, Lever::precision).quality.size(), 1U);
  EXPECT_EQ(part_of(good, Lever::precision).not_counted_because, "");
  EXPECT_NEAR(hourly(*good.counted_profit), total, 1e-9);
  const auto strict =
      self(text + "[quality]\nmax_loss_points = 0.5\n", {row(100, 30, 500), narrow})->attribution();
  EXPECT_NE(part_of(strict, Lever::precision).not_counted_because, "");
  EXPECT_NEAR(hourly(strict.plan.profit - strict.baseline.profit), total, 1e-9);
  EXPECT_NEAR(hourly(*strict.counted_profit), 0, 1e-9);
}

TEST(Attribution, WhatCountsIsWhatThePlanEarnsWithoutTheLeverThatDoesNot) {
  // The other model runs in fp4 alone, so that both levers share its gain; without the model the
  // plan of the precision is another one, with scores of its own.
  auto narrow = row(150, 30, 470);
  narrow.precision = "fp4";
  auto other = row(300, 30, 400);
  other.precision = "fp4";
  other.model = "gpt-oss-120b";
  const auto sites = self(base_text("[baseline]\nsite = \"self\"\n[baseline.deployments]\n"
                                    "precisions = [\"fp8\"]\n",
                                    "alternative_models = [\"gpt-oss-120b\"]\n"),
                          {row(100, 30, 500), narrow, other});
  const auto a = sites->attribution();
  EXPECT_NE(part_of(a, Lever::model).not_counted_because, "");
  EXPECT_GT(part_of(a, Lever::precision).part.profit, UsdPerSecond{});
  Site without = sites->plan;
  without.services[0].alternative_models.clear();
  EXPECT_NEAR(hourly(*a.counted_profit), hourly(sites->profit_of(without) - a.baseline.profit),
              1e-9);
}

TEST(Attribution, NothingIsCountedWhereThePlanWithoutTheLeverDoesNotCountEither) {
  auto narrow = row(400, 30, 700);
  narrow.accelerator = "b200";
  narrow.precision = "fp4";
  auto other = row(500, 30, 400);
  other.model = "gpt-oss-120b";
  const auto text = base_text(
      "[[rack]]\nsystem = \"hgx-b200-air\"\nmax_buy = 2\ncapital_usd_per_gpu_hour = 0.1\n"
      "[baseline]\nsite = \"self\"\n[quality]\nmax_loss_points = 0\n",
      "alternative_models = [\"gpt-oss-120b\"]\n");
  const auto a = self(text, {row(100, 30, 500), narrow, other})->attribution();
  EXPECT_NE(part_of(a, Lever::model).not_counted_because, "");
  EXPECT_FALSE(a.counted_profit.has_value());
  EXPECT_NE(a.counted_unknown_because, "");
}

TEST(Attribution, QualityThatCameWithNewHardwareIsNotTakenApart) {
  auto narrow = row(400, 30, 700);
  narrow.accelerator = "b200";
  narrow.precision = "fp4";
  const auto text = base_text(
      "[[rack]]\nsystem = \"hgx-b200-air\"\nmax_buy = 2\ncapital_usd_per_gpu_hour = 0.1\n"
      "[baseline]\nsite = \"self\"\n[quality]\nmax_loss_points = 0\n");
  const auto a = self(text, {row(100, 30, 500), narrow})->attribution();
  EXPECT_FALSE(part_of(a, Lever::precision).differs);
  EXPECT_EQ(part_of(a, Lever::precision).quality.size(), 1U);
  EXPECT_FALSE(a.counted_profit.has_value());
  EXPECT_NE(a.counted_unknown_because.find("other levers"), std::string::npos);
}

}  // namespace
}  // namespace perwatt::plan
