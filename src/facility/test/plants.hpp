// What the tests of plants share.
#pragma once

#include <string>
#include <vector>

#include "shipped_catalog.hpp"
#include <rapidcheck.h>

#include "perwatt/catalog/catalog.hpp"
#include "perwatt/facility/cooling_plant.hpp"

namespace perwatt::facility {

inline const catalog::CoolingPlant& shipped_plant(const std::string& id) {
  return shipped_climates().cooling_plant(id, "");
}

inline std::vector<const catalog::CoolingPlant*> physical_plants() {
  std::vector<const catalog::CoolingPlant*> plants;
  for (const auto& plant : shipped_climates().cooling_plants()) {
    if (plant.physics) {
      plants.push_back(&plant);
    }
  }
  return plants;
}

inline Weather weather(double dry_bulb_c, double wet_bulb_c) {
  return {celsius(dry_bulb_c), celsius(wet_bulb_c)};
}

inline Weather any_weather() {
  const double dry = *rc::gen::inRange(-3000, 5500) / 100.0;
  return weather(dry, dry - *rc::gen::inRange(0, 2500) / 100.0);
}

/// A shipped physical plant at a random supply temperature within its range.
inline CoolingPlant any_plant() {
  const auto* data = *rc::gen::elementOf(physical_plants());
  const double low = in_celsius(data->physics->supply_min);
  const double high = in_celsius(data->physics->supply_max);
  return CoolingPlant{*data, celsius(low + (high - low) * *rc::gen::inRange(0, 101) / 100.0)};
}

/// The largest IT power of `design` that the plant carries.
inline ItPower most_it(const CoolingPlant& plant, ItPower design, const Weather& air) {
  return plant.it_limit(design, air).value_or(design);
}

}  // namespace perwatt::facility
