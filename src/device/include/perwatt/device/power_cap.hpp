// Power caps of devices, for those who may set them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/result.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::device {

/// One device whose cap can be set, with what the device itself says of its bounds.
struct CapDevice {
  std::string id;
  Watts least;  // lowest and highest cap the device takes
  Watts most;
  Watts by_default;
  Watts enforced;  // in force now: the lowest of all writers
};

/// Thread rule: one thread at a time.
class CapControl {
 public:
  virtual ~CapControl() = default;

  [[nodiscard]] virtual Result<std::vector<CapDevice>> devices() = 0;

  /// Sets the cap of one device and returns the enforced cap read back, which may be lower when
  /// another writer asks for less. A Failure leaves the cap as it was.
  [[nodiscard]] virtual Result<Watts> set_cap(std::string_view device_id, Watts cap) = 0;
};

/// NVML, loaded at run time. Failure when the library or a device is missing.
[[nodiscard]] Result<std::unique_ptr<CapControl>> nvml_cap_control();

/// Puts the caps back that stood when it was made, whatever ends the process: a guardian process
/// waits for the death of this one (kill -9 included) and restores them. Caps are only ever lowered
/// below what stood, so that no moment leaves a device above it.
class CapGuard {
 public:
  /// Remembers the caps of all devices and starts the guardian. Failure when it cannot.
  [[nodiscard]] static Result<std::unique_ptr<CapGuard>> start(CapControl& control);

  /// Restores and stops the guardian.
  virtual ~CapGuard() = default;

  /// Sets every device's cap to min(`cap`, what stood); refuses what is below a device's least.
  /// Returns the highest enforced cap read back.
  [[nodiscard]] virtual Result<Watts> lower_to(Watts cap) = 0;

  /// Restores now. Returns the devices that could not be restored.
  virtual std::vector<std::string> restore() = 0;
};

}  // namespace perwatt::device
