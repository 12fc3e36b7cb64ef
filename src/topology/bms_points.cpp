#include "bms_points.hpp"

#include <algorithm>
#include <cmath>

#include "perwatt/base/error.hpp"
#include "perwatt/base/json_node.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::topology {

namespace {

constexpr const char* kMessageRemedy =
    "write one {\"topic\": \"BMS/v1/PUB/…\", \"payload\": {…}} per line";
constexpr std::size_t kLongestLine = 1U << 20U;

/// BMS / v1 / publisher / Metadata|Value / object type / point type / tag path.
struct BmsTopic {
  bool is_metadata = false;
  std::string_view object_type;
  std::string_view point_type;
  std::string_view point;  // object type, point type and tag path
};

/// Points whose values make the tree; the rest may hold words.
bool is_used(std::string_view point_type) {
  constexpr std::string_view kUsed[] = {"ActivePower", "CurrentLimit", "PowerFactor", "RackPower",
                                        "Voltage"};
  return std::find(std::begin(kUsed), std::end(kUsed), point_type) != std::end(kUsed);
}

/// Nothing for a topic of an integration's, which is a request and no reading.
std::optional<BmsTopic> parse_topic(std::string_view text, const std::string& where) {
  const auto parts = split(text, '/');
  const bool is_bms = parts.size() >= 7 && parts[0] == "BMS" && parts[1] == "v1" &&
                      (parts[3] == "Metadata" || parts[3] == "Value");
  if (!is_bms) {
    throw_bad_input("'" + printable(text) + "' is no topic of the BMS", where,
                    "write BMS/v1/PUB/Metadata|Value/objectType/pointType/tagPath");
  }
  if (parts[2] != "PUB") {
    return std::nullopt;
  }
  const std::size_t at = parts[0].size() + parts[1].size() + parts[2].size() + parts[3].size() + 4;
  BmsTopic topic;
  topic.is_metadata = parts[3] == "Metadata";
  topic.point = text.substr(at);
  topic.object_type = text.substr(at, parts[4].size());
  topic.point_type = text.substr(at + parts[4].size() + 1, parts[5].size());
  return topic;
}

std::optional<BmsObject> object_of(std::string_view type) {
  if (type == "PowerMeter") {
    return BmsObject::power_meter;
  }
  return type == "Rack" ? std::optional{BmsObject::rack} : std::nullopt;
}

class PointReader {
 public:
  explicit PointReader(BmsPoints& into) : into_{into} {}

  void read(const JsonNode& message, std::size_t line) {
    const auto text = message.text("topic");
    const auto topic = parse_topic(text, message.place("topic"));
    const auto payload = message.node("payload");
    const auto object = topic ? object_of(topic->object_type) : std::nullopt;
    if (!object || (!topic->is_metadata && !is_used(topic->point_type))) {
      ++into_.passed_over;
      if (topic && topic->is_metadata && payload.has("objectId")) {
        into_.other_objects.push_back(object_id(payload, "objectId"));
      }
      return;
    }
    const auto [entry, is_new] = index_.emplace(std::string{topic->point}, into_.points.size());
    if (is_new) {
      into_.points.emplace_back();
      into_.points.back().object = *object;
      into_.points.back().point_type = std::string{topic->point_type};
    }
    auto& point = into_.points[entry->second];
    if (topic->is_metadata) {
      read_metadata(payload, line, point);
    } else {
      read_value(payload, line, point);
    }
  }

 private:
  static std::string object_id(const JsonNode& payload, const char* key) {
    auto id = payload.text(key);
    if (trimmed(id).empty() || printable(id, id.size() + 1) != id) {
      payload.fail(key, "a name without control characters");
    }
    return id;
  }

  static void read_metadata(const JsonNode& payload, std::size_t line, BmsPoint& point) {
    const bool is_meter = point.object == BmsObject::power_meter;
    point.object_id = object_id(payload, is_meter ? "objectId" : "rackLocationId");
    point.unit = payload.optional_text("engUnit");
    point.serves = is_meter ? payload.texts("servesId") : std::vector<std::string>{};
    point.line = line;
  }

  static void read_value(const JsonNode& payload, std::size_t line, BmsPoint& point) {
    BmsValue value;
    value.line = line;
    value.value = payload.optional_number("value").value_or(0);  // null: none is known
    value.time_ms = payload.optional_number("timestamp").value_or(0);
    value.is_trusted = payload.has("value") && payload.optional_number("quality") == 1.0;
    point.values.push_back(value);
  }

  BmsPoints& into_;
  std::unordered_map<std::string, std::size_t> index_;
};

}  // namespace

const BmsValue* BmsPoint::last_trusted() const {
  const auto last =
      std::find_if(values.rbegin(), values.rend(), [](const auto& v) { return v.is_trusted; });
  return last == values.rend() ? nullptr : &*last;
}

BmsPoints read_bms_points(std::string_view text, const std::string& name) {
  BmsPoints points;
  PointReader reader{points};
  std::size_t line = 0;
  while (!text.empty()) {
    ++line;
    const auto end = std::min(text.find('\n'), text.size());
    const auto content = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(text.size(), end + 1));
    if (content.empty()) {
      continue;
    }
    const auto where = name + ":" + std::to_string(line);
    if (content.size() > kLongestLine) {
      throw_bad_input("a message of " + std::to_string(content.size()) + " bytes", where,
                      "at most 1 MiB a line");
    }
    const auto json = parse_json(content, where, kMessageRemedy);
    reader.read(JsonNode{json, where, kMessageRemedy}, line);
  }
  for (auto& point : points.points) {
    std::stable_sort(point.values.begin(), point.values.end(),
                     [](const auto& a, const auto& b) { return a.time_ms < b.time_ms; });
  }
  return points;
}

}  // namespace perwatt::topology
