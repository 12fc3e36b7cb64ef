// What flows into every node, from what may be believed: its own meter, else what is below.
//
//     below(n)  = draws of its own devices + sum over fed nodes c:  share(c, n) * supply(c)
//     supply(n) = the meter of n when it is given (behind the losses: fixed + factor * meter),
//                 else (fixed + factor * below(n)) * learned(n)
//
// learned(n) >= 1: by how much the meter of n showed more than that while it was given, slowly
// smoothed (a hundredth an update) and no more than the doubt of it: losses that the tree does not
// have. What it showed less is not learned: where a meter is lost nothing is made light of.
//
// Twice, from children that count with their meters and from devices alone, each with a doubt: how
// far it may be off either way when every sensor is off to the same side by its error. A meter that
// is scaled together with the meters below it agrees with them, not with the devices. When devices
// lie alike with the meters, nobody can tell.
// docs/model/control.md#readings-and-alarms
//
// Thread rule: one thread at a time. No clock, no allocation after construction.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::control {

/// How far off what is known may be. Ratios >= 0.
struct SensorErrors {
  double device_ratio = 0.05;  // of a device's draw
  double meter_ratio = 0.02;   // of a meter's
  double fixed_ratio = 0.1;    // of Node::fixed
  double loss_ratio = 0.1;     // of factor - 1
  double share_ratio = 0.1;    // of what a node with several feeds draws from one of them
};

class SupplyEstimate {
 public:
  struct Seen {
    Watts power;
    Watts doubt;
  };

  /// `tree` must outlive it. All devices at 0, no meter given.
  SupplyEstimate(const topology::PowerTree& tree, const SensorErrors& errors);

  /// A trusted draw. `doubt` on top of the sensor's error: 0 when trusted, else the charge.
  void set_device(topology::DeviceIndex device, Watts draw, Watts doubt) noexcept;

  /// What the meter of a node says at its side; nothing when it is not trusted.
  void set_meter(topology::NodeIndex node, std::optional<Watts> power) noexcept;

  /// Linear in nodes, devices and supplies. What follows is as of the last update().
  void update() noexcept;

  [[nodiscard]] Watts supply(topology::NodeIndex node) const noexcept {
    return watts(nodes_[node.value].supply);
  }

  /// How far that may be off: what a guard band must be wider by where a meter is lost.
  [[nodiscard]] Watts doubt(topology::NodeIndex node) const noexcept {
    return watts(nodes_[node.value].doubt);
  }

  /// What a limit of `node` bounds. A phase is that part of the supply which devices have on it.
  [[nodiscard]] Watts bounded_by(const topology::Limit& limit,
                                 topology::NodeIndex node) const noexcept;

  [[nodiscard]] std::optional<Watts> meter(topology::NodeIndex node) const noexcept {
    return nodes_[node.value].meter;
  }

  /// What the meter of `node` should say by what is below: with meters there, and by devices alone.
  [[nodiscard]] Seen expected_by_meters(topology::NodeIndex node) const noexcept;
  [[nodiscard]] Seen expected_by_devices(topology::NodeIndex node) const noexcept;

  /// How far the meter of `node` may itself be off.
  [[nodiscard]] Watts meter_doubt(topology::NodeIndex node) const noexcept;

 private:
  struct Flow {  // watts
    double power = 0;
    double doubt = 0;
  };

  struct NodeFlows {
    std::optional<Watts> meter;
    Flow load_by_meters;
    Flow load_by_devices;
    double supply = 0;  // the best known
    double doubt = 0;
    double learned = 1;                   // of meter / sum below, before the floor of 1
    std::array<double, 3> phase_watts{};  // by devices: first the load, then the supply
    double phase_sum = 0;
  };

  struct DeviceDraw {
    double power = 0;
    double doubt = 0;
  };

  [[nodiscard]] Flow supply_of(const topology::Node& node, const Flow& load) const noexcept;
  [[nodiscard]] Seen at_meter(topology::NodeIndex node, const Flow& load) const noexcept;
  [[nodiscard]] Flow best_supply(std::uint32_t n) noexcept;
  void add_own(std::uint32_t n) noexcept;
  void add_phases(std::uint32_t n) noexcept;

  const topology::PowerTree* tree_;
  SensorErrors errors_;
  std::vector<NodeFlows> nodes_;
  std::vector<DeviceDraw> devices_;
};

}  // namespace perwatt::control
