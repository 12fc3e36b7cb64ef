#include "perwatt/facility/hourly_year.hpp"

#include <algorithm>
#include <optional>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::facility {

namespace {

struct Column {
  const char* name;
  double low;
  double high;
};

constexpr Column kDryBulb{"dry_bulb_c", catalog::kColdestAirCelsius, catalog::kHottestAirCelsius};
constexpr Column kHumidity{"relative_humidity_percent", 0, 100};
constexpr Column kPrice{"energy_usd_per_kwh", -10, 100};
constexpr Column kCarbon{"carbon_grams_per_kwh", 0, 5000};
constexpr Column kDemand{"demand_ratio", 0, 1000};

std::vector<double> read_column(const CsvTable& table, const Column& column) {
  std::vector<double> values;
  if (const auto at = table.find(column.name)) {
    values.reserve(table.rows().size());
    for (const auto& row : table.rows()) {
      values.push_back(catalog::number_in(table, row, *at, column.low, column.high));
    }
  }
  return values;
}

void check_columns(const CsvTable& table, const catalog::HourSequence& sequence) {
  const std::vector<std::string> known{kDryBulb.name, kHumidity.name, kPrice.name,
                                       kCarbon.name,  kDemand.name,   "hour_of_year",
                                       "month",       "day",          "hour_of_day"};
  bool has_values = false;
  for (std::size_t i = 0; i < table.columns().size(); ++i) {
    const auto& column = table.columns()[i];
    if (sequence.uses(i)) {
      continue;
    }
    if (std::find(known.begin(), known.end(), column) == known.end()) {
      throw_bad_input("the column '" + printable(column) + "' is not known", table.name() + ":1",
                      suggestion(column, known));
    }
    has_values = true;
  }
  if (!has_values) {
    throw_bad_input("has no column of values", table.name() + ":1",
                    "add dry_bulb_c and relative_humidity_percent, energy_usd_per_kwh, "
                    "carbon_grams_per_kwh or demand_ratio");
  }
  for (const auto& [one, other] :
       {std::pair{kDryBulb.name, kHumidity.name}, std::pair{kHumidity.name, kDryBulb.name}}) {
    if (table.find(one) && !table.find(other)) {
      throw_bad_input(std::string{"has "} + one + " without " + other, table.name() + ":1",
                      "give both or neither");
    }
  }
}

}  // namespace

HourlyYear parse_hourly_year(std::string_view text, const std::string& file) {
  const auto table = CsvTable::parse(text, file);
  const catalog::HourSequence sequence{table, false};
  check_columns(table, sequence);
  HourlyYear year;
  year.file = file;
  year.hours = table.rows().size();
  for (std::size_t i = 0; i < year.hours; ++i) {
    sequence.check(i);
  }
  const auto dry_bulb = read_column(table, kDryBulb);
  year.relative_humidity_percent = read_column(table, kHumidity);
  for (std::size_t i = 0; i < dry_bulb.size(); ++i) {
    const auto dry = celsius(dry_bulb[i]);
    year.weather.push_back({dry, catalog::stull_wet_bulb(dry, year.relative_humidity_percent[i])});
  }
  for (const double price : read_column(table, kPrice)) {
    year.energy_price.push_back(usd_per_kwh(price));
  }
  year.carbon_grams_per_kwh = read_column(table, kCarbon);
  year.demand_ratio = read_column(table, kDemand);
  return year;
}

HourlyYear read_hourly_year(const std::filesystem::path& file) {
  return parse_hourly_year(read_file(file), file.string());
}

std::vector<catalog::ClimateHour> climate_hours(const HourlyYear& year) {
  std::vector<catalog::ClimateHour> hours;
  hours.reserve(year.weather.size());
  for (std::size_t i = 0; i < year.weather.size(); ++i) {
    hours.push_back({catalog::HourSequence::hour_of_day(i), year.weather[i].dry_bulb,
                     year.weather[i].wet_bulb, year.relative_humidity_percent[i]});
  }
  return hours;
}

}  // namespace perwatt::facility
