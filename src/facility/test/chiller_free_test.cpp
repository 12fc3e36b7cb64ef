// Hours of the year in which free cooling alone carries full load, against counts made apart from
// perwatt (tests/validation/chiller_free_hours.csv).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "plants.hpp"
#include <gtest/gtest.h>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/facility/part_load.hpp"

namespace perwatt::facility {
namespace {

namespace fs = std::filesystem;

struct Case {
  std::string climate;
  std::string rejection;
  Celsius supply;
  double hours = 0;
};

std::vector<Case> cases() {
  const auto file = fs::path{PERWATT_SOURCE_DIR} / "tests/validation/chiller_free_hours.csv";
  const auto table = CsvTable::parse(read_file(file), file.string());
  std::vector<Case> result;
  for (const auto& row : table.rows()) {
    EXPECT_FALSE(row.fields[table.require("source")].empty());
    result.push_back({row.fields[table.require("climate")], row.fields[table.require("rejection")],
                      celsius(parse_number(row.fields[table.require("supply_c")]).value()),
                      parse_number(row.fields[table.require("hours")]).value()});
  }
  EXPECT_EQ(result.size(), 48U);
  return result;
}

CoolingPlant plant_of(const Case& test) {
  return CoolingPlant{shipped_plant(test.rejection == "dry" ? "liquid-dry" : "liquid-evaporative"),
                      test.supply};
}

double chiller_free_hours(const CoolingPlant& plant, const catalog::Climate& climate) {
  double hours = 0;
  for (const auto& row : climate.classes) {
    hours += plant.is_chiller_free({row.dry_bulb, row.wet_bulb}) ? row.hours : 0;
  }
  return hours;
}

TEST(ChillerFreeHours, ShippedClassesAgreeWithinTwoPercent) {
  for (const auto& test : cases()) {
    const double hours =
        chiller_free_hours(plant_of(test), shipped_climates().climate(test.climate, ""));
    EXPECT_NEAR(hours, test.hours, 0.02 * test.hours)
        << test.climate << ' ' << test.rejection << ' ' << in_celsius(test.supply);
  }
}

/// The hourly file of a climate in the folder PERWATT_WEATHER_DIR, or nothing without the folder.
std::vector<catalog::ClimateHour> hourly(std::string climate) {
  const char* folder = std::getenv("PERWATT_WEATHER_DIR");  // NOLINT(concurrency-mt-unsafe)
  if (folder == nullptr) {
    return {};
  }
  for (char& c : climate) {
    c = c == '-' ? '_' : c;
  }
  const auto file = fs::path{folder} / ("weather_tmy_" + climate + ".csv");
  return catalog::parse_weather_hours(read_file(file), file.string());
}

TEST(ChillerFreeHours, HourlyFilesAgreeWithinOnePercent) {
  if (hourly("phoenix-az").empty()) {
    GTEST_SKIP() << "PERWATT_WEATHER_DIR names no folder with weather_tmy_*.csv";
  }
  for (const auto& test : cases()) {
    const auto plant = plant_of(test);
    double hours = 0;
    for (const auto& hour : hourly(test.climate)) {
      hours += plant.is_chiller_free({hour.dry_bulb, hour.wet_bulb}) ? 1 : 0;
    }
    std::printf("%-12s %-11s %2.0f C  %5.0f h, reference %5.0f\n", test.climate.c_str(),
                test.rejection.c_str(), in_celsius(test.supply), hours, test.hours);
    EXPECT_NEAR(hours, test.hours, 0.01 * test.hours) << test.climate;
  }
}

// The shipped classes are those of the hourly files, and stand for them at any supply temperature.
TEST(ChillerFreeHours, ClassesStandForTheHoursAtAnySupplyTemperature) {
  if (hourly("phoenix-az").empty()) {
    GTEST_SKIP() << "PERWATT_WEATHER_DIR names no folder with weather_tmy_*.csv";
  }
  double worst = 0;
  for (const auto& climate : shipped_climates().climates()) {
    const auto hours = hourly(climate.id);
    const auto again = catalog::climate_from_hours(climate.id, climate.name, "", hours);
    EXPECT_EQ(again.classes, climate.classes) << climate.id;
    for (const auto* id : {"liquid-dry", "liquid-evaporative"}) {
      for (double supply = 17; supply <= 45; supply += 0.25) {
        const CoolingPlant plant{shipped_plant(id), celsius(supply)};
        double counted = 0;
        for (const auto& hour : hours) {
          counted += plant.is_chiller_free({hour.dry_bulb, hour.wet_bulb}) ? 1 : 0;
        }
        const double error = std::abs(chiller_free_hours(plant, climate) - counted);
        worst = std::max(worst, error / kHoursPerYear);
        EXPECT_LE(error, 0.02 * kHoursPerYear) << climate.id << ' ' << id << ' ' << supply;
      }
    }
  }
  std::printf("largest difference: %.2f %% of the year\n", 100 * worst);
}

// The mean over the classes is the mean over the hours, and no hour draws more than the worst
// curve.
TEST(AnnualPue, OfTheClassesIsThatOfTheHours) {
  if (hourly("phoenix-az").empty()) {
    GTEST_SKIP() << "PERWATT_WEATHER_DIR names no folder with weather_tmy_*.csv";
  }
  double largest = 0;
  for (const auto& climate : shipped_climates().climates()) {
    const auto hours = hourly(climate.id);
    for (const auto* data : physical_plants()) {
      if (!data->physics->chiller) {
        continue;  // hot hours stop it
      }
      for (const auto supply : {data->physics->supply_min, data->physics->supply_max}) {
        const CoolingPlant plant{*data, supply};
        const double worst = worst_part_load(plant, climate.classes).meter_ratio.back();
        double sum = 0;
        for (const auto& hour : hours) {
          const double pue = in_watts(
              plant.parts_at({watts(1)}, {watts(1)}, {hour.dry_bulb, hour.wet_bulb}).total().value);
          EXPECT_LE(pue, worst * (1 + 1e-12));
          sum += pue;
        }
        const double mean = sum / static_cast<double>(hours.size());
        const double of_classes = mean_part_load(plant, climate.classes).meter_ratio.back();
        largest = std::max(largest, std::abs(of_classes / mean - 1));
        EXPECT_NEAR(of_classes / mean, 1, 0.001) << climate.id << ' ' << data->id;
      }
    }
  }
  std::printf("largest difference of the mean PUE: %.4f %%\n", 100 * largest);
}

// Prints the figures of docs/model/facility.md.
TEST(AnnualPue, FallsWithTheSupplyTemperature) {
  for (const auto* id : {"phoenix-az", "seattle-wa"}) {
    const auto& climate = shipped_climates().climate(id, "");
    for (const auto* name : {"liquid-dry", "liquid-evaporative"}) {
      double cooler_mean = 2;
      double cooler_worst = 2;
      for (const double supply : {25.0, 32.0, 40.0, 45.0}) {
        const CoolingPlant plant{shipped_plant(name), celsius(supply)};
        const double mean = mean_part_load(plant, climate.classes).meter_ratio.back();
        const double worst = worst_part_load(plant, climate.classes).meter_ratio.back();
        const double half = [&] {
          double sum = 0;
          for (const auto& row : climate.classes) {
            sum += row.hours / 8760 *
                   in_watts(plant.parts_at({watts(0.5)}, {watts(1)}, {row.dry_bulb, row.wet_bulb})
                                .total()
                                .value) /
                   0.5;
          }
          return sum;
        }();
        const double megagallons = mean_water_litres_per_joule(plant, climate.classes, 1) * 1e6 *
                                   8760 * 3600 / 3.785411784e6;
        std::printf(
            "%-10s %-18s %2.0f C  mean %.3f, worst hour %.3f, mean at half load %.3f, "
            "GPU power %.3f, %.2f Mgal/MW-year, %4.0f h chiller-free\n",
            id, name, supply, mean, worst, half, plant.gpu_power_ratio(), megagallons,
            chiller_free_hours(plant, climate));
        EXPECT_GT(mean, 1.03);
        EXPECT_LT(mean, worst);
        EXPECT_LT(mean, cooler_mean);
        EXPECT_LT(worst, cooler_worst);
        cooler_mean = mean;
        cooler_worst = worst;
      }
    }
  }
}

}  // namespace
}  // namespace perwatt::facility
