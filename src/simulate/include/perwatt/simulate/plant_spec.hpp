// What a simulated plant is made of: kinds of devices, their sensors, its clock. Times are whole
// nanoseconds of the plant's own clock, which starts at 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "perwatt/base/units.hpp"

namespace perwatt::simulate {

/// How devices of one kind draw and obey. What each field does: plant.hpp.
struct DeviceKind {
  std::string name;                   // for messages and totals
  Watts idle;                         // drawn whenever it is on; 0 <= idle <= lowest_cap
  Watts lowest_cap;                   // a cap below is refused
  Watts highest_cap;                  // a cap above is refused; also the cap it starts with
  Watts cap_resolution;               // caps are cut to whole multiples of it; 0: any cap
  Seconds response;                   // time constant of the draw; 0: at once
  Seconds regulation;                 // time constant with which it pulls an excess in; 0: at once
  double overshoot_ratio = 1;         // 1..2: the most that may be drawn over a cap, meanwhile
  std::int64_t least_latency_ns = 0;  // from the write of a cap until it acts; 0 <= least <= most
  std::int64_t most_latency_ns = 0;   // at most a day
};

/// Sensors of one sort: of all devices or of all metered nodes.
struct SensorSpec {
  std::int32_t sample_steps = 1;  // >= 1: a sample every so many steps, of that instant
  std::int32_t delay_steps = 0;   // >= 0: it can be read so many steps later
  Watts quantum{};                // >= 0: readings are whole multiples of it; 0: not rounded
  Watts noise{};                  // >= 0: standard deviation, mean zero, new in each sample
  double most_bias_ratio = 0;     // in [0, 1): each sensor is off by a constant factor within it
};

struct PlantSpec {
  [[nodiscard]] Seconds step() const { return seconds(static_cast<double>(step_ns) / 1e9); }

  std::int64_t step_ns = 0;  // > 0
  std::uint64_t seed = 0;
  std::vector<DeviceKind> kinds;              // at least one
  std::vector<std::uint16_t> kind_of_device;  // by device index; empty: all of the first kind

  /// Supplies, energies and limits are taken after every so many steps (>= 1), each for the whole
  /// time since the last.
  std::int32_t meter_steps = 1;

  /// Without: there is nothing to read, and no time is spent on it.
  std::optional<SensorSpec> device_sensors;
  std::optional<SensorSpec> node_sensors;  // sample_steps is a multiple of meter_steps

  /// Breakers that trip open. Without, trips are only counted.
  bool trips_open = false;

  /// From the edge of tripping to cold, at or below the rating. > 0. The default is as long as
  /// Dynamo's breakers stand 10 % over (Wu et al., ISCA 2016): an assumption, no maker states it.
  Seconds breaker_recovery = seconds(1020);
};

/// A time constant may last so many steps: beyond, a step moves a float by less than it resolves.
inline constexpr double kMostTimeConstantSteps = 1e5;

/// No device may be asked for more, nor have a higher cap.
inline constexpr Watts kMostDeviceWatts = watts(1e8);

/// Values held by all sliding windows and sensors of a plant together.
inline constexpr double kMostPlantSamples = 5e8;

}  // namespace perwatt::simulate
