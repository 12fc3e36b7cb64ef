// Invariants of the energy of a window.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "energy_traces.hpp"
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace perwatt::measure {
namespace {

/// Power through whole watts at whole milliseconds, linear between.
struct Profile {
  std::vector<double> times;
  std::vector<double> powers;

  [[nodiscard]] double power(double t) const {
    std::size_t i = 1;
    while (i + 1 < times.size() && times[i] < t) {
      ++i;
    }
    const double share = (t - times[i - 1]) / (times[i] - times[i - 1]);
    return powers[i - 1] + share * (powers[i] - powers[i - 1]);
  }

  /// From the first time to `t`.
  [[nodiscard]] double energy(double t) const {
    double sum = 0.0;
    for (std::size_t i = 1; i < times.size() && times[i - 1] < t; ++i) {
      const double to = std::min(t, times[i]);
      sum += 0.5 * (powers[i - 1] + power(to)) * (to - times[i - 1]);
    }
    return sum;
  }

  [[nodiscard]] double length() const { return times.back(); }
};

/// Irregular steps of 50 ms to 2 s, no value twice in a row (it would be stale).
Profile arbitrary_profile() {
  const auto steps = *rc::gen::resize(
      60, rc::gen::suchThat(rc::gen::container<std::vector<int>>(rc::gen::inRange(50, 2000)),
                            [](const std::vector<int>& all) { return all.size() >= 8; }));
  Profile profile{{0.0}, {100.0}};
  for (const int step : steps) {
    const int level = *rc::gen::inRange(50, 1000);
    profile.times.push_back(profile.times.back() + step / 1000.0);
    profile.powers.push_back(level + (level == profile.powers.back() ? 0.5 : 0.0));
  }
  return profile;
}

device::MeterTrace at_corners(const Profile& profile) {
  device::MeterTrace trace;
  trace.meter = gpu_meter();
  for (std::size_t i = 0; i < profile.times.size(); ++i) {
    trace.readings.push_back({at_time(profile.times[i]),
                              Joules::from_base(7e5 + profile.energy(profile.times[i])),
                              watts(profile.powers[i])});
  }
  return trace;
}

/// A time inside (0, length), in milliseconds.
double arbitrary_time(double from, double to) {
  return *rc::gen::inRange(static_cast<int>(std::ceil(from * 1000)),
                           static_cast<int>(std::floor(to * 1000))) /
         1000.0;
}

BoundaryEnergy energy_of(const std::vector<device::MeterTrace>& traces, double begin, double end) {
  return energy_at(Boundary::gpu, traces, window_of(begin, end), {});
}

RC_GTEST_PROP(EnergyProperty, PiecewiseLinearPowerIsIntegratedExactly, ()) {
  const auto profile = arbitrary_profile();
  const double begin = arbitrary_time(0, profile.length() / 2);
  const double end = arbitrary_time(profile.length() / 2, profile.length());
  RC_PRE(begin < end);
  const auto energy = energy_of({without_counter(at_corners(profile))}, begin, end);
  RC_ASSERT(energy.valid);
  const double truth = profile.energy(end) - profile.energy(begin);
  RC_ASSERT(std::fabs(energy.energy->in_base() - truth) <= 1e-6 * (1 + truth));
}

RC_GTEST_PROP(EnergyProperty, AdjacentWindowsAdd, ()) {
  const auto profile = arbitrary_profile();
  const auto trace = at_corners(profile);
  const double begin = arbitrary_time(0, profile.length() / 3);
  const double middle = arbitrary_time(profile.length() / 3, 2 * profile.length() / 3);
  const double end = arbitrary_time(2 * profile.length() / 3, profile.length());
  RC_PRE(begin < middle && middle < end);
  const auto first = energy_of({trace}, begin, middle);
  const auto second = energy_of({trace}, middle, end);
  const auto whole = energy_of({trace}, begin, end);
  RC_ASSERT(whole.by_integral && first.by_integral && second.by_integral);
  RC_ASSERT(std::fabs((*whole.by_integral - *first.by_integral - *second.by_integral).in_base()) <=
            1e-6);
  if (first.by_counter && second.by_counter) {
    RC_ASSERT(whole.by_counter.has_value());
    RC_ASSERT(std::fabs((*whole.by_counter - *first.by_counter - *second.by_counter).in_base()) <=
              1e-6);
  }
}

RC_GTEST_PROP(EnergyProperty, ReadingsInBetweenOnTheLineChangeNothing, ()) {
  const auto profile = arbitrary_profile();
  const auto sparse = without_counter(at_corners(profile));
  auto dense = sparse;
  for (int i = 0; i < 20; ++i) {
    const double t = arbitrary_time(0, profile.length());
    dense.readings.push_back({at_time(t), std::nullopt, watts(profile.power(t))});
  }
  const auto earlier = [](const auto& a, const auto& b) { return a.at < b.at; };
  std::sort(dense.readings.begin(), dense.readings.end(), earlier);
  dense.readings.erase(std::unique(dense.readings.begin(), dense.readings.end(),
                                   [](const auto& a, const auto& b) { return a.at == b.at; }),
                       dense.readings.end());
  const double begin = arbitrary_time(0, profile.length() / 2);
  const double end = arbitrary_time(profile.length() / 2, profile.length());
  RC_PRE(begin < end);
  const auto a = energy_of({sparse}, begin, end);
  const auto b = energy_of({dense}, begin, end);
  RC_ASSERT(a.valid && b.valid);
  RC_ASSERT(std::fabs((*a.energy - *b.energy).in_base()) <= 1e-6 * (1 + a.energy->in_base()));
}

RC_GTEST_PROP(EnergyProperty, AWrapAnywhereChangesNothing, ()) {
  const auto profile = arbitrary_profile();
  auto plain = without_power(at_corners(profile));
  plain.meter.counter_wraps_at = Joules::from_base(1e9);
  auto wrapped = plain;
  const double offset = *rc::gen::inRange(0, 5'000'000);
  const double wraps_at = 262'143.328850;  // RAPL's max_energy_range_uj on many packages
  wrapped.meter.counter_wraps_at = Joules::from_base(wraps_at);
  for (auto& reading : wrapped.readings) {
    reading.counter = Joules::from_base(std::fmod(reading.counter->in_base() + offset, wraps_at));
  }
  const double begin = arbitrary_time(0, profile.length() / 2);
  const double end = arbitrary_time(profile.length() / 2, profile.length());
  RC_PRE(begin < end);
  const auto a = energy_of({plain}, begin, end);
  const auto b = energy_of({wrapped}, begin, end);
  RC_ASSERT(a.valid == b.valid);
  if (a.valid) {
    RC_ASSERT(std::fabs((*a.energy - *b.energy).in_base()) <= 1e-5);
    RC_ASSERT(std::fabs((a.half_width - b.half_width).in_base()) <= 1e-5);
  }
}

RC_GTEST_PROP(EnergyProperty, TheOrderOfMetersChangesNothing, ()) {
  std::vector<device::MeterTrace> traces;
  double longest = 1e9;
  for (int i = 0; i < 5; ++i) {
    const auto profile = arbitrary_profile();
    longest = std::min(longest, profile.length());
    traces.push_back(at_corners(profile));
    traces.back().meter = gpu_meter(i, i < 3 ? "dcgm:http://a:1" : "dcgm:http://b:1");
    traces.back().meter.host = i < 3 ? "a" : "b";
    traces.back().meter.accuracy_ratio = i % 2 == 0 ? 0.05 : 0.02;
  }
  const auto a = energy_of(traces, 0.1, longest - 0.1);
  std::rotate(traces.begin(), traces.begin() + *rc::gen::inRange(0, 5), traces.end());
  std::swap(traces[1], traces[3]);
  const auto b = energy_of(traces, 0.1, longest - 0.1);
  RC_ASSERT(a.valid == b.valid);
  RC_ASSERT(a.energy == b.energy);  // to the last bit
  RC_ASSERT(std::fabs((a.half_width - b.half_width).in_base()) <= 1e-9 * a.half_width.in_base());
  RC_ASSERT(a.findings.size() == b.findings.size());
}

RC_GTEST_PROP(EnergyProperty, ScalingEveryValueScalesTheResult, ()) {
  const auto profile = arbitrary_profile();
  auto trace = at_corners(profile);
  trace.meter.most_power.reset();
  const auto a = energy_of({trace}, 0.1, profile.length() - 0.1);
  for (auto& reading : trace.readings) {
    reading.counter = *reading.counter * 2.0;
    reading.power = *reading.power * 2.0;
  }
  const auto b = energy_of({trace}, 0.1, profile.length() - 0.1);
  RC_ASSERT(a.valid == b.valid);
  RC_ASSERT(std::fabs((*b.energy - *a.energy * 2.0).in_base()) <= 1e-5);
  RC_ASSERT(std::fabs((b.half_width - a.half_width * 2.0).in_base()) <= 1e-5);
}

}  // namespace
}  // namespace perwatt::measure
