// The inputs of a controller in one string of bytes, to the bit, and back into a controller.
//
//     bytes = version, then inputs;  input = kind, then its fields (perwatt/base/bytes.hpp)
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/bytes.hpp"
#include "perwatt/control/controller.hpp"

namespace perwatt::control {

class InputLog {
 public:
  InputLog() { clear(); }

  void ask(topology::DeviceIndex device, const device::LeaseAsk& ask, Instant at);
  void report(topology::DeviceIndex device, const device::LeaseReport& report, Instant at);
  void read(topology::DeviceIndex device, Instant at, Watts draw, Watts cap);
  void set_curve(topology::DeviceIndex device, std::span<const allocate::CurvePoint> curve);
  void set_limit(topology::NodeIndex node, Watts limit, bool is_accepted);
  void hold_raises(topology::DeviceIndex device, bool is_held);
  void hold_raises(topology::NodeIndex node, bool is_held);
  void to_fail_safe(topology::NodeIndex node, bool is_on);
  void maintain(topology::NodeIndex node, bool is_on);
  void release(bool is_on);
  void set_most(topology::DeviceIndex device, Watts most);
  void switched_off(topology::DeviceIndex device);
  void switch_on(topology::DeviceIndex device, bool is_accepted);

  [[nodiscard]] std::string_view bytes() const { return to_.bytes(); }

  void clear();

 private:
  ByteWriter to_;
};

/// How many devices and nodes there are: what an input may name.
struct SiteSize {
  std::size_t devices = 0;
  std::size_t nodes = 0;
};

/// Gives the inputs to `controller`. What it answers otherwise than it did then, if anything.
/// Throws Error(bad_input) naming `where` for bytes that are not an InputLog's of a site of this
/// size.
[[nodiscard]] std::optional<std::string> apply_inputs(std::string_view bytes,
                                                      const std::string& where,
                                                      const SiteSize& size, Controller& controller);

}  // namespace perwatt::control
