// The controller's side of orders to be off (device/switch_terms.hpp).
//
// An order is sent again each tick until the agent's report of that very order shows that it is
// obeyed: older reports tell nothing, as a newer order may be under way. So
//     off   is known, and told to the ledger, only by a report of the last order;
//     on    is sent only once the ledger charges the device again.
// After a restart a device is on unless the ledger says that it is off, as it does from a journal:
// then it is told to be on only after it is charged. `start` makes every number higher than those
// of the start before, so that what was sent then is void when the first order arrives.
// A device that is found off is told to be off by an order of this start, then to be on, unless it
// is to be off: all at once would pass what a restart left over.
//
// Thread rule: one thread at a time. No clock, no wire.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "perwatt/device/switch_terms.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::control {

class Switchboard {
 public:
  struct Order {
    topology::DeviceIndex device;
    device::SwitchOrder order;
  };

  /// `is_off` by device: as of the ledger. `start` is above that of every start before.
  Switchboard(std::span<const char> is_off, std::uint32_t start);

  /// `off` by device: what is to be off. `switch_on` is Controller::switch_on. The orders to send;
  /// they hold until the next tick. Linear in devices.
  std::span<const Order> tick(std::span<const char> off,
                              const std::function<bool(topology::DeviceIndex)>& switch_on);

  /// True when the device is known to be off from now on: Controller::switched_off is to be called.
  [[nodiscard]] bool report(topology::DeviceIndex device, const device::SwitchReport& report);

 private:
  struct State {
    std::uint32_t orders = 0;
    bool is_on = true;  // as of the last order
    bool is_obeyed = true;
  };

  [[nodiscard]] device::SwitchId id_of(const State& state) const {
    return device::SwitchId{start_} << 32 | state.orders;
  }

  std::uint32_t start_;
  std::vector<State> states_;
  std::vector<Order> orders_;
};

}  // namespace perwatt::control
