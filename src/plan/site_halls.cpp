#include <algorithm>

#include "site_tables.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::plan {

namespace {

constexpr Watts kMostPower = megawatts(1e6);
constexpr std::int64_t kMostPositions = 10'000'000;
constexpr Range kPositionUsdPerHour{0.0, 1e9};

std::optional<Watts> optional_power(const ConfigTable& table, std::string_view key) {
  if (!table.has(key)) {
    static_cast<void>(table.optional_text(key));  // asked for: a key that messages may suggest
    return std::nullopt;
  }
  const Watts power = read_power(table, key);
  if (power <= Watts{}) {
    table.fail(key, "is 0", "give a power above 0 or remove the key");
  }
  return power;
}

Hall read_hall(const ConfigTable& table, const catalog::Catalog& catalog) {
  Hall hall;
  hall.id = table.text("id");
  hall.defined_at = table.where("id");
  const auto& plant =
      catalog.cooling_plant(table.text("cooling_plant"), table.where("cooling_plant"));
  hall.cooling_plant = plant.id;
  hall.supply = table.optional_temperature("supply_temperature");
  if (hall.supply && !plant.physics) {
    table.fail("supply_temperature", "is given for '" + plant.id + "', whose PUE is a constant",
               "remove it or use a plant with physics (perwatt catalog list)");
  }
  if (hall.supply &&
      (*hall.supply < plant.physics->supply_min || *hall.supply > plant.physics->supply_max)) {
    table.fail("supply_temperature",
               "is " + shortest(in_celsius(*hall.supply)) + " C, outside what '" + plant.id +
                   "' can supply",
               "use " + shortest(in_celsius(plant.physics->supply_min)) + " to " +
                   shortest(in_celsius(plant.physics->supply_max)) + " C");
  }
  if (const auto positions = table.optional_integer("positions", 0, kMostPositions)) {
    hall.positions = static_cast<int>(*positions);
  }
  hall.it_capacity = optional_power(table, "it_capacity");
  hall.max_rack_power = optional_power(table, "max_rack_power");
  table.reject_unknown_keys();
  return hall;
}

const Hall* find_hall(const Site& site, std::string_view id) {
  const auto at = std::find_if(site.halls.begin(), site.halls.end(),
                               [&](const Hall& hall) { return hall.id == id; });
  return at == site.halls.end() ? nullptr : &*at;
}

std::string hall_id(const ConfigTable& table, std::string_view key, const Site& site) {
  auto id = table.text(key);
  if (find_hall(site, id) == nullptr) {
    std::vector<std::string> known;
    for (const auto& hall : site.halls) {
      known.push_back(hall.id);
    }
    table.fail(key, "'" + printable(id) + "' is no [[hall]] here",
               "add the hall; " + suggestion(id, known));
  }
  return id;
}

PowerSupply read_supply(const ConfigTable& table) {
  PowerSupply supply;
  supply.name = table.text("name");
  const auto kind = table.text("kind");
  if (kind != "battery" && kind != "generation") {
    table.fail("kind", "is '" + printable(kind) + "'", "use battery or generation");
  }
  supply.is_battery = kind == "battery";
  supply.power = read_power(table, "power");
  if (supply.is_battery) {
    supply.energy = Joules::from_base(table.number("energy_mwh", {0.0, 1e6}) * kJoulesPerMwh);
    supply.round_trip_ratio = table.optional_number("round_trip_ratio", {0.01, 1.0}).value_or(0.88);
  } else {
    supply.energy_price = usd_per_kwh(table.number("usd_per_kwh", {0.0, 100.0}));
    supply.carbon_grams_per_kwh =
        table.optional_number("carbon_grams_per_kwh", {0.0, 1e5}).value_or(0.0);
    supply.hours_per_year = table.optional_number("hours_per_year", {0.0, 8784.0});
  }
  table.reject_unknown_keys();
  return supply;
}

/// The warmest hour leaves a plant without chiller nothing to carry.
[[noreturn]] void throw_no_cooling(const Hall& hall, const facility::CoolingPlant& plant,
                                   const HourClass& hours) {
  const auto warmest = std::max_element(
      hours.weather.begin(), hours.weather.end(),
      [](const auto& a, const auto& b) { return a.max_dry_bulb < b.max_dry_bulb; });
  throw_bad_input("the hall '" + printable(hall.id) + "' is cooled by '" + plant.data().id +
                      "', which has no chiller and carries no load in the warmest hour (" +
                      significant(in_celsius(warmest->max_dry_bulb), 3) + " C outside, " +
                      shortest(in_celsius(*plant.supply())) + " C supplied)",
                  hall.defined_at,
                  "use a plant with a chiller or supply warmer coolant (perwatt catalog list)");
}

}  // namespace

Watts read_power(const ConfigTable& table, std::string_view key) {
  const Watts power = table.power(key);
  if (power > kMostPower) {
    table.fail(key, "'" + table.text(key) + "' is above 1,000,000 MW", "check its unit");
  }
  return power;
}

Watts firm_supply(const Site& site) {
  constexpr double kFirmHours = 4;
  Watts firm;
  for (const auto& supply : site.supplies) {
    if (supply.is_battery) {
      firm += std::min(supply.power, supply.energy / seconds(kFirmHours * kSecondsPerHour));
    } else if (!supply.hours_per_year || *supply.hours_per_year > 0) {
      firm += supply.power;
    }
  }
  return firm;
}

void read_halls(const ConfigTable& document, const catalog::Catalog& catalog, Site& site) {
  for (const auto& table : document.tables("hall")) {
    auto hall = read_hall(table, catalog);
    if (find_hall(site, hall.id) != nullptr) {
      table.fail("id", "'" + printable(hall.id) + "' is there twice",
                 "give each hall an id of its own");
    }
    site.halls.push_back(std::move(hall));
  }
}

const Hall& stand_in_hall(const ConfigTable& table, std::string_view default_plant,
                          const catalog::Catalog& catalog, Site& site) {
  if (table.has("hall")) {
    if (table.has("cooling_plant")) {
      table.fail("cooling_plant", "is given beside hall", "the hall has its plant: remove it");
    }
    return *find_hall(site, hall_id(table, "hall", site));
  }
  const auto plant = table.optional_text("cooling_plant").value_or(std::string{default_plant});
  const auto& id = catalog.cooling_plant(plant, table.where("cooling_plant")).id;
  if (const auto* hall = find_hall(site, id)) {
    if (hall->cooling_plant != id) {
      table.fail("cooling_plant", "'" + id + "' is also the id of a hall with another plant",
                 "name the hall, or give that hall another id");
    }
    return *hall;
  }
  Hall hall;
  hall.id = id;
  hall.cooling_plant = id;
  hall.defined_at = table.where("");
  site.halls.push_back(std::move(hall));
  return site.halls.back();
}

void read_retrofits(const ConfigTable& document, Site& site) {
  for (const auto& table : document.tables("retrofit")) {
    Retrofit retrofit;
    retrofit.from = hall_id(table, "from", site);
    retrofit.to = hall_id(table, "to", site);
    if (retrofit.from == retrofit.to) {
      table.fail("to", "is the hall it comes from", "name two halls");
    }
    for (const auto* key : {"from", "to"}) {
      if (!find_hall(site, table.text(key))->positions) {
        table.fail(key, "names a hall without positions", "give both halls their positions");
      }
    }
    retrofit.max_positions = static_cast<int>(table.integer("max_positions", 0, kMostPositions));
    retrofit.capital_per_position =
        usd_per_hour(table.number("capital_usd_per_position_hour", kPositionUsdPerHour));
    table.reject_unknown_keys();
    site.retrofits.push_back(std::move(retrofit));
  }
}

void read_supplies(const ConfigTable& document, Site& site) {
  for (const auto& table : document.tables("supply")) {
    site.supplies.push_back(read_supply(table));
  }
}

void equip_hall(Hall& hall, const std::vector<HourClass>& year, const catalog::Catalog& catalog) {
  const auto& data = catalog.cooling_plant(hall.cooling_plant, hall.defined_at);
  if (!data.physics) {
    hall.curves = nullptr;
    return;
  }
  const facility::CoolingPlant plant{data, hall.supply};
  auto curves = std::make_shared<HallCurves>();
  for (const auto& hours : year) {
    if (hours.weather.empty()) {
      throw_bad_input("the hall '" + printable(hall.id) + "' is cooled by '" + data.id +
                          "', whose power depends on the weather, and the site has none",
                      hall.defined_at,
                      "add [year] with climate = \"phoenix-az\" or hourly_file = \"FILE.csv\"");
    }
    curves->mean.push_back(facility::mean_part_load(plant, hours.weather));
    curves->worst.push_back(facility::worst_part_load(plant, hours.weather));
    if (std::min(curves->mean.back().load_ratio.back(), curves->worst.back().load_ratio.back()) <=
        0) {
      throw_no_cooling(hall, plant, hours);
    }
  }
  hall.curves = std::move(curves);
}

}  // namespace perwatt::plan
