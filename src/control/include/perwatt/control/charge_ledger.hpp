// What every device may draw at most, whatever becomes of the messages under way, and that no limit
// of the power tree is passed by the sum of it.
//
//     U(cap)    = cap * (1 + overshoot) + beside
//     charge(d) = max over: fail-safe, and every grant to d that may be in force or come into
//                 force:  U
//     for every limit:  sum over the devices below of charge, with losses  <=  limit
//
// A grant enters the ledger before it is sent, and only if every limit still holds. It leaves when
// it cannot be in force any more: the agent took a newer one and has settled, restarted, or the
// time has passed after which it is void. So a lower counts when it is read back and settled, and a
// raise waits for the lowers that make room for it, in whatever order messages come.
//
// A limit may fall below what is charged, and a restart may charge again what had worn off. Until
// charges have come down a limit is over. Then a grant below it must not be above the device's
// ceiling, the last grant admitted since the start, which only falls meanwhile; and the ceilings
// together must be within the limit. So the limit is kept again no later than the grants of before
// are void, whatever is lost.
//
// A device that is off, as its agent has reported, stays off until it is told otherwise and draws
// what is beside its cap, so it is charged U(0) alone. It is charged again, with the grants to it
// that are not void, before it is told to come back.
//
// Whole microwatts at the root: sums are exact, charges rounded up, limits down.
// docs/model/control.md#charges
//
// Thread rule: one thread at a time. Copies are independent.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "perwatt/allocate/site_limits.hpp"
#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/device/lease_terms.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt {

class ByteReader;
class ByteWriter;

}  // namespace perwatt

namespace perwatt::control {

/// What the ledger must know of a device beside its place in the tree. Watts from 0 to 1 MW.
struct ChargeTerms {
  Watts fail_safe;
  double overshoot_ratio = 0;  // of the cap, that draw may be above it; 0 to 10
  Watts beside;                // what the cap does not bound: host, fans, network
};

class ChargeLedger {
 public:
  using Microwatts = std::int64_t;

  /// A grant that may be in force or come into force.
  struct Grant {
    device::GrantId id = 0;
    device::AgentEpoch epoch = 0;
    Microwatts charge = 0;  // at the root
    Instant void_after;
  };

  /// `terms` by device index. All devices at fail-safe. Throws Error(bad_input) for terms out of
  /// range or not one for each device, and naming the node where fail-safe passes a limit: there is
  /// no safe state then.
  ChargeLedger(const topology::PowerTree& tree, std::span<const ChargeTerms> terms);

  struct Request {
    topology::DeviceIndex device;
    device::AgentEpoch epoch = 0;
    device::GrantId id = 0;
    Watts cap;
    Instant void_after;  // when nothing of it can be left, by the ledger's clock, settled too
  };

  /// Enters a grant. False, and nothing changes, when a limit would be passed, when kGrants of the
  /// device are under way already, each lower than the one before, for an id that is not above all
  /// of the device's, and for a cap that is not from 0 to 1 MW.
  [[nodiscard]] bool admit(const Request& request);

  /// Enters grants that are not above the ceilings of their devices, all or none: how a limit that
  /// is over is kept by lowering many devices at once. False where one is, where the ceilings would
  /// still pass a limit, and for what admit() refuses by itself. REQUIRES: one request at most for
  /// a device.
  [[nodiscard]] bool admit_lowers(std::span<const Request> requests);

  /// Enters a grant that was sent before a restart, whether the limits hold with it or not: what
  /// was sent is sent. What of it had worn off is charged again until it is reported or void.
  void restore(const Request& request);

  /// Enters a grant that admit() or admit_lowers() took in this same state, as they did. False, and
  /// nothing changes, where they cannot have.
  [[nodiscard]] bool repeat(const Request& request);

  /// What the agent says is so. Unsettled reports change nothing; old ones cannot do harm.
  void report(topology::DeviceIndex device, const device::LeaseReport& report);

  /// What is known of the device is about to be asked for. (Inline: a call that changes nothing is
  /// left out by compilers.)
  [[gnu::always_inline]] void prefetch(topology::DeviceIndex device) const noexcept {
    const auto* state = &devices_[device.value];
    __builtin_prefetch(state);
    __builtin_prefetch(state->grants.data() + 1);
    __builtin_prefetch(&charge_[device.value]);
    __builtin_prefetch(&state->overshoot_ratio);
  }

  /// Drops grants that are void at `now`. Linear in devices.
  void advance(Instant now);

  /// A new limit of a node as a whole; the tree's own still holds. False, and nothing changes, when
  /// the fail-safe charges pass it, and for a node without a limit in the tree. Charges above it
  /// stay until they wear off: is_over() says so.
  [[nodiscard]] bool set_limit(topology::NodeIndex node, Watts limit);

  /// The device is off, and stays so until it is told to come back after switch_on(): its agent has
  /// said so in answer to the last order. Nothing is granted to it meanwhile.
  void switched_off(topology::DeviceIndex device);

  /// Charges a device that was off as before; then it may be told to come back. False, and nothing
  /// changes, where a limit would be passed or is over, also for a device that is charged already.
  [[nodiscard]] bool switch_on(topology::DeviceIndex device);

  [[nodiscard]] bool is_off(topology::DeviceIndex device) const {
    return devices_[device.value].is_off;
  }

  /// The most that the device may draw, at its own terminals.
  [[nodiscard]] Watts charge(topology::DeviceIndex device) const;

  /// By rising id, without those that a newer one stands for.
  [[nodiscard]] std::span<const Grant> grants(topology::DeviceIndex device) const {
    const auto& state = devices_[device.value];
    return std::span{state.grants}.first(state.count);
  }

  /// The highest cap that admit() would take now.
  [[nodiscard]] Watts highest_cap(topology::DeviceIndex device) const;

  /// Some limit is passed by the charges, after set_limit() or restore(). The first such node.
  [[nodiscard]] std::optional<topology::NodeIndex> is_over() const;

  /// Adds everything up anew and compares: nothing when all is as it should be, else what is not.
  [[nodiscard]] std::optional<const char*> fault() const;

  /// All that changes of a ledger, and a ledger of the same tree and terms with it. resume() throws
  /// Error(bad_input) for what save() cannot have written.
  void save(ByteWriter& to) const;
  void resume(ByteReader& from);

  static constexpr std::size_t kGrants = 6;  // of a device

 private:
  /// All that a grant touches side by side: grants come in any order of devices.
  struct alignas(64) DeviceState {
    Microwatts fail_safe = 0;
    Microwatts ceiling = 0;  // least <= ceiling <= charge
    device::GrantId last_id = 0;
    std::uint32_t count = 0;
    std::uint32_t sum = 0;  // the least nested sum that it is in
    bool is_off = false;
    std::array<Grant, kGrants> grants;
    double overshoot_ratio = 0;
    Watts beside;
    double root_factor = 1;
    std::uint32_t node = 0;
  };

  struct CrossShare {
    std::uint32_t sum;
    double ratio;
  };

  /// What never changes; copies of a ledger share it.
  struct Layout {
    std::vector<std::uint32_t> parent;       // by nested sum
    std::vector<std::uint32_t> first_cross;  // by node, in cross_shares; one more at the end
    std::vector<CrossShare> cross_shares;
    std::vector<double> device_factor;  // by device, for charge(): of all in turn
    std::vector<Watts> fixed_supply;    // by node
    std::vector<Watts> tree_power;      // by limit: what the tree leaves to devices
  };

  [[nodiscard]] static std::shared_ptr<const Layout> layout_of(const topology::PowerTree& tree,
                                                               const allocate::SiteLimits& limits);
  [[nodiscard]] static std::vector<DeviceState> states_of(const topology::PowerTree& tree,
                                                          const allocate::SiteLimits& limits,
                                                          std::span<const ChargeTerms> terms);
  [[nodiscard]] Microwatts charge_of(std::size_t device, Watts cap) const;
  [[nodiscard]] static Microwatts part_of(Microwatts charge, double ratio);
  [[nodiscard]] std::span<const CrossShare> cross_of(std::size_t device) const;

  /// What is charged below each limit.
  struct Sums {
    std::vector<Microwatts> nested;
    std::vector<Microwatts> cross;
  };

  void change(std::size_t device, Microwatts from, Microwatts to, Sums& sums) const;
  [[nodiscard]] bool has_room(std::size_t device, Microwatts from, Microwatts to,
                              const Sums& sums) const;
  [[nodiscard]] static bool stands_for(const Grant& newer, const Grant& older);
  [[nodiscard]] std::size_t place_for(std::size_t device, const Grant& grant) const;
  [[nodiscard]] bool enter(std::size_t device, const Grant& grant, Microwatts ceiling);
  [[nodiscard]] bool is_grantable(const Request& request) const;
  [[nodiscard]] Watts cap_of(std::size_t device, double microwatts) const;
  void settle(std::size_t device, Microwatts ceiling);
  [[nodiscard]] Microwatts least_charge(std::size_t device) const;
  [[nodiscard]] Microwatts charge_when_on(std::size_t device) const;
  void set_off(std::size_t device, bool is_off);
  template <class IsDead>
  void drop(std::size_t device, const IsDead& is_dead);

  std::shared_ptr<const Layout> layout_;
  std::vector<allocate::SiteLimit> limits_;
  Sums limit_;
  Sums charged_;
  Sums ceilings_;   // with every device at its ceiling
  Sums fail_safe_;  // with every device at fail-safe, or off
  std::vector<DeviceState> devices_;
  std::vector<Microwatts> charge_;  // by device, at the root
  std::vector<Instant> next_void_;  // by device: of its grants, the first
};

}  // namespace perwatt::control
