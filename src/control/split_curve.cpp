#include "split_curve.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "curve_walk.hpp"

namespace perwatt::control {

namespace {

/// Of the least slope of a curve.
constexpr double kHeadroomWorth = 1e-6;

/// As value_at, but below its first point the curve goes on as steeply as it begins: a device that
/// falls back below it is still worth raising.
double value_from(std::span<const allocate::CurvePoint> curve, CurveWalk& walk, Watts power) {
  if (power >= curve.front().power || curve.size() < 2) {
    return walk.value_at(power);
  }
  const double slope =
      (curve[1].value - curve[0].value) / in_watts(curve[1].power - curve[0].power);
  return curve[0].value - slope * in_watts(curve[0].power - power);
}

/// Beyond what a device wants now, a watt is worth its value times the share of time in which it
/// is wanted, and headroom at least.
void add_habits(const ControlledDevice& device, const SplitTerms& terms, double value,
                Watts highest, CurveWalk& walk, std::vector<allocate::CurvePoint>& points) {
  const auto habits = terms.demand->habits();
  double last_slope = std::numeric_limits<double>::infinity();
  if (points.size() > 1) {
    const auto& before = points[points.size() - 2];
    last_slope = std::max(
        0.0, (points.back().value - before.value) / in_watts(points.back().power - before.power));
  }
  for (std::size_t k = 0; k < Demand::kLevels; ++k) {
    const Watts level = device.least + (device.most - device.least) *
                                           (static_cast<double>(k + 1) / Demand::kLevels);
    const Watts to = std::min(level, highest);
    const bool is_last_alike =
        k + 1 == Demand::kLevels || to == highest || habits[k] != habits[k + 1];
    if (!is_last_alike) {
      continue;
    }
    const Watts power = charge_at_root(device.terms, terms.root_factor, to);
    if (power <= points.back().power) {
      continue;
    }
    const double share = habits[k] / double{Demand::kParts};
    const double more = in_watts(power - points.back().power);
    const double value_before = std::exchange(value, walk.value_at(to));
    const double gain = value - value_before;
    last_slope = std::min(last_slope, std::max(terms.headroom, share * gain / more));
    points.push_back({power, points.back().value + last_slope * more});
  }
}

}  // namespace

double headroom_worth(std::span<const ControlledDevice> devices,
                      std::span<const double> root_factors) {
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t d = 0; d < devices.size(); ++d) {
    const auto& [terms, lowest, highest, curve] = devices[d];
    for (std::size_t i = 1; i < curve.size(); ++i) {
      const double slope = (curve[i].value - curve[i - 1].value) /
                           in_watts(charge_at_root(terms, root_factors[d], curve[i].power) -
                                    charge_at_root(terms, root_factors[d], curve[i - 1].power));
      least = slope > 0 ? std::min(least, slope) : least;
    }
  }
  return std::isfinite(least) ? least * kHeadroomWorth : kHeadroomWorth;
}

void split_curve(const ControlledDevice& device, const SplitTerms& terms,
                 std::vector<allocate::CurvePoint>& points) {
  const auto& curve = device.curve;
  const Watts fail_safe = std::clamp(device.terms.fail_safe, device.least, device.most);
  const Watts highest = std::max(terms.most, fail_safe);
  const Watts wanted = std::clamp(terms.demand->estimate(), fail_safe, highest);
  points.clear();
  CurveWalk walk{curve};
  const auto add = [&](Watts cap, double value) {
    const Watts power = charge_at_root(device.terms, terms.root_factor, cap);
    if (points.empty() || power > points.back().power) {
      points.push_back({power, value});
    }
  };
  add(fail_safe, value_from(curve, walk, fail_safe));
  for (const auto& point : curve) {
    if (point.power > fail_safe && point.power < wanted) {
      add(point.power, point.value);
    }
  }
  add(wanted, value_from(curve, walk, wanted));
  add_habits(device, terms, walk.value_at(wanted), highest, walk, points);
}

}  // namespace perwatt::control
