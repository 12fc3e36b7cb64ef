// A climate file, and the classes that come of its hours again.
#include "perwatt/catalog/climate.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "fuzz_check.hpp"

namespace {

using namespace perwatt;

/// The hours of each class, part hours as whole ones; the first is the hottest.
std::vector<catalog::ClimateHour> hours_of(const catalog::Climate& climate) {
  std::vector<catalog::ClimateHour> hours;
  for (const auto& row : climate.classes) {
    const auto count = static_cast<int>(std::ceil(row.hours));
    for (int i = 0; i < count; ++i) {
      const int hour_of_day = row.first_hour + i % (row.last_hour - row.first_hour + 1);
      hours.push_back({hour_of_day, i == 0 ? row.max_dry_bulb : row.dry_bulb,
                       i == 0 ? row.max_wet_bulb : row.wet_bulb, row.relative_humidity_percent});
    }
  }
  return hours;
}

/// No class made of hours loses one of them, and the hottest stays.
void demand_classes_of_hours(const catalog::Climate& climate) {
  constexpr double kRoundingKelvins = 0.011;
  const auto hours = hours_of(climate);
  for (const auto& row : climate.classes) {
    const auto wet_bulb = catalog::stull_wet_bulb(row.dry_bulb, row.relative_humidity_percent);
    fuzz::demand(wet_bulb <= row.dry_bulb, "a wet bulb is above its dry bulb");
    const double humidity = catalog::humidity_percent_at(row.dry_bulb, wet_bulb);
    fuzz::demand(humidity >= 0 && humidity <= 100, "a humidity is no percentage");
  }
  const auto read = catalog::summary_of(climate);
  const auto made = catalog::summary_of(catalog::climate_from_hours("x", "X", "fuzz", hours));
  fuzz::demand(made.hours == static_cast<double>(hours.size()), "hours were lost");
  fuzz::demand(
      std::abs(kelvins_between(made.max_dry_bulb, read.max_dry_bulb)) < kRoundingKelvins &&
          std::abs(kelvins_between(made.max_wet_bulb, read.max_wet_bulb)) < kRoundingKelvins,
      "the hottest hour was lost");
}

void demand_sound(const catalog::Climate& climate) {
  for (const auto& row : climate.classes) {
    fuzz::demand(row.hours > 0 && row.first_hour >= 1 && row.last_hour <= 24, "hours are wrong");
    fuzz::demand(row.wet_bulb <= row.dry_bulb && row.dry_bulb <= row.max_dry_bulb,
                 "temperatures are out of order");
  }
  const auto again = catalog::parse_climate(catalog::format_climate(climate), "again.csv");
  fuzz::demand(again.classes.size() == climate.classes.size() && again.id == climate.id &&
                   again.name == climate.name && again.source == climate.source,
               "what is written is not what was read");
  demand_classes_of_hours(climate);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] { demand_sound(catalog::parse_climate(text, "climate.csv")); });
  return 0;
}
