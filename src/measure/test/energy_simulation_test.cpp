// Random loads, meters and faults against a power known at every moment: whatever happens to the
// telemetry, an energy that is called valid lies inside its half-width, as often as 95 % says.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "energy_traces.hpp"
#include <gtest/gtest.h>

namespace perwatt::measure {
namespace {

constexpr double kTick = 0.01;     // of the truth
constexpr double kMargin = 40.0;   // seconds of the trace before and after the window
constexpr double kLongest = 90.0;  // of the window

using Random = std::mt19937_64;

double uniform(Random& random, double low, double high) {
  return std::uniform_real_distribution<double>{low, high}(random);
}

int whole(Random& random, int low, int high) {
  return std::uniform_int_distribution<int>{low, high}(random);
}

bool chance(Random& random, double probability) {
  return uniform(random, 0, 1) < probability;
}

/// Power at every tick from -kMargin on: levels that change at random, ramps, and noise with a
/// memory.
class RandomLoad {
 public:
  explicit RandomLoad(Random& random) {
    const auto ticks = static_cast<std::size_t>((2 * kMargin + kLongest) / kTick);
    const double noise = uniform(random, 0, 40);
    const double memory = std::exp(-kTick / uniform(random, 0.02, 2.0));
    std::normal_distribution<double> normal;
    double level = uniform(random, 60, 150);
    double aim = level;
    double speed = 1.0;
    double wander = 0.0;
    double next = 0.0;
    double sum = 0.0;
    for (std::size_t i = 0; i < ticks; ++i) {
      const double t = static_cast<double>(i) * kTick;
      if (t >= next) {
        aim = uniform(random, 80, 900);
        speed = chance(random, 0.5) ? 1.0 : kTick / uniform(random, 0.5, 5.0);
        next = t + uniform(random, 3, 40);
      }
      level += (aim - level) * speed;
      wander = memory * wander + std::sqrt(1 - memory * memory) * noise * normal(random);
      power_.push_back(std::max(20.0, level + wander));
      energy_.push_back(sum);
      sum += power_.back() * kTick;
    }
  }

  [[nodiscard]] double power(double t) const { return power_[index(t)]; }

  /// Since the begin of the trace; within a tick the power is constant.
  [[nodiscard]] double energy(double t) const {
    const std::size_t i = index(t);
    return energy_[i] + power_[i] * (t + kMargin - static_cast<double>(i) * kTick);
  }

 private:
  [[nodiscard]] std::size_t index(double t) const {
    return std::min(power_.size() - 1,
                    static_cast<std::size_t>(std::max(0.0, t + kMargin) / kTick));
  }

  std::vector<double> power_;
  std::vector<double> energy_;
};

/// How one meter shows its device.
struct Habit {
  double period = 0.3;           // of the looks
  double jitter = 0.0;           // of a look, share of the period
  double counter_update = 0.05;  // the counter takes a new value this often
  double averaging = 0.0;        // power is the mean of as long
  double collect = 0.0;          // a cache renews this often; 0: none
  bool counter = true;
  bool power = true;
};

Habit arbitrary_habit(Random& random) {
  Habit habit;
  habit.period = uniform(random, 0.1, 1.0);
  habit.jitter = uniform(random, 0.0, 0.3);
  habit.counter_update =
      chance(random, 0.3) ? uniform(random, 0.5, 4.0) : uniform(random, 0.01, 0.1);
  habit.averaging = chance(random, 0.5) ? 1.0 : 0.0;
  if (chance(random, 0.25)) {
    habit.collect = chance(random, 0.3) ? 30.0 : uniform(random, 1.0, 3.0);
  }
  const int kind = whole(random, 0, 3);
  habit.counter = kind != 1;
  habit.power = kind != 2;
  return habit;
}

device::MeterTrace look_at(const RandomLoad& load, const Habit& habit, double window, double gain,
                           const device::Meter& meter, Random& random) {
  device::MeterTrace trace;
  trace.meter = meter;
  const double offset = chance(random, 0.2) ? 0.0 : uniform(random, 0, 1e7);
  const double phase = uniform(random, 0, 30);
  const auto floor_to = [&](double t, double step) {
    return std::floor((t + phase) / step) * step - phase;
  };
  const double to = window + uniform(random, 0.0, kMargin - 1);
  double last = -1e9;
  for (double slot = -uniform(random, 2.0, kMargin - 1); slot < to; slot += habit.period) {
    const double t =
        std::max(last + 1e-4, slot + habit.period * habit.jitter * uniform(random, -1, 1));
    last = t;
    const double seen = habit.collect > 0 ? floor_to(t, habit.collect) : t;
    device::Reading reading{at_time(t), {}, {}};
    if (habit.counter) {
      reading.counter =
          Joules::from_base(offset + gain * load.energy(floor_to(seen, habit.counter_update)));
    }
    if (habit.power) {
      reading.power = watts(
          gain * (habit.averaging > 0
                      ? (load.energy(seen) - load.energy(seen - habit.averaging)) / habit.averaging
                      : load.power(seen)));
    }
    trace.readings.push_back(reading);
  }
  return trace;
}

/// One fault, somewhere around the window; most of them inside.
void strike(device::MeterTrace& trace, double window, Random& random) {
  const double at = uniform(random, -3, window + 3);
  const double until = at + std::exp(uniform(random, std::log(0.2), std::log(20)));
  switch (whole(random, 0, 8)) {
    case 0:
      return drop_readings(trace, at, until);
    case 1:
      return fail_readings(trace, at, until, "timeout");
    case 2:
      return change_readings(trace, at, until, [](device::Reading& r) { r.power.reset(); });
    case 3:
      return change_readings(trace, at, until, [](device::Reading& r) { r.counter.reset(); });
    case 4:
      return drop_readings(trace, at, 1e9);
    case 5:
      return drop_readings(trace, -1e9, at);
    case 6: {  // the counter starts again
      std::optional<Joules> base;
      return change_readings(trace, at, 1e9, [&](device::Reading& r) {
        if (r.counter) {
          base = base ? base : r.counter;
          r.counter = std::max(Joules{}, *r.counter - *base);
        }
      });
    }
    case 7: {  // a cache that hangs for a while
      std::optional<device::Reading> kept;
      return change_readings(trace, at, until, [&](device::Reading& r) {
        kept = kept ? *kept : r;
        r.counter = kept->counter;
        r.power = kept->power;
      });
    }
    default: {  // milliwatts
      return change_readings(trace, at, until, [](device::Reading& r) {
        if (r.power) {
          r.power = *r.power * 1e3;
        }
      });
    }
  }
}

struct Tally {
  int cases = 0;
  int valid = 0;
  int outside = 0;
  int far_low = 0;  // more than three half-widths and 3 %
  int far_high = 0;
  double width_sum = 0.0;  // half-width over energy of the valid ones
};

void judge(const BoundaryEnergy& energy, double truth, Tally& tally) {
  ++tally.cases;
  if (!energy.valid) {
    EXPECT_TRUE(std::any_of(energy.findings.begin(), energy.findings.end(),
                            [](const auto& finding) { return finding.fatal; }));
    return;
  }
  ++tally.valid;
  const double error = energy.energy->in_base() - truth;
  const double width = energy.half_width.in_base();
  tally.width_sum += width / truth;
  tally.outside += std::fabs(error) > width ? 1 : 0;
  const double far = std::max(3 * width, 0.03 * truth);
  tally.far_low += error < -far ? 1 : 0;
  tally.far_high += error > far ? 1 : 0;
}

Tally simulate(int cases, int faults, int most_meters, std::uint64_t seed) {
  constexpr double kAccuracy = 0.02;
  Tally tally;
  for (int i = 0; i < cases; ++i) {
    Random random{seed + static_cast<std::uint64_t>(i)};
    const double length = uniform(random, 10, kLongest);
    const int meters = whole(random, 1, most_meters);
    const auto habit = arbitrary_habit(random);
    const bool most_known = chance(random, 0.5);
    // Meters of one kind are wrong alike; 1.96 sigma is the accuracy.
    const double gain = 1.0 + kAccuracy / 1.96 * std::normal_distribution<double>{}(random);
    double truth = 0.0;
    std::vector<device::MeterTrace> traces;
    const bool alike = chance(random, 0.5);  // one job on all: power changes at once
    const auto load_seed = random();
    for (int m = 0; m < meters; ++m) {
      Random load_random{alike ? load_seed : load_seed + static_cast<std::uint64_t>(m)};
      const RandomLoad load{load_random};
      truth += load.energy(length) - load.energy(0);
      const std::string host = chance(random, 0.7) ? "h" : "i";
      auto meter = gpu_meter(m, "dcgm:http://" + host + ":9400");
      meter.host = host;
      meter.most_power.reset();
      if (most_known) {
        meter.most_power = watts(1500);
      }
      meter.accuracy_ratio = kAccuracy;
      traces.push_back(look_at(load, habit, length, gain, meter, random));
    }
    for (int f = 0; f < faults; ++f) {
      strike(traces[static_cast<std::size_t>(whole(random, 0, meters - 1))], length, random);
    }
    EnergyRules rules;
    rules.expected_gpus = meters;
    judge(energy_at(Boundary::gpu, traces, window_of(0, length), rules), truth, tally);
  }
  std::cout << tally.cases << " cases, " << tally.valid << " valid, " << tally.outside
            << " outside the half-width, " << tally.far_low << " far low, " << tally.far_high
            << " far high; mean half-width " << 100 * tally.width_sum / std::max(1, tally.valid)
            << " % of the energy\n";
  return tally;
}

void expect_honest(const Tally& tally) {
  EXPECT_LE(tally.outside, tally.valid / 20);
  EXPECT_EQ(tally.far_low, 0);
  EXPECT_EQ(tally.far_high, 0);
}

TEST(EnergySimulation, WithoutFaultsMostAreValidAndInside) {
  const auto tally = simulate(1000, 0, 4, 1);
  expect_honest(tally);
  EXPECT_GE(tally.valid, 700);
}

TEST(EnergySimulation, WithFaultsValidMeansInsideAndNeverSilentlyLow) {
  const auto one = simulate(2000, 1, 4, 100'000);
  expect_honest(one);
  EXPECT_GE(one.valid, 600);  // a test that refuses everything proves nothing
  const auto three = simulate(1000, 3, 2, 200'000);
  expect_honest(three);
  EXPECT_GE(three.valid, 100);
}

}  // namespace
}  // namespace perwatt::measure
