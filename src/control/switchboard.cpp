#include "perwatt/control/switchboard.hpp"

namespace perwatt::control {

Switchboard::Switchboard(std::span<const char> is_off, std::uint32_t start)
    : start_{start}, states_(is_off.size()) {
  for (std::size_t d = 0; d < states_.size(); ++d) {
    states_[d].is_on = is_off[d] == 0;
  }
}

std::span<const Switchboard::Order> Switchboard::tick(
    std::span<const char> off, const std::function<bool(topology::DeviceIndex)>& switch_on) {
  orders_.clear();
  for (std::uint32_t d = 0; d < states_.size(); ++d) {
    auto& state = states_[d];
    const bool is_to_be_on = off[d] == 0;
    if (state.is_on != is_to_be_on && (!is_to_be_on || switch_on({d}))) {
      state = {state.orders + 1, is_to_be_on, false};
    }
    if (!state.is_obeyed) {
      orders_.push_back({{d}, {id_of(state), state.is_on}});
    }
  }
  return orders_;
}

bool Switchboard::report(topology::DeviceIndex device, const device::SwitchReport& report) {
  auto& state = states_[device.value];
  if (state.is_on && state.is_obeyed && report.is_off) {  // by an order of a start before
    state = {state.orders + 1, false, false};  // one of this start: then it is known to be off
  }
  if (state.is_obeyed || report.accepted != id_of(state)) {
    return false;
  }
  state.is_obeyed = state.is_on || report.is_off;
  return state.is_obeyed && !state.is_on;
}

}  // namespace perwatt::control
