#include "plant_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "fan_law.hpp"

namespace perwatt::facility {

namespace {

/// Evaporation at 30 °C (IAPWS): 2.43 MJ/kg at 0.9957 kg/l.
constexpr double kEvaporationJoulesPerLitre = 2.43e6 * 0.9957;

}  // namespace

PlantModel::PlantModel(const catalog::PlantPhysics& physics, Celsius supply)
    : physics_{&physics}, supply_{supply}, design_heat_{indoors_at(1).sum()} {}

// docs/model/facility.md#indoors
Indoors PlantModel::indoors_at(double load_ratio) const {
  const auto& p = *physics_;
  Indoors in;
  in.load = load_ratio;
  in.busway = p.busway_loss_ratio * load_ratio * load_ratio;
  const double ups_load = (load_ratio + in.busway) * p.ups_design_load_ratio;
  in.ups = (p.ups_no_load_loss_ratio +
            ups_load * (p.ups_linear_loss_ratio + ups_load * p.ups_square_loss_ratio)) /
           p.ups_design_load_ratio;
  in.pumps =
      p.pump_power_ratio * std::pow(std::max(p.pump_min_flow_ratio, load_ratio), p.pump_exponent);
  in.hall_fans = p.hall_fan_power_ratio * cube(std::max(p.hall_fan_min_flow_ratio, load_ratio));
  in.other = p.other_power_ratio;
  return in;
}

Celsius PlantModel::sink(const Weather& weather) const {
  return physics_->rejection == catalog::Rejection::evaporative ? weather.wet_bulb
                                                                : weather.dry_bulb;
}

// docs/model/facility.md#chiller and #split
Outdoors PlantModel::outdoors_in(const Weather& weather) const {
  const auto& p = *physics_;
  Outdoors out;
  if (p.rejection != catalog::Rejection::chiller) {
    const double head = std::max(0.0, kelvins_between(supply_, sink(weather)));
    out.free_capacity = design_heat_ * (head / p.approach_kelvin);
  }
  out.free_share_limit = out.free_capacity;
  if (!p.chiller) {
    return out;
  }
  const auto& chiller = *p.chiller;
  const Celsius evaporator = warmer_by(supply_, -chiller.evaporator_approach_kelvin);
  const Celsius condenser = warmer_by(sink(weather), chiller.condenser_approach_kelvin);
  const double lift = std::max(kelvins_between(condenser, evaporator), chiller.min_lift_kelvin);
  out.compressor_ratio = lift / (chiller.carnot_ratio * in_kelvin(evaporator));
  if (p.fan_power_ratio > 0 && out.free_capacity > 0) {
    // Where one more watt of heat costs the fans as much as the chiller.
    const double chiller_cost =
        out.compressor_ratio + chiller.condenser_fan_power_ratio * (1 + out.compressor_ratio);
    const double flow =
        std::sqrt(chiller_cost * out.free_capacity / (3 * p.fan_power_ratio * design_heat_));
    out.free_share_limit = out.free_capacity * std::min(1.0, std::max(flow, p.fan_min_flow_ratio));
  }
  return out;
}

HeatRejected PlantModel::rejected(double heat, const Outdoors& outdoors) const {
  const auto& p = *physics_;
  HeatRejected result;
  // Without a chiller the caller keeps the heat within the capacity but for rounding.
  result.free_heat = p.chiller ? std::min(heat, outdoors.free_share_limit) : heat;
  result.chilled_heat = heat - result.free_heat;
  if (p.rejection != catalog::Rejection::chiller) {
    const double flow = outdoors.free_capacity > 0
                            ? std::min(1.0, result.free_heat / outdoors.free_capacity)
                            : (result.free_heat > 0 ? 1.0 : 0.0);
    result.fans = p.fan_power_ratio * design_heat_ * cube(std::max(p.fan_min_flow_ratio, flow));
  }
  if (p.chiller) {
    result.compressor = result.chilled_heat * outdoors.compressor_ratio;
    result.fans += p.chiller->condenser_fan_power_ratio * (result.chilled_heat + result.compressor);
  }
  return result;
}

double PlantModel::transformer_loss(double power) const {
  const auto& p = *physics_;
  const double load = power * p.transformer_design_load_ratio;
  return (p.transformer_no_load_loss_ratio + p.transformer_load_loss_ratio * load * load) /
         p.transformer_design_load_ratio;
}

double PlantModel::meter_at(const Indoors& indoors, const Outdoors& outdoors) const {
  const double heat = indoors.sum();
  const auto out = rejected(heat, outdoors);
  const double passed = heat + out.fans + out.compressor;
  return passed + transformer_loss(passed);
}

double PlantModel::largest_load(const Outdoors& outdoors) const {
  if (physics_->chiller || carries_full_load(outdoors)) {
    return 1;
  }
  double low = 0;
  double high = 1;
  for (double middle = 0.5; middle > low && middle < high; middle = (low + high) / 2) {
    (indoors_at(middle).sum() <= outdoors.free_capacity ? low : high) = middle;
    if (high < std::numeric_limits<double>::min()) {
      return 0;
    }
  }
  return low;
}

double PlantModel::water_litres_per_joule(const HeatRejected& heat) const {
  if (physics_->rejection != catalog::Rejection::evaporative) {
    return 0;
  }
  const double cycles = physics_->cycles_of_concentration;
  return (heat.free_heat + heat.chilled_heat + heat.compressor) / kEvaporationJoulesPerLitre *
         (cycles / (cycles - 1));
}

}  // namespace perwatt::facility
