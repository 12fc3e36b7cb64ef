// The agent's side of an order to be off (device/switch_terms.hpp): what holds is the newest order.
//
// Thread rule: one thread at a time. No clock, no device.
#pragma once

#include "perwatt/device/switch_terms.hpp"

namespace perwatt::agent {

class DeviceSwitch {
 public:
  /// False for one that is not above all taken before: nothing changes.
  bool take(const device::SwitchOrder& order) {
    if (order.id <= last_.id) {
      return false;
    }
    last_ = order;
    return true;
  }

  [[nodiscard]] bool wants_off() const { return !last_.is_on; }

  /// `is_off`: the device is off now, read back.
  [[nodiscard]] device::SwitchReport report(bool is_off) const {
    return {last_.id, is_off && wants_off()};
  }

 private:
  device::SwitchOrder last_;
};

}  // namespace perwatt::agent
