#include "perwatt/facility/tco.hpp"

#include <cmath>
#include <optional>

#include "shipped_catalog.hpp"
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace perwatt::facility {
namespace {

/// 10 000 USD per GPU over 5 years, 10 USD per IT watt over 20 years, 3 % upkeep.
catalog::System system_of(double capex) {
  catalog::System system;
  system.capex_per_gpu = catalog::Sourced<Usd>{usd(capex), Tag::assumed, "test", ""};
  return system;
}

catalog::Finance finance_of(double rate) {
  catalog::Finance finance;
  finance.cost_of_capital_ratio.value = rate;
  finance.facility_capex_usd_per_it_watt.value = 10;
  finance.facility_lifetime_years.value = 20;
  finance.server_lifetime_years.value = 5;
  finance.opex_ratio_per_year.value = 0.03;
  return finance;
}

/// One row: gpu at 2 USD/h hyperscaler, 1.5 kW all-in, 0.10 USD/kWh.
catalog::PriceTable price_table(UsdPerSecond hyperscaler) {
  catalog::PriceTable table;
  table.electricity.value = usd_per_kwh(0.10);
  table.accelerators["gpu"].tco_hyperscaler = hyperscaler;
  table.accelerators["gpu"].allin_facility = kilowatts(1.5);
  table.accelerators["bare"].rental = usd_per_hour(3);
  return table;
}

// ---- annuity ----------------------------------------------------------------------------------

TEST(Annuity, IsTheTextbookPayment) {
  EXPECT_NEAR(annuity_ratio_per_year(0.10, 5), 0.263797, 1e-6);
  EXPECT_NEAR(annuity_ratio_per_year(0.08, 15), 0.116830, 1e-6);
  EXPECT_NEAR(annuity_ratio_per_year(0.10, 1), 1.10, 1e-12);
}

TEST(Annuity, WithoutInterestIsStraightLine) {
  EXPECT_DOUBLE_EQ(annuity_ratio_per_year(0, 5), 0.2);
  EXPECT_NEAR(annuity_ratio_per_year(1e-6, 5), 0.2, 1e-6);
  EXPECT_NEAR(annuity_ratio_per_year(2e-9, 5), 0.2, 1e-6);  // just above the switch
}

TEST(Annuity, OverAVeryLongLifeIsTheInterest) {
  EXPECT_NEAR(annuity_ratio_per_year(0.10, 500), 0.10, 1e-12);
}

RC_GTEST_PROP(AnnuityProperty, PaymentsDiscountedAreTheCapital, ()) {
  const double rate = *rc::gen::inRange(1, 500) / 1e3;
  const int years = *rc::gen::inRange(1, 40);
  const double payment = annuity_ratio_per_year(rate, years);
  double worth = 0;
  for (int year = 1; year <= years; ++year) {
    worth += payment / std::pow(1 + rate, year);
  }
  RC_ASSERT(std::abs(worth - 1) < 1e-9);
  RC_ASSERT(payment > annuity_ratio_per_year(rate, years + 1));
  RC_ASSERT(payment < annuity_ratio_per_year(rate + 0.001, years));
}

// ---- bottom up --------------------------------------------------------------------------------

TEST(BottomUpCost, IsTheSumOfHandCountedParts) {
  const auto cost = bottom_up_cost_per_gpu(system_of(10'000), finance_of(0), {kilowatts(1.2)},
                                           {kilowatts(1)}, usd_per_kwh(0.08));
  ASSERT_TRUE(cost);
  EXPECT_NEAR(in_usd_per_hour(cost->servers), 10'000 / 5.0 / kHoursPerYear, 1e-12);
  EXPECT_NEAR(in_usd_per_hour(cost->facility), 12'000 / 20.0 / kHoursPerYear, 1e-12);
  EXPECT_NEAR(in_usd_per_hour(cost->maintenance), 300.0 / kHoursPerYear, 1e-12);
  EXPECT_NEAR(in_usd_per_hour(cost->energy), 0.08, 1e-12);
  EXPECT_EQ(cost->total(), cost->servers + cost->facility + cost->maintenance + cost->energy);
}

TEST(BottomUpCost, ASystemsOwnLifetimeComesFirst) {
  auto system = system_of(10'000);
  system.figures.push_back({"lifetime_years", {4, Tag::assumed, "test", ""}});
  const auto cost = bottom_up_cost_per_gpu(system, finance_of(0), {}, {}, {});
  EXPECT_NEAR(in_usd_per_hour(cost->servers), 2500.0 / kHoursPerYear, 1e-12);
}

TEST(BottomUpCost, WithoutAPurchasePriceIsUnknown) {
  EXPECT_FALSE(bottom_up_cost_per_gpu(catalog::System{}, finance_of(0.1), {}, {}, {}));
}

TEST(BottomUpCost, OfShippedSystemsIsNearThePublishedPrice) {
  // A bottom-up price far from the published all-in price of the same GPU would be a defect in one.
  const auto& table = shipped_catalog().price_table("2026-08", "");
  int priced = 0;
  for (const auto& system : shipped_catalog().systems()) {
    const auto published =
        published_price_per_gpu(table, system.accelerator, PriceBasis::tco_hyperscaler);
    if (!system.capex_per_gpu || !published) {
      continue;
    }
    const PowerChain chain{shipped_catalog(), system};
    const CoolingPlant plant{shipped_catalog().cooling_plant(system.cooling_plant, "")};
    const ItPower provisioned{chain.provisioned_node().it_total().value /
                              static_cast<double>(system.gpus_per_node)};
    const auto cost = bottom_up_cost_per_gpu(system, shipped_catalog().finance(), provisioned,
                                             plant.meter_for(chain.it_per_gpu(chain.tdp() * 0.8)),
                                             table.electricity.value);
    EXPECT_GT(cost->total() / *published, 0.5) << system.id;
    EXPECT_LT(cost->total() / *published, 2.0) << system.id;
    ++priced;
  }
  EXPECT_GE(priced, 2);
}

RC_GTEST_PROP(BottomUpCostProperty, EveryPartIsProportionalToItsCause, ()) {
  const auto capex = *rc::gen::inRange(1, 100'000);
  const auto provisioned = watts(*rc::gen::inRange(1, 3000));
  const auto draw = watts(*rc::gen::inRange(1, 3000));
  const auto price = usd_per_kwh(*rc::gen::inRange(1, 500) / 1e3);
  const auto finance = finance_of(*rc::gen::inRange(0, 200) / 1e3);
  const auto one = *bottom_up_cost_per_gpu(system_of(capex), finance, {provisioned}, {draw}, price);
  const auto two = *bottom_up_cost_per_gpu(system_of(2.0 * capex), finance, {provisioned * 2.0},
                                           {draw * 2.0}, price);
  const auto doubled = [](UsdPerSecond a, UsdPerSecond b) { return std::abs(b / a - 2.0) < 1e-12; };
  RC_ASSERT(doubled(one.servers, two.servers));
  RC_ASSERT(doubled(one.facility, two.facility));
  RC_ASSERT(doubled(one.maintenance, two.maintenance));
  RC_ASSERT(doubled(one.energy, two.energy));
  RC_ASSERT(one.energy == draw * price);
  RC_ASSERT(doubled(one.total(), two.total()));
}

// ---- published tables -------------------------------------------------------------------------

TEST(PublishedPrice, IsOfItsColumnOrUnknown) {
  const auto& table = shipped_catalog().price_table("2026-08", "");
  const auto price = [&](PriceBasis basis) {
    return in_usd_per_hour(*published_price_per_gpu(table, "b200", basis));
  };
  EXPECT_NEAR(price(PriceBasis::tco_hyperscaler), 1.73, 1e-12);
  EXPECT_NEAR(price(PriceBasis::tco_neocloud), 2.07, 1e-12);
  EXPECT_NEAR(price(PriceBasis::rental), 2.60, 1e-12);
  EXPECT_FALSE(published_price_per_gpu(table, "a100", PriceBasis::rental));
  EXPECT_FALSE(published_price_per_gpu(price_table({}), "bare", PriceBasis::tco_neocloud));
}

TEST(PublishedPrice, BasisNamesRoundTrip) {
  for (const auto basis :
       {PriceBasis::tco_hyperscaler, PriceBasis::tco_neocloud, PriceBasis::rental}) {
    EXPECT_EQ(parse_price_basis(to_string(basis)), basis);
  }
  EXPECT_EQ(parse_price_basis("Rental"), std::nullopt);
}

TEST(CapitalAndHosting, IsThePriceLessTheEnergyInside) {
  const auto rest =
      capital_and_hosting_per_gpu(price_table(usd_per_hour(2)), "gpu", PriceBasis::tco_hyperscaler);
  EXPECT_NEAR(in_usd_per_hour(*rest), 2 - 0.15, 1e-12);
}

TEST(CapitalAndHosting, IsNeverBelowZeroAndUnknownWhereEitherIs) {
  const auto cheap = price_table(usd_per_hour(0.05));
  EXPECT_EQ(capital_and_hosting_per_gpu(cheap, "gpu", PriceBasis::tco_hyperscaler), UsdPerSecond{});
  EXPECT_FALSE(capital_and_hosting_per_gpu(cheap, "gpu", PriceBasis::rental));
  EXPECT_FALSE(capital_and_hosting_per_gpu(cheap, "bare", PriceBasis::rental));
  EXPECT_FALSE(capital_and_hosting_per_gpu(cheap, "none", PriceBasis::rental));
}

}  // namespace
}  // namespace perwatt::facility
