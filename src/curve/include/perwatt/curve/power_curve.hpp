// Concave piecewise-linear curves: what a unit of work yields as a function of the watts it is
// given.
//
// A curve is its breakpoints in order of rising power. Between the first and the last breakpoint it
// is linear and concave (slopes fall strictly); it is not defined outside. Concavity is what makes
// the split of watts over many curves exact: a hull point between two breakpoints is reached by
// running a share of the replicas at either end (docs/model/plan.md#mixing).
//
// `Value` is any Quantity (tokens/s, USD/s, …). All functions are pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "perwatt/base/units.hpp"

namespace perwatt::curve {

template <class Value>
struct CurvePoint {
  Watts power;
  Value value;

  bool operator==(const CurvePoint&) const = default;
};

/// Indices of the points on the upper concave hull, by rising power. Ties in power keep the highest
/// value; ties in both keep the lowest index; points on a straight line between two hull points are
/// left out. After the point of highest value nothing follows: more power never has to be used.
template <class Value>
std::vector<std::size_t> concave_hull(std::span<const CurvePoint<Value>> points) {
  std::vector<std::size_t> order(points.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
  }
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (points[a].power != points[b].power) {
      return points[a].power < points[b].power;
    }
    if (points[a].value != points[b].value) {
      return points[a].value > points[b].value;
    }
    return a < b;
  });
  std::vector<std::size_t> hull;
  for (const std::size_t next : order) {
    const auto& p = points[next];
    if (!hull.empty() && p.value <= points[hull.back()].value) {
      continue;  // more power for no more value
    }
    while (hull.size() >= 2) {
      const auto& a = points[hull[hull.size() - 2]];
      const auto& b = points[hull.back()];
      const double left = (b.value - a.value).in_base() * (p.power - b.power).in_base();
      const double right = (p.value - b.value).in_base() * (b.power - a.power).in_base();
      if (left > right) {
        break;
      }
      hull.pop_back();
    }
    hull.push_back(next);
  }
  return hull;
}

template <class Value>
class PowerCurve {
 public:
  using Point = CurvePoint<Value>;

  /// The upper concave hull of `points`. REQUIRES: at least one point.
  static PowerCurve hull_of(std::span<const Point> points) {
    PowerCurve curve;
    for (const std::size_t i : concave_hull<Value>(points)) {
      curve.points_.push_back(points[i]);
    }
    return curve;
  }

  [[nodiscard]] std::span<const Point> points() const { return points_; }

  [[nodiscard]] Watts min_power() const { return points_.front().power; }

  [[nodiscard]] Watts max_power() const { return points_.back().power; }

  /// The value at `power`, or nothing outside [min_power, max_power].
  [[nodiscard]] std::optional<Value> value_at(Watts power) const {
    if (power < min_power() || power > max_power()) {
      return std::nullopt;
    }
    const auto right = std::lower_bound(points_.begin(), points_.end(), power,
                                        [](const Point& p, Watts w) { return p.power < w; });
    if (right->power == power) {
      return right->value;
    }
    const auto left = right - 1;
    const double share = (power - left->power) / (right->power - left->power);
    return left->value + (right->value - left->value) * share;
  }

  /// What one more watt yields at `power`: the slope to the right, 0 at and beyond the end.
  [[nodiscard]] auto slope_at(Watts power) const {
    using Slope = decltype(Value{} / watts(1));
    for (std::size_t i = 0; i + 1 < points_.size(); ++i) {
      if (power < points_[i + 1].power) {
        return (points_[i + 1].value - points_[i].value) /
               (points_[i + 1].power - points_[i].power);
      }
    }
    return Slope{};
  }

  /// The part of the curve up to `limit`; nothing when `limit` is below min_power.
  [[nodiscard]] std::optional<PowerCurve> cut(Watts limit) const {
    if (limit < min_power()) {
      return std::nullopt;
    }
    PowerCurve shorter;
    for (const auto& point : points_) {
      if (point.power <= limit) {
        shorter.points_.push_back(point);
      }
    }
    if (shorter.max_power() < limit && limit < max_power()) {
      shorter.points_.push_back({limit, *value_at(limit)});
    }
    return shorter;
  }

  /// The best joint value of two uses at every total power (the sup-convolution): segments of both,
  /// steepest first.
  friend PowerCurve operator+(const PowerCurve& a, const PowerCurve& b) {
    PowerCurve sum;
    std::size_t i = 0;
    std::size_t j = 0;
    sum.points_.push_back({a.min_power() + b.min_power(), a.points_[0].value + b.points_[0].value});
    while (i + 1 < a.points_.size() || j + 1 < b.points_.size()) {
      const bool from_a = j + 1 >= b.points_.size() ||
                          (i + 1 < a.points_.size() && a.steepness(i) >= b.steepness(j));
      const auto& from = from_a ? a.points_[i] : b.points_[j];
      const auto& to = from_a ? a.points_[i + 1] : b.points_[j + 1];
      (from_a ? i : j) += 1;
      const auto& last = sum.points_.back();
      sum.points_.push_back(
          {last.power + (to.power - from.power), last.value + (to.value - from.value)});
    }
    return hull_of(sum.points_);
  }

 private:
  [[nodiscard]] double steepness(std::size_t segment) const {
    return (points_[segment + 1].value - points_[segment].value).in_base() /
           (points_[segment + 1].power - points_[segment].power).in_base();
  }

  std::vector<Point> points_;
};

}  // namespace perwatt::curve
