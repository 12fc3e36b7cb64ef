#include "perwatt/topology/read_bms.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "bms_points.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::topology {

namespace {

std::optional<double> scale_of(std::string_view unit,
                               std::initializer_list<std::pair<std::string_view, double>> units) {
  for (const auto& [name, scale] : units) {
    if (unit == name) {
      return scale;
    }
  }
  return std::nullopt;
}

std::optional<double> watts_per(std::string_view unit) {
  return scale_of(unit, {{"W", 1}, {"kW", 1e3}, {"MW", 1e6}});
}

/// A meter, a rack, or equipment that something serves.
struct BmsThing {
  std::string id;
  NodeKind kind = NodeKind::other;
  std::size_t line = 0;
  std::vector<std::string> serves;
  std::vector<std::string> served_by;
  std::vector<const BmsPoint*> points;
};

class BmsReader {
 public:
  BmsReader(const BmsPoints& points, const std::string& name) : points_{points}, name_{name} {}

  BmsSite site() {
    gather();
    connect();
    std::vector<NodeSpec> nodes;
    std::vector<BmsReading> readings;
    for (const auto& thing : things_) {
      nodes.push_back(node_of(thing));
      add_readings(thing, readings);
    }
    if (nodes.empty()) {
      throw_bad_input("there is no metadata of a PowerMeter", name_,
                      "record BMS/v1/PUB/Metadata/PowerMeter/# too: it is retained");
    }
    return {PowerTree::build(std::move(nodes), {}), std::move(readings), std::move(untrusted_),
            passed_over_};
  }

 private:
  [[nodiscard]] std::string place(std::size_t line) const {
    return name_ + ":" + std::to_string(line);
  }

  [[nodiscard]] static std::string title(const BmsThing& thing) {
    return (thing.kind == NodeKind::rack ? "rack '" : "meter '") + printable(thing.id) + "'";
  }

  BmsThing& thing_of(const std::string& id, NodeKind kind, std::size_t line) {
    const auto [entry, is_new] = index_.emplace(id, things_.size());
    if (is_new) {
      things_.push_back({id, kind, line, {}, {}, {}});
    }
    auto& thing = things_[entry->second];
    if (thing.kind != kind) {
      throw_bad_input("'" + printable(id) + "' is a PowerMeter and a Rack", place(line),
                      "give every object an id of its own");
    }
    return thing;
  }

  void gather() {
    for (const auto& point : points_.points) {
      if (point.object_id.empty()) {
        passed_over_ += point.values.size();  // nobody says whose values they are
        continue;
      }
      const bool is_rack = point.object == BmsObject::rack;
      auto& thing =
          thing_of(point.object_id, is_rack ? NodeKind::rack : NodeKind::other, point.line);
      thing.points.push_back(&point);
      thing.serves.insert(thing.serves.end(), point.serves.begin(), point.serves.end());
    }
  }

  /// Every served object learns who serves it. Things are added while this runs: equipment.
  void connect() {
    const std::unordered_set<std::string_view> equipment{points_.other_objects.begin(),
                                                         points_.other_objects.end()};
    for (std::size_t i = 0; i < things_.size(); ++i) {
      std::unordered_set<std::string> seen;
      const auto serves = things_[i].serves;
      for (const auto& id : serves) {
        if (!seen.insert(id).second) {
          continue;  // each point of a meter says it again
        }
        const auto found = index_.find(id);
        if (found == index_.end() && equipment.count(id) == 0) {
          throw_bad_input("meter '" + printable(things_[i].id) + "' serves '" + printable(id) +
                              "', which no message describes",
                          place(things_[i].line), "record the metadata of that object too");
        }
        auto& child = found == index_.end() ? thing_of(id, NodeKind::other, things_[i].line)
                                            : things_[found->second];
        child.served_by.push_back(things_[i].id);
      }
    }
  }

  NodeSpec node_of(const BmsThing& thing) {
    NodeSpec node;
    node.id = thing.id;
    node.kind = thing.kind;
    node.place = place(thing.line);
    if (thing.served_by.empty() && thing.kind == NodeKind::rack) {
      throw_bad_input(title(thing) + " is an orphan: no meter serves it", node.place,
                      "name it in the servesId of a PowerMeter");
    }
    for (const auto& parent : thing.served_by) {
      node.supplies.push_back({parent, 1.0 / static_cast<double>(thing.served_by.size())});
    }
    for (const auto* point : thing.points) {
      if (point->point_type == "CurrentLimit") {
        node.limits.push_back(
            {LimitKind::other, limit_of(thing, *point), {}, std::nullopt, std::nullopt});
      }
      if (is_reading(*point)) {
        node.meter = MeterSide::supply;
      }
    }
    return node;
  }

  [[nodiscard]] static bool is_reading(const BmsPoint& point) {
    return point.point_type == "ActivePower" || point.point_type == "RackPower";
  }

  [[noreturn]] void refuse_unit(const BmsThing& thing, const BmsPoint& point,
                                const std::string& known) const {
    throw_bad_input("the " + printable(point.point_type) + " of " + title(thing) + " is in '" +
                        printable(point.unit) + "'",
                    place(point.line), "give engUnit as " + known);
  }

  /// The last trusted value of a meter's point, in its base unit; nothing when it has no such
  /// point. One without a trusted value, and a second one, are refused: a limit must not hang on a
  /// guess.
  [[nodiscard]] std::optional<double> trusted(const BmsThing& thing, std::string_view type,
                                              std::optional<double> (*scale)(std::string_view),
                                              const char* units) const {
    std::optional<double> found;
    for (const auto* point : thing.points) {
      if (point->point_type != type) {
        continue;
      }
      if (found) {
        throw_bad_input(title(thing) + " has two points of " + printable(point->point_type),
                        place(point->line), "keep the one that belongs to its CurrentLimit");
      }
      const auto* value = point->last_trusted();
      if (value == nullptr) {
        throw_bad_input("the " + printable(point->point_type) + " of " + title(thing) +
                            " has no value of quality 1",
                        place(point->line), "record its value, or drop the point's metadata");
      }
      const auto factor = scale(point->unit);
      if (!factor) {
        refuse_unit(thing, *point, units);
      }
      found = value->value * *factor;
    }
    return found;
  }

  [[nodiscard]] Watts limit_of(const BmsThing& thing, const BmsPoint& point) const {
    const auto* value = point.last_trusted();
    if (value == nullptr) {
      throw_bad_input("the CurrentLimit of " + title(thing) + " has no value of quality 1",
                      place(point.line), "record its value, or drop the point's metadata");
    }
    if (const auto scale = watts_per(point.unit)) {
      return watts(value->value * *scale);
    }
    const auto amperes = scale_of(point.unit, {{"A", 1}, {"kA", 1e3}});
    if (!amperes) {
      refuse_unit(thing, point, "A, kA, W, kW or MW");
    }
    const auto volts = trusted(
        thing, "Voltage",
        [](std::string_view unit) {
          return scale_of(unit, {{"V", 1}, {"kV", 1e3}});
        },
        "V or kV");
    if (!volts) {
      throw_bad_input(title(thing) + " has a CurrentLimit in " + printable(point.unit) +
                          ", but no Voltage of quality 1",
                      place(point.line), "record its Voltage too, or give the limit in kW");
    }
    const auto power_factor = trusted(
        thing, "PowerFactor",
        [](std::string_view unit) {
          return scale_of(unit, {{"", 1}, {"%", 0.01}});
        },
        "% or leave it out");
    if (power_factor && !(*power_factor > 0 && *power_factor <= 1)) {
      throw_bad_input("the PowerFactor of " + title(thing) + " is " + shortest(*power_factor),
                      place(point.line), "record one above 0 and at most 1 (100 %)");
    }
    return watts(value->value * *amperes * *volts * std::numbers::sqrt3 * power_factor.value_or(1));
  }

  void add_readings(const BmsThing& thing, std::vector<BmsReading>& readings) {
    const BmsPoint* first = nullptr;
    for (const auto* point : thing.points) {
      if (!is_reading(*point)) {
        continue;
      }
      if (first != nullptr) {
        throw_bad_input(title(thing) + " has two points of " + point->point_type,
                        place(point->line), "keep the one of its whole supply");
      }
      first = point;
      const auto scale = watts_per(point->unit);
      if (!scale) {
        refuse_unit(thing, *point, "W, kW or MW");
      }
      bool has_untrusted = false;
      for (const auto& value : point->values) {
        has_untrusted = has_untrusted || !value.is_trusted;
        if (value.is_trusted) {
          readings.push_back({thing.id, seconds(value.time_ms / 1e3), watts(value.value * *scale)});
        }
      }
      if (has_untrusted) {
        untrusted_.push_back(title(thing) + ": " + point->point_type);
      }
    }
  }

  const BmsPoints& points_;
  const std::string& name_;
  std::vector<BmsThing> things_;  // in the order they first came
  std::unordered_map<std::string, std::size_t> index_;
  std::vector<std::string> untrusted_;
  std::size_t passed_over_ = 0;
};

}  // namespace

BmsSite read_bms(std::string_view text, const std::string& name) {
  const auto points = read_bms_points(text, name);
  auto site = BmsReader{points, name}.site();
  site.passed_over += points.passed_over;
  return site;
}

}  // namespace perwatt::topology
