#include "perwatt/facility/cooling_plant.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "plant_model.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::facility {

namespace {

/// What a linear program may overstep a bound by.
constexpr double kSlackRatio = 1e-6;

std::string degrees(Celsius t) {
  return shortest(in_celsius(t)) + " °C";
}

[[noreturn]] void throw_overload(const catalog::CoolingPlant& plant, double load, double limit) {
  throw Error{ErrorCode::internal_error,
              "plant '" + plant.id + "' was asked for " + shortest(load) +
                  " of its design IT power where it carries " + shortest(limit),
              "", "ask it_limit() first"};
}

}  // namespace

PlantPower& PlantPower::operator+=(const PlantPower& more) {
  it += more.it;
  cooling += more.cooling;
  distribution += more.distribution;
  fans += more.fans;
  pumps += more.pumps;
  chiller += more.chiller;
  other += more.other;
  ups += more.ups;
  transformer += more.transformer;
  busway += more.busway;
  loop_heat += more.loop_heat;
  free_cooled_heat += more.free_cooled_heat;
  chilled_heat += more.chilled_heat;
  water_litres_per_second += more.water_litres_per_second;
  return *this;
}

PlantPower PlantPower::operator*(double share) const {
  return {it * share,           cooling * share,
          distribution * share, fans * share,
          pumps * share,        chiller * share,
          other * share,        ups * share,
          transformer * share,  busway * share,
          loop_heat * share,    free_cooled_heat * share,
          chilled_heat * share, water_litres_per_second * share};
}

CoolingPlant::CoolingPlant(const catalog::CoolingPlant& plant, std::optional<Celsius> supply)
    : plant_{&plant} {
  if (is_constant()) {
    if (supply) {
      throw_bad_input("cooling plant '" + plant.id +
                          "' has a constant PUE and no supply "
                          "temperature, so " +
                          degrees(*supply) + " means nothing",
                      plant.defined_at, "use a plant with rejection, or give no temperature");
    }
    return;
  }
  const auto& physics = *plant.physics;
  supply_ = supply.value_or(physics.supply);
  if (supply_ < physics.supply_min || supply_ > physics.supply_max) {
    throw_bad_input(
        "cooling plant '" + plant.id + "' cannot supply " + degrees(supply_), plant.defined_at,
        "ask for " + degrees(physics.supply_min) + " to " + degrees(physics.supply_max));
  }
}

void CoolingPlant::require_constant() const {
  if (!is_constant()) {
    throw_bad_input("cooling plant '" + plant_->id + "' has no constant PUE", plant_->defined_at,
                    "its power depends on the weather: use a plant with pue here (air, liquid)");
  }
}

MeterPower CoolingPlant::meter_for(ItPower it) const {
  require_constant();
  return {it.value * plant_->pue.value};
}

ItPower CoolingPlant::it_carried_by(MeterPower meter) const {
  require_constant();
  return {meter.value / plant_->pue.value};
}

PlantPower CoolingPlant::parts_at(ItPower it) const {
  const Watts meter = meter_for(it).value;
  PlantPower power;
  power.it = it.value;
  power.distribution = it.value * plant_->distribution_loss_ratio.value;
  power.cooling = meter - power.distribution - it.value;
  power.other = power.cooling;
  power.busway = power.distribution;
  return power;
}

PlantPower CoolingPlant::parts_at(ItPower it, ItPower design, const Weather& weather) const {
  if (is_constant()) {
    return parts_at(it);
  }
  if (design.value <= Watts{} && it.value <= Watts{}) {
    return {};
  }
  const PlantModel model{*plant_->physics, supply_};
  const double load = it.value / design.value;
  const auto outdoors = model.outdoors_in(weather);
  const double limit = model.largest_load(outdoors);
  if (!(load >= 0 && load <= limit * (1 + kSlackRatio) + kSlackRatio)) {
    throw_overload(*plant_, load, limit);
  }
  const auto indoors = model.indoors_at(load);
  const double heat = indoors.sum();
  const auto out = model.rejected(heat, outdoors);
  PlantPower power;
  power.it = it.value;
  power.fans = (out.fans + indoors.hall_fans) * design.value;
  power.pumps = indoors.pumps * design.value;
  power.chiller = out.compressor * design.value;
  power.other = indoors.other * design.value;
  power.cooling = power.fans + power.pumps + power.chiller + power.other;
  power.ups = indoors.ups * design.value;
  power.busway = indoors.busway * design.value;
  power.transformer = model.transformer_loss(heat + out.fans + out.compressor) * design.value;
  power.distribution = power.ups + power.busway + power.transformer;
  power.loop_heat = heat * design.value;
  power.free_cooled_heat = out.free_heat * design.value;
  power.chilled_heat = out.chilled_heat * design.value;
  power.water_litres_per_second = model.water_litres_per_joule(out) * in_watts(design.value);
  return power;
}

std::optional<ItPower> CoolingPlant::it_limit(ItPower design, const Weather& weather) const {
  if (is_constant()) {
    return std::nullopt;
  }
  const PlantModel model{*plant_->physics, supply_};
  const double load = model.largest_load(model.outdoors_in(weather));
  return load < 1 ? std::optional{ItPower{design.value * load}} : std::nullopt;
}

ItPower CoolingPlant::it_carried_by(MeterPower meter, ItPower design,
                                    const Weather& weather) const {
  if (is_constant()) {
    return it_carried_by(meter);
  }
  if (design.value <= Watts{}) {
    return {};
  }
  const PlantModel model{*plant_->physics, supply_};
  const auto outdoors = model.outdoors_in(weather);
  const double wanted = meter.value / design.value;
  const auto draws = [&](double load) { return model.meter_at(model.indoors_at(load), outdoors); };
  double low = 0;
  double high = model.largest_load(outdoors);
  if (draws(high) <= wanted) {
    return {design.value * high};
  }
  if (draws(low) >= wanted) {
    return {};
  }
  for (double middle = high / 2; middle > low && middle < high; middle = (low + high) / 2) {
    (draws(middle) <= wanted ? low : high) = middle;
  }
  return {design.value * low};
}

bool CoolingPlant::is_chiller_free(const Weather& weather) const {
  if (is_constant()) {
    throw_bad_input(
        "cooling plant '" + plant_->id + "' has a constant PUE: when its chiller runs is not known",
        plant_->defined_at, "use a plant with rejection");
  }
  const PlantModel model{*plant_->physics, supply_};
  return model.carries_full_load(model.outdoors_in(weather));
}

// docs/model/facility.md#leakage
double CoolingPlant::gpu_power_ratio() const {
  if (is_constant()) {
    return 1;
  }
  const auto& p = *plant_->physics;
  return 1 + p.gpu_leakage_ratio * std::expm1(p.gpu_leakage_per_kelvin *
                                              kelvins_between(supply_, p.leakage_reference));
}

std::optional<Celsius> CoolingPlant::supply() const {
  return is_constant() ? std::nullopt : std::optional{supply_};
}

}  // namespace perwatt::facility
