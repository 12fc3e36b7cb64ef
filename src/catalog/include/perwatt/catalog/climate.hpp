// Climates: the weather of a typical year at one site, as joint classes of dry bulb, wet bulb and
// hour of the day. Formulas and sources: docs/model/facility.md#climate; file:
// docs/reference/catalog.md#climates.
//
// Hours of the day are 1 to 24 in local standard time; hour h is the one that ends at h o'clock.
// All functions are pure and safe from many threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/celsius.hpp"
#include "perwatt/base/csv.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::catalog {

inline constexpr double kColdestAirCelsius = -60;
inline constexpr double kHottestAirCelsius = 60;

/// Hours of like weather in one block of the day.
struct ClimateClass {
  int first_hour = 1;  // of the day, 1 to 24
  int last_hour = 24;
  double hours = 0;  // per year
  Celsius dry_bulb;  // mean of the class
  Celsius wet_bulb;
  Celsius max_dry_bulb;  // warmest hour of the class
  Celsius max_wet_bulb;
  double relative_humidity_percent = 0;  // mean

  bool operator==(const ClimateClass&) const = default;
};

struct Climate {
  std::string id;
  std::string name;
  std::string source;
  std::vector<ClimateClass> classes;  // their hours sum to 8,760 or 8,784
  std::string defined_at;             // file:line, empty when not read from a file
};

struct ClimateSummary {
  double hours = 0;
  Celsius mean_dry_bulb;
  Celsius mean_wet_bulb;
  Celsius max_dry_bulb;
  Celsius max_wet_bulb;
  Celsius coldest_class_dry_bulb;  // mean of the coldest class
};

/// One hour of the year.
struct ClimateHour {
  int hour_of_day = 1;
  Celsius dry_bulb;
  Celsius wet_bulb;
  double relative_humidity_percent = 0;
};

/// Wet bulb at sea level by Stull (2011), doi:10.1175/JAMC-D-11-0143.1; error -1.0 to +0.65 K over
/// its range. Outside that range (5–99 %, -20–50 °C) the depression at its edge is used. Never
/// above `dry_bulb`. REQUIRES: humidity in [0, 100].
[[nodiscard]] Celsius stull_wet_bulb(Celsius dry_bulb, double relative_humidity_percent);

/// Relative humidity (0 to 100) from the dew point by the Magnus form of Alduchov and Eskridge
/// (1996), doi:10.1175/1520-0450(1996)035<0601:IMFAOS>2.0.CO;2.
[[nodiscard]] double humidity_percent_at(Celsius dry_bulb, Celsius dew_point);

/// Joint classes of a year: eight blocks of three hours; in each the hours are cut at the limits of
/// the supply classes 25, 32, 40 and 45 °C (less 10 K dry bulb, less 8 K wet bulb) and then halved
/// at the median of the wider spread (dry bulb times 1.5) until at most 14 are left. Deterministic.
/// REQUIRES: 8,760 or 8,784 hours.
[[nodiscard]] Climate climate_from_hours(std::string id, std::string name, std::string source,
                                         std::span<const ClimateHour> hours);

[[nodiscard]] ClimateSummary summary_of(const Climate& climate);

/// The climate file `text`. Throws Error(bad_input) with file, line and remedy.
[[nodiscard]] Climate parse_climate(std::string_view text, const std::string& file);

/// A climate file that parse_climate() reads back, temperatures to 0.01 K.
[[nodiscard]] std::string format_climate(const Climate& climate);

// ---- hourly files -----------------------------------------------------------------------------

/// Checks that the rows of an hourly table are the hours of one year in order, 1 January first.
class HourSequence {
 public:
  /// Finds the columns hour_of_year (or hour, beside hour_of_day or without a month) and month, day
  /// and hour_of_day (or hour). Throws Error(bad_input) unless the table has 8,760 or 8,784 rows,
  /// or when `required` and neither set is complete.
  HourSequence(const CsvTable& table, bool required);

  /// Throws Error(bad_input) when row `index` (from 0) is not that hour of the year.
  void check(std::size_t index) const;

  /// Whether `column` is one of those found.
  [[nodiscard]] bool uses(std::size_t column) const;

  /// 1 to 24.
  [[nodiscard]] static int hour_of_day(std::size_t index) {
    return static_cast<int>(index % 24) + 1;
  }

 private:
  void expect(std::size_t index, std::size_t column, std::int64_t expected,
              std::int64_t first) const;
  [[nodiscard]] std::int64_t first_value(std::size_t column) const;

  const CsvTable* table_;
  std::optional<std::size_t> hour_of_year_;
  std::optional<std::size_t> month_;
  std::optional<std::size_t> day_;
  std::optional<std::size_t> hour_of_day_;
};

/// The number in one field. Throws Error(bad_input) unless it is a number from `low` to `high`.
[[nodiscard]] double number_in(const CsvTable& table, const CsvRow& row, std::size_t column,
                               double low, double high);

/// An operator's hourly weather: dry_bulb_c and relative_humidity_percent (or rh_pct) or
/// dew_point_c, with the columns HourSequence needs. Other columns are left alone. Throws
/// Error(bad_input) with the line.
[[nodiscard]] std::vector<ClimateHour> parse_weather_hours(std::string_view text,
                                                           const std::string& file);

}  // namespace perwatt::catalog
