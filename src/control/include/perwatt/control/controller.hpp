// The loop: who gets which watts now, within what the ledger admits.
//
// Each tick: what devices want (Demand), the best split of it over the tree (allocate), then
// grants: those that lower first, then renewals, then raises, dearest first. What the ledger does
// not admit waits for the next tick: nothing here can pass a limit. Watts that nobody wants are
// shared evenly as headroom for bursts.
//
// No clock, no device, no wire: the caller brings asks, reports and readings, journals the grants
// of a tick and then sends them. Equal calls give equal grants. docs/model/control.md#loop
//
// Thread rule: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/allocate/problem.hpp"
#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/control/charge_ledger.hpp"
#include "perwatt/control/demand.hpp"
#include "perwatt/control/write_rules.hpp"
#include "perwatt/device/lease_terms.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::control {

struct ControlRules {
  Seconds lease = seconds(10);      // of a grant, since its ask
  Seconds wearing_in = seconds(3);  // settling, and the longest time between two looks of an agent
  Seconds renew_before = seconds(6);  // a lease that would run out sooner is renewed
  Watts dead_band = watts(10);        // a cap that would change by less stays
  double guard_ratio = 0.0;           // of every limit, kept free; below 1
  DemandRules demand;
  WriteRules writes;
};

/// What is controlled: a device's watts, and what it makes of them.
struct ControlledDevice {
  ChargeTerms terms;
  Watts least;  // caps the device takes
  Watts most;
  std::vector<allocate::CurvePoint> curve;  // value over its own watts: concave, within least..most
};

/// Why a grant was made.
enum class GrantCause {
  lowered,         // the split gives it less
  over_limit,      // lowered, at once with others, while a limit was over
  raised,          // the split gives it more
  raised_in_part,  // as far as there was room
  renewed,         // the same cap again: its lease would have run out
};

/// "lowered", …
[[nodiscard]] std::string_view to_string(GrantCause cause);

/// A grant as it is journalled and sent.
struct ControllerGrant {
  topology::DeviceIndex device;
  device::LeaseGrant grant;
  Instant void_after;  // for the journal
  Watts before;        // the cap granted until then; fail-safe without a lease
  GrantCause cause = GrantCause::renewed;
};

/// What the loop around a controller calls, be it journalled (journal.hpp) or not.
class AnyController {
 public:
  virtual ~AnyController() = default;

  virtual void ask(topology::DeviceIndex device, const device::LeaseAsk& ask, Instant now) = 0;

  /// `now`: when it came in, for the latency of the grant that it acknowledges.
  virtual void report(topology::DeviceIndex device, const device::LeaseReport& report,
                      Instant now) = 0;

  /// A reading to be trusted, under the cap in force then.
  virtual void read(topology::DeviceIndex device, Instant at, Watts draw, Watts cap) = 0;

  /// While on, no grant is above the newest one to the device, or to each device below the node
  /// (along all feeds): what has no trusted reading is not raised.
  virtual void hold_raises(topology::DeviceIndex device, bool is_held) = 0;
  virtual void hold_raises(topology::NodeIndex node, bool is_held) = 0;

  /// While on, devices below the node are to have fail-safe, or less by set_most().
  virtual void to_fail_safe(topology::NodeIndex node, bool is_on) = 0;

  /// The device is to be given no more from the next tick on, be it below fail-safe (for which it
  /// is charged all the same): a ceiling of another writer, or a throttled device's least. Infinite
  /// lifts it. Lowers of less than the dead band are not made.
  virtual void set_most(topology::DeviceIndex device, Watts most) = 0;

  /// As ChargeLedger::set_limit; the split keeps it from the next tick on.
  [[nodiscard]] virtual bool set_limit(topology::NodeIndex node, Watts limit) = 0;

  /// While on, a node is in maintenance: devices below it (along all feeds) are lowered to
  /// fail-safe and get nothing above it. By people, apart from to_fail_safe().
  virtual void maintain(topology::NodeIndex node, bool is_on) = 0;

  /// While on, control of the whole site is given up: all devices are lowered to fail-safe, and get
  /// nothing above it. What is not reached falls back when its lease runs out.
  virtual void release(bool is_on) = 0;

  /// As of ChargeLedger: the device is off, and nothing is given to it.
  virtual void switched_off(topology::DeviceIndex device) = 0;

  /// As of ChargeLedger: charged before it is told to come back. Where it is refused the next tick
  /// makes room for it: to be called again until then.
  [[nodiscard]] virtual bool switch_on(topology::DeviceIndex device) = 0;

  /// The grants to send, entered in the ledger. They hold until the next tick.
  [[nodiscard]] virtual std::span<const ControllerGrant> tick(Instant now) = 0;

  /// To look at: its instants are the controller's own.
  [[nodiscard]] virtual const ChargeLedger& ledger() const = 0;

 protected:
  AnyController() = default;
  AnyController(const AnyController&) = default;
  AnyController& operator=(const AnyController&) = default;
};

class Controller final : public AnyController {
 public:
  using Grant = ControllerGrant;

  /// Throws Error(bad_input) as ChargeLedger, and for a curve that is not concave.
  Controller(const topology::PowerTree& tree, std::vector<ControlledDevice> devices,
             const ControlRules& rules);
  ~Controller() override;
  Controller(Controller&&) noexcept;
  Controller& operator=(Controller&&) noexcept;

  /// A grant of the journal, in the order they were made, before the first tick after a restart.
  void restore(const Grant& grant);

  void ask(topology::DeviceIndex device, const device::LeaseAsk& ask, Instant now) override;
  void report(topology::DeviceIndex device, const device::LeaseReport& report);

  void report(topology::DeviceIndex device, const device::LeaseReport& report,
              Instant /*now*/) override {
    this->report(device, report);
  }

  void read(topology::DeviceIndex device, Instant at, Watts draw, Watts cap) override;

  /// What the device makes of its watts from now on.
  void set_curve(topology::DeviceIndex device, std::vector<allocate::CurvePoint> curve);

  void hold_raises(topology::DeviceIndex device, bool is_held) override;
  void hold_raises(topology::NodeIndex node, bool is_held) override;
  void to_fail_safe(topology::NodeIndex node, bool is_on) override;
  void set_most(topology::DeviceIndex device, Watts most) override;
  [[nodiscard]] bool set_limit(topology::NodeIndex node, Watts limit) override;

  void maintain(topology::NodeIndex node, bool is_on) override;
  void release(bool is_on) override;
  void switched_off(topology::DeviceIndex device) override;
  [[nodiscard]] bool switch_on(topology::DeviceIndex device) override;

  /// To journal before they are sent.
  [[nodiscard]] std::span<const Grant> tick(Instant now) override;

  /// A tick of before, whose grants are known: enters them and decides nothing. False where a grant
  /// answers no ask on hand, or is not the next of its device: it is then of another state. Before
  /// the next tick() lay_out() must be called.
  [[nodiscard]] bool repeat(Instant now, std::span<const Grant> grants);

  /// All that changes of a controller, in bytes, but for targets().
  [[nodiscard]] std::string state() const;

  /// The state of a controller of the same tree, devices and rules; as after lay_out(). Throws
  /// Error(bad_input) for what state() cannot have given; only resume() may be called then.
  void resume(std::string_view state);

  /// Lays the split out anew: from here on grants hang on state() alone, to the last bit, and not
  /// on how it came to be. It costs a split from nothing.
  void lay_out();

  /// What the last tick would give each device if everything were admitted; nothing to one that is
  /// off.
  [[nodiscard]] std::span<const Watts> targets() const;

  /// What the last tick split.
  [[nodiscard]] const allocate::Problem& problem() const;

  [[nodiscard]] const ChargeLedger& ledger() const override;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace perwatt::control
