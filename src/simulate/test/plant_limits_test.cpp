// The plant's own meter: excursions, windows, breakers.
#include <algorithm>
#include <cmath>
#include <deque>
#include <vector>

#include "plants.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace perwatt::simulate {
namespace {

topology::Limit limit_of(double limit_watts, double window_seconds = 0, bool has_curve = false) {
  topology::Limit limit;
  limit.power = watts(limit_watts);
  limit.window = seconds(window_seconds);
  if (has_curve) {
    limit.curve = topology::TripCurve{};
  }
  return limit;
}

/// One device that draws what is demanded, at once.
Plant plant_with(const std::vector<topology::Limit>& limits, bool trips_open = false,
                 double recovery_seconds = 1020) {
  auto spec = plant_spec(prompt_kind());
  spec.trips_open = trips_open;
  spec.breaker_recovery = seconds(recovery_seconds);
  return Plant{flat_tree(1, limits), spec};
}

TEST(PlantLimits, AnInstantLimitCountsExcursionsTimeAndEnergy) {
  auto plant = plant_with({limit_of(400)});
  for (const double demand_watts : {300.0, 500.0, 600.0, 400.0, 399.0, 450.0, 200.0}) {
    plant.set_demand({0}, watts(demand_watts));
    plant.step();
  }
  const auto seen = plant.violations(kRoot, 0);
  EXPECT_EQ(seen.count, 2);
  EXPECT_NEAR(in_seconds(seen.time_over), 0.03, 1e-12);
  EXPECT_NEAR(seen.energy_over.in_base(), (100 + 200 + 50) * 0.01, 1e-9);
  EXPECT_NEAR(seen.worst_ratio, 1.5, 1e-12);
  EXPECT_EQ(seen.trips, 0);
  EXPECT_EQ(plant.violations(), seen);
}

TEST(PlantLimits, TotalsSumOverLimits) {
  auto plant = plant_with({limit_of(400), limit_of(500)});
  plant.set_demand({0}, watts(600));
  run_steps(plant, 2);
  const auto total = plant.violations();
  EXPECT_EQ(total.count, 2);
  EXPECT_NEAR(in_seconds(total.time_over), 0.04, 1e-12);
  EXPECT_NEAR(total.energy_over.in_base(), (2 * 200 + 2 * 100) * 0.01, 1e-9);
  EXPECT_NEAR(total.worst_ratio, 1.5, 1e-12);
}

RC_GTEST_PROP(PlantLimits, WindowsAreMeansOfTheirLastWholeSteps, ()) {
  const int window_steps = *rc::gen::inRange(1, 20);
  // A window that is no whole number of steps is judged on the whole steps within.
  const double spare = *rc::gen::element(0.0, 0.004);
  auto plant = plant_with({limit_of(400, window_steps * 0.01 + spare)});
  std::deque<double> last;
  int over_steps = 0;
  double worst_watts = 0;
  double over_joules = 0;
  for (int s = 0; s < 120; ++s) {
    const double demand_watts = *rc::gen::inRange(200, 650);
    plant.set_demand({0}, watts(demand_watts));
    plant.step();
    last.push_back(demand_watts);
    if (last.size() > static_cast<std::size_t>(window_steps)) {
      last.pop_front();
    }
    double sum = 0;
    for (const double value : last) {
      sum += value;
    }
    const double mean = sum / static_cast<double>(last.size());
    worst_watts = std::max(worst_watts, mean);
    over_steps += mean > 400 * (1 + 1e-9) ? 1 : 0;
    over_joules += mean > 400 * (1 + 1e-9) ? (mean - 400) * 0.01 : 0;
  }
  const auto seen = plant.violations(kRoot, 0);
  RC_ASSERT(std::lround(in_seconds(seen.time_over) * 100) == over_steps);
  RC_ASSERT(std::abs(seen.worst_ratio - worst_watts / 400) < 1e-12);
  RC_ASSERT(std::abs(seen.energy_over.in_base() - over_joules) < 1e-9);
}

TEST(PlantLimits, AWindowForgivesAShortExcess) {
  auto plant = plant_with({limit_of(400, 0.1)});
  plant.set_demand({0}, watts(300));
  run_steps(plant, 10);
  plant.set_demand({0}, watts(600));
  run_steps(plant, 3);
  EXPECT_EQ(plant.violations().count, 0);
  plant.step();
  EXPECT_EQ(plant.violations().count, 1);
}

TEST(PlantLimits, ABreakerTripsWhenItsCurveSays) {
  for (const double ratio : {1.1, 1.2, 1.4, 1.6, 2.5}) {
    auto plant = plant_with({limit_of(250, 0, true)});
    plant.set_demand({0}, watts(250 * ratio));
    const double stands = in_seconds(*topology::TripCurve{}.time_to_trip(ratio));
    int steps = 0;
    while (plant.violations(kRoot, 0).trips == 0 && steps < 200'000) {
      plant.step();
      ++steps;
    }
    EXPECT_NEAR(steps * 0.01, stands, 0.0101) << ratio;
  }
}

TEST(PlantLimits, ATripIsOnlyCountedOrOpensTheBreaker) {
  auto counted = plant_with({limit_of(250, 0, true)});
  auto opened = plant_with({limit_of(250, 0, true)}, true);
  for (auto* plant : {&counted, &opened}) {
    plant->set_demand({0}, watts(625));
    run_steps(*plant, 1000);  // 10 s; the curve stands 2.5 times the rating for 2.5 s
  }
  EXPECT_EQ(counted.violations().trips, 3);
  EXPECT_EQ(draw_of(counted, 0), 625);
  EXPECT_EQ(opened.violations().trips, 1);
  EXPECT_EQ(draw_of(opened, 0), 0);
  EXPECT_FALSE(opened.is_live(kRoot));
  opened.set_breaker_open(kRoot, false);
  run_steps(opened, 2);
  EXPECT_EQ(draw_of(opened, 0), 625);
}

TEST(PlantLimits, ABreakerRecoversEvenlyWithinItsRating) {
  const double stands = in_seconds(*topology::TripCurve{}.time_to_trip(2));
  const int half_steps = static_cast<int>(stands / 0.01 / 2);
  auto plant = plant_with({limit_of(250, 0, true)}, false, 4);
  plant.set_demand({0}, watts(500));
  run_steps(plant, half_steps);  // half way to tripping
  plant.set_demand({0}, watts(250));
  run_steps(plant, 100);  // a quarter of the way back
  plant.set_demand({0}, watts(500));
  int more = 0;
  while (plant.violations().trips == 0 && more < 10'000) {
    plant.step();
    ++more;
  }
  EXPECT_NEAR(more * 0.01, stands * 0.75, 0.03);
}

TEST(PlantLimits, ABreakerThatWasOpenedBeginsCold) {
  const double stands = in_seconds(*topology::TripCurve{}.time_to_trip(2));
  auto plant = plant_with({limit_of(250, 0, true)});
  plant.set_demand({0}, watts(500));
  run_steps(plant, static_cast<int>(stands / 0.01 * 0.9));
  plant.set_breaker_open(kRoot, true);
  plant.set_breaker_open(kRoot, false);
  run_steps(plant, static_cast<int>(stands / 0.01 * 0.9));
  EXPECT_EQ(plant.violations().trips, 0);
  run_steps(plant, static_cast<int>(stands / 0.01 * 0.2));
  EXPECT_EQ(plant.violations().trips, 1);
}

TEST(PlantLimits, BeyondTheCurveABreakerTripsAtOnce) {
  auto limit = limit_of(250);
  limit.curve = topology::TripCurve{{{1.5, seconds(10)}, {2, seconds(1)}}};
  auto plant = plant_with({limit});
  plant.set_demand({0}, watts(600));
  plant.step();
  EXPECT_EQ(plant.violations().trips, 1);
}

}  // namespace
}  // namespace perwatt::simulate
