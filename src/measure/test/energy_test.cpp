#include "perwatt/measure/energy.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "energy_traces.hpp"
#include <gtest/gtest.h>

namespace perwatt::measure {
namespace {

using Traces = std::vector<device::MeterTrace>;

BoundaryEnergy gpu_energy(const Traces& traces, double begin, double end,
                          const EnergyRules& rules = {}) {
  return energy_at(Boundary::gpu, traces, window_of(begin, end), rules);
}

double true_energy(const Truth& truth, double begin, double end) {
  return truth.energy(end) - truth.energy(begin);
}

double joules(const std::optional<Joules>& energy) {
  return energy ? energy->in_base() : -1.0;
}

/// Valid, and within half_width of the truth, which is a small share of it.
void expect_right(const BoundaryEnergy& energy, double truth, double most_ratio = 0.03) {
  EXPECT_TRUE(energy.valid) << text_of(energy);
  EXPECT_NEAR(joules(energy.energy), truth, energy.half_width.in_base()) << text_of(energy);
  EXPECT_LE(energy.half_width.in_base(), most_ratio * truth);
}

void expect_invalid(const BoundaryEnergy& energy, EnergyReason reason) {
  EXPECT_FALSE(energy.valid);
  EXPECT_TRUE(has(energy, reason, true)) << text_of(energy);
}

// ---- the two paths ------------------------------------------------------------------------------

TEST(EnergyCounter, InterpolatesAtBothEdges) {
  const auto truth = constant_power(500);
  const auto energy = gpu_energy({trace_of(truth, gpu_meter(), -2, 62)}, 0.1, 59.9);
  expect_right(energy, 500 * 59.8);
  EXPECT_NEAR(joules(energy.by_counter), 500 * 59.8, 1e-3);
  EXPECT_EQ(energy.method, EnergyMethod::counter);
}

TEST(EnergyCounter, HalfWidthHoldsOneStepAtEachEdge) {
  const auto energy =
      gpu_energy({without_power(trace_of(constant_power(500), gpu_meter(), -2, 62))}, 0.0, 60.0);
  EXPECT_NEAR(energy.half_width.in_base(), std::sqrt(2.0) * 500 * 0.25, 1.0);
}

TEST(EnergyCounter, FollowsAWrap) {
  const auto truth = wavy_power();
  auto meter = gpu_meter();
  meter.counter_wraps_at = Joules::from_base(20'000);
  auto trace = without_power(trace_of(truth, meter, -2, 62, 0.25, 19'000));
  for (auto& reading : trace.readings) {
    reading.counter = Joules::from_base(std::fmod(reading.counter->in_base(), 20'000));
  }
  const auto energy = gpu_energy({trace}, 0, 60);
  expect_right(energy, true_energy(truth, 0, 60));
  EXPECT_FALSE(has(energy, EnergyReason::counter_reset, false));
}

TEST(EnergyCounter, AFallNoWrapExplainsIsAReset) {
  auto meter = gpu_meter();
  meter.counter_wraps_at = Joules::from_base(2e8);  // the fall is far from it
  auto trace = without_power(trace_of(constant_power(500), meter, -2, 62));
  change_readings(trace, 30, 99,
                  [](device::Reading& r) { r.counter = *r.counter - Joules::from_base(5e6); });
  expect_invalid(gpu_energy({trace}, 0, 60), EnergyReason::counter_reset);
}

TEST(EnergyCounter, ResetIsBridgedByPowerAndSaidSo) {
  const auto truth = wavy_power();
  auto trace = trace_of(truth, gpu_meter(), -2, 62);
  const double at_reset = 5e6 + truth.energy(30.0);
  change_readings(trace, 30.1, 99, [&](device::Reading& r) {
    r.counter = *r.counter - Joules::from_base(at_reset);
  });
  const auto energy = gpu_energy({trace}, 0, 60);
  expect_right(energy, true_energy(truth, 0, 60));
  EXPECT_EQ(energy.method, EnergyMethod::counter);
  EXPECT_TRUE(has(energy, EnergyReason::counter_reset, false)) << text_of(energy);
}

TEST(EnergyCounter, ResetOutsideTheWindowDoesNotMatter) {
  auto trace = without_power(trace_of(constant_power(500), gpu_meter(), -20, 62));
  change_readings(trace, -99, -10,
                  [](device::Reading& r) { r.counter = *r.counter + Joules::from_base(1e6); });
  expect_right(gpu_energy({trace}, 0, 60), 30'000);
}

TEST(EnergyCounter, RareMovesWidenTheEdges) {
  const auto truth = wavy_power();
  auto trace = without_power(trace_of(truth, gpu_meter(), -10, 310));
  cache_readings(trace, 2.0);
  const auto energy = gpu_energy({trace}, 0.5, 299.3);
  expect_right(energy, true_energy(truth, 0.5, 299.3));
  EXPECT_GE(energy.half_width.in_base(), std::sqrt(2.0) * 2.0 * 300);
}

TEST(EnergyCounter, AFirstReadingThatIsOldStandsWhereItsValueBegan) {
  // A collect every 2 s; the trace begins 1.5 s after one.
  auto trace = without_power(trace_of(constant_power(500), gpu_meter(), -4, 24));
  cache_readings(trace, 2.0);
  drop_readings(trace, -9, 1.4);
  const auto energy = gpu_energy({trace}, 1.75, 20.75);
  ASSERT_TRUE(energy.energy) << text_of(energy);
  EXPECT_NEAR(joules(energy.energy), 500 * 19.0, 1.0);
}

TEST(EnergyCounter, TooFewMovesFallBackToPower) {
  const auto truth = wavy_power();
  auto trace = trace_of(truth, gpu_meter(), -10, 70);
  auto cached = trace;
  cache_readings(cached, 29.0);
  for (std::size_t i = 0; i < trace.readings.size(); ++i) {
    trace.readings[i].counter = cached.readings[i].counter;
  }
  const auto energy = gpu_energy({trace}, 0, 60);
  expect_right(energy, true_energy(truth, 0, 60), 0.1);
  EXPECT_EQ(energy.method, EnergyMethod::power_integral);
  EXPECT_TRUE(has(energy, EnergyReason::counter_too_coarse, false)) << text_of(energy);
  EXPECT_FALSE(energy.by_counter);

  expect_invalid(gpu_energy({without_power(trace)}, 0, 60), EnergyReason::counter_too_coarse);
}

TEST(EnergyCounter, WindowShorterThanTheCountersPeriodIsNotZeroJoules) {
  auto trace = without_power(trace_of(constant_power(500), gpu_meter(), -10, 10, 0.1));
  cache_readings(trace, 1.0);
  expect_invalid(gpu_energy({trace}, 0.2, 0.7), EnergyReason::counter_too_coarse);
}

TEST(EnergyIntegral, UsedWhereThereIsNoCounter) {
  const auto truth = wavy_power();
  const auto energy =
      gpu_energy({without_counter(trace_of(truth, gpu_meter(), -2, 62))}, 0.1, 59.9);
  expect_right(energy, true_energy(truth, 0.1, 59.9), 0.05);
  EXPECT_EQ(energy.method, EnergyMethod::power_integral);
  EXPECT_FALSE(energy.by_counter);
}

// AIPerf's fallback: the mean of the samples is not the mean over time where sampling is irregular.
TEST(EnergyIntegral, IsNotTheMeanOfSamplesTimesDuration) {
  const Truth step{[](double t) { return t < 30 ? 200.0 : 800.0; },
                   [](double t) { return t < 30 ? 200.0 * t : 6000 + 800 * (t - 30); }};
  auto trace = without_counter(trace_of(step, gpu_meter(), -2, 62, 0.05));
  for (std::size_t i = 0; i < trace.readings.size(); ++i) {
    trace.readings[i].power = *trace.readings[i].power + watts(i / 20 % 2 == i % 2 ? 0.5 : -0.5);
  }
  device::MeterTrace thinned = trace;
  thinned.readings.clear();
  double sum = 0.0;
  for (std::size_t i = 0; i < trace.readings.size(); ++i) {
    if (time_of(trace.readings[i]) < 30 || i % 20 == 0) {  // 20/s while idle, 1/s under load
      thinned.readings.push_back(trace.readings[i]);
      sum += in_watts(*trace.readings[i].power);
    }
  }
  const double trap = sum / static_cast<double>(thinned.readings.size()) * 60;
  const auto energy = gpu_energy({thinned}, 0, 60);
  EXPECT_TRUE(energy.valid) << text_of(energy);
  EXPECT_NEAR(joules(energy.energy), 30'000, 600);
  EXPECT_LT(trap, 15'000);
}

// Readings of a power that moves faster than it is read: their mean is off as the half-width says.
TEST(EnergyIntegral, HalfWidthCoversSamplingNoise) {
  int inside = 0;
  constexpr int kCases = 1000;
  for (int i = 0; i < kCases; ++i) {
    std::mt19937_64 random{static_cast<std::uint64_t>(i)};
    std::normal_distribution<double> noise{500, 50};
    auto trace = without_counter(trace_of(constant_power(500), gpu_meter(), -1, 61));
    change_readings(trace, -9, 99, [&](device::Reading& r) { r.power = watts(noise(random)); });
    for (auto& reading : trace.readings) {  // quiet edges: their part is not in question here
      if (time_of(reading) <= 0.0 || time_of(reading) >= 60.0) {
        reading.power = watts(500 + 0.01 * time_of(reading));
      }
    }
    const auto energy = gpu_energy({trace}, 0, 60);
    inside += std::fabs(joules(energy.energy) - 30'000) <= energy.half_width.in_base() ? 1 : 0;
  }
  EXPECT_GE(inside, 930);
  EXPECT_LE(inside, 980);
}

TEST(EnergyIntegral, CachedRepeatsMakeNoFalseTrapezoid) {
  // 1 s collects, looked at every 0.1 s. Held values and short ramps would lag by half a second of
  // a ramp of 20 W/s: 10 J/s.
  const Truth ramp{[](double t) { return 400 + 20 * t; },
                   [](double t) { return 400 * t + 10 * t * t; }};
  auto trace = trace_of(ramp, gpu_meter(), -3, 33, 0.1);
  cache_readings(trace, 1.0);
  const auto energy = gpu_energy({trace}, 0, 30);
  ASSERT_TRUE(energy.by_integral) << text_of(energy);
  EXPECT_NEAR(joules(energy.by_integral), true_energy(ramp, 0, 30), 0.5);
}

TEST(EnergyCrossCheck, DisagreementIsFatal) {
  auto trace = trace_of(wavy_power(), gpu_meter(), -2, 62);
  change_readings(trace, -9, 99, [](device::Reading& r) { r.power = *r.power * 0.8; });
  const auto energy = gpu_energy({trace}, 0, 60);
  expect_invalid(energy, EnergyReason::counter_unreliable);
  EXPECT_TRUE(energy.by_counter && energy.by_integral);
  EnergyRules lax;
  lax.counter_tolerance_ratio = 0.25;
  EXPECT_TRUE(gpu_energy({trace}, 0, 60, lax).valid);
}

TEST(EnergyCrossCheck, CountersInTheWrongUnitAreFound) {
  auto trace = trace_of(wavy_power(), gpu_meter(), -2, 62);
  change_readings(trace, -9, 99, [](device::Reading& r) { r.counter = *r.counter * 1e-3; });
  expect_invalid(gpu_energy({trace}, 0, 60), EnergyReason::counter_unreliable);
}

TEST(EnergyHalfWidth, AccuracyOfOneKindAddsLinearly) {
  Traces traces;
  for (int i = 0; i < 4; ++i) {
    auto meter = gpu_meter(i);
    meter.accuracy_ratio = 0.05;
    traces.push_back(trace_of(constant_power(500), meter, -2, 62, 0.01));
  }
  const auto energy = gpu_energy(traces, 0, 60);
  EXPECT_NEAR(energy.accuracy_half_width.in_base(), 0.05 * 4 * 30'000, 1e-3);
  EXPECT_GE(energy.half_width, energy.accuracy_half_width);
  EXPECT_FALSE(has(energy, EnergyReason::accuracy_unknown, false));
}

TEST(EnergyHalfWidth, UnknownAccuracyIsSaid) {
  auto meter = gpu_meter();
  meter.accuracy_ratio.reset();
  const auto energy = gpu_energy({trace_of(constant_power(500), meter, -2, 62)}, 0, 60);
  EXPECT_TRUE(energy.valid);
  EXPECT_TRUE(has(energy, EnergyReason::accuracy_unknown, false));
}

// ---- faults of telemetry -----------------------------------------------------------------------

TEST(EnergyFault, MissingValuesAreSkippedAndCounted) {
  const auto truth = wavy_power();
  auto trace = without_counter(trace_of(truth, gpu_meter(), -2, 62));
  change_readings(trace, 20, 22, [](device::Reading& r) { r.power.reset(); });
  const auto energy = gpu_energy({trace}, 0, 60);
  expect_right(energy, true_energy(truth, 0, 60), 0.05);
  EXPECT_TRUE(has(energy, EnergyReason::missing_values, false)) << text_of(energy);
}

TEST(EnergyFault, MissingValuesBeyondTheGapBoundAreFatal) {
  auto trace = without_counter(trace_of(wavy_power(), gpu_meter(), -2, 62));
  change_readings(trace, 20, 24, [](device::Reading& r) { r.power.reset(); });
  expect_invalid(gpu_energy({trace}, 0, 60), EnergyReason::sampling_gap);
}

TEST(EnergyFault, SamplingGapIsFatalToPowerAndNotToACounter) {
  const auto truth = wavy_power();
  auto trace = trace_of(truth, gpu_meter(), -2, 62);
  drop_readings(trace, 20, 25);
  const auto energy = gpu_energy({trace}, 0, 60);
  expect_right(energy, true_energy(truth, 0, 60));
  EXPECT_TRUE(has(energy, EnergyReason::sampling_gap, false)) << text_of(energy);
  expect_invalid(gpu_energy({without_counter(trace)}, 0, 60), EnergyReason::sampling_gap);
}

TEST(EnergyFault, AGapThatMayHideAResetIsFatal) {
  // 1 kJ on the counter, reset in the gap of 5 s: it comes back higher than it left.
  auto trace = without_power(trace_of(constant_power(500), gpu_meter(), -2, 62, 0.25, 1000));
  drop_readings(trace, 0.1, 5);
  change_readings(trace, 5, 99,
                  [](device::Reading& r) { r.counter = *r.counter - Joules::from_base(1400); });
  expect_invalid(gpu_energy({trace}, 0, 60), EnergyReason::sampling_gap);
}

// dcgm-exporter collects every 30 s unless told otherwise.
TEST(EnergyFault, StaleValuesOfAThirtySecondCollectorAreRefusedInAShortWindow) {
  auto trace = trace_of(wavy_power(), gpu_meter(), -60, 120);
  cache_readings(trace, 30);
  const auto energy = gpu_energy({trace}, 5, 65);
  expect_invalid(energy, EnergyReason::stale_readings);
  EXPECT_TRUE(has(energy, EnergyReason::counter_too_coarse, true)) << text_of(energy);
}

TEST(EnergyFault, StaleValuesOfAThirtySecondCollectorOnlyWidenALongWindow) {
  const auto truth = wavy_power();
  auto trace = trace_of(truth, gpu_meter(), -60, 700);
  cache_readings(trace, 30);
  const auto energy = gpu_energy({trace}, 5, 605);
  expect_right(energy, true_energy(truth, 5, 605), 0.15);
  EXPECT_TRUE(has(energy, EnergyReason::stale_readings, false)) << text_of(energy);
}

TEST(EnergyFault, APowerThatStandsStillIsStale) {
  auto trace = without_counter(trace_of(wavy_power(), gpu_meter(), -2, 62));
  change_readings(trace, 20, 30, [](device::Reading& r) { r.power = watts(100); });
  expect_invalid(gpu_energy({trace}, 0, 60), EnergyReason::stale_readings);
}

TEST(EnergyFault, AnExporterThatHangsAtTheEndIsStale) {
  auto trace = trace_of(wavy_power(), gpu_meter(), -2, 70);
  const auto last = *std::find_if(trace.readings.begin(), trace.readings.end(),
                                  [](const auto& r) { return time_of(r) >= 50; });
  change_readings(trace, 50, 99, [&](device::Reading& r) {
    r.counter = last.counter;
    r.power = last.power;
  });
  expect_invalid(gpu_energy({trace}, 0, 60), EnergyReason::stale_readings);
}

TEST(EnergyFault, ASteadyPowerWithARunningCounterIsNotStale) {
  const auto energy = gpu_energy({trace_of(constant_power(500), gpu_meter(), -2, 62)}, 0, 60);
  EXPECT_FALSE(has(energy, EnergyReason::stale_readings, false));
  EXPECT_NEAR(joules(energy.by_integral), 30'000, 1e-3);
}

TEST(EnergyFault, ImplausiblePowerIsFatalWithoutACounter) {
  auto trace = trace_of(wavy_power(), gpu_meter(), -2, 62);
  change_readings(trace, 20, 20.1, [](device::Reading& r) { r.power = watts(400'000); });  // mW
  const auto energy = gpu_energy({trace}, 0, 60);
  EXPECT_TRUE(energy.valid) << text_of(energy);
  EXPECT_TRUE(has(energy, EnergyReason::implausible_power, false)) << text_of(energy);
  expect_invalid(gpu_energy({without_counter(trace)}, 0, 60), EnergyReason::implausible_power);
}

TEST(EnergyFault, MilliwattsTakenForWattsAreFoundWithoutAKnownMaximum) {
  auto meter = gpu_meter();
  meter.most_power.reset();
  auto trace = without_counter(trace_of(wavy_power(), meter, -2, 62));
  change_readings(trace, -9, 99, [](device::Reading& r) { r.power = *r.power * 1e3; });
  expect_invalid(gpu_energy({trace}, 0, 60), EnergyReason::implausible_power);
}

TEST(EnergyFault, ClockJumpIsFatalToSourcesThatCarryItsTime) {
  const Traces traces{trace_of(wavy_power(), gpu_meter(), -2, 62)};
  EnergyRules rules;
  rules.clock_jumped_sources = {traces[0].meter.source};
  expect_invalid(gpu_energy(traces, 0, 60, rules), EnergyReason::clock_jump);
  rules.clock_jumped_sources = {"csv:other.csv"};
  EXPECT_TRUE(gpu_energy(traces, 0, 60, rules).valid);
}

TEST(EnergyFault, NoMeter) {
  const auto energy = gpu_energy({}, 0, 60);
  expect_invalid(energy, EnergyReason::no_meter);
  EXPECT_FALSE(energy.energy);
  EXPECT_EQ(energy.meters, 0);
}

TEST(EnergyFault, AMeterThatNeverGaveAValue) {
  auto trace = without_counter(without_power(trace_of(wavy_power(), gpu_meter(), -2, 62)));
  expect_invalid(gpu_energy({trace}, 0, 60), EnergyReason::missing_values);
}

// ---- fleets ------------------------------------------------------------------------------------

TEST(EnergyFleet, OneOfTwoExportersDeadIsPartialAndSaysWhich) {
  Traces traces{trace_of(constant_power(500), gpu_meter(0, "dcgm:http://a:9400"), -2, 62),
                trace_of(constant_power(500), gpu_meter(0, "dcgm:http://b:9400"), -2, 62)};
  traces[1].meter.host = "b";
  fail_readings(traces[1], -9, 99, "connection refused");
  const auto energy = gpu_energy(traces, 0, 60);
  expect_invalid(energy, EnergyReason::partial_fleet);
  EXPECT_TRUE(has(energy, EnergyReason::source_failed, true)) << text_of(energy);
  EXPECT_NEAR(joules(energy.energy), 30'000, 1) << "the partial sum is shown";
  EXPECT_EQ(energy.meters, 1);
  EXPECT_NE(text_of(energy).find("http://b:9400"), std::string::npos);
}

TEST(EnergyFleet, FewerMetersThanExpectedIsPartial) {
  EnergyRules rules;
  rules.expected_gpus = 2;
  const Traces one{trace_of(constant_power(500), gpu_meter(), -2, 62)};
  expect_invalid(gpu_energy(one, 0, 60, rules), EnergyReason::partial_fleet);
  rules.expected_gpus = 1;
  EXPECT_TRUE(gpu_energy(one, 0, 60, rules).valid);
}

TEST(EnergyFleet, AMeterThatVanishesOrAppearsLateIsPartial) {
  for (const bool late : {false, true}) {
    Traces traces{trace_of(constant_power(500), gpu_meter(0), -2, 62),
                  trace_of(constant_power(500), gpu_meter(1), -2, 62)};
    drop_readings(traces[1], late ? -9 : 30, late ? 30 : 99);
    const auto energy = gpu_energy(traces, 0, 60);
    expect_invalid(energy, EnergyReason::partial_fleet);
    EXPECT_TRUE(has(energy, EnergyReason::window_not_bracketed, true)) << text_of(energy);
  }
}

TEST(EnergyFleet, FailuresOfOneMeterAreSaidWhereTheCounterSpansThem) {
  auto trace = trace_of(constant_power(500), gpu_meter(), -2, 62);
  fail_readings(trace, 20, 21, "HTTP 503");
  const auto energy = gpu_energy({trace}, 0, 60);
  EXPECT_TRUE(energy.valid) << text_of(energy);
  EXPECT_TRUE(has(energy, EnergyReason::source_failed, false)) << text_of(energy);
}

// ---- failure modes known from AIPerf -----------------------------------------------------------

TEST(EnergyAuditList, OneFailedClosingScrapeDropsNeitherItsMeterNorTheOthers) {
  Traces traces{trace_of(constant_power(500), gpu_meter(0), -2, 62),
                trace_of(constant_power(500), gpu_meter(1), -2, 62)};
  fail_readings(traces[1], 60, 60.3, "timeout");
  const auto later = gpu_energy(traces, 0, 60);  // the next scrape closes the window
  expect_right(later, 60'000);
  fail_readings(traces[1], 60, 99, "timeout");
  const auto never = gpu_energy(traces, 0, 60);
  expect_invalid(never, EnergyReason::window_not_bracketed);
  EXPECT_NEAR(joules(never.energy), 30'000, 1);
}

TEST(EnergyAuditList, ADeadEndpointReportedAsSuccessIsNotComplete) {
  Traces traces{trace_of(constant_power(500), gpu_meter(0), -2, 62),
                trace_of(constant_power(500), gpu_meter(1), -2, 62)};
  traces[1].readings.clear();  // and no failure either
  expect_invalid(gpu_energy(traces, 0, 60), EnergyReason::partial_fleet);
}

TEST(EnergyAuditList, AMissingStartSnapshotDoesNotReportTheSinceBootCounter) {
  auto trace = without_power(trace_of(constant_power(500), gpu_meter(), -2, 62));
  auto late = trace;
  drop_readings(late, -9, 1);
  expect_invalid(gpu_energy({late}, 0, 60), EnergyReason::window_not_bracketed);
  EXPECT_FALSE(gpu_energy({late}, 0, 60).energy);

  auto zero = trace;  // a start snapshot of 0 where there was none
  change_readings(zero, -9, 0.1, [](device::Reading& r) { r.counter = Joules{}; });
  expect_invalid(gpu_energy({zero}, 0, 60), EnergyReason::implausible_power);
}

TEST(EnergyAuditList, ThereIsAPowerIntegrationFallback) {
  const auto truth = wavy_power();
  auto trace = trace_of(truth, gpu_meter(), -2, 62);
  change_readings(trace, -9, 99, [](device::Reading& r) { r.counter.reset(); });
  const auto energy = gpu_energy({trace}, 0, 60);
  expect_right(energy, true_energy(truth, 0, 60), 0.05);
  EXPECT_EQ(energy.method, EnergyMethod::power_integral);
}

TEST(EnergyAuditList, AResetCounterIsNotClampedToZero) {
  auto trace = without_power(trace_of(constant_power(500), gpu_meter(), -2, 62));
  change_readings(trace, 59, 99,
                  [](device::Reading& r) { r.counter = *r.counter - Joules::from_base(5e6); });
  const auto energy = gpu_energy({trace}, 0, 60);
  EXPECT_FALSE(energy.valid);
  EXPECT_FALSE(energy.energy);
}

}  // namespace
}  // namespace perwatt::measure
