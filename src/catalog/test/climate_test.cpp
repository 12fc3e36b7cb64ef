#include "perwatt/catalog/climate.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "error_of.hpp"
#include "shipped_catalog.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/text.hpp"
#include "perwatt/catalog/catalog.hpp"

namespace perwatt::catalog {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// A year with a daily and a yearly swing.
std::vector<ClimateHour> made_up_year(int hours = kHoursPerYear) {
  std::vector<ClimateHour> year;
  for (int i = 0; i < hours; ++i) {
    ClimateHour hour;
    hour.hour_of_day = i % 24 + 1;
    hour.dry_bulb =
        celsius(14 + 13 * std::sin(i / 1394.0) + 6 * std::sin(i / 3.8197) + 2 * std::sin(i * 0.7));
    hour.relative_humidity_percent = 55 + 35 * std::sin(i / 11.0);
    hour.wet_bulb = stull_wet_bulb(hour.dry_bulb, hour.relative_humidity_percent);
    year.push_back(hour);
  }
  return year;
}

// ---- air --------------------------------------------------------------------------------------

// Stull (2011), section 3: 13.7 °C for 20 °C and 50 %. The others by the psychrometer equation of
// WMO-No. 8 at 1013.25 hPa, within the error that Stull states (-1.0 to +0.65 K).
TEST(StullWetBulb, AgreesWithItsPaperAndWithAPsychrometer) {
  EXPECT_NEAR(in_celsius(stull_wet_bulb(celsius(20), 50)), 13.7, 0.01);
  EXPECT_NEAR(in_celsius(stull_wet_bulb(celsius(35), 20)), 19.0, 1.0);
  EXPECT_NEAR(in_celsius(stull_wet_bulb(celsius(30), 80)), 27.1, 0.65);
  EXPECT_NEAR(in_celsius(stull_wet_bulb(celsius(5), 90)), 4.3, 0.65);
}

TEST(StullWetBulb, OutsideItsRangeTheDepressionAtTheEdgeIsUsed) {
  const double edge = 50 - in_celsius(stull_wet_bulb(celsius(50), 30));
  EXPECT_NEAR(in_celsius(stull_wet_bulb(celsius(58), 30)), 58 - edge, 1e-9);
  EXPECT_EQ(stull_wet_bulb(celsius(25), 2), stull_wet_bulb(celsius(25), 5));
}

RC_GTEST_PROP(StullWetBulbProperty, IsNeverAboveTheDryBulbAndRisesWithIt, ()) {
  const double dry = *rc::gen::inRange(-6000, 6000) / 100.0;
  const double humidity = *rc::gen::inRange(0, 10001) / 100.0;
  const auto wet = stull_wet_bulb(celsius(dry), humidity);
  RC_ASSERT(wet <= celsius(dry));
  RC_ASSERT(kelvins_between(celsius(dry), wet) < 35);
  RC_ASSERT(stull_wet_bulb(celsius(dry + 0.5), humidity) > wet);
}

TEST(HumidityFromDewPoint, AgreesWithSteamTables) {
  EXPECT_DOUBLE_EQ(humidity_percent_at(celsius(17), celsius(17)), 100);
  // e(9.27 °C) / e(20 °C) = 11.69 / 23.39 hPa
  EXPECT_NEAR(humidity_percent_at(celsius(20), celsius(9.27)), 50.0, 0.2);
  EXPECT_EQ(humidity_percent_at(celsius(10), celsius(10.1)), 100);
}

// ---- classes ----------------------------------------------------------------------------------

TEST(ClimateFromHours, KeepsHoursMeansAndMaxima) {
  for (const int count : {kHoursPerYear, kHoursPerLeapYear}) {
    const auto year = made_up_year(count);
    const auto climate = climate_from_hours("x", "X", "made up", year);
    const auto summary = summary_of(climate);
    EXPECT_EQ(summary.hours, count);
    double dry = 0;
    double wet = 0;
    auto warmest = year[0];
    for (const auto& hour : year) {
      dry += in_celsius(hour.dry_bulb) / count;
      wet += in_celsius(hour.wet_bulb) / count;
      warmest.dry_bulb = std::max(warmest.dry_bulb, hour.dry_bulb);
      warmest.wet_bulb = std::max(warmest.wet_bulb, hour.wet_bulb);
    }
    EXPECT_NEAR(in_celsius(summary.mean_dry_bulb), dry, 0.005);
    EXPECT_NEAR(in_celsius(summary.mean_wet_bulb), wet, 0.005);
    EXPECT_NEAR(in_celsius(summary.max_dry_bulb), in_celsius(warmest.dry_bulb), 0.0101);
    EXPECT_GE(in_celsius(summary.max_dry_bulb), in_celsius(warmest.dry_bulb) - 1e-6);
    EXPECT_GE(in_celsius(summary.max_wet_bulb), in_celsius(warmest.wet_bulb) - 1e-6);
  }
}

TEST(ClimateFromHours, MakesEightBlocksOfThreeHoursThatHoldTheirDays) {
  const auto climate = climate_from_hours("x", "X", "made up", made_up_year());
  std::map<int, double> hours;
  for (const auto& row : climate.classes) {
    EXPECT_EQ(row.last_hour, row.first_hour + 2);
    EXPECT_LE(row.dry_bulb, row.max_dry_bulb);
    EXPECT_LE(row.wet_bulb, row.dry_bulb);
    EXPECT_LE(row.hours, 14);
    hours[row.first_hour] += row.hours;
  }
  ASSERT_EQ(hours.size(), 8U);
  for (const auto& [first, sum] : hours) {
    EXPECT_EQ(first % 3, 1);
    EXPECT_EQ(sum, 1095);
  }
}

TEST(ClimateFromHours, AYearOfOneWeatherIsOneClassABlock) {
  auto year = made_up_year();
  for (auto& hour : year) {
    hour.dry_bulb = celsius(20);
    hour.wet_bulb = celsius(15);
    hour.relative_humidity_percent = 60;
  }
  const auto climate = climate_from_hours("x", "X", "made up", year);
  ASSERT_EQ(climate.classes.size(), 8U);
  EXPECT_EQ(climate.classes[3].hours, 1095);
  EXPECT_EQ(climate.classes[3].dry_bulb, celsius(20));
}

/// Hours with `bulb` of the mean at most `limit`, as the classes and as the hours have it.
template <class Of>
std::pair<double, double> hours_below(const Climate& climate, const std::vector<ClimateHour>& year,
                                      double limit, const Of& bulb) {
  std::pair<double, double> counts{0, 0};
  for (const auto& row : climate.classes) {
    counts.first += bulb(row) <= celsius(limit) ? row.hours : 0;
  }
  for (const auto& hour : year) {
    counts.second += bulb(hour) <= celsius(limit) ? 1 : 0;
  }
  return counts;
}

// The classes stand for the hours at any limit, not only at those where they are cut.
TEST(ClimateFromHours, HoursBelowAnyLimitAreKeptToTwoPercentOfTheYear) {
  const auto year = made_up_year();
  const auto climate = climate_from_hours("x", "X", "made up", year);
  const auto dry = [](const auto& row) { return row.dry_bulb; };
  const auto wet = [](const auto& row) { return row.wet_bulb; };
  for (double limit = -10; limit < 40; limit += 0.25) {
    const auto by_dry = hours_below(climate, year, limit, dry);
    const auto by_wet = hours_below(climate, year, limit, wet);
    EXPECT_NEAR(by_dry.first, by_dry.second, 0.02 * kHoursPerYear) << limit;
    EXPECT_NEAR(by_wet.first, by_wet.second, 0.02 * kHoursPerYear) << limit;
  }
}

TEST(ClimateFile, WhatIsWrittenIsReadBack) {
  const auto climate = climate_from_hours("my-site", "My site", "own station", made_up_year());
  const auto text = format_climate(climate);
  const auto again = parse_climate(text, "x.csv");
  EXPECT_EQ(again.id, "my-site");
  EXPECT_EQ(again.name, "My site");
  EXPECT_EQ(again.source, "own station");
  EXPECT_EQ(again.classes, climate.classes);
  EXPECT_EQ(format_climate(again), text);
}

// ---- what is refused --------------------------------------------------------------------------

constexpr const char* kColumns =
    "first_hour,last_hour,hours,dry_bulb_c,wet_bulb_c,max_dry_bulb_c,max_wet_bulb_c,"
    "relative_humidity_percent\n";

std::string climate_with(const std::string& row) {
  return std::string{"# perwatt climate\n# id: x\n# name: X\n# source: made up\n"} + kColumns +
         row + "\n";
}

struct BadClimate {
  std::string name;
  std::string text;
  std::string where;
  std::string what;
};

class RefusedClimate : public ::testing::TestWithParam<BadClimate> {};

TEST_P(RefusedClimate, SaysWhereAndWhat) {
  EXPECT_THAT(error_of([] { static_cast<void>(parse_climate(GetParam().text, "c.csv")); }),
              AllOf(StartsWith(GetParam().where), HasSubstr(GetParam().what), HasSubstr("; ")));
}

INSTANTIATE_TEST_SUITE_P(
    Climate, RefusedClimate,
    ::testing::Values(
        BadClimate{"empty", "", "c.csv:1", "not a climate file"},
        BadClimate{"points", "source,accelerator\n", "c.csv:1", "'source,accelerator'"},
        BadClimate{"no_id", "# perwatt climate\n", "c.csv:1", "'# id: …'"},
        BadClimate{"id_upper", "# perwatt climate\n# id: X\n# name: X\n# source: s\n", "c.csv:1",
                   "'X'"},
        BadClimate{"no_table", "# perwatt climate\n# id: x\n# name: X\n# source: s\n", "c.csv",
                   "empty"},
        BadClimate{"no_column", "# perwatt climate\n# id: x\n# name: X\n# source: s\na\n1\n",
                   "c.csv:5", "'first_hour'"},
        BadClimate{"too_hot", climate_with("1,24,8760,60.1,20,61,21,50"), "c.csv:6: dry_bulb_c",
                   "60.1"},
        BadClimate{"too_cold", climate_with("1,24,8760,-61,-61,20,20,50"), "c.csv:6: dry_bulb_c",
                   "-61"},
        BadClimate{"text", climate_with("1,24,8760,warm,20,30,21,50"), "c.csv:6: dry_bulb_c",
                   "'warm'"},
        BadClimate{"wet_above_dry", climate_with("1,24,8760,20,21,30,22,50"), "c.csv:6: wet_bulb_c",
                   "above dry_bulb_c"},
        BadClimate{"max_below_mean", climate_with("1,24,8760,20,15,19,16,50"),
                   "c.csv:6: max_dry_bulb_c", "below the mean"},
        BadClimate{"max_wet_above", climate_with("1,24,8760,20,15,21,22,50"),
                   "c.csv:6: max_wet_bulb_c", "above max_dry_bulb_c"},
        BadClimate{"hour_25", climate_with("1,25,8760,20,15,21,16,50"), "c.csv:6: last_hour", "25"},
        BadClimate{"half_hour", climate_with("1.5,24,8760,20,15,21,16,50"), "c.csv:6: first_hour",
                   "no whole hour"},
        BadClimate{"hours_swapped", climate_with("7,6,8760,20,15,21,16,50"), "c.csv:6: last_hour",
                   "before first_hour"},
        BadClimate{"no_hours", climate_with("1,24,0,20,15,21,16,50"), "c.csv:6: hours", "is 0"},
        BadClimate{"sum", climate_with("1,24,8000,20,15,21,16,50"), "c.csv", "sum to 8000"},
        BadClimate{"humidity", climate_with("1,24,8760,20,15,21,16,101"),
                   "c.csv:6: relative_humidity_percent", "101"}),
    [](const auto& test) { return test.param.name; });

// ---- hourly files -----------------------------------------------------------------------------

/// A whole year of rows; `change` may edit a row or empty it.
template <class Change>
std::string hourly(const std::string& header, const Change& row_of, int hours = kHoursPerYear) {
  std::string text = header + "\n";
  for (int i = 0; i < hours; ++i) {
    text += row_of(i);
  }
  return text;
}

std::string plain_row(int i) {
  return std::to_string(i) + ",20,50\n";
}

constexpr const char* kHourly = "hour_of_year,dry_bulb_c,relative_humidity_percent";

TEST(WeatherHours, TakesHoursFromZeroOrOneAndLeapYears) {
  EXPECT_EQ(parse_weather_hours(hourly(kHourly, plain_row), "w.csv").size(), 8760U);
  EXPECT_EQ(
      parse_weather_hours(hourly(
                              kHourly, [](int i) { return plain_row(i + 1); }, kHoursPerLeapYear),
                          "w.csv")
          .size(),
      8784U);
}

TEST(WeatherHours, TakesMonthDayHourAndADewPoint) {
  int month = 1;
  int day = 1;
  const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const auto row = [&](int i) {
    const auto line = std::to_string(month) + "," + std::to_string(day) + "," +
                      std::to_string(i % 24 + 1) + ",20,9.27,1013\n";
    if (i % 24 == 23 && ++day > days[month - 1]) {
      ++month;
      day = 1;
    }
    return line;
  };
  const auto hours =
      parse_weather_hours(hourly("month,day,hour,dry_bulb_c,dew_point_c,pressure", row), "w.csv");
  EXPECT_NEAR(hours.back().relative_humidity_percent, 50, 0.2);
  EXPECT_EQ(hours[25].hour_of_day, 2);
  EXPECT_EQ(hours.back().hour_of_day, 24);
}

std::string refusal(const std::string& text) {
  return error_of([&] { static_cast<void>(parse_weather_hours(text, "w.csv")); });
}

TEST(WeatherHours, GapsAndNonsenseAreRefusedByLine) {
  const auto with = [](int at, const std::string& row) {
    return hourly(kHourly, [&](int i) { return i == at ? row : plain_row(i); });
  };
  EXPECT_THAT(refusal(hourly(kHourly, plain_row, 8759)), HasSubstr("has 8759 rows"));
  EXPECT_THAT(refusal(hourly(kHourly, [](int i) { return plain_row(i < 99 ? i : i + 1); })),
              AllOf(StartsWith("w.csv:101: hour_of_year"), HasSubstr("'100' where 99 follows")));
  EXPECT_THAT(refusal(with(7, "6,20,50\n")), StartsWith("w.csv:9: hour_of_year"));
  EXPECT_THAT(refusal(with(0, "x,20,50\n")), StartsWith("w.csv:2: hour_of_year"));
  EXPECT_THAT(refusal(with(5, "5,60.5,50\n")), StartsWith("w.csv:7: dry_bulb_c: is 60.5"));
  EXPECT_THAT(refusal(with(5, "5,,50\n")), StartsWith("w.csv:7: dry_bulb_c"));
  EXPECT_THAT(refusal(with(5, "5,20,101\n")), StartsWith("w.csv:7: relative_humidity_percent"));
  EXPECT_THAT(refusal(hourly("dry_bulb_c,relative_humidity_percent",
                             [](int) { return std::string{"20,50\n"}; })),
              HasSubstr("no column tells the hour"));
  EXPECT_THAT(
      refusal(hourly("hour_of_year,dry_bulb_c", [](int i) { return std::to_string(i) + ",20\n"; })),
      HasSubstr("no column tells the humidity"));
  EXPECT_THAT(refusal(hourly("hour_of_year,dry_bulb_c,dew_point_c",
                             [](int i) { return std::to_string(i) + ",20,21\n"; })),
              AllOf(StartsWith("w.csv:2: dew_point_c"), HasSubstr("above the dry bulb")));
}

TEST(WeatherHours, SixtyDegreesIsTheHottestAirThatIsTaken) {
  const auto hottest = hourly(kHourly, [](int i) { return std::to_string(i) + ",60,5\n"; });
  EXPECT_EQ(parse_weather_hours(hottest, "w.csv")[0].dry_bulb, celsius(60));
}

// ---- the shipped climates ---------------------------------------------------------------------

TEST(ShippedClimates, AreSixCompactYearsWithTheirExtremes) {
  const std::map<std::string, double> warmest{{"phoenix-az", 45.6},  {"dallas-tx", 40.0},
                                              {"leesburg-va", 37.0}, {"chicago-il", 35.6},
                                              {"san-jose-ca", 34.4}, {"seattle-wa", 35.0}};
  ASSERT_EQ(shipped_climates().climates().size(), warmest.size());
  for (const auto& [id, degrees] : warmest) {
    const auto& climate = shipped_climates().climate(id, "");
    const auto summary = summary_of(climate);
    EXPECT_EQ(summary.hours, 8760) << id;
    EXPECT_EQ(summary.max_dry_bulb, celsius(degrees)) << id;
    EXPECT_LT(climate.classes.size(), 1000U) << id;
    EXPECT_THAT(climate.source, HasSubstr("climate.onebuilding.org"));
  }
}

TEST(ShippedClimates, AWrongNameIsRefusedWithASuggestion) {
  EXPECT_EQ(shipped_climates().climate("Phoenix-AZ", "").id, "phoenix-az");
  EXPECT_THAT(error_of([] {
                static_cast<void>(shipped_climates().climate("phenix-az", "site.toml:3: climate"));
              }),
              AllOf(StartsWith("site.toml:3: climate: "), HasSubstr("did you mean 'phoenix-az'?")));
  EXPECT_THAT(error_of([] { static_cast<void>(shipped_catalog().climate("phoenix-az", "x")); }),
              HasSubstr("perwatt import weather"));
}

}  // namespace
}  // namespace perwatt::catalog
