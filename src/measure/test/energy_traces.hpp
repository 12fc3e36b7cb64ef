// Traces of meters made from a power that is known at every moment.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "perwatt/measure/energy.hpp"

namespace perwatt::measure {

/// Power in watts and energy since 0 in joules at a time in seconds, both exact.
struct Truth {
  std::function<double(double)> power;
  std::function<double(double)> energy;
};

inline Truth constant_power(double level) {
  return {[level](double) { return level; }, [level](double t) { return level * t; }};
}

/// 400 W with a swing of 100 W and a period of 7 s, risen by 2 W/s.
inline Truth wavy_power() {
  constexpr double kTurn = 2.0 * 3.14159265358979323846 / 7.0;
  return {[](double t) { return 400.0 + 2.0 * t + 100.0 * std::sin(kTurn * t); },
          [](double t) { return 400.0 * t + t * t + 100.0 / kTurn * (1.0 - std::cos(kTurn * t)); }};
}

inline Instant at_time(double time) {
  return Instant::from_nanoseconds(1'000'000'000'000) + seconds(time);
}

inline Window window_of(double begin, double end) {
  return {at_time(begin), at_time(end)};
}

inline device::Meter gpu_meter(int index = 0, const std::string& source = "dcgm:http://h:9400") {
  device::Meter meter;
  meter.id = source + " gpu" + std::to_string(index);
  meter.source = source;
  meter.host = "h";
  meter.device = "gpu " + std::to_string(index);
  meter.scope = device::Scope::gpu;
  meter.most_power = watts(2000);
  meter.accuracy_ratio = 0.0;
  return meter;
}

/// Looks every `period` from `from` to `to`, both values true at the moment of the look, the
/// counter with `offset` joules of earlier work on it.
inline device::MeterTrace trace_of(const Truth& truth, const device::Meter& meter, double from,
                                   double to, double period = 0.25, double offset = 5e6) {
  device::MeterTrace trace;
  trace.meter = meter;
  const int looks = static_cast<int>(std::floor((to - from) / period + 1e-9));
  for (int i = 0; i <= looks; ++i) {
    const double t = from + i * period;
    trace.readings.push_back(
        {at_time(t), Joules::from_base(offset + truth.energy(t)), watts(truth.power(t))});
  }
  return trace;
}

inline device::MeterTrace without_power(device::MeterTrace trace) {
  for (auto& reading : trace.readings) {
    reading.power.reset();
  }
  return trace;
}

inline device::MeterTrace without_counter(device::MeterTrace trace) {
  for (auto& reading : trace.readings) {
    reading.counter.reset();
  }
  return trace;
}

inline double time_of(const device::Reading& reading) {
  return in_seconds(reading.at - at_time(0));
}

/// Applies `change` to the readings from `begin` to `end`.
template <class Change>
void change_readings(device::MeterTrace& trace, double begin, double end, const Change& change) {
  for (auto& reading : trace.readings) {
    if (time_of(reading) >= begin && time_of(reading) <= end) {
      change(reading);
    }
  }
}

inline void drop_readings(device::MeterTrace& trace, double begin, double end) {
  auto& readings = trace.readings;
  readings.erase(std::remove_if(readings.begin(), readings.end(),
                                [&](const device::Reading& reading) {
                                  return time_of(reading) >= begin && time_of(reading) <= end;
                                }),
                 readings.end());
}

inline void fail_readings(device::MeterTrace& trace, double begin, double end,
                          const std::string& reason) {
  change_readings(trace, begin, end, [&](const device::Reading& reading) {
    trace.failures.push_back({reading.at, reason});
  });
  drop_readings(trace, begin, end);
}

/// Shows the values of a collector that reads every `period` and a cache that repeats them.
inline void cache_readings(device::MeterTrace& trace, double period) {
  device::Reading kept = trace.readings.front();
  double slot = std::floor(time_of(kept) / period);
  for (auto& reading : trace.readings) {
    const double now = std::floor(time_of(reading) / period + 1e-9);
    if (now > slot) {
      kept = reading;
      slot = now;
    }
    reading.counter = kept.counter;
    reading.power = kept.power;
  }
}

inline bool has(const BoundaryEnergy& energy, EnergyReason reason, bool fatal) {
  return std::any_of(energy.findings.begin(), energy.findings.end(),
                     [&](const EnergyFinding& finding) {
                       return finding.reason == reason && finding.fatal == fatal;
                     });
}

inline std::string text_of(const BoundaryEnergy& energy) {
  std::string text = energy.valid ? "valid" : "not valid";
  for (const auto& finding : energy.findings) {
    text += "\n" + std::string{to_string(finding.reason)} + (finding.fatal ? " (fatal): " : ": ") +
            finding.detail;
  }
  return text;
}

}  // namespace perwatt::measure
