#include "shipped_catalog.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "error_of.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/catalog/catalog.hpp"

namespace perwatt::catalog {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(ShippedCatalog, HoldsEveryKindOfEntry) {
  const auto& catalog = shipped_catalog();
  EXPECT_EQ(catalog.accelerators().size(), 14U);
  EXPECT_EQ(catalog.systems().size(), 18U);
  EXPECT_EQ(catalog.cooling_plants().size(), 7U);
  EXPECT_EQ(catalog.models().size(), 63U);
  EXPECT_EQ(catalog.price_tables().size(), 4U);
  EXPECT_EQ(catalog.token_prices().size(), 8U);
  EXPECT_EQ(catalog.energy_prices().size(), 3U);
}

void expect_declared(const std::string& source, const std::string& used_by) {
  const auto& declared = shipped_catalog().source(source);
  EXPECT_EQ(declared.id, source) << used_by;
  EXPECT_FALSE(declared.title.empty()) << source;
  EXPECT_FALSE(declared.publisher.empty()) << source;
  EXPECT_FALSE(declared.date.empty()) << source;
}

template <class Entries>
void expect_figures_declared(const Entries& entries) {
  for (const auto& entry : entries) {
    EXPECT_FALSE(entry.name.empty()) << entry.id;
    for (const auto& figure : entry.figures) {
      expect_declared(figure.figure.source, entry.id + "." + figure.name);
    }
  }
}

TEST(ShippedCatalog, EveryFigureHasADeclaredSource) {
  const auto& catalog = shipped_catalog();
  expect_figures_declared(catalog.accelerators());
  expect_figures_declared(catalog.systems());
  expect_figures_declared(catalog.cooling_plants());
  expect_figures_declared(catalog.models());
  for (const auto& model : catalog.models()) {
    for (const auto& score : model.quality) {
      expect_declared(score.source, model.id + "." + score.benchmark);
    }
  }
  for (const auto& table : catalog.price_tables()) {
    expect_declared(table.source, table.id);
    expect_declared(table.electricity.source, table.id);
  }
  for (const auto& price : catalog.token_prices()) {
    expect_declared(price.source, price.model);
  }
  for (const auto& price : catalog.energy_prices()) {
    expect_declared(price.source, price.id);
  }
  expect_declared(catalog.finance().cost_of_capital_ratio.source, "finance");
}

TEST(ShippedCatalog, EverySystemRefersToEntriesThatExist) {
  for (const auto& system : shipped_catalog().systems()) {
    EXPECT_EQ(shipped_catalog().accelerator(system.accelerator, "").id, system.accelerator);
    EXPECT_EQ(shipped_catalog().cooling_plant(system.cooling_plant, "").id, system.cooling_plant);
    EXPECT_GT(system.gpus_per_rack(), 0);
  }
}

TEST(ShippedCatalog, KnownFiguresAreReadInTheirUnits) {
  const auto& h100 = shipped_catalog().accelerator("h100", "");
  EXPECT_EQ(h100.tdp.value, watts(700));
  EXPECT_EQ(h100.idle->value, watts(68.6));
  EXPECT_EQ(h100.idle->tag, Tag::measured);
  EXPECT_DOUBLE_EQ(*h100.dense_bf16_flops, 989e12);
  EXPECT_DOUBLE_EQ(*h100.dense_fp8_flops, 1979e12);
  EXPECT_FALSE(h100.dense_fp4_flops);
  EXPECT_DOUBLE_EQ(*shipped_catalog().accelerator("b200", "").dense_fp4_flops, 9000e12);
  EXPECT_DOUBLE_EQ(*h100.memory_bytes_per_second, 3.35e12);
  const auto& r1 = shipped_catalog().model("deepseek-r1", "");
  EXPECT_DOUBLE_EQ(*r1.total_parameters, 671e9);
  EXPECT_DOUBLE_EQ(*r1.active_parameters, 37e9);
  const auto& table = shipped_catalog().price_table("2026-08", "");
  EXPECT_DOUBLE_EQ(in_usd_per_hour(*table.accelerators.find("h100")->second.tco_hyperscaler), 1.17);
  EXPECT_DOUBLE_EQ(in_kilowatts(*table.accelerators.find("b200")->second.allin_facility), 1.71);
  EXPECT_NEAR(in_usd_per_kwh(table.electricity.value), 0.09, 1e-12);
}

TEST(ShippedCatalog, PowerFiguresAreInOrder) {
  for (const auto& accelerator : shipped_catalog().accelerators()) {
    const auto* low = accelerator.find("power_min_watts");
    const auto* high = accelerator.find("power_max_watts");
    const double tdp = in_watts(accelerator.tdp.value);
    EXPECT_TRUE(low == nullptr || low->value < tdp) << accelerator.id;
    EXPECT_TRUE(high == nullptr || high->value <= tdp) << accelerator.id;
    EXPECT_TRUE(!accelerator.idle || in_watts(accelerator.idle->value) < tdp) << accelerator.id;
  }
}

TEST(ShippedCatalog, NamesAreFoundByIdAndAliasInAnyCase) {
  EXPECT_EQ(shipped_catalog().model("deepseek-ai/DEEPSEEK-R1", "").id, "deepseek-r1");
  EXPECT_EQ(shipped_catalog().accelerator("H100-SXM5", "").id, "h100");
  EXPECT_EQ(shipped_catalog().find_accelerator("b200_sxm"),
            &shipped_catalog().accelerator("b200", ""));
  EXPECT_EQ(shipped_catalog().find_accelerator("none"), nullptr);
  EXPECT_EQ(shipped_catalog().find_model("none"), nullptr);
}

// Defect: the header promises any case for all five look-ups.
TEST(ShippedCatalog, PriceTablesAreFoundInAnyCase) {
  EXPECT_EQ(shipped_catalog().price_table("2026-09-TPU", "").id, "2026-09-tpu");
}

TEST(ShippedCatalog, AnUnknownNameIsRefusedAtItsPlaceWithASuggestion) {
  EXPECT_THAT(
      error_of([] { static_cast<void>(shipped_catalog().accelerator("h10", "site.toml:4: gpu")); }),
      AllOf(StartsWith("site.toml:4: gpu: "), HasSubstr("'h10'"), HasSubstr("did you mean")));
  EXPECT_THAT(error_of([] { static_cast<void>(shipped_catalog().system("zzzzzzzzzz", "x")); }),
              AllOf(HasSubstr("system"), HasSubstr("one of: ")));
  EXPECT_THAT(error_of([] { static_cast<void>(shipped_catalog().price_table("2026-07", "x")); }),
              HasSubstr("did you mean '2026-0"));
  EXPECT_THROW(static_cast<void>(shipped_catalog().model("none", "x")), Error);
  EXPECT_THROW(static_cast<void>(shipped_catalog().cooling_plant("none", "x")), Error);
}

TEST(ShippedCatalog, PeakFlopsIsOfTheNarrowestUnitWideEnough) {
  const auto& h100 = shipped_catalog().accelerator("h100", "");
  EXPECT_EQ(h100.peak_flops("bf16"), h100.dense_bf16_flops);
  EXPECT_EQ(h100.peak_flops("fp8"), h100.dense_fp8_flops);
  EXPECT_EQ(h100.peak_flops("fp4"), h100.dense_fp8_flops);
  const auto& b200 = shipped_catalog().accelerator("b200", "");
  EXPECT_EQ(b200.peak_flops("mxfp4"), b200.dense_fp4_flops);
  EXPECT_EQ(b200.peak_flops("fp8"), b200.dense_fp8_flops);
  const auto& a100 = shipped_catalog().accelerator("a100", "");
  EXPECT_EQ(a100.peak_flops("fp8"), a100.dense_bf16_flops);
}

TEST(ShippedCatalog, TheNewestTokenPriceIsTaken) {
  for (const auto& price : shipped_catalog().token_prices()) {
    EXPECT_GE(shipped_catalog().token_price(price.model)->date, price.date);
  }
  EXPECT_EQ(shipped_catalog().token_price("none"), nullptr);
}

}  // namespace
}  // namespace perwatt::catalog
