#include "check_plant.hpp"

#include <cmath>
#include <limits>
#include <string>

#include "limit_meter.hpp"
#include "sensor_bank.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/instant.hpp"

namespace perwatt::simulate {

namespace {

constexpr std::int64_t kLongestPlantNs = 86'400 * kNanosecondsPerSecond;
constexpr double kMostCapOvershootRatio = 2;

bool is_finite_within(double value, double low, double high) {
  return std::isfinite(value) && value >= low && value <= high;
}

void check_plant_value(double value, double low, double high, const std::string& name,
                       const std::string& where) {
  if (!is_finite_within(value, low, high)) {
    throw_bad_input(name + " is " + std::to_string(value), where,
                    "give a value from " + std::to_string(low) + " to " + std::to_string(high));
  }
}

void check_device_kind(const DeviceKind& kind, std::int64_t step_ns) {
  const std::string where = "kind '" + kind.name + "'";
  const double most_watts = in_watts(kMostDeviceWatts);
  const double most_lag_seconds =
      kMostTimeConstantSteps * static_cast<double>(step_ns) / kNanosecondsPerSecond;
  check_plant_value(in_watts(kind.lowest_cap), 0, most_watts, "lowest cap (W)", where);
  check_plant_value(in_watts(kind.idle), 0, in_watts(kind.lowest_cap), "idle (W)", where);
  check_plant_value(in_watts(kind.highest_cap), in_watts(kind.lowest_cap), most_watts,
                    "highest cap (W)", where);
  check_plant_value(in_watts(kind.cap_resolution), 0, most_watts, "cap resolution (W)", where);
  check_plant_value(in_seconds(kind.response), 0, most_lag_seconds, "response (s)", where);
  check_plant_value(in_seconds(kind.regulation), 0, most_lag_seconds, "regulation (s)", where);
  check_plant_value(kind.overshoot_ratio, 1, kMostCapOvershootRatio, "overshoot ratio", where);
  if (kind.least_latency_ns < 0 || kind.most_latency_ns < kind.least_latency_ns ||
      kind.most_latency_ns > kLongestPlantNs) {
    throw_bad_input("latency from " + std::to_string(kind.least_latency_ns) + " to " +
                        std::to_string(kind.most_latency_ns) + " ns",
                    where, "give 0 <= least <= most <= a day");
  }
  if (kind.most_latency_ns / step_ns >= std::numeric_limits<std::int32_t>::max()) {
    throw_bad_input("latency of more than 2^31 steps", where, "give longer steps");
  }
}

void check_sensors(const SensorSpec& sensors, const std::string& where) {
  if (sensors.sample_steps < 1 || sensors.delay_steps < 0) {
    throw_bad_input("a sample every " + std::to_string(sensors.sample_steps) + " steps, read " +
                        std::to_string(sensors.delay_steps) + " steps later",
                    where, "give 1 or more, and 0 or more");
  }
  check_plant_value(in_watts(sensors.quantum), 0, in_watts(kMostDeviceWatts), "quantum (W)", where);
  check_plant_value(in_watts(sensors.noise), 0, in_watts(kMostDeviceWatts), "noise (W)", where);
  if (!(sensors.most_bias_ratio >= 0 && sensors.most_bias_ratio < 1)) {
    throw_bad_input("bias ratio is " + std::to_string(sensors.most_bias_ratio), where,
                    "give 0 or more, below 1");
  }
}

void check_plant_devices(const topology::PowerTree& tree, const PlantSpec& spec) {
  const auto devices = tree.devices();
  if (!spec.kind_of_device.empty() && spec.kind_of_device.size() != devices.size()) {
    throw_bad_input(std::to_string(spec.kind_of_device.size()) + " kinds for " +
                        std::to_string(devices.size()) + " devices",
                    "", "give one for each, or none");
  }
  for (std::size_t d = 0; d < devices.size(); ++d) {
    const std::size_t kind = spec.kind_of_device.empty() ? 0 : spec.kind_of_device[d];
    if (kind >= spec.kinds.size()) {
      throw_bad_input("device '" + devices[d].id + "' is of kind " + std::to_string(kind), "",
                      "there are " + std::to_string(spec.kinds.size()));
    }
    const auto& caps = spec.kinds[kind];
    if (devices[d].min < caps.lowest_cap || devices[d].max > caps.highest_cap) {
      throw_bad_input("device '" + devices[d].id + "' takes caps in the tree that its kind '" +
                          caps.name + "' refuses",
                      "", "widen the caps of the kind or narrow those of the device");
    }
  }
}

void check_plant_samples(const topology::PowerTree& tree, const PlantSpec& spec) {
  double samples = LimitMeter::window_samples(tree, spec.step_ns * spec.meter_steps);
  if (spec.device_sensors) {
    samples += SensorBank::samples_held(*spec.device_sensors, tree.devices().size());
  }
  if (spec.node_sensors) {
    samples += SensorBank::samples_held(*spec.node_sensors, tree.nodes().size());
  }
  if (samples > kMostPlantSamples) {
    throw_bad_input("windows and sensors that hold " + std::to_string(samples) + " values", "",
                    "meter and sample at longer intervals, or with less delay");
  }
}

}  // namespace

void check_plant(const topology::PowerTree& tree, const PlantSpec& spec) {
  if (spec.step_ns <= 0 || spec.step_ns > kLongestPlantNs) {
    throw_bad_input("a step of " + std::to_string(spec.step_ns) + " ns", "",
                    "give more than 0, at most a day");
  }
  if (spec.meter_steps < 1 || spec.meter_steps > kLongestPlantNs / spec.step_ns) {
    throw_bad_input("metering every " + std::to_string(spec.meter_steps) + " steps", "",
                    "give 1 or more, in all at most a day");
  }
  if (spec.kinds.empty()) {
    throw_bad_input("no kind of device", "", "give at least one");
  }
  for (const auto& kind : spec.kinds) {
    check_device_kind(kind, spec.step_ns);
  }
  check_plant_value(in_seconds(spec.breaker_recovery), 1e-9, 1e9, "breaker recovery (s)", "");
  check_plant_devices(tree, spec);
  if (spec.device_sensors) {
    check_sensors(*spec.device_sensors, "device sensors");
  }
  if (spec.node_sensors) {
    check_sensors(*spec.node_sensors, "node sensors");
    if (spec.node_sensors->sample_steps % spec.meter_steps != 0) {
      throw_bad_input("a sample every " + std::to_string(spec.node_sensors->sample_steps) +
                          " steps where supplies are metered every " +
                          std::to_string(spec.meter_steps),
                      "node sensors", "give a multiple of it");
    }
  }
  check_plant_samples(tree, spec);
}

void check_faults(const DeviceFaults& faults) {
  if (faults.extra_latency_ns < 0 || faults.extra_latency_ns > kLongestPlantNs) {
    throw_bad_input("an extra latency of " + std::to_string(faults.extra_latency_ns) + " ns", "",
                    "give 0 to a day");
  }
  if (faults.other_cap) {
    check_plant_value(in_watts(*faults.other_cap), 0, in_watts(kMostDeviceWatts), "other cap (W)",
                      "");
  }
}

void check_fault(const SensorFault& fault) {
  check_plant_value(fault.factor, 0, 1e6, "factor of a sensor", "");
}

}  // namespace perwatt::simulate
