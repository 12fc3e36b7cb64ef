// Reading one site: along a curve, between curves, beyond the last.
#include <algorithm>
#include <cmath>
#include <utility>

#include "operator_spread.hpp"

#include "perwatt/inference/operator_family.hpp"

namespace perwatt::inference {

namespace {

double octaves_between(double a, double b) {
  return std::abs(std::log2(a / b));
}

double blend(double low, double high, double share) {
  return low + share * (high - low);
}

/// Watts between two readings; where only one has them, those.
double blend_watts(double low, double high, double share) {
  if (low > 0 && high > 0) {
    return blend(low, high, share);
  }
  return std::max(low, high);
}

}  // namespace

OperatorFamily::Bracket OperatorFamily::bracket(const Curve& curve, double place,
                                                const Node* unknown) {
  const auto& nodes = curve.nodes;
  auto high = std::lower_bound(nodes.begin(), nodes.end(), place,
                               [](const Node& node, double p) { return node.place < p; });
  if (high != nodes.end() && &*high == unknown) {
    ++high;
  }
  if (high == nodes.end()) {
    return {};
  }
  if (high->place == place) {
    return {&*high, &*high};
  }
  auto low = high;
  do {
    if (low == nodes.begin()) {
      return {};
    }
    --low;
  } while (&*low == unknown);
  return {&*low, &*high};
}

OperatorFamily::Reading OperatorFamily::between(const Bracket& around, double place) const {
  const auto& low = *around.low;
  const auto& high = *around.high;
  if (around.low == around.high) {
    return {low.seconds, low.watts, 0, OperatorRelation::measured, 0};
  }
  const double share = (axis_of(place) - low.axis) / (high.axis - low.axis);
  return {blend(low.seconds, high.seconds, share), blend_watts(low.watts, high.watts, share),
          std::min(octaves_between(place, low.place), octaves_between(high.place, place)),
          OperatorRelation::interpolated, 0};
}

const OperatorFamily::Curve* OperatorFamily::nearest_curve(const Line& line, const Query& query,
                                                           const Curve* other_than,
                                                           const Node* unknown) {
  const Curve* best = nullptr;
  bool best_is_exact = false;
  double best_distance = 0;
  for (const auto& curve : line.curves) {
    if (&curve == other_than) {
      continue;
    }
    const auto around = bracket(curve, query.place, unknown);
    if (around.low == nullptr) {
      continue;
    }
    const bool is_exact = around.low == around.high;
    const double distance = octaves_between(curve.split, query.split);
    if (best == nullptr || is_exact > best_is_exact ||
        (is_exact == best_is_exact && distance < best_distance)) {
      best = &curve;
      best_is_exact = is_exact;
      best_distance = distance;
    }
  }
  return best;
}

std::optional<OperatorFamily::Reading> OperatorFamily::on_line(const Line& line, const Query& query,
                                                               const Node* unknown) const {
  const auto found = std::find_if(line.curves.begin(), line.curves.end(),
                                  [&](const Curve& c) { return c.split == query.split; });
  const Curve* own = found == line.curves.end() ? nullptr : &*found;
  const auto own_around = own == nullptr ? Bracket{} : bracket(*own, query.place, unknown);
  if (own_around.low != nullptr && own_around.low == own_around.high) {
    return between(own_around, query.place);
  }
  const auto* other = nearest_curve(line, query, own, unknown);
  if (other == nullptr) {
    return own_around.low == nullptr ? std::nullopt
                                     : std::optional{between(own_around, query.place)};
  }
  const auto around = bracket(*other, query.place, unknown);
  auto twin = between(around, query.place);
  if (twin.relation == OperatorRelation::measured) {
    twin.relation = OperatorRelation::interpolated;
  }
  const bool is_exact = around.low == around.high;
  if (own_around.low == nullptr || (is_exact && op_ == Operator::context_attention)) {
    return twin;
  }
  auto reading = between(own_around, query.place);
  // The twin's shape between the two nodes, where it knows more than its ends.
  const auto low = bracket(*other, own_around.low->place, unknown);
  const auto high = bracket(*other, own_around.high->place, unknown);
  if (is_exact && low.low != nullptr && high.low != nullptr) {
    const double share = (axis_of(query.place) - own_around.low->axis) /
                         (own_around.high->axis - own_around.low->axis);
    const double straight = blend(between(low, own_around.low->place).seconds,
                                  between(high, own_around.high->place).seconds, share);
    reading.seconds *= twin.seconds / straight;
    if (twin.watts > 0) {
      reading.watts = twin.watts;
    }
  }
  return reading;
}

std::optional<OperatorFamily::Reading> OperatorFamily::in_site(const Site& site, const Query& query,
                                                               const Node* unknown) const {
  auto reading = between_lines(site, query, unknown);
  return reading ? reading : beyond(site, query, unknown);
}

std::optional<OperatorFamily::Reading> OperatorFamily::between_lines(const Site& site,
                                                                     const Query& query,
                                                                     const Node* unknown) const {
  const auto at = std::lower_bound(site.lines.begin(), site.lines.end(), query.level,
                                   [](const Line& line, double l) { return line.level < l; });
  if (at != site.lines.end() && at->level == query.level) {
    if (auto reading = on_line(*at, query, unknown)) {
      return reading;
    }
  }
  std::optional<Reading> low;
  std::optional<Reading> high;
  double low_level = 0;
  double high_level = 0;
  for (auto line = at; line != site.lines.begin() && !low;) {
    --line;
    if (octaves_between(line->level, query.level) > kMostOctavesBetweenLines) {
      break;
    }
    low = on_line(*line, query, unknown);
    low_level = line->level;
  }
  for (auto line = at; low && line != site.lines.end() && !high; ++line) {
    if (line->level == query.level) {
      continue;
    }
    if (octaves_between(line->level, query.level) > kMostOctavesBetweenLines) {
      break;
    }
    high = on_line(*line, query, unknown);
    high_level = line->level;
  }
  if (!low || !high) {
    return std::nullopt;
  }
  const double share = (query.level - low_level) / (high_level - low_level);
  const double across =
      std::min(octaves_between(query.level, low_level), octaves_between(high_level, query.level));
  return Reading{
      blend(low->seconds, high->seconds, share), blend_watts(low->watts, high->watts, share),
      std::hypot(across, std::max(low->octaves, high->octaves)), OperatorRelation::interpolated, 0};
}

std::array<const OperatorFamily::Node*, 4> OperatorFamily::nodes_near(const Curve& curve,
                                                                      double place) {
  const auto& nodes = curve.nodes;
  const auto at = std::lower_bound(nodes.begin(), nodes.end(), place,
                                   [](const Node& node, double p) { return node.place < p; });
  const auto index = static_cast<std::size_t>(at - nodes.begin());
  std::array<const Node*, 4> result{};
  for (std::size_t i = 0; i < result.size(); ++i) {  // two on either side: one may be unknown
    if (index + i >= 2 && index + i - 2 < nodes.size()) {
      result[i] = &nodes[index + i - 2];
    }
  }
  return result;
}

std::optional<OperatorFamily::Reading> OperatorFamily::beyond(const Site& site, const Query& query,
                                                              const Node* unknown) const {
  const Node* nearest = nullptr;
  double distance = 0;
  Query there = query;
  const double log_level = std::log2(query.level);
  const double log_place = std::log2(query.place);
  for (const auto& line : site.lines) {
    const double across = log_level - line.log_level;
    if (across > kMostOctavesUp || -across > kMostOctavesDown ||
        (nearest != nullptr && std::abs(across) >= distance)) {
      continue;
    }
    for (const auto& curve : line.curves) {
      for (const auto* node : nodes_near(curve, query.place)) {
        if (node == nullptr || node == unknown) {
          continue;
        }
        const double along = log_place - node->log_place;
        const double total = std::abs(across) + std::abs(along);
        if (along > kMostOctavesUp || -along > kMostOctavesDown ||
            (nearest != nullptr && total >= distance)) {
          continue;
        }
        nearest = node;
        distance = total;
        there.level = line.level;
        there.split = curve.split;
        there.place = node->place;
      }
    }
  }
  if (nearest == nullptr || distance > kMostOctavesUp) {
    return std::nullopt;
  }
  const double light = light_seconds(query);
  const double light_there = light_seconds(there);
  const double time = nearest->seconds * (light + floor_seconds_) / (light_there + floor_seconds_);
  return Reading{time, nearest->watts, distance, OperatorRelation::held,
                 light_there / nearest->seconds};
}

}  // namespace perwatt::inference
