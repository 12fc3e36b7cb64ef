#include "perwatt/facility/part_load.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "plants.hpp"
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace perwatt::facility {
namespace {

const ItPower kOne{watts(1)};

double on_curve(const PartLoadCurve& curve, double load) {
  const auto above = std::lower_bound(curve.load_ratio.begin(), curve.load_ratio.end(), load);
  const auto i = static_cast<std::size_t>(above - curve.load_ratio.begin());
  if (i == 0) {
    return curve.meter_ratio.front();
  }
  const double share =
      (load - curve.load_ratio[i - 1]) / (curve.load_ratio[i] - curve.load_ratio[i - 1]);
  return curve.meter_ratio[i - 1] + share * (curve.meter_ratio[i] - curve.meter_ratio[i - 1]);
}

double meter(const CoolingPlant& plant, double load, const Weather& air) {
  return in_watts(plant.parts_at({watts(load)}, kOne, air).total().value);
}

double true_mean(const CoolingPlant& plant, std::span<const catalog::ClimateClass> classes,
                 double load) {
  double sum = 0;
  double hours = 0;
  for (const auto& row : classes) {
    sum += row.hours * meter(plant, load, {row.dry_bulb, row.wet_bulb});
    hours += row.hours;
  }
  return sum / hours;
}

double true_worst(const CoolingPlant& plant, std::span<const catalog::ClimateClass> classes,
                  double load) {
  double worst = 0;
  for (const auto& row : classes) {
    worst = std::max(worst, meter(plant, load, {row.max_dry_bulb, row.max_wet_bulb}));
  }
  return worst;
}

/// The classes of one climate that start at one hour: what an hour class of a plan holds.
std::vector<catalog::ClimateClass> any_classes() {
  const auto& climates = shipped_climates().climates();
  const auto& climate = climates[*rc::gen::inRange<std::size_t>(0, climates.size())];
  const int first = *rc::gen::inRange(0, 8) * 3 + 1;
  std::vector<catalog::ClimateClass> classes;
  for (const auto& row : climate.classes) {
    if (row.first_hour == first) {
      classes.push_back(row);
    }
  }
  return classes;
}

void check_shape(const PartLoadCurve& curve) {
  RC_ASSERT(curve.load_ratio.size() == curve.meter_ratio.size());
  RC_ASSERT(curve.load_ratio.front() == 0);
  double last_slope = 0;
  for (std::size_t i = 1; i < curve.load_ratio.size(); ++i) {
    RC_ASSERT(curve.load_ratio[i] > curve.load_ratio[i - 1]);
    const double slope = (curve.meter_ratio[i] - curve.meter_ratio[i - 1]) /
                         (curve.load_ratio[i] - curve.load_ratio[i - 1]);
    RC_ASSERT(slope >= last_slope * (1 - 1e-9));
    RC_ASSERT(slope > 0.99);  // a watt of IT is a watt at the meter and more
    last_slope = slope;
  }
}

RC_GTEST_PROP(PartLoadProperty, ChordsLieAboveTheTruthAndWithinTheTolerance, ()) {
  const auto plant = any_plant();
  const auto classes = any_classes();
  const auto mean = mean_part_load(plant, classes);
  const auto worst = worst_part_load(plant, classes);
  check_shape(mean);
  check_shape(worst);
  RC_ASSERT(worst.load_ratio.back() <= mean.load_ratio.back() + 1e-12);
  for (int i = 0; i < 20; ++i) {
    const double share = *rc::gen::inRange(0, 10001) / 10000.0;
    const double at_mean = share * mean.load_ratio.back();
    const double mean_truth = true_mean(plant, classes, at_mean);
    RC_ASSERT(on_curve(mean, at_mean) >= mean_truth * (1 - 1e-12));
    RC_ASSERT(on_curve(mean, at_mean) <= mean_truth * (1 + kPartLoadTolerance * 1.001));
    const double at_worst = share * worst.load_ratio.back();
    const double worst_truth = true_worst(plant, classes, at_worst);
    RC_ASSERT(on_curve(worst, at_worst) >= worst_truth * (1 - 1e-12));
    RC_ASSERT(on_curve(worst, at_worst) <= worst_truth * (1 + kPartLoadTolerance * 1.001));
  }
}

// No hour of a class is warmer than its maxima: the worst curve bounds any weather within them.
RC_GTEST_PROP(PartLoadProperty, NoHourOfTheClassesDrawsMoreThanTheWorstCurve, ()) {
  const auto plant = any_plant();
  const auto classes = any_classes();
  const auto worst = worst_part_load(plant, classes);
  const auto& row = *rc::gen::elementOf(classes);
  const double cooler = *rc::gen::inRange(0, 100) / 10.0;
  const Weather air{warmer_by(row.max_dry_bulb, -cooler), warmer_by(row.max_wet_bulb, -cooler)};
  const double load = worst.load_ratio.back() * *rc::gen::inRange(0, 1001) / 1000.0;
  RC_ASSERT(meter(plant, load, air) <= on_curve(worst, load) * (1 + 1e-12));
}

TEST(PartLoad, AConstantPueIsOneChord) {
  const CoolingPlant plant{shipped_plant("air")};
  for (const auto& curve : {mean_part_load(plant, shipped_climates().climates()[0].classes),
                            worst_part_load(plant, shipped_climates().climates()[0].classes)}) {
    EXPECT_EQ(curve.load_ratio, (std::vector<double>{0, 1}));
    EXPECT_EQ(curve.meter_ratio, (std::vector<double>{0, 1.3}));
  }
}

TEST(PartLoad, APlantThatTheWorstHourStopsHasOnePoint) {
  const CoolingPlant plant{shipped_plant("liquid-dry-only"), celsius(40)};
  const auto& phoenix = shipped_climates().climate("phoenix-az", "");  // up to 45.6 °C
  const auto curve = worst_part_load(plant, phoenix.classes);
  EXPECT_EQ(curve.load_ratio, std::vector<double>{0});
  const auto& jose = shipped_climates().climate("san-jose-ca", "");  // up to 34.4 °C
  EXPECT_NEAR(worst_part_load(plant, jose.classes).load_ratio.back(), 0.56, 0.02);
}

TEST(PartLoad, CurvesAreShortEnoughForALinearProgram) {
  for (const auto* data : physical_plants()) {
    const CoolingPlant plant{*data};
    for (const auto& climate : shipped_climates().climates()) {
      EXPECT_LT(mean_part_load(plant, climate.classes).load_ratio.size(), 120U) << data->id;
      EXPECT_LT(worst_part_load(plant, climate.classes).load_ratio.size(), 120U) << data->id;
    }
  }
}

TEST(PartLoad, AWiderToleranceGivesFewerChords) {
  const CoolingPlant plant{shipped_plant("liquid-dry")};
  const auto& classes = shipped_climates().climate("phoenix-az", "").classes;
  const auto fine = mean_part_load(plant, classes);
  const auto coarse = mean_part_load(plant, classes, 1e-3);
  EXPECT_LT(coarse.load_ratio.size(), fine.load_ratio.size() / 4);
  for (double load = 0; load <= 1; load += 0.01) {
    EXPECT_LE(on_curve(coarse, load), on_curve(fine, load) * (1 + 1.001e-3));
    EXPECT_GE(on_curve(coarse, load), on_curve(fine, load) * (1 - 1.001e-5));
  }
}

TEST(PartLoad, WaterIsTheMeanOverTheHours) {
  const CoolingPlant plant{shipped_plant("liquid-evaporative")};
  const auto& classes = shipped_climates().climate("seattle-wa", "").classes;
  double litres = 0;
  double hours = 0;
  for (const auto& row : classes) {
    litres += row.hours *
              plant.parts_at(kOne, kOne, {row.dry_bulb, row.wet_bulb}).water_litres_per_second;
    hours += row.hours;
  }
  EXPECT_NEAR(mean_water_litres_per_joule(plant, classes, 1) / (litres / hours), 1, 1e-12);
  EXPECT_EQ(mean_water_litres_per_joule(CoolingPlant{shipped_plant("liquid-dry")}, classes, 1), 0);
}

}  // namespace
}  // namespace perwatt::facility
