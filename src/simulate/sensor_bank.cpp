#include "sensor_bank.hpp"

#include <algorithm>
#include <cmath>

namespace perwatt::simulate {

namespace {

/// The samples under way, and the one that is being read.
std::int64_t snapshots_held(const SensorSpec& spec) {
  return spec.delay_steps / spec.sample_steps + 2;
}

}  // namespace

SensorBank::SensorBank(const SensorSpec& spec, SensorUses uses, std::uint64_t seed,
                       std::int64_t step_ns, std::size_t sensors)
    : spec_{spec},
      uses_{uses},
      seed_{seed},
      step_ns_{step_ns},
      sensors_{sensors},
      slots_{snapshots_held(spec)},
      samples_(sensors * static_cast<std::size_t>(slots_)) {}

double SensorBank::samples_held(const SensorSpec& spec, std::size_t sensors) {
  return static_cast<double>(snapshots_held(spec)) * static_cast<double>(sensors);
}

Watts SensorBank::distort(std::size_t sensor, std::int64_t sample, double factor) const {
  double told_watts = static_cast<double>(samples_[slot_of(sample) + sensor]);
  if (spec_.most_bias_ratio > 0) {
    const double place = random_unit(random_bits(seed_, uses_.bias, sensor, 0));
    told_watts *= 1 + spec_.most_bias_ratio * (2 * place - 1);
  }
  if (spec_.noise > Watts{}) {
    told_watts += in_watts(spec_.noise) *
                  random_normal(seed_, uses_.noise, sensor, static_cast<std::uint64_t>(sample));
  }
  told_watts *= factor;
  if (spec_.quantum > Watts{}) {
    told_watts = std::round(told_watts / in_watts(spec_.quantum)) * in_watts(spec_.quantum);
  }
  return watts(told_watts);
}

Reading SensorBank::healthy(std::size_t sensor, std::int64_t steps_done, double factor) const {
  const std::int64_t arrived = steps_done - spec_.delay_steps;
  if (arrived < 0) {
    return {std::nullopt, {}, ReadingQuality::missing};
  }
  const std::int64_t sample = arrived / spec_.sample_steps;
  return {distort(sensor, sample, factor),
          Instant::from_nanoseconds(sample * spec_.sample_steps * step_ns_), ReadingQuality::good};
}

Reading SensorBank::read(std::size_t sensor, std::int64_t steps_done) const {
  const auto found = faults_.find(sensor);
  if (found == faults_.end()) {
    return healthy(sensor, steps_done, 1);
  }
  const auto& [fault, last] = found->second;
  switch (fault.kind) {
    case SensorFaultKind::none:
      break;
    case SensorFaultKind::frozen_new_time: {
      auto reading = healthy(sensor, steps_done, 1);
      reading.power = last.power;
      reading.quality = last.quality;
      return reading;
    }
    case SensorFaultKind::frozen_old_time:
      return last;
    case SensorFaultKind::stale:
      return {last.power, last.time, last.power ? ReadingQuality::stale : ReadingQuality::missing};
    case SensorFaultKind::missing:
      return {std::nullopt, healthy(sensor, steps_done, 1).time, ReadingQuality::missing};
    case SensorFaultKind::scaled:
      return healthy(sensor, steps_done, fault.factor);
  }
  return healthy(sensor, steps_done, 1);
}

void SensorBank::set_fault(std::size_t sensor, const SensorFault& fault, std::int64_t steps_done) {
  const auto last = read(sensor, steps_done);
  if (fault.kind == SensorFaultKind::none) {
    faults_.erase(sensor);
    return;
  }
  faults_[sensor] = {fault, last};
}

}  // namespace perwatt::simulate
