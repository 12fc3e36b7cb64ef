#include "device_options.hpp"

#include <algorithm>
#include <span>

#include "perwatt/curve/power_curve.hpp"

namespace perwatt::allocate {

namespace {

using Value = Quantity<Dim<0, 0, 0, 0>>;
using Curve = curve::PowerCurve<Value>;

constexpr double kAtMost = 1e-9;  // of a bound: so little above it is at it

/// Options by rising power, without those that take more than another and yield no more.
std::vector<DeviceOption> settings_within(const SiteCurve& curve, Watts least, Watts most,
                                          double factor) {
  std::vector<DeviceOption> all;
  for (std::size_t s = 0; s < curve.settings.size(); ++s) {
    const auto& setting = curve.settings[s];
    const Watts power = std::max(setting.power, least);
    if (power <= most * (1 + kAtMost)) {
      all.push_back({std::min(power, most) * factor, setting.value, s});
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const DeviceOption& a, const DeviceOption& b) {
    return a.power != b.power ? a.power < b.power : a.value > b.value;
  });
  std::vector<DeviceOption> kept;
  for (const auto& option : all) {
    if (kept.empty() || option.value > kept.back().value) {
      kept.push_back(option);
    }
  }
  return kept;
}

std::vector<CurvePoint> hull_of(const std::vector<DeviceOption>& options) {
  if (options.empty()) {
    return {};
  }
  std::vector<Curve::Point> points;
  points.reserve(options.size());
  for (const auto& option : options) {
    points.push_back({option.power, Value::from_base(option.value)});
  }
  std::vector<CurvePoint> hull;
  const auto curve = Curve::hull_of(points);
  for (const auto& point : curve.points()) {
    hull.push_back({point.power, point.value.in_base()});
  }
  return hull;
}

/// The part of the curve from `least` to `most`, in root watts.
std::vector<CurvePoint> any_within(const SiteCurve& curve, Watts least, Watts most, double factor) {
  std::vector<Curve::Point> points;
  for (const auto& setting : curve.settings) {
    points.push_back({setting.power, Value::from_base(setting.value)});
  }
  const auto whole = Curve::hull_of(points);
  if (whole.min_power() > most * (1 + kAtMost)) {
    return {};
  }
  if (least >= whole.max_power()) {
    return {{least * factor, whole.points().back().value.in_base()}};
  }
  std::vector<CurvePoint> part;
  const Watts low = std::min(std::max(least, whole.min_power()), most);
  const Watts high = std::min(whole.max_power(), most);
  const auto add = [&](Watts power) {
    const Watts on_curve = std::max(power, whole.min_power());
    part.push_back({power * factor, whole.value_at(on_curve)->in_base()});
  };
  add(low);
  for (const auto& point : whole.points()) {
    if (point.power > low && point.power < high) {
      add(point.power);
    }
  }
  if (high > low) {
    add(high);
  }
  return part;
}

}  // namespace

std::optional<DeviceOptions> device_options(const SiteCurve& curve, Watts least, Watts most,
                                            double factor) {
  DeviceOptions options;
  if (curve.is_discrete) {
    options.options = settings_within(curve, least, most, factor);
    options.hull = hull_of(options.options);
  } else {
    options.hull = any_within(curve, least, most, factor);
  }
  return options.hull.empty() ? std::nullopt : std::optional{std::move(options)};
}

}  // namespace perwatt::allocate
