// Hourly files: an operator's weather and a site's year. A fuzzer does not write 8,760 rows, so the
// lines after the header are repeated for the whole year, '@' standing for the hour of the year. A
// newline at the end of the input does not start another line.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "fuzz_check.hpp"

#include "perwatt/base/text.hpp"
#include "perwatt/catalog/climate.hpp"
#include "perwatt/facility/hourly_year.hpp"

namespace {

using namespace perwatt;

constexpr std::size_t kLongestInput = 512;

std::string whole_year(std::string_view text) {
  if (text.ends_with('\n')) {
    text.remove_suffix(1);
  }
  const auto lines = split(text, '\n');
  if (lines.size() < 2) {
    return std::string{text};
  }
  std::string year = lines.front() + "\n";
  for (std::size_t i = 0; i < kHoursPerYear; ++i) {
    for (const char c : lines[1 + i % (lines.size() - 1)]) {
      year += c == '@' ? std::to_string(i) : std::string{c};
    }
    year += '\n';
  }
  return year;
}

void demand_sound(const std::vector<catalog::ClimateHour>& hours) {
  for (const auto& hour : hours) {
    fuzz::demand(hour.wet_bulb <= hour.dry_bulb, "a wet bulb is above its dry bulb");
  }
  const auto climate = catalog::climate_from_hours("x", "X", "fuzz", hours);
  fuzz::demand(catalog::summary_of(climate).hours == static_cast<double>(hours.size()),
               "hours were lost");
  static_cast<void>(catalog::parse_climate(catalog::format_climate(climate), "again.csv"));
}

void try_both(const std::string& text) {
  fuzz::demand_answer_or_error(
      [&] { demand_sound(catalog::parse_weather_hours(text, "weather.csv")); });
  fuzz::demand_answer_or_error([&] {
    const auto year = facility::parse_hourly_year(text, "year.csv");
    if (!year.weather.empty()) {
      demand_sound(facility::climate_hours(year));
    }
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data),
                              size < kLongestInput ? size : kLongestInput};
  try_both(std::string{text});
  try_both(whole_year(text));
  return 0;
}
