#include "perwatt/allocate/problem.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace perwatt::allocate {

namespace {

constexpr double kSteeperByRounding = 1e-9;
constexpr double kMost = 1e15;

}  // namespace

std::optional<const char*> curve_fault(std::span<const CurvePoint> curve) {
  if (curve.empty()) {
    return "a curve needs one point or more";
  }
  double last_slope = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < curve.size(); ++i) {
    const double watts = curve[i].power.in_base();
    if (!std::isfinite(watts) || !std::isfinite(curve[i].value)) {
      return "watts and value must be finite";
    }
    if (watts < 0) {
      return "watts must be 0 or more";
    }
    if (watts > kMost || std::abs(curve[i].value) > kMost) {
      return "watts and value must be 1e15 at most";
    }
    if (i == 0) {
      continue;
    }
    if (curve[i].power <= curve[i - 1].power) {
      return "watts must rise from point to point";
    }
    const double slope =
        (curve[i].value - curve[i - 1].value) / (curve[i].power - curve[i - 1].power).in_base();
    if (!std::isfinite(slope)) {
      return "the value of one more watt must be finite";
    }
    if (slope > last_slope + std::abs(last_slope) * kSteeperByRounding) {
      return "value must be concave in watts: no slope above the one before";
    }
    last_slope = std::min(slope, last_slope);
  }
  return std::nullopt;
}

double value_at(std::span<const CurvePoint> curve, Watts power) {
  double value = curve.front().value;
  for (std::size_t i = 1; i < curve.size() && power > curve[i - 1].power; ++i) {
    const double more = curve[i].value - curve[i - 1].value;
    if (power >= curve[i].power) {
      value += more;
    } else {
      value += more * ((power - curve[i - 1].power) / (curve[i].power - curve[i - 1].power));
    }
  }
  return value;
}

NodeIndex Problem::add_node(std::optional<NodeIndex> parent, Watts limit) {
  nodes_.push_back({parent, limit});
  return NodeIndex{static_cast<std::uint32_t>(nodes_.size() - 1)};
}

DeviceIndex Problem::add_device(NodeIndex parent, std::span<const CurvePoint> curve,
                                const DeviceTerms& terms, std::size_t most_points) {
  const std::vector<CurvePoint> points(curve.begin(), curve.end());  // may be one of its own
  const std::size_t first = points_.size();
  points_.insert(points_.end(), points.begin(), points.end());
  const std::size_t end = points_.size();
  points_.resize(std::max(end, first + most_points));
  devices_.push_back({parent, terms, first, end, points_.size()});
  return DeviceIndex{static_cast<std::uint32_t>(devices_.size() - 1)};
}

CapGroupIndex Problem::add_cap_group() {
  return CapGroupIndex{static_cast<std::uint32_t>(cap_groups_++)};
}

GuaranteeIndex Problem::add_guarantee(Watts watts) {
  guarantees_.push_back(watts);
  return GuaranteeIndex{static_cast<std::uint32_t>(guarantees_.size() - 1)};
}

CrossLimitIndex Problem::add_cross_limit(Watts limit, std::vector<WattShare> shares) {
  cross_limits_.push_back({limit, std::move(shares)});
  return CrossLimitIndex{static_cast<std::uint32_t>(cross_limits_.size() - 1)};
}

void Problem::set_limit(NodeIndex node, Watts limit) {
  nodes_[static_cast<std::size_t>(node)].limit = limit;
}

void Problem::set_cross_limit(CrossLimitIndex cross, Watts limit) {
  cross_limits_[static_cast<std::size_t>(cross)].limit = limit;
}

void Problem::set_curve(DeviceIndex device, std::span<const CurvePoint> curve) {
  auto& d = devices_[static_cast<std::size_t>(device)];
  if (curve.size() > d.end_of_room - d.first_point) {
    const std::vector<CurvePoint> points(curve.begin(), curve.end());  // may be one of its own
    d.first_point = points_.size();
    points_.insert(points_.end(), points.begin(), points.end());
    d.end_of_room = points_.size();
  } else {
    std::memmove(points_.data() + d.first_point, curve.data(), curve.size_bytes());
  }
  d.end_point = d.first_point + curve.size();
}

std::span<const CurvePoint> Problem::curve(DeviceIndex device) const {
  const auto& d = devices_[static_cast<std::size_t>(device)];
  return std::span{points_}.subspan(d.first_point, d.end_point - d.first_point);
}

}  // namespace perwatt::allocate
