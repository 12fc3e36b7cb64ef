// An agent: the leases of the devices that it answers for. It takes grants, tells which caps to
// write, asks for leases and reports. No clock and no device of its own: whoever has the devices
// says when, and writes what look() tells.
//
// All functions throw Error(bad_input) for what no caller can mean, and nothing of such a call is
// done: time that runs back, a device that is not there, limits out of order, a start with an epoch
// that is not above the one before.
//
// Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "perwatt/agent/lease.hpp"
#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/device/lease_terms.hpp"
#include "perwatt/device/platform.hpp"

namespace perwatt::agent {

inline constexpr std::uint32_t kMostDevices = 1'000'000;                // of an agent
inline constexpr Seconds kLongestSettle = seconds(24 * 3600);           // of a device
inline constexpr std::int64_t kLastNanosecond = std::int64_t{1} << 62;  // of an instant, and back

struct StartedDevice {
  std::uint32_t device = 0;
  LeaseLimits limits;
};

/// A grant that came in at that time.
struct TakenGrant {
  Instant at;
  std::uint32_t device = 0;
  device::LeaseGrant grant;
};

/// What an agent says of a device.
struct Spoken {
  std::uint32_t device = 0;
  device::LeaseAsk ask;
  device::LeaseReport report;
};

class NodeAgent {
 public:
  /// For devices 0 to `devices` - 1, none of which has a lease yet.
  explicit NodeAgent(std::uint32_t devices);

  /// Their leases begin anew, at fail-safe.
  void start(std::span<const StartedDevice> devices, device::AgentEpoch epoch, Instant now);

  /// Nothing is left of their leases: the devices are no longer the agent's.
  void stop(std::span<const std::uint32_t> devices);

  /// Takes the grants that came in since the last look, in their order (those that answer asks of
  /// before a start are not known any more), then tells the caps of started devices, by rising
  /// number: all that may have changed since the last look. It holds until the next call.
  [[nodiscard]] std::span<const device::CapCommand> look(Instant now,
                                                         std::span<const TakenGrant> grants);

  /// Asks and reports for every started device, by rising number. `enforced`, by device, as read
  /// back after what look() told was written; that of other devices is not looked at.
  [[nodiscard]] std::span<const Spoken> speak(Instant now, std::span<const Watts> enforced);

 private:
  void check_device(std::uint32_t device) const;
  void check_time(Instant now) const;

  std::vector<std::optional<Lease>> leases_;  // by device
  std::vector<device::AgentEpoch> epochs_;    // by device: of the last start
  std::vector<Instant> due_;                  // by device: when its cap may change next
  Instant next_due_;                          // the first of them
  std::optional<Instant> latest_;
  std::optional<Instant> looked_;
  std::vector<device::CapCommand> caps_;
  std::vector<Spoken> spoken_;
};

}  // namespace perwatt::agent
