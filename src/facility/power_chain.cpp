#include "perwatt/facility/power_chain.hpp"

#include <algorithm>
#include <span>
#include <variant>

#include "fan_law.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::facility {

namespace {

/// Piecewise-linear, constant outside the axis.
double interpolate(std::span<const double> axis, std::span<const double> values, double at) {
  if (at <= axis.front()) {
    return values.front();
  }
  for (std::size_t i = 1; i < axis.size(); ++i) {
    if (at <= axis[i]) {
      const double share = (at - axis[i - 1]) / (axis[i] - axis[i - 1]);
      return values[i - 1] + share * (values[i] - values[i - 1]);
    }
  }
  return values.back();
}

}  // namespace

PowerChain::PowerChain(const catalog::Catalog& catalog, const catalog::System& system)
    : system_{&system} {
  const auto& accelerator = catalog.accelerator(system.accelerator, system.defined_at);
  tdp_ = accelerator.tdp.value;
  const auto* chassis = std::get_if<catalog::ChassisChain>(&system.chain);
  psu_ = &catalog.psu_curve(chassis != nullptr
                                ? chassis->psu_curve
                                : std::get<catalog::RackScaleChain>(system.chain).psu_curve);
  const Watts dc = provisioned_node().supply_load;
  const Watts capacity =
      chassis != nullptr
          ? chassis->psu_modeled_capacity
          : std::get<catalog::RackScaleChain>(system.chain).psu_capacity *
                static_cast<double>(std::get<catalog::RackScaleChain>(system.chain).power_shelves *
                                    std::get<catalog::RackScaleChain>(system.chain).psus_per_shelf);
  if (dc > capacity) {
    throw_bad_input("a node of '" + system.id + "' with its GPUs at " + shortest(in_watts(tdp_)) +
                        " W needs " + shortest(in_watts(dc)) + " W DC, more than the " +
                        shortest(in_watts(capacity)) + " W its power supplies carry",
                    system.defined_at,
                    std::string{"correct the accelerator's tdp_watts or "} +
                        (chassis != nullptr ? "psu_modeled_capacity_watts" : "psu_capacity_watts"));
  }
}

NodePower PowerChain::node_at(Watts per_gpu) const {
  if (const auto* chassis = std::get_if<catalog::ChassisChain>(&system_->chain)) {
    return chassis_at(*chassis, per_gpu);
  }
  const auto& chain = std::get<catalog::RackScaleChain>(system_->chain);
  return rack_scale_at(chain, per_gpu, chain.cpu);
}

NodePower PowerChain::provisioned_node() const {
  return provisioned_node_at(tdp_);
}

NodePower PowerChain::provisioned_node_at(Watts gpu_cap) const {
  if (const auto* chassis = std::get_if<catalog::ChassisChain>(&system_->chain)) {
    return chassis_at(*chassis, gpu_cap);
  }
  const auto& chain = std::get<catalog::RackScaleChain>(system_->chain);
  return rack_scale_at(chain, gpu_cap, chain.cpu_max);
}

ItPower PowerChain::it_per_gpu(Watts per_gpu) const {
  return {node_at(per_gpu).it_total().value / static_cast<double>(system_->gpus_per_node)};
}

// docs/model/facility.md#chassis
NodePower PowerChain::chassis_at(const catalog::ChassisChain& chain, Watts per_gpu) const {
  NodePower power;
  power.gpu = per_gpu * static_cast<double>(system_->gpus_per_node);
  power.host = chain.fixed_dc;
  const Watts before_fans = power.gpu + power.host;
  const double pwm = chain.fan_min_pwm_ratio + (chain.fan_max_pwm_ratio - chain.fan_min_pwm_ratio) *
                                                   std::min(1.0, before_fans / chain.fan_full_load);
  power.fans = chain.fan_nameplate * cube(pwm);
  const Watts dc = before_fans + power.fans;
  const double efficiency =
      interpolate(psu_->load_ratio, psu_->efficiency_ratio, dc / chain.psu_share_capacity);
  power.conversion = dc / efficiency - dc;
  power.network = chain.network;
  power.supply_load = dc;
  return power;
}

// docs/model/facility.md#rack-scale
NodePower PowerChain::rack_scale_at(const catalog::RackScaleChain& chain, Watts per_gpu,
                                    Watts cpu) const {
  const double trays = chain.compute_trays;
  const double boards = chain.boards_per_tray;
  const double shelves = chain.power_shelves;
  const auto converter_loss = [&](Watts load) {
    return watts(interpolate(chain.converter_load_ratio, chain.converter_loss_watts,
                             load / chain.tray_converter_capacity));
  };
  const Watts tray_gpu = per_gpu * (boards * chain.gpus_per_board);
  const Watts memory_and_aux = chain.board_air_heat * boards + chain.tray_aux;
  const Watts tray_host = cpu * boards + memory_and_aux;
  const Watts before_fans = tray_gpu + tray_host;
  const Watts air_heat = memory_and_aux + converter_loss(before_fans);
  const double speed =
      chain.fan_min_speed_ratio + (chain.fan_max_speed_ratio - chain.fan_min_speed_ratio) *
                                      std::min(1.0, air_heat / chain.tray_design_air_heat);
  const Watts tray_fans =
      chain.tray_fan_rated * (static_cast<double>(chain.tray_fans) * cube(speed));
  const Watts tray_loss = converter_loss(before_fans + tray_fans);

  NodePower power;
  power.gpu = tray_gpu * trays;
  power.host = tray_host * trays + chain.switch_tray * static_cast<double>(chain.switch_trays) +
               chain.shelf_controller * shelves;
  power.fans = tray_fans * trays;
  const Watts dc = power.gpu + power.host + power.fans + tray_loss * trays;
  const Watts capacity = chain.psu_capacity * (shelves * chain.psus_per_shelf);
  const double efficiency = interpolate(psu_->load_ratio, psu_->efficiency_ratio, dc / capacity);
  power.conversion = tray_loss * trays + (dc / efficiency - dc);
  power.network = chain.network;
  power.supply_load = dc;
  return power;
}

}  // namespace perwatt::facility
