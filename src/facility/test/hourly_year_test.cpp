#include "perwatt/facility/hourly_year.hpp"

#include <string>

#include "error_of.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::facility {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string year_of(const std::string& header, const std::string& row, int hours = 8760) {
  std::string text = header + "\n";
  for (int i = 0; i < hours; ++i) {
    text += row + "\n";
  }
  return text;
}

HourlyYear parse(const std::string& text) {
  return parse_hourly_year(text, "y.csv");
}

std::string refusal(const std::string& text) {
  return error_of([&] { static_cast<void>(parse(text)); });
}

TEST(HourlyYear, HoldsWhatItsColumnsHold) {
  const auto year = parse(year_of(
      "dry_bulb_c,relative_humidity_percent,energy_usd_per_kwh,carbon_grams_per_kwh,demand_ratio",
      "20,50,-0.03,400,0.7"));
  EXPECT_EQ(year.hours, 8760U);
  EXPECT_EQ(year.file, "y.csv");
  EXPECT_EQ(year.weather[8759].dry_bulb, celsius(20));
  EXPECT_NEAR(in_celsius(year.weather[0].wet_bulb), 13.7, 0.01);
  EXPECT_NEAR(in_usd_per_kwh(year.energy_price[5]), -0.03, 1e-15);
  EXPECT_EQ(year.carbon_grams_per_kwh[5], 400);
  EXPECT_EQ(year.demand_ratio[5], 0.7);
  const auto hours = climate_hours(year);
  EXPECT_EQ(hours.size(), 8760U);
  EXPECT_EQ(hours[24].hour_of_day, 1);
  EXPECT_EQ(catalog::summary_of(catalog::climate_from_hours("x", "X", "y", hours)).hours, 8760);
}

TEST(HourlyYear, WhatItLacksIsEmpty) {
  const auto year = parse(year_of("energy_usd_per_kwh", "0.08", 8784));
  EXPECT_EQ(year.hours, 8784U);
  EXPECT_TRUE(year.weather.empty());
  EXPECT_TRUE(year.demand_ratio.empty());
  EXPECT_TRUE(climate_hours(year).empty());
}

TEST(HourlyYear, BadYearsAreRefused) {
  EXPECT_THAT(refusal(year_of("energy_usd_per_kwh", "0.08", 8761)), HasSubstr("has 8761 rows"));
  EXPECT_THAT(refusal(year_of("dry_bulb_c", "20")), HasSubstr("without relative_humidity_percent"));
  EXPECT_THAT(refusal(year_of("relative_humidity_percent", "20")), HasSubstr("without dry_bulb_c"));
  EXPECT_THAT(refusal(year_of("enrgy_usd_per_kwh", "0.08")),
              AllOf(StartsWith("y.csv:1"), HasSubstr("did you mean 'energy_usd_per_kwh'?")));
}

TEST(HourlyYear, NumbersOutOfRangeAreRefusedByLine) {
  EXPECT_THAT(refusal(year_of("dry_bulb_c,relative_humidity_percent", "61,20")),
              StartsWith("y.csv:2: dry_bulb_c: is 61"));
  EXPECT_THAT(refusal(year_of("energy_usd_per_kwh", "101")), StartsWith("y.csv:2: energy"));
  EXPECT_THAT(refusal(year_of("energy_usd_per_kwh", "cheap")), HasSubstr("'cheap' is no number"));
  EXPECT_THAT(refusal(year_of("carbon_grams_per_kwh", "-1")), StartsWith("y.csv:2: carbon"));
  EXPECT_THAT(refusal(year_of("demand_ratio", "")), HasSubstr("has 0 rows"));
  EXPECT_THAT(refusal(year_of("hour_of_year", "0")), HasSubstr("no column of values"));
  EXPECT_THAT(refusal(year_of("hour_of_year,demand_ratio", "0,1")),
              HasSubstr("y.csv:3: hour_of_year: is '0' where 1 follows"));
}

}  // namespace
}  // namespace perwatt::facility
