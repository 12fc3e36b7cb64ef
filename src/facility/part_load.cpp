#include "perwatt/facility/part_load.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "plant_model.hpp"

namespace perwatt::facility {

namespace {

using Function = std::function<double(double)>;

/// A convex function on [0, end].
struct ConvexLoad {
  Function value;
  double end = 1;
};

/// The largest distance of the chord over [a, b] above the convex `f`, by golden section.
double largest_gap(const Function& f, double a, double fa, double b, double fb) {
  constexpr double kGolden = 0.6180339887498949;
  constexpr int kSteps = 24;
  const auto gap = [&](double x) { return fa + (fb - fa) * ((x - a) / (b - a)) - f(x); };
  double low = a;
  double high = b;
  double left = high - kGolden * (high - low);
  double right = low + kGolden * (high - low);
  double at_left = gap(left);
  double at_right = gap(right);
  double best = std::max(at_left, at_right);
  for (int i = 0; i < kSteps; ++i) {
    if (at_left > at_right) {
      high = right;
      right = left;
      at_right = at_left;
      left = high - kGolden * (high - low);
      at_left = gap(left);
    } else {
      low = left;
      left = right;
      at_left = at_right;
      right = low + kGolden * (high - low);
      at_right = gap(right);
    }
    best = std::max({best, at_left, at_right});
  }
  return best;
}

/// The end of the longest chord from `a` that stays within the tolerance, nearly: the gap grows
/// with the square of the length.
double chord_end(const Function& f, double a, double fa, double end, double guess,
                 double tolerance) {
  constexpr double kAim = 0.9;
  constexpr int kTries = 30;
  const double allowed = tolerance * fa;
  double length = std::min(guess, end - a);
  double fits = 0;
  for (int i = 0; i < kTries; ++i) {
    const double b = a + length >= end ? end : a + length;
    const double gap = largest_gap(f, a, fa, b, f(b));
    if (gap <= allowed) {
      fits = b;
      if (b == end || gap >= 0.5 * allowed) {
        return b;
      }
      const double longer = gap > 0 ? std::sqrt(kAim * allowed / gap) : 4.0;
      length = std::min((b - a) * std::clamp(longer, 1.05, 4.0), end - a);
    } else if (fits > 0) {
      return fits;
    } else {
      length = (b - a) * std::clamp(std::sqrt(kAim * allowed / gap), 0.05, 0.9);
    }
  }
  return fits > 0 ? fits : a + length;
}

PartLoadCurve chords_above(const ConvexLoad& load, double tolerance) {
  PartLoadCurve curve{{0}, {load.value(0)}};
  double guess = 0.05;
  while (curve.load_ratio.back() < load.end) {
    const double a = curve.load_ratio.back();
    const double b = chord_end(load.value, a, curve.meter_ratio.back(), load.end, guess, tolerance);
    guess = b - a;
    curve.load_ratio.push_back(b);
    curve.meter_ratio.push_back(load.value(b));
  }
  return curve;
}

PartLoadCurve constant_curve(const CoolingPlant& plant) {
  return {{0, 1}, {0, plant.data().pue.value}};
}

double smallest_limit(const PlantModel& model, std::span<const Outdoors> outdoors) {
  double smallest = 1;
  for (const auto& weather : outdoors) {
    smallest = std::min(smallest, model.largest_load(weather));
  }
  return smallest;
}

}  // namespace

double meter_ratio_at(const PartLoadCurve& curve, double load_ratio) {
  const auto& x = curve.load_ratio;
  const auto& y = curve.meter_ratio;
  if (x.size() == 1 || load_ratio <= x.front()) {
    return y.front();
  }
  const auto above = std::upper_bound(x.begin(), x.end() - 1, load_ratio);
  const auto i = static_cast<std::size_t>(above - x.begin());
  const double share = std::min(1.0, (load_ratio - x[i - 1]) / (x[i] - x[i - 1]));
  return y[i - 1] + share * (y[i] - y[i - 1]);
}

PartLoadCurve mean_part_load(const CoolingPlant& plant,
                             std::span<const catalog::ClimateClass> classes, double tolerance) {
  if (plant.is_constant()) {
    return constant_curve(plant);
  }
  const PlantModel model{*plant.data().physics, *plant.supply()};
  std::vector<Outdoors> outdoors;
  double hours = 0;
  for (const auto& row : classes) {
    outdoors.push_back(model.outdoors_in({row.dry_bulb, row.wet_bulb}));
    hours += row.hours;
  }
  const auto mean = [&](double load) {
    const auto indoors = model.indoors_at(load);
    double sum = 0;
    for (std::size_t i = 0; i < classes.size(); ++i) {
      sum += classes[i].hours * model.meter_at(indoors, outdoors[i]);
    }
    return sum / hours;
  };
  return chords_above({mean, smallest_limit(model, outdoors)}, tolerance);
}

PartLoadCurve worst_part_load(const CoolingPlant& plant,
                              std::span<const catalog::ClimateClass> classes, double tolerance) {
  if (plant.is_constant()) {
    return constant_curve(plant);
  }
  const PlantModel model{*plant.data().physics, *plant.supply()};
  std::vector<Outdoors> outdoors;
  for (const auto& row : classes) {
    outdoors.push_back(model.outdoors_in({row.max_dry_bulb, row.max_wet_bulb}));
  }
  const auto worst = [&](double load) {
    const auto indoors = model.indoors_at(load);
    double most = 0;
    for (const auto& weather : outdoors) {
      most = std::max(most, model.meter_at(indoors, weather));
    }
    return most;
  };
  return chords_above({worst, smallest_limit(model, outdoors)}, tolerance);
}

double mean_water_litres_per_joule(const CoolingPlant& plant,
                                   std::span<const catalog::ClimateClass> classes,
                                   double load_ratio) {
  double water = 0;
  double hours = 0;
  for (const auto& row : classes) {
    water +=
        row.hours * plant.parts_at({watts(load_ratio)}, {watts(1)}, {row.dry_bulb, row.wet_bulb})
                        .water_litres_per_second;
    hours += row.hours;
  }
  return water / hours;
}

}  // namespace perwatt::facility
