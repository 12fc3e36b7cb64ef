#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/catalog/climate.hpp"

namespace perwatt::catalog {

namespace {

constexpr std::array<int, 12> kDaysOfMonth{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
/// A dew point this far above the dry bulb is rounding, not a fault.
constexpr double kDewPointSlackKelvins = 0.15;

struct Date {
  int month = 1;
  int day = 1;
};

/// `day_of_year` from 0.
Date date_of(std::size_t day_of_year, bool is_leap) {
  auto left = static_cast<int>(day_of_year);
  for (std::size_t month = 0; month < kDaysOfMonth.size(); ++month) {
    const int days = kDaysOfMonth[month] + (is_leap && month == 1 ? 1 : 0);
    if (left < days) {
      return {static_cast<int>(month) + 1, left + 1};
    }
    left -= days;
  }
  return {12, 31};
}

}  // namespace

HourSequence::HourSequence(const CsvTable& table, bool required) : table_{&table} {
  const auto count = table.rows().size();
  if (count != kHoursPerYear && count != kHoursPerLeapYear) {
    throw_bad_input("has " + std::to_string(count) + " rows", table.name(),
                    "give one row for every hour of a year: 8760, or 8784 in a leap year");
  }
  const auto hour = table.find("hour");
  hour_of_year_ = table.find("hour_of_year");
  month_ = table.find("month");
  day_ = table.find("day");
  hour_of_day_ = table.find("hour_of_day");
  if (hour && !hour_of_day_ && month_) {
    hour_of_day_ = hour;
  } else if (hour && !hour_of_year_) {
    hour_of_year_ = hour;
  }
  if (required && !hour_of_year_ && !(month_ && day_ && hour_of_day_)) {
    throw_bad_input("no column tells the hour", table.name() + ":1",
                    "add hour_of_year, or month, day and hour_of_day");
  }
}

bool HourSequence::uses(std::size_t column) const {
  return column == hour_of_year_ || column == month_ || column == day_ || column == hour_of_day_;
}

std::int64_t HourSequence::first_value(std::size_t column) const {
  return parse_integer(table_->rows().front().fields[column]) == 0 ? 0 : 1;
}

void HourSequence::expect(std::size_t index, std::size_t column, std::int64_t expected,
                          std::int64_t first) const {
  const auto& row = table_->rows()[index];
  if (parse_integer(row.fields[column]) != expected + first) {
    throw_bad_input("is '" + printable(row.fields[column]) + "' where " +
                        std::to_string(expected + first) + " follows",
                    table_->where(row, column),
                    "give every hour of the year once, in order, from 1 January");
  }
}

void HourSequence::check(std::size_t index) const {
  const bool is_leap = table_->rows().size() == kHoursPerLeapYear;
  const auto date = date_of(index / 24, is_leap);
  if (hour_of_year_) {
    expect(index, *hour_of_year_, static_cast<std::int64_t>(index), first_value(*hour_of_year_));
  }
  if (month_) {
    expect(index, *month_, date.month, 0);
  }
  if (day_) {
    expect(index, *day_, date.day, 0);
  }
  if (hour_of_day_) {
    expect(index, *hour_of_day_, static_cast<std::int64_t>(index % 24), first_value(*hour_of_day_));
  }
}

double number_in(const CsvTable& table, const CsvRow& row, std::size_t column, double low,
                 double high) {
  const auto& field = row.fields[column];
  const auto value = parse_number(trimmed(field));
  if (!value) {
    throw_bad_input("'" + printable(field) + "' is no number", table.where(row, column),
                    "write a number between " + shortest(low) + " and " + shortest(high));
  }
  if (*value < low || *value > high) {
    throw_bad_input("is " + shortest(*value), table.where(row, column),
                    "it must be between " + shortest(low) + " and " + shortest(high));
  }
  return *value;
}

std::vector<ClimateHour> parse_weather_hours(std::string_view text, const std::string& file) {
  const auto table = CsvTable::parse(text, file);
  const auto dry_at = table.require("dry_bulb_c");
  auto humidity_at = table.find("relative_humidity_percent");
  if (!humidity_at) {
    humidity_at = table.find("rh_pct");
  }
  const auto dew_at = table.find("dew_point_c");
  if (!humidity_at && !dew_at) {
    throw_bad_input("no column tells the humidity", file + ":1",
                    "add relative_humidity_percent or dew_point_c");
  }
  const HourSequence sequence{table, true};
  std::vector<ClimateHour> hours;
  hours.reserve(table.rows().size());
  for (std::size_t i = 0; i < table.rows().size(); ++i) {
    const auto& row = table.rows()[i];
    sequence.check(i);
    ClimateHour hour;
    hour.hour_of_day = HourSequence::hour_of_day(i);
    hour.dry_bulb = celsius(number_in(table, row, dry_at, kColdestAirCelsius, kHottestAirCelsius));
    if (humidity_at) {
      hour.relative_humidity_percent = number_in(table, row, *humidity_at, 0, 100);
    } else {
      const auto dew = celsius(number_in(table, row, *dew_at, -100, kHottestAirCelsius));
      if (kelvins_between(dew, hour.dry_bulb) > kDewPointSlackKelvins) {
        throw_bad_input("is " + shortest(in_celsius(dew)) + ", above the dry bulb of " +
                            shortest(in_celsius(hour.dry_bulb)),
                        table.where(row, *dew_at), "correct or swap them");
      }
      hour.relative_humidity_percent = humidity_percent_at(hour.dry_bulb, dew);
    }
    hour.wet_bulb = stull_wet_bulb(hour.dry_bulb, hour.relative_humidity_percent);
    hours.push_back(hour);
  }
  return hours;
}

}  // namespace perwatt::catalog
