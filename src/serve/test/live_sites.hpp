// Small sites and states for tests of the live routes.
#pragma once

#include <memory>
#include <string>

#include "perwatt/serve/live_state.hpp"
#include "perwatt/simulate/scenario.hpp"

namespace perwatt::serve {

/// A root with a limit, two racks of two GPUs behind losses, a training job on all four; the root's
/// limit is lowered from 20 s to 30 s, a rack is off from 40 s to 50 s.
inline simulate::Scenario small_scenario() {
  return simulate::read_scenario(R"(
[scenario]
name = "small"
duration = "50s"
warm_up = "10s"
step = "100ms"
electricity = "0.1USD/kWh"
[[device_kind]]
accelerator = "gpu"
idle = "100W"
[[topology.node]]
id = "site"
limits = [{ power = "4kW", what = "contract" }]
efficiency = 0.5
fixed = "100W"
[[topology.node]]
id = "rack"
kind = "rack"
parent = "site"
count = 2
fixed = "50W"
[[topology.device]]
id = "gpu"
parent = "rack"
count = 2
min = "150W"
max = "700W"
fail_safe = "200W"
accelerator = "gpu"
[[training]]
id = "job"
gpus = 4
step = "1s"
compute_power = "600W"
communication_power = "200W"
idle = "100W"
usd_per_gpu_hour = 3
[[fault]]
kind = "limit-lowered"
node = "site"
at = "20s"
lasts = "10s"
power = "2kW"
[[fault]]
kind = "node-off"
node = "rack-2"
at = "40s"
lasts = "10s"
[[policy]]
kind = "perwatt"
)",
                                 "small.toml", {});
}

/// A root and a rack with awkward names, drawing 1000 W of 2000 W and 400 W.
inline LiveSite made_up_site() {
  LiveSite site;
  site.name = "made \"up\" </script>";
  site.policy = "perwatt";
  site.policy_kind = "perwatt";
  site.takes_orders = true;
  site.version = "1";
  site.speed_ratio = 10;
  site.duration = seconds(600);
  site.nodes = {{"ro\"ot\\\n", topology::NodeKind::utility, std::nullopt, 2},
                {"rack", topology::NodeKind::rack, topology::NodeIndex{0}, 2}};
  return site;
}

inline LiveState made_up_state(std::int64_t number, double rack_draw_watts) {
  LiveState state;
  state.number = number;
  state.time = seconds(10.0 * static_cast<double>(number));
  state.speed_reached_ratio = 9.5;
  state.nodes = {{watts(1000), watts(900), watts(1500), watts(2000), watts(600), 2, true},
                 {watts(rack_draw_watts), watts(900), watts(950), {}, watts(600), 1, true}};
  state.rates = {tokens_per_second(50), tokens_per_second(40), usd_per_hour(7), usd_per_hour(0.5)};
  state.totals = {500, 400, usd(3)};
  state.energy = Joules::from_base(12345);
  state.violations.count = 1;
  for (std::int64_t e = 0; e < number; ++e) {
    state.events.push_back({e, {seconds(static_cast<double>(e)), "event " + std::to_string(e)}});
  }
  state.history = {
      {seconds(1)}, {watts(1000)}, {watts(1500)}, {watts(2000)}, {tokens_per_second(1)}};
  return state;
}

inline std::shared_ptr<const LiveState> shared_state(std::int64_t number, double rack_draw_watts) {
  return std::make_shared<const LiveState>(made_up_state(number, rack_draw_watts));
}

}  // namespace perwatt::serve
