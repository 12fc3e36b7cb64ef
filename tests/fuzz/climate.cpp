// A climate file.
#include "perwatt/catalog/climate.hpp"

#include <cstddef>
#include <cstdint>

#include "fuzz_check.hpp"

namespace {

using namespace perwatt;

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
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] { demand_sound(catalog::parse_climate(text, "climate.csv")); });
  return 0;
}
