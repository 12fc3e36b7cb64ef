#include "perwatt/plan/lever.hpp"

#include <string>
#include <tuple>

#include "two_sites.hpp"
#include <gtest/gtest.h>

namespace perwatt::plan {
namespace {

LeverSet levers(std::initializer_list<Lever> pulled) {
  LeverSet set;
  for (const auto lever : pulled) {
    set.set(static_cast<std::size_t>(lever));
  }
  return set;
}

const LeverSet kAll = LeverSet{}.set();

using Stock = std::tuple<std::string, std::string, int, int>;

std::vector<Stock> stocks(const Site& site) {
  std::vector<Stock> result;
  for (const auto& rack : site.racks) {
    result.emplace_back(rack.system, rack.cooling_plant, rack.owned, rack.max_buy);
  }
  std::sort(result.begin(), result.end());
  return result;
}

std::vector<std::vector<std::string>> models(const Site& site) {
  std::vector<std::vector<std::string>> result;
  for (const auto& service : site.services) {
    auto others = service.alternative_models;
    std::sort(others.begin(), others.end());
    others.insert(others.begin(), service.model);
    result.push_back(others);
  }
  return result;
}

void expect_same(const Site& a, const Site& b) {
  EXPECT_EQ(stocks(a), stocks(b));
  EXPECT_EQ(models(a), models(b));
  EXPECT_EQ(a.rules, b.rules);
  EXPECT_EQ(a.placements, b.placements);
  EXPECT_EQ(a.availability_ratio, b.availability_ratio);
  EXPECT_EQ(a.envelope, b.envelope);
  EXPECT_EQ(a.loads.size(), b.loads.size());
}

Site mixed(const Site& baseline, const Site& plan, LeverSet pulled) {
  return mixed_site(baseline, plan, pulled, shipped_catalog());
}

constexpr const char* kEverything = R"(
[[rack]]
system = "hgx-h200-air"
cooling_plant = "liquid"
max_buy = 2
[[rack]]
system = "gb200-nvl72"
max_buy = 1
capital_usd_per_gpu_hour = 1
[[rack]]
system = "hgx-b200-air"
max_buy = 1
capital_usd_per_gpu_hour = 1
[[placement]]
system = "hgx-h200-air"
hall = "air"
service = "chat"
gpu_share_ratio = 0.5
[baseline]
site = "self"
availability_ratio = 0.8
[baseline.deployments]
precisions = ["fp8"]
spec_decode = ["none"]
[[baseline.placement]]
system = "hgx-h200-air"
hall = "air"
service = "chat"
gpu_share_ratio = 0.25
)";

TEST(Lever, TheTableIsInTheOrderOfTheEnumerationAndNamesAreUnique) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kLeverCount; ++i) {
    EXPECT_EQ(static_cast<std::size_t>(all_levers()[i].lever), i);
    names.insert(all_levers()[i].name);
  }
  EXPECT_EQ(names.size(), kLeverCount);
  EXPECT_EQ(parse_lever_class("facility"), LeverClass::facility);
  EXPECT_EQ(parse_lever_class("Facility"), std::nullopt);
}

TEST(Lever, NoLeverIsTheBaselineAndAllLeversAreThePlan) {
  const Site plan = site_of(
      base_text(kEverything, "alternative_models = [\"deepseek-v3\"]\n", "owned = 3\nmax_buy = 4"));
  const Site baseline = as_it_stands(plan);
  expect_same(mixed(baseline, plan, {}), baseline);
  // Deployments are as in either: a rule of the plan that the baseline lacks does not bind.
  Site loose = plan;
  loose.rules = {};
  expect_same(mixed(baseline, plan, kAll), loose);
}

TEST(Lever, ASecondHallIsNewCapacityAndNotTheFirstOneTwice) {
  const Site plan = site_of(base_text(kEverything));
  const Site baseline = as_it_stands(plan);
  EXPECT_EQ(stocks(mixed(baseline, plan, {})), (std::vector<Stock>{{"hgx-h200-air", "air", 3, 0}}));
  const std::vector<Stock> both{{"hgx-h200-air", "air", 3, 0}, {"hgx-h200-air", "liquid", 0, 2}};
  EXPECT_NE(stocks(mixed(baseline, plan, levers({Lever::capacity}))), both);
  EXPECT_EQ(stocks(mixed(baseline, plan, levers({Lever::capacity, Lever::cooling}))), both);
}

TEST(Lever, ARackStandsWhereTheLeversItNeedsArePulled) {
  const Site plan = site_of(base_text(kEverything));
  const Site baseline = as_it_stands(plan);
  const auto has = [&](const char* system, std::initializer_list<Lever> pulled) {
    const auto site = mixed(baseline, plan, levers(pulled));
    return std::any_of(site.racks.begin(), site.racks.end(),
                       [&](const RackStock& rack) { return rack.system == system; });
  };
  EXPECT_TRUE(has("hgx-b200-air", {Lever::accelerator_generation}));
  EXPECT_FALSE(has("hgx-b200-air", {Lever::scale_up_domain, Lever::capacity}));
  EXPECT_FALSE(has("gb200-nvl72", {Lever::accelerator_generation}));
  EXPECT_FALSE(has("gb200-nvl72", {Lever::scale_up_domain}));
  EXPECT_TRUE(has("gb200-nvl72", {Lever::accelerator_generation, Lever::scale_up_domain}));
}

TEST(Lever, ASystemMovedToAnotherPlantIsCoolingAlone) {
  const Site before = site_of(base_text());
  const Site after = site_of(base_text("", "", "owned = 3\ncooling_plant = \"liquid\""));
  EXPECT_EQ(differing_levers(before, after, shipped_catalog()), levers({Lever::cooling}));
  EXPECT_EQ(stocks(mixed(before, after, {})), stocks(before));
  EXPECT_EQ(stocks(mixed(before, after, levers({Lever::cooling}))), stocks(after));
}

TEST(Lever, RacksThatThePlanNoLongerHasGoWithCapacity) {
  const Site before = site_of(base_text("[[rack]]\nsystem = \"hgx-h100-air\"\nowned = 2\n"));
  const Site after = site_of(base_text());
  EXPECT_EQ(differing_levers(before, after, shipped_catalog()), levers({Lever::capacity}));
  EXPECT_EQ(stocks(mixed(before, after, {})), stocks(before));
  EXPECT_EQ(stocks(mixed(before, after, levers({Lever::capacity}))), stocks(after));
}

TEST(Lever, AnOpenedRuleAllowsWhatEitherSideAllows) {
  Site before = site_of(base_text());
  Site after = before;
  before.rules.precisions = {{"fp8"}};
  after.rules.precisions = {{"fp4"}};
  before.rules.engines = {{"sglang"}};
  before.rules.not_after = "2025-12-31";
  after.rules.not_after = "2026-06-30";
  before.rules.max_concurrency_per_gpu = 8;
  after.rules.max_concurrency_per_gpu = 4;
  const auto rules =
      mixed(before, after,
            levers({Lever::precision, Lever::engine_version, Lever::operating_point}))
          .rules;
  EXPECT_EQ(rules.precisions, (std::vector<std::string>{"fp4", "fp8"}));
  EXPECT_EQ(rules.engines, std::nullopt);
  EXPECT_EQ(rules.not_after, "2026-06-30");
  EXPECT_EQ(rules.max_concurrency_per_gpu, 8);
  EXPECT_EQ(mixed(before, after, {}).rules, before.rules);
}

TEST(Lever, APrecisionMayBeAllowedForOneModelAlone) {
  const auto site = site_of(base_text("[deployments]\nprecisions = [\"fp8\", \"dsr1:fp4\"]\n"));
  EXPECT_EQ(site.rules.precisions, (std::vector<std::string>{"fp8", "deepseek-r1:fp4"}));
  auto point = row(100, 30, 500);
  point.precision = "fp4";
  EXPECT_TRUE(site.rules.allow(inference::at_row(point)));
  point.model = "gpt-oss-120b";
  EXPECT_FALSE(site.rules.allow(inference::at_row(point)));
  point.precision = "fp8";
  EXPECT_TRUE(site.rules.allow(inference::at_row(point)));
}

TEST(Lever, SitesThatSellOtherThingsAreNotCompared) {
  const Site site = site_of(base_text());
  EXPECT_EQ(incomparable_because(site, site), std::nullopt);
  Site dearer = site;
  dearer.services[0].output_price = dearer.services[0].output_price * 2;
  EXPECT_NE(incomparable_because(site, dearer), std::nullopt);
  Site larger = site;
  larger.services.push_back(site.services[0]);
  EXPECT_NE(incomparable_because(site, larger), std::nullopt);
}

}  // namespace
}  // namespace perwatt::plan
