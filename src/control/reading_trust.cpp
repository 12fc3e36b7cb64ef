#include "perwatt/control/reading_trust.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "perwatt/base/error.hpp"

namespace perwatt::control {

namespace {

/// Of the noise: a healthy reading is outside once in 10^9.
constexpr double kNoiseDeviations = 6;
constexpr int kLeastFrozenSamples = 4;
/// Where the quantum hides the noise, no number of equal readings says anything in useful time.
constexpr double kMostFrozenSamples = 1000;

std::optional<int> samples_to_freeze(const TrustRules& rules) {
  if (rules.noise <= Watts{}) {
    return std::nullopt;
  }
  // The mean in the middle of a quantum: where equal readings are likeliest.
  const double equal_chance = std::erf(rules.quantum / rules.noise / 2 / std::numbers::sqrt2);
  if (equal_chance <= 0) {
    return kLeastFrozenSamples;
  }
  if (equal_chance >= 1) {
    return std::nullopt;
  }
  const double samples = 1 + std::ceil(std::log(rules.frozen_chance) / std::log(equal_chance));
  if (!(samples <= kMostFrozenSamples)) {
    return std::nullopt;
  }
  return std::max(kLeastFrozenSamples, static_cast<int>(samples));
}

void check_trust_rules(const TrustRules& rules) {
  const bool is_sound =
      rules.period > Seconds{} && rules.delay >= Seconds{} && rules.stale_periods >= 1 &&
      rules.ahead >= Seconds{} && rules.noise >= Watts{} && rules.quantum >= Watts{} &&
      rules.frozen_chance > 0 && rules.frozen_chance < 1 && rules.recover_samples >= 1 &&
      rules.memory > Seconds{} && rules.charge_after >= Seconds{};
  if (!is_sound) {
    throw_bad_input("a rule of trust in readings is out of range", "rules",
                    "give periods and memory above 0, stale_periods and recover_samples of at "
                    "least 1, a frozen_chance between 0 and 1, nothing negative");
  }
}

}  // namespace

std::string_view to_string(Belief belief) {
  switch (belief) {
    case Belief::fresh:
      return "fresh";
    case Belief::stale:
      return "stale";
    case Belief::frozen:
      return "frozen";
    case Belief::missing:
      return "missing";
    case Belief::reordered:
      return "reordered";
    case Belief::impossible:
      break;
  }
  return "impossible";
}

ReadingTrust::ReadingTrust(std::span<const Watts> most, const TrustRules& rules)
    : rules_{rules},
      stale_after_{rules.period * rules.stale_periods + rules.delay},
      slack_{rules.noise * kNoiseDeviations + rules.quantum} {
  check_trust_rules(rules);
  frozen_samples_ = samples_to_freeze(rules);
  sensors_.resize(most.size());
  for (std::size_t s = 0; s < most.size(); ++s) {
    sensors_[s].most = most[s];
  }
}

Belief ReadingTrust::judge(const Sensor& sensor, const device::PowerReading& reading,
                           Instant now) const noexcept {
  if (!reading.power || reading.quality == device::ReadingQuality::missing ||
      reading.quality == device::ReadingQuality::no_sensor) {
    return Belief::missing;
  }
  const Watts draw = *reading.power;
  const bool is_possible = draw >= -slack_ && draw <= sensor.most + slack_;  // false for NaN
  if (!is_possible || reading.time > now + rules_.ahead) {
    return Belief::impossible;
  }
  if (sensor.has_reading && reading.time < sensor.now.time) {
    return Belief::reordered;
  }
  return reading.quality == device::ReadingQuality::stale ? Belief::stale : Belief::fresh;
}

void ReadingTrust::distrust(Sensor& sensor, Belief why, Instant since) noexcept {
  if (sensor.now.is_trusted()) {
    sensor.untrusted_since = since;
  }
  sensor.now.standing = why;
  sensor.good_run = 0;
}

void ReadingTrust::remember(Sensor& sensor) const noexcept {
  const Seconds part = rules_.memory * (1.0 / (kParts - 1));
  while (sensor.now.time >= sensor.part_began + part) {
    if (sensor.now.time >= sensor.part_began + part * static_cast<double>(kParts)) {
      sensor.highest.fill(Watts{});
      sensor.part_began = sensor.now.time;
    } else {
      std::shift_right(sensor.highest.begin(), sensor.highest.end(), 1);
      sensor.highest[0] = Watts{};
      sensor.part_began = sensor.part_began + part;
    }
  }
  sensor.highest[0] = std::max(sensor.highest[0], sensor.now.draw);
}

void ReadingTrust::accept(Sensor& sensor, Watts said, Instant time, Instant now) const noexcept {
  if (!sensor.has_reading) {
    sensor.part_began = time;
  }
  sensor.equal_run = sensor.has_reading && said == sensor.said ? sensor.equal_run + 1 : 1;
  sensor.said = said;
  sensor.has_reading = true;
  sensor.now.is_new = true;
  sensor.now.time = time;
  sensor.now.draw = std::max(said, Watts{});
  remember(sensor);
  if (frozen_samples_ && sensor.equal_run >= *frozen_samples_) {
    sensor.equal_run = *frozen_samples_;  // it may go on for years
    distrust(sensor, Belief::frozen, now);
    return;
  }
  sensor.good_run = std::min(sensor.good_run + 1, rules_.recover_samples);
}

const ReadingTrust::Standing& ReadingTrust::read(std::uint32_t index,
                                                 const device::PowerReading& reading,
                                                 Instant now) noexcept {
  auto& sensor = sensors_[index];
  sensor.now.is_new = false;
  sensor.now.reading = judge(sensor, reading, now);
  const bool is_known = sensor.has_reading && reading.time == sensor.now.time;
  if (sensor.now.reading == Belief::impossible) {
    distrust(sensor, Belief::impossible, now);
    return sensor.now;
  }
  if (sensor.now.reading == Belief::fresh && !is_known) {
    accept(sensor, *reading.power, reading.time, now);
    if (sensor.now.standing == Belief::frozen && sensor.good_run == 0) {
      sensor.now.reading = Belief::frozen;
    }
  }
  const bool is_absent = reading.quality == device::ReadingQuality::no_sensor;
  if (!sensor.has_reading || is_absent || now - sensor.now.time > stale_after_) {
    distrust(sensor, sensor.now.reading == Belief::missing ? Belief::missing : Belief::stale,
             sensor.now.time);
    if (sensor.now.reading == Belief::fresh) {
      sensor.now.reading = Belief::stale;  // it came, but of a time long ago
    }
  } else if (sensor.good_run >= rules_.recover_samples) {
    sensor.now.standing = Belief::fresh;
  }
  return sensor.now;
}

ReadingTrust::Demand ReadingTrust::demand(std::uint32_t index, Watts cap, Watts charge,
                                          Instant now) const noexcept {
  const auto& sensor = sensors_[index];
  if (sensor.now.is_trusted()) {
    return {sensor.now.draw, Source::reading};
  }
  if (!sensor.has_reading || now - sensor.untrusted_since > rules_.charge_after) {
    return {charge, Source::charge};
  }
  const Watts highest = *std::max_element(sensor.highest.begin(), sensor.highest.end());
  return {std::min(cap, highest), Source::recent_highest};
}

}  // namespace perwatt::control
