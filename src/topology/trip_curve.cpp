#include <algorithm>
#include <cmath>

#include "perwatt/topology/power_tree.hpp"

namespace perwatt::topology {

namespace {

/// Dynamo's breakers, fitted to (1.10, 1020 s) and (1.40, 60 s): docs/reference/topology.md.
constexpr double kInverseTimeSeconds = 55.6;
constexpr double kInverseTimeExponent = 1.864;

double log_heat(double ratio) {
  return std::log(ratio * ratio - 1);
}

}  // namespace

std::optional<Seconds> TripCurve::time_to_trip(double ratio) const {
  if (!(ratio > 1)) {
    return std::nullopt;
  }
  if (points.empty()) {
    return seconds(kInverseTimeSeconds / std::pow(ratio * ratio - 1, kInverseTimeExponent));
  }
  if (ratio <= points.front().ratio) {
    return points.front().time;
  }
  if (ratio > points.back().ratio) {
    return seconds(0);
  }
  const auto above =
      std::lower_bound(points.begin(), points.end(), ratio,
                       [](const TripPoint& point, double value) { return point.ratio < value; });
  const auto& high = *above;
  const auto& low = *(above - 1);
  const double part =
      (log_heat(ratio) - log_heat(low.ratio)) / (log_heat(high.ratio) - log_heat(low.ratio));
  const double log_low = std::log(in_seconds(low.time));
  const double log_high = std::log(in_seconds(high.time));
  const double time = std::exp(log_low + part * (log_high - log_low));
  return seconds(std::clamp(time, in_seconds(high.time), in_seconds(low.time)));
}

}  // namespace perwatt::topology
