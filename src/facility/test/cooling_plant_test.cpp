#include "perwatt/facility/cooling_plant.hpp"

#include <algorithm>
#include <cmath>

#include "error_of.hpp"
#include "plants.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::facility {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

bool close(double a, double b, double ratio = 1e-9) {
  return std::abs(a - b) <= ratio * std::max({1e-9, std::abs(a), std::abs(b)});
}

bool close(Watts a, Watts b, double ratio = 1e-9) {
  return close(in_watts(a), in_watts(b), ratio);
}

const ItPower kDesign{megawatts(10)};

// ---- by hand ----------------------------------------------------------------------------------

// liquid-dry at 40 °C in 25 °C air, half load: 15 K above the air carry 1.5 times the design heat.
TEST(PhysicalPlant, FollowsItsFormulas) {
  const CoolingPlant plant{shipped_plant("liquid-dry")};
  const auto parts = plant.parts_at({megawatts(5)}, kDesign, weather(25, 15));
  const auto heat_at = [](double load) {
    const double busway = 0.008 * load * load;
    const double ups_load = 0.8 * (load + busway);
    const double ups = (0.01 + 0.012 * ups_load + 0.01 * ups_load * ups_load) / 0.8;
    return load + busway + ups + 0.0105 * std::pow(load, 2.7) + 0.01;
  };
  EXPECT_NEAR(in_megawatts(parts.busway), 10 * 0.008 * 0.25, 1e-12);
  EXPECT_NEAR(in_megawatts(parts.pumps), 10 * 0.0105 * std::pow(0.5, 2.7), 1e-12);
  EXPECT_NEAR(in_megawatts(parts.other), 0.1, 1e-12);
  EXPECT_NEAR(in_megawatts(parts.loop_heat), 10 * heat_at(0.5), 1e-9);
  const double flow = heat_at(0.5) / (1.5 * heat_at(1));
  EXPECT_NEAR(in_megawatts(parts.fans), 10 * 0.03 * heat_at(1) * flow * flow * flow, 1e-9);
  EXPECT_EQ(parts.chiller, Watts{});
  const double passed = in_megawatts(parts.loop_heat + parts.fans) / 10;
  EXPECT_NEAR(in_megawatts(parts.transformer),
              10 * (0.0012 + 0.0047 * passed * passed * 0.25) / 0.5, 1e-9);
}

// air-chiller at 15 °C in 35 °C air: evaporating at 12, condensing at 47 °C.
TEST(PhysicalPlant, TheChillerFollowsCarnot) {
  const CoolingPlant plant{shipped_plant("air-chiller")};
  const auto parts = plant.parts_at(kDesign, kDesign, weather(35, 20));
  const double cop = 0.5 * 285.15 / 35;
  EXPECT_EQ(parts.chilled_heat, parts.loop_heat);
  EXPECT_NEAR(in_watts(parts.loop_heat) / in_watts(parts.chiller), cop, 1e-9);
  EXPECT_NEAR(in_watts(parts.fans) - 0.04 * 10e6, 0.02 * in_watts(parts.loop_heat + parts.chiller),
              1e-3);
}

TEST(PhysicalPlant, LeakageIsExponentialInTheSupplyTemperature) {
  const auto& data = shipped_plant("liquid-dry");
  EXPECT_DOUBLE_EQ((CoolingPlant{data, celsius(32)}.gpu_power_ratio()), 1);
  EXPECT_NEAR((CoolingPlant{data, celsius(45)}.gpu_power_ratio()),
              1 + 0.2 * (std::exp(0.015 * 13) - 1), 1e-12);
  EXPECT_LT((CoolingPlant{data, celsius(25)}.gpu_power_ratio()), 1);
}

// An independent model with a numerical split: tests/oracle/plant_reference.py.
TEST(PhysicalPlantValidation, AgreesWithTheReferenceModel) {
  const auto file = std::filesystem::path{PERWATT_SOURCE_DIR} / "tests/validation/plant_power.csv";
  const auto table = CsvTable::parse(read_file(file), file.string());
  ASSERT_GT(table.rows().size(), 500U);
  const auto heads = table.columns();
  for (const auto& row : table.rows()) {
    const auto number = [&](const char* column) {
      return parse_number(row.fields[table.require(column)]).value();
    };
    const CoolingPlant plant{shipped_plant(row.fields[0]), celsius(number("supply_c"))};
    const auto air = weather(number("dry_bulb_c"), number("wet_bulb_c"));
    const auto parts = plant.parts_at({kDesign.value * number("load_ratio")}, kDesign, air);
    const auto expect = [&](Watts got, const char* column) {
      EXPECT_NEAR(got / kDesign.value, number(column), 2e-7) << table.where(row, 0) << column;
    };
    expect(parts.total().value, "meter_ratio");
    expect(parts.fans, "fans_ratio");
    expect(parts.pumps, "pumps_ratio");
    expect(parts.chiller, "chiller_ratio");
    expect(parts.distribution, "distribution_ratio");
    expect(parts.loop_heat, "heat_ratio");
    expect(most_it(plant, kDesign, air).value, "limit_ratio");
    EXPECT_NEAR(parts.water_litres_per_second / in_megawatts(kDesign.value),
                number("water_litres_per_megajoule"), 2e-7);
  }
}

// ---- properties -------------------------------------------------------------------------------

RC_GTEST_PROP(PhysicalPlantProperty, PartsSumAndHeatInIsHeatOut, ()) {
  const auto plant = any_plant();
  const auto air = any_weather();
  const ItPower it{most_it(plant, kDesign, air).value * (*rc::gen::inRange(0, 1001) / 1000.0)};
  const auto p = plant.parts_at(it, kDesign, air);
  RC_ASSERT(close(p.total().value, p.it + p.cooling + p.distribution));
  RC_ASSERT(close(p.cooling, p.fans + p.pumps + p.chiller + p.other));
  RC_ASSERT(close(p.distribution, p.ups + p.transformer + p.busway));
  RC_ASSERT(close(p.loop_heat, p.free_cooled_heat + p.chilled_heat));
  // The loop takes up all but what stays outdoors.
  const bool is_air = plant.data().medium == "air";
  const Watts outdoors = p.chiller + p.transformer + (is_air ? Watts{} : p.fans);
  const auto hall_fans =
      is_air ? p.loop_heat - p.it - p.ups - p.busway - p.pumps - p.other : Watts{};
  RC_ASSERT(
      close(p.loop_heat, p.total().value - outdoors - (is_air ? p.fans - hall_fans : Watts{})));
  for (const auto part : {p.cooling, p.distribution, p.fans, p.pumps, p.chiller, p.other, p.ups,
                          p.transformer, p.busway, p.free_cooled_heat}) {
    RC_ASSERT(part >= Watts{});
  }
  RC_ASSERT(p.chilled_heat >= Watts{} - watts(1e-6));
}

RC_GTEST_PROP(PhysicalPlantProperty, MeterRisesIsConvexAndHomogeneous, ()) {
  const auto plant = any_plant();
  const auto air = any_weather();
  const Watts most = most_it(plant, kDesign, air).value;
  RC_PRE(most > watts(1));
  const auto meter = [&](double share) {
    return in_watts(plant.parts_at({most * share}, kDesign, air).total().value);
  };
  const double a = *rc::gen::inRange(0, 1000) / 1000.0;
  const double b = *rc::gen::inRange(0, 1000) / 1000.0;
  RC_PRE(a < b);
  RC_ASSERT(meter(a) < meter(b));
  RC_ASSERT(meter((a + b) / 2) <= (meter(a) + meter(b)) / 2 * (1 + 1e-12));
  const double scale = *rc::gen::inRange(1, 1000) / 10.0;
  const auto scaled =
      plant.parts_at({most * b * scale}, {kDesign.value * scale}, air).total().value;
  RC_ASSERT(close(in_watts(scaled), meter(b) * scale));
}

RC_GTEST_PROP(PhysicalPlantProperty, ItCarriedIsTheInverse, ()) {
  const auto plant = any_plant();
  const auto air = any_weather();
  const Watts most = most_it(plant, kDesign, air).value;
  RC_PRE(most > watts(1));
  const ItPower it{most * (*rc::gen::inRange(1, 1001) / 1000.0)};
  const auto meter = plant.parts_at(it, kDesign, air).total();
  RC_ASSERT(close(plant.it_carried_by(meter, kDesign, air).value, it.value));
  RC_ASSERT(plant.it_carried_by({}, kDesign, air) == ItPower{});
  RC_ASSERT(plant.it_carried_by({kDesign.value * 9}, kDesign, air).value == most);
}

RC_GTEST_PROP(PhysicalPlantProperty, AWarmerSupplyOrCoolerAirNeverCostsMore, ()) {
  const auto* data = *rc::gen::elementOf(physical_plants());
  const double low = in_celsius(data->physics->supply_min);
  const double high = in_celsius(data->physics->supply_max);
  const double supply = low + (high - low) * *rc::gen::inRange(0, 100) / 100.0;
  const CoolingPlant cool{*data, celsius(supply)};
  const CoolingPlant warm{*data, celsius(supply + (high - supply) * 0.3)};
  const auto air = any_weather();
  const Weather cooler{warmer_by(air.dry_bulb, -3), warmer_by(air.wet_bulb, -3)};
  const auto it = most_it(cool, kDesign, air);
  RC_ASSERT(most_it(warm, kDesign, air) >= it);
  RC_ASSERT(most_it(cool, kDesign, cooler) >= it);
  const auto meter = cool.parts_at(it, kDesign, air).total().value;
  RC_ASSERT(warm.parts_at(it, kDesign, air).total().value <= meter * (1 + 1e-12));
  RC_ASSERT(cool.parts_at(it, kDesign, cooler).total().value <= meter * (1 + 1e-12));
}

// No split of the heat between the free way and the chiller draws less than the plant's.
RC_GTEST_PROP(PhysicalPlantProperty, TheSplitDrawsLeast, ()) {
  const CoolingPlant plant{
      shipped_plant(*rc::gen::element<std::string>("liquid-dry", "liquid-evaporative"))};
  const auto& physics = *plant.data().physics;
  const auto air = any_weather();
  const auto p = plant.parts_at(kDesign, kDesign, air);
  const auto bulb = physics.rejection == catalog::Rejection::dry ? air.dry_bulb : air.wet_bulb;
  const double capacity = in_watts(p.loop_heat) *
                          std::max(0.0, kelvins_between(*plant.supply(), bulb)) /
                          physics.approach_kelvin;
  const double heat = in_watts(p.loop_heat);
  const double free = std::min(heat, capacity) * *rc::gen::inRange(0, 1001) / 1000.0;
  const auto& chiller = *physics.chiller;
  const double evaporator = in_kelvin(*plant.supply()) - chiller.evaporator_approach_kelvin;
  const double lift = std::max(in_kelvin(bulb) + chiller.condenser_approach_kelvin - evaporator,
                               chiller.min_lift_kelvin);
  const double compressor = (heat - free) * lift / (chiller.carnot_ratio * evaporator);
  const double flow = std::max(physics.fan_min_flow_ratio, capacity > 0 ? free / capacity : 0.0);
  const double other_way = physics.fan_power_ratio * heat * flow * flow * flow + compressor +
                           chiller.condenser_fan_power_ratio * (heat - free + compressor);
  RC_ASSERT(in_watts(p.fans + p.chiller) <= other_way * (1 + 1e-9));
}

RC_GTEST_PROP(PhysicalPlantProperty, OnlyTowersUseWater, ()) {
  const auto plant = any_plant();
  const auto air = any_weather();
  const auto it = most_it(plant, kDesign, air);
  const double water = plant.parts_at(it, kDesign, air).water_litres_per_second;
  const bool has_tower = plant.data().physics->rejection == catalog::Rejection::evaporative;
  RC_ASSERT(has_tower == (water > 0));
}

RC_GTEST_PROP(PhysicalPlantProperty, ChillerFreeIsWhatTheApproachSays, ()) {
  const auto plant = any_plant();
  const auto air = any_weather();
  const auto& physics = *plant.data().physics;
  const auto bulb =
      physics.rejection == catalog::Rejection::evaporative ? air.wet_bulb : air.dry_bulb;
  const double head = kelvins_between(*plant.supply(), bulb);
  RC_PRE(std::abs(head - physics.approach_kelvin) > 1e-9);
  const bool is_free =
      physics.rejection != catalog::Rejection::chiller && head >= physics.approach_kelvin;
  RC_ASSERT(plant.is_chiller_free(air) == is_free);
  if (is_free) {
    // No shipped plant needs its chiller then; next to the approach, where the fans run at full
    // speed, a few thousandths of the heat may be cheaper with it.
    const Watts chiller = plant.parts_at(kDesign, kDesign, air).chiller;
    RC_ASSERT(chiller <= kDesign.value * (head < physics.approach_kelvin * 1.05 ? 5e-3 : 0.0));
    RC_ASSERT(!plant.it_limit(kDesign, air));
  }
}

// ---- what a plant refuses, and the constant ones ------------------------------------------------

TEST(PhysicalPlant, HotAirLimitsAPlantWithoutChiller) {
  const CoolingPlant plant{shipped_plant("liquid-dry-only")};  // 45 °C
  EXPECT_FALSE(plant.it_limit(kDesign, weather(35, 20)));
  const auto half = plant.it_limit(kDesign, weather(40, 20));
  ASSERT_TRUE(half);
  const auto at_half = plant.parts_at(*half, kDesign, weather(40, 20));
  const auto at_full = plant.parts_at(kDesign, kDesign, weather(35, 20));
  EXPECT_TRUE(close(at_half.loop_heat, at_full.loop_heat * 0.5));
  EXPECT_EQ(plant.it_limit(kDesign, weather(45, 20)), ItPower{});
  EXPECT_EQ(plant.it_limit(kDesign, weather(50, 20)), ItPower{});
}

TEST(PhysicalPlant, MoreThanTheLimitOrTheDesignIsADefectOfTheCaller) {
  const CoolingPlant plant{shipped_plant("liquid-dry-only")};
  const auto asks = [&](double load, const Weather& air) {
    return [&plant, load, air] {
      static_cast<void>(plant.parts_at({kDesign.value * load}, kDesign, air));
    };
  };
  EXPECT_THROW(asks(0.6, weather(40, 20))(), Error);
  EXPECT_THROW(asks(1.001, weather(10, 5))(), Error);
  EXPECT_THROW(asks(-0.1, weather(10, 5))(), Error);
  EXPECT_NO_THROW(asks(1 + 1e-7, weather(10, 5))());
}

TEST(PhysicalPlant, NothingBuiltDrawsNothing) {
  const CoolingPlant plant{shipped_plant("liquid-dry")};
  EXPECT_EQ(plant.parts_at({}, {}, weather(20, 10)).total(), MeterPower{});
  EXPECT_EQ(plant.it_carried_by({watts(5)}, {}, weather(20, 10)), ItPower{});
}

TEST(PhysicalPlant, ASupplyTemperatureOutOfRangeIsRefused) {
  EXPECT_THAT(error_of([] {
                (CoolingPlant{shipped_plant("liquid-dry"), celsius(50)});
              }),
              AllOf(HasSubstr("'liquid-dry' cannot supply 50 °C"), HasSubstr("17 °C to 45 °C")));
  EXPECT_THAT(error_of([] {
                (CoolingPlant{shipped_plant("air"), celsius(25)});
              }),
              HasSubstr("constant PUE"));
}

TEST(PhysicalPlant, HasNoConstantPue) {
  const CoolingPlant plant{shipped_plant("liquid-dry")};
  EXPECT_FALSE(plant.is_constant());
  for (const auto& message :
       {error_of([&] { static_cast<void>(plant.meter_for(kDesign)); }),
        error_of([&] { static_cast<void>(plant.it_carried_by(MeterPower{})); }),
        error_of([&] { static_cast<void>(plant.parts_at(kDesign)); })}) {
    EXPECT_THAT(message, HasSubstr("'liquid-dry' has no constant PUE"));
  }
}

TEST(ConstantPlant, IgnoresDesignAndWeather) {
  const CoolingPlant plant{shipped_plant("air")};
  EXPECT_TRUE(plant.is_constant());
  EXPECT_FALSE(plant.supply());
  EXPECT_EQ(plant.gpu_power_ratio(), 1);
  EXPECT_FALSE(plant.it_limit({}, weather(60, 60)));
  const auto parts = plant.parts_at(kDesign, {}, weather(60, 60));
  EXPECT_TRUE(close(parts.total().value, megawatts(13)));
  EXPECT_EQ(parts.other, parts.cooling);
  EXPECT_EQ(parts.busway, parts.distribution);
  EXPECT_TRUE(close(plant.it_carried_by({megawatts(13)}, {}, weather(0, 0)).value, megawatts(10)));
  EXPECT_THROW(static_cast<void>(plant.is_chiller_free(weather(0, 0))), Error);
}

}  // namespace
}  // namespace perwatt::facility
