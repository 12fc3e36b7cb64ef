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
  Watts requested;  // what this writer asks for now: what restoring puts back
  Watts enforced;   // in force now: the lowest of all writers
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

/// NVML, loaded at run time. Failure when the library is missing; a missing device is told by
/// devices(). NVML is initialised by the first call of devices() or set_cap(), not here: see
/// CapGuard::start().
[[nodiscard]] Result<std::unique_ptr<CapControl>> nvml_cap_control();

/// Puts the caps back that stood when it was made, whatever ends the process: a guardian process
/// waits for the death of this one (kill -9 included) and restores them. It has a session of its
/// own and ignores SIGINT, SIGTERM, SIGHUP and SIGQUIT. Caps are only ever lowered below what
/// stood, so that no moment leaves a device above it.
///
/// Not covered: the guardian itself killed with SIGKILL (lower_to() then refuses, caps already
/// lowered stay until restore()), and a machine that stops: drivers forget caps at a reboot.
class CapGuard {
 public:
  /// Starts the guardian, then remembers the caps of all devices. Failure when it cannot, and when
  /// a device has no cap that can be set.
  ///
  /// The guardian is a fork of this process: REQUIRES that the process has no other thread yet and
  /// has not initialised NVML (no nvml source opened, no call of `control`), because neither
  /// survives a fork. `control` must outlive the guard.
  [[nodiscard]] static Result<std::unique_ptr<CapGuard>> start(CapControl& control);

  /// Restores and stops the guardian.
  virtual ~CapGuard() = default;

  /// Sets every device's cap to min(`cap`, what stood); refuses, before it sets any, what is below
  /// a device's least. Returns the highest enforced cap read back. After a Failure of the driver
  /// midway the caps set so far stay lowered until restore().
  [[nodiscard]] virtual Result<Watts> lower_to(Watts cap) = 0;

  /// Restores now. Returns the devices that could not be restored, each with the reason; the
  /// guardian tries those once more when the process ends.
  virtual std::vector<std::string> restore() = 0;
};

}  // namespace perwatt::device
