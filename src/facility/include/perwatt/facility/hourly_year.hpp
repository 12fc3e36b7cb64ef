// A year of a site, hour by hour, as its operator knows it. File: docs/reference/site-hours.md.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/catalog/climate.hpp"
#include "perwatt/facility/cooling_plant.hpp"

namespace perwatt::facility {

/// Hour i is hour i % 24 + 1 of its day. A vector is empty when the file lacks the column, else it
/// has `hours` elements.
struct HourlyYear {
  std::string file;
  std::size_t hours = 0;  // 8,760 or 8,784
  std::vector<Weather> weather;
  std::vector<double> relative_humidity_percent;  // with weather
  std::vector<UsdPerJoule> energy_price;          // may be negative
  std::vector<double> carbon_grams_per_kwh;
  std::vector<double> demand_ratio;  // of a service's stated demand
};

/// Reads the CSV text of such a year. Throws Error(bad_input) with file, line and remedy.
[[nodiscard]] HourlyYear parse_hourly_year(std::string_view text, const std::string& file);

[[nodiscard]] HourlyYear read_hourly_year(const std::filesystem::path& file);

/// The year's weather for catalog::climate_from_hours(); empty when the file has none.
[[nodiscard]] std::vector<catalog::ClimateHour> climate_hours(const HourlyYear& year);

}  // namespace perwatt::facility
