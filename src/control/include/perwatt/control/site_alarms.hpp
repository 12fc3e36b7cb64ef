// What is wrong at the site: alarms that are raised, escalated and cleared, each with what and
// where it is, since when, and a text that a person understands.
//
// A look is one tick's call for a device or a meter. "n looks" are in a row.
//
//   kind             of      raised                                                    looks
//   ignores_cap      device  a new trusted reading of after cap and write settled       2 readings
//                            is above U(cap) * (1 + draw_ratio) for the cap in force
//   cap_not_acted    device  a write was refused                                        1
//                            the cap read back is above the one wanted, settled         2
//   other_writer     device  the cap read back is below the one wanted, settled         2
//   reading_lost     device  its sensor is not trusted                                  1
//   meter_lost       meter   its sensor is not trusted                                  1
//   meter_disagrees  meter   its smoothed distance from what is below it is more than   5
//                            the smoothed doubt of both (SupplyEstimate); so about
//                            0.7 smoothing + 5 ticks when it is off by twice the doubt
//   limit_passed     limit   supply, of a window its mean, above the limit             2
//   not_read         node    NodeTrust holds raises or orders fail-safe                 1
//
// "Settled": `settle` has passed since the cap wanted was told and since the cap in force last
// fell; the cap in force is the one read back, else the one wanted. All clear after clear_looks
// looks with nothing wrong: readings for ignores_cap; and for meter_disagrees and limit_passed the
// bound is clear_ratio lower then. A look at which something cannot be told (no reading, no
// read-back, within `settle`) neither raises nor clears.
//
// For `grace` after the first begin() no lost sensor and no node that is not read is told: readings
// come in then.
//
// Severity: a lost reading or meter and another writer are a notice; not_read is a warning, and
// critical when it orders fail-safe; a limit is a warning up to critical_ratio over and critical
// above (DSX Flex), and critical when it lasts longer than escalate_after or its breaker's steps go
// beyond throttling. The others are warnings that become critical after escalate_after.
//
// Another writer that holds a cap lower is truth and no fault: ceiling() is what the device can
// use at most meanwhile, a little above what it is held at: so that the loop gives the rest to
// others, and sees at once when the other writer lets go.
// docs/model/control.md#readings-and-alarms
//
// Thread rule: one thread at a time. No clock; no allocation after construction but for text() and
// standing().
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/control/breach_ladder.hpp"
#include "perwatt/control/charge_ledger.hpp"
#include "perwatt/control/node_trust.hpp"
#include "perwatt/control/reading_trust.hpp"
#include "perwatt/control/supply_estimate.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::control {

struct AlarmRules {
  Seconds settle = seconds(3);      // from a write until the cap holds the draw and is read back
  double draw_ratio = 0.1;          // above U(cap), that a healthy device may be read at
  Watts cap_step = watts(2);        // what caps read back may differ from caps written
  Watts ceiling_room = watts(20);   // above cap_step, and above the loop's dead band
  Seconds smoothing = seconds(30);  // of what a meter disagrees by
  double clear_ratio = 0.01;
  double critical_ratio = 0.2;  // over a limit
  Seconds escalate_after = seconds(60);
  int clear_looks = 5;
  Seconds grace = seconds(10);
};

enum class AlarmKind : std::uint8_t {
  ignores_cap,
  cap_not_acted,
  other_writer,
  reading_lost,
  meter_lost,
  meter_disagrees,
  not_read,
  limit_passed
};

/// "ignores_cap", …
[[nodiscard]] std::string_view to_string(AlarmKind kind);

/// Of a device; else of a node.
[[nodiscard]] constexpr bool is_of_device(AlarmKind kind) {
  return kind <= AlarmKind::reading_lost;
}

enum class Severity : std::uint8_t { notice, warning, critical };

/// "notice", …
[[nodiscard]] std::string_view to_string(Severity severity);

/// Kind, index and limit are its identity: one stands at most of each.
struct Alarm {
  AlarmKind kind = AlarmKind::reading_lost;
  std::uint32_t index = 0;  // of a device for the first four kinds, else of a node
  std::uint32_t limit = 0;  // of the node, for limit_passed
  Severity severity = Severity::notice;
  Instant since;  // the first look with it wrong
  Watts seen;     // drawn, read back, metered or supplied; as of raising or escalating
  Watts bound;    // what that should not be above, or should be
  Belief belief = Belief::fresh;  // of a sensor that is lost
};

class SiteAlarms {
 public:
  enum class Change : std::uint8_t { raised, escalated, cleared };

  struct Event {
    Change change;
    Alarm alarm;
  };

  /// `terms` by device. `tree` must outlive it. Throws Error(bad_input) for rules out of range.
  SiteAlarms(const topology::PowerTree& tree, std::span<const ChargeTerms> terms,
             const AlarmRules& rules);

  /// Before the calls of a tick. Events of before are dropped.
  void begin(Instant now) noexcept;

  /// The cap that is to be in force from now on: of a grant, and fail-safe when a lease has run
  /// out. At fail-safe before the first.
  void want(topology::DeviceIndex device, Watts cap) noexcept;

  /// A write of that cap was refused by the device: stands until a read-back or an accepted write.
  void answered(topology::DeviceIndex device, device::CapAnswer answer) noexcept;

  /// Once a tick for each device.
  void look(topology::DeviceIndex device, const ReadingTrust::Standing& reading,
            std::optional<Watts> enforced) noexcept;

  /// Once a tick for each node with a meter, `supplies` updated.
  void look(topology::NodeIndex node, const ReadingTrust::Standing& reading,
            const SupplyEstimate& supplies) noexcept;

  void look(const NodeTrust& trust) noexcept;
  void look(const BreachLadder& ladder) noexcept;

  /// Of this tick, in the order of the calls.
  [[nodiscard]] std::span<const Event> events() const noexcept { return events_; }

  /// The most that the device can use while another writer holds its cap; else nothing.
  [[nodiscard]] std::optional<Watts> ceiling(topology::DeviceIndex device) const noexcept;

  /// Some device has one.
  [[nodiscard]] bool has_ceilings() const noexcept { return other_writers_ > 0; }

  [[nodiscard]] std::vector<Alarm> standing() const;
  [[nodiscard]] std::string text(const Alarm& alarm) const;

 private:
  struct Slot {
    Alarm alarm;
    bool is_raised = false;
    std::uint8_t wrong = 0;  // looks
    std::uint8_t right = 0;
  };

  struct DeviceWatch {
    ChargeTerms terms;
    Watts wanted;
    std::optional<Watts> enforced;  // of the last look
    Instant unsettled_at;           // since when nothing has changed that must wear in
    bool is_refused = false;
  };

  struct Smoothed {
    double off = 0;  // watts: metered less expected
    double doubt = 0;
    bool has_any = false;
  };

  struct MeterWatch {
    Smoothed by_meters;
    Smoothed by_devices;
    Instant last;
  };

  struct Finding {
    bool is_wrong = false;
    int looks = 1;
    Severity severity = Severity::warning;
    bool escalates = false;
    Watts seen;
    Watts bound;
    Belief belief = Belief::fresh;
  };

  [[nodiscard]] Slot& device_slot(topology::DeviceIndex device, AlarmKind kind) noexcept;
  [[nodiscard]] const Slot& device_slot(topology::DeviceIndex device,
                                        AlarmKind kind) const noexcept;
  [[nodiscard]] Slot& node_slot(topology::NodeIndex node, AlarmKind kind) noexcept;

  [[nodiscard]] bool is_in_grace() const noexcept { return now_ - *began_ < rules_.grace; }

  void judge(Slot& slot, const Finding& finding) noexcept;
  void judge_draw(topology::DeviceIndex device, const ReadingTrust::Standing& reading) noexcept;
  void judge_cap(topology::DeviceIndex device) noexcept;
  void judge_meter(topology::NodeIndex node, const SupplyEstimate& supplies) noexcept;
  void smooth(Smoothed& smoothed, Watts off, Watts doubt, Seconds dt) const noexcept;

  const topology::PowerTree* tree_;
  AlarmRules rules_;
  std::optional<Instant> began_;
  Instant now_;
  std::vector<DeviceWatch> devices_;
  std::vector<MeterWatch> meters_;  // by node
  std::vector<Slot> slots_;         // of devices, of nodes, of limits
  std::size_t limits_from_ = 0;
  std::size_t other_writers_ = 0;  // raised
  std::vector<Event> events_;
};

}  // namespace perwatt::control
