// The lease of one device, as its agent holds it. No clock and no device of its own: the caller
// says when and applies what cap() tells. Whoever grants may count on nothing being left of a grant
// once its duration, the longest time between two calls of cap() and the settling have passed since
// the ask came in: docs/model/control.md#leases.
//
// Thread rule: one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/device/lease_terms.hpp"

namespace perwatt::agent {

struct LeaseLimits {
  Watts least;      // caps the device takes
  Watts most;       // least <= fail_safe <= most
  Watts fail_safe;  // the cap without a lease
  Seconds settle;   // until a lower cap has worn in
};

inline constexpr Seconds kLongestLease = seconds(7 * 24 * 3600);

enum class Answer {
  accepted,
  late,           // the time it grants has passed
  unknown_ask,    // of another epoch, or too many asks ago
  old,            // a newer grant was taken before
  out_of_bounds,  // a cap that the device does not take, or a duration of 0 or above kLongestLease
};

[[nodiscard]] std::string_view to_string(Answer answer);

class Lease {
 public:
  /// Starts at fail-safe, unsettled: what stood before the start is not known.
  Lease(const LeaseLimits& limits, device::AgentEpoch epoch, Instant now);

  /// A new ask, to be sent at once. The last kAsks can be answered.
  [[nodiscard]] device::LeaseAsk ask(Instant now);

  /// Takes the grant or says why not. What was refused changes nothing.
  Answer take(const device::LeaseGrant& grant, Instant now);

  /// The cap that must be in force at `now`. REQUIRES: `now` never falls, over all calls.
  [[nodiscard]] Watts cap(Instant now);

  /// When cap() changes by itself: nothing without a lease.
  [[nodiscard]] std::optional<Instant> expires() const { return expires_; }

  /// `enforced` as read back from the device after the cap of now was written.
  [[nodiscard]] device::LeaseReport report(Instant now, Watts enforced);

  static constexpr std::size_t kAsks = 8;

 private:
  struct Asked {
    std::uint64_t number = 0;
    Instant at;
  };

  void lapse(Instant now);
  void change_cap(Watts cap, Instant now);

  LeaseLimits limits_;
  device::AgentEpoch epoch_;
  std::array<Asked, kAsks> asks_;
  std::uint64_t asked_ = 0;
  device::GrantId accepted_ = 0;
  std::optional<Instant> expires_;  // nothing: no lease
  Watts cap_;
  Instant lowered_at_;  // the last time that the cap fell
};

}  // namespace perwatt::agent
