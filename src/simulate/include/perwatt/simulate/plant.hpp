// The physics below a controller: devices that draw, caps that act late, the supplies of a power
// tree, breakers that trip, and sensors that tell part of it, some of it wrong.
//
// Draw. In each step of length h, for a device that is on:
//
//     ceiling: while demand > cap,  ceiling <- cap + (ceiling - cap) e^(-h / regulation)
//              held within cap and overshoot_ratio * cap;   else   overshoot_ratio * cap
//     aim    = min(max(idle, demand), ceiling)
//     draw  <- aim + (draw - aim) e^(-h / response)
//
// the exact answer of a first-order lag to an aim that is constant over the step. So the draw is
// never below idle, and never above overshoot_ratio * the cap in force, except for what is left of
// the draw when the cap was lowered: that falls with the time constant `response`. Both lags stand
// for what is seen of boards under NVML caps; they are a model, not a measurement. A device that is
// off draws 0 at once and starts at idle.
//
// Caps. A written cap is cut to the device's resolution and is in force from the first step that
// begins `latency` or more after the write. The latency is drawn evenly from the whole steps of the
// kind's range, by a hash of seed, device and the number of the write to that device; the writes of
// one device act in their order, a later one never before an earlier. The cap in force is the least
// of what was written and what another writer holds.
//
// Supplies follow the formulas of topology (power_tree.hpp). A node whose breaker is open carries
// nothing; its children live from their other feeds in proportion to their shares, and what has no
// feed left is dark: it supplies nothing, its fixed part too, and its devices are off.
//
// Breakers. A limit with a curve collects h / time_to_trip(supply / limit) while the supply passes
// it and trips at 1 (h a metering interval). Within the limit it gives up h / breaker_recovery,
// down to 0. After a trip it begins at 0, whether trips_open or not.
//
// Determinism. Equal seed, spec and calls between equal steps give equal bytes on one build; the
// order of calls between two steps does not matter unless they concern the same device or node.
//
// Threads: none of its own; const calls may run side by side, any other call alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/simulate/plant_meters.hpp"
#include "perwatt/simulate/plant_spec.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::simulate {

class Plant {
 public:
  /// All devices on, without demand, at idle; all breakers closed and cold.
  ///
  /// Throws Error(bad_input) for a spec outside the ranges of plant_spec.hpp, and for a device
  /// whose caps in the tree are not within those of its kind.
  Plant(topology::PowerTree tree, PlantSpec spec);
  Plant(Plant&&) noexcept;
  Plant& operator=(Plant&&) noexcept;
  ~Plant();

  [[nodiscard]] const topology::PowerTree& tree() const;
  [[nodiscard]] const PlantSpec& spec() const;
  [[nodiscard]] std::int64_t steps_done() const;
  [[nodiscard]] Instant now() const;  // steps_done * step

  /// What the work would draw from here on, by device from `first`; each finite, 0 or more, at most
  /// kMostDeviceWatts. REQUIRES: the devices exist.
  void set_demands(topology::DeviceIndex first, std::span<const float> demand_watts);
  void set_demand(topology::DeviceIndex device, Watts demand);

  /// A failed or switched off device keeps its caps, and its demand is set as ever.
  void set_on(topology::DeviceIndex device, bool on);

  /// What is not accepted has no effect, but counts as a write where latencies are drawn.
  CapWrite write_cap(topology::DeviceIndex device, Watts cap);

  /// A breaker in the supply of `node`, by hand. Closing ends a trip too; the breaker begins cold.
  void set_breaker_open(topology::NodeIndex node, bool open);

  /// Replaces the faults the device had. Throws Error(bad_input) for a value outside its range.
  void set_faults(topology::DeviceIndex device, const DeviceFaults& faults);

  /// Replaces the fault of the sensor; no effect where there is none. What a frozen or stale one
  /// repeats is what it told when the fault began.
  /// Throws Error(bad_input) for a factor outside its range.
  void set_sensor_fault(topology::DeviceIndex device, const SensorFault& fault);
  void set_sensor_fault(topology::NodeIndex node, const SensorFault& fault);

  /// One step of the clock.
  void step() noexcept;

  // The truth.

  [[nodiscard]] std::span<const float> draw_watts() const;     // by device, now
  [[nodiscard]] std::span<const double> supply_watts() const;  // by node, as last metered
  [[nodiscard]] bool is_live(topology::NodeIndex node) const;

  /// Its node is live.
  [[nodiscard]] bool has_power(topology::DeviceIndex device) const;

  /// Since the start: the power at the end of each metering interval times its length.
  [[nodiscard]] Joules energy_of_node(topology::NodeIndex node) const;
  [[nodiscard]] Joules energy_of_kind(std::size_t kind) const;  // at the devices

  /// Of one limit (index into Node::limits), and of all.
  [[nodiscard]] Violations violations(topology::NodeIndex node, std::size_t limit) const;
  [[nodiscard]] Violations violations() const;

  // What policies see.

  [[nodiscard]] Reading read_device(topology::DeviceIndex device) const;

  /// Of the side its meter sits on; no_sensor without a meter in the tree.
  [[nodiscard]] Reading read_node(topology::NodeIndex node) const;

  /// The cap that the device reports as enforced, now, to the precision of a float; also a device
  /// that ignores it.
  [[nodiscard]] Watts read_cap(topology::DeviceIndex device) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace perwatt::simulate
