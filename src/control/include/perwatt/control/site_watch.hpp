// Looks at all readings once a tick, tells the controller what may be believed and what must not be
// raised, raises alarms, and takes the steps of the breach ladder that caps can take.
//
// In this order: trust in every device's and meter's reading; demands of trusted new readings to
// the controller, raises of devices without trust held; nodes with too many of them held or sent to
// fail-safe; supplies; alarms; the ladder: `throttle` puts devices tagged flexible to their least
// cap, `fail_safe` and beyond send all below to fail-safe. `pause` and `shut` are the caller's:
// required() says where. A device that another writer holds lower gets no more than it can use.
// docs/model/control.md#readings-and-alarms
//
// Thread rule: one thread at a time. No clock, no device.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "perwatt/control/breach_ladder.hpp"
#include "perwatt/control/controller.hpp"
#include "perwatt/control/node_trust.hpp"
#include "perwatt/control/reading_trust.hpp"
#include "perwatt/control/site_alarms.hpp"
#include "perwatt/control/supply_estimate.hpp"
#include "perwatt/device/platform.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::control {

struct WatchRules {
  TrustRules devices;
  TrustRules meters;
  NodeTrustRules nodes;
  SensorErrors errors;
  AlarmRules alarms;
  LadderRules ladder;
};

class SiteWatch {
 public:
  /// `is_flexible` by device: may be throttled. `tree` must outlive it. Throws Error(bad_input) as
  /// its parts do.
  SiteWatch(const topology::PowerTree& tree, std::span<const ControlledDevice> devices,
            std::vector<char> is_flexible, const WatchRules& rules);

  /// Takes back what a watch before this one told: for a controller that goes on with a journal,
  /// before the first tick.
  void begin(AnyController& controller) const;

  /// What a grant or a lease that ran out makes the cap of the device from now on, once its agent
  /// has said so.
  void want(topology::DeviceIndex device, Watts cap) noexcept { alarms_.want(device, cap); }

  /// Before Controller::tick(), of the same instant. Spans by device and by node; the caps read
  /// back, where they are known.
  void tick(Instant now, std::span<const device::PowerReading> devices,
            std::span<const device::PowerReading> meters,
            std::span<const std::optional<Watts>> enforced, AnyController& controller);

  /// While on, the node is in maintenance: sensors below it that are not trusted count against no
  /// node, and alarms of the node, of nodes and of devices below it (along all feeds) are muted:
  /// they are raised and stand as ever, for those who ask.
  void maintain(topology::NodeIndex node, bool is_on);

  [[nodiscard]] bool is_muted(const Alarm& alarm) const;

  [[nodiscard]] const SiteAlarms& alarms() const { return alarms_; }

  /// Limits that require a step now, as of the last tick.
  [[nodiscard]] std::span<const Breach> required() const { return required_; }

 private:
  void look_at_devices(Instant now, std::span<const device::PowerReading> readings,
                       std::span<const std::optional<Watts>> enforced, AnyController& controller);
  void look_at_meters(Instant now, std::span<const device::PowerReading> readings);
  void obey_nodes(Instant now, AnyController& controller);
  void take_steps(Instant now, AnyController& controller);
  void limit_devices(std::span<const std::optional<Watts>> enforced, AnyController& controller);

  /// What the controller was told of a device.
  struct Told {
    bool is_held = false;
    bool is_limited = false;
    bool is_counted_lost = false;  // by the trust in nodes
  };

  const topology::PowerTree* tree_;
  std::vector<ControlledDevice> controlled_;
  std::vector<char> is_flexible_;
  ReadingTrust device_trust_;
  ReadingTrust meter_trust_;
  NodeTrust node_trust_;
  SupplyEstimate supplies_;
  SiteAlarms alarms_;
  BreachLadder ladder_;
  std::span<const Breach> required_;
  std::vector<Told> told_;
  std::vector<NodeOrder> orders_;          // by node, of trust
  std::vector<char> is_sent_;              // by node: to fail-safe, by the ladder
  std::vector<char> is_throttled_;         // by node: itself or one above
  std::vector<char> is_maintained_;        // by node: itself
  std::vector<char> is_below_maintained_;  // by node: itself or one above
  bool has_steps_ = false;
  bool has_throttled_ = false;  // some node
  bool has_limited_ = false;    // some device was told a limit
};

}  // namespace perwatt::control
