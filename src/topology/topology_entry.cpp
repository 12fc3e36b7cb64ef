#include "topology_entry.hpp"

#include <array>
#include <utility>

#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::topology {

namespace {

constexpr std::int64_t kMostCount = 4'000'000;

/// A word of a closed list, or nothing when the key is absent.
template <class T>
std::optional<T> word(const ConfigTable& table, const char* key,
                      std::optional<T> (*parse)(std::string_view),
                      const std::vector<std::string>& words) {
  const auto text = table.optional_text(key);
  if (!text) {
    return std::nullopt;
  }
  const auto value = parse(*text);
  if (!value) {
    table.fail(key, "'" + printable(*text) + "' is not known", suggestion(*text, words));
  }
  return value;
}

std::optional<Watts> optional_power(const ConfigTable& table, const char* key) {
  if (!table.has(key)) {
    (void)table.optional_text(key);  // a key that is known all the same
    return std::nullopt;
  }
  return table.power(key);
}

std::optional<TripCurve> read_curve(const ConfigTable& table, LimitKind kind) {
  TripCurve curve;
  for (const auto& point : table.tables("trip")) {
    TripPoint read;
    read.ratio = point.number("at", {1, 1000});
    const auto after = point.optional_duration("after");
    if (!after) {
      point.fail("after", "is missing", "add after = \"60s\"");
    }
    read.time = *after;
    point.reject_unknown_keys();
    curve.points.push_back(read);
  }
  if (curve.points.empty() && kind != LimitKind::breaker) {
    return std::nullopt;
  }
  return curve;
}

void read_limit(const ConfigTable& table, std::vector<Limit>& limits) {
  Limit limit;
  limit.power = table.power("power");
  limit.kind = word(table, "what", parse_limit_kind,
                    {"breaker", "ups", "demand", "contract", "cooling", "other"})
                   .value_or(LimitKind::other);
  limit.window = table.optional_duration("window").value_or(Seconds{});
  limit.curve = read_curve(table, limit.kind);
  const auto phase = table.optional_text("phase");
  table.reject_unknown_keys();
  if (phase == "each") {
    for (const auto one : kPhases) {
      limit.phase = one;
      limits.push_back(limit);
    }
    return;
  }
  limit.phase = word(table, "phase", parse_phase, {"L1", "L2", "L3", "each"});
  limits.push_back(std::move(limit));
}

std::vector<SupplySpec> read_parents(const ConfigTable& table) {
  std::vector<SupplySpec> parents;
  if (const auto parent = table.optional_text("parent")) {
    parents.push_back({*parent, 1});
  }
  const auto feeds = table.tables("feeds");
  if (!feeds.empty() && !parents.empty()) {
    table.fail("feeds", "stands beside parent", "keep one of the two");
  }
  for (const auto& feed : feeds) {
    const auto share = feed.optional_number("share", kRatio);
    parents.push_back(
        {feed.text("parent"), share.value_or(1.0 / static_cast<double>(feeds.size()))});
    feed.reject_unknown_keys();
  }
  return parents;
}

std::optional<std::uint32_t> read_count(const ConfigTable& table) {
  const auto count = table.optional_integer("count", 1, kMostCount);
  return count ? std::optional{static_cast<std::uint32_t>(*count)} : std::nullopt;
}

}  // namespace

const std::string& TopologyEntry::place() const {
  return std::visit([](const auto& spec) -> const std::string& { return spec.place; }, made);
}

TopologyEntry read_node_entry(const ConfigTable& table) {
  NodeSpec node;
  TopologyEntry entry;
  entry.id = table.text("id");
  entry.parents = read_parents(table);
  entry.count = read_count(table);
  node.kind = word(table, "kind", parse_node_kind,
                   {"site", "utility", "switchboard", "ups", "pdu", "row", "rack", "node", "other"})
                  .value_or(NodeKind::other);
  for (const auto& limit : table.tables("limits")) {
    read_limit(limit, node.limits);
  }
  if (const auto efficiency = table.optional_number("efficiency", {1 / kMostPathFactor, 1})) {
    node.factor = 1 / *efficiency;
  }
  node.fixed = optional_power(table, "fixed").value_or(Watts{});
  node.feed = table.optional_text("feed").value_or("");
  node.phase = word(table, "phase", parse_phase, {"L1", "L2", "L3"});
  node.meter = word(table, "meter", parse_meter_side, {"supply", "load"});
  node.place = table.where("id");
  table.reject_unknown_keys();
  entry.made = std::move(node);
  return entry;
}

TopologyEntry read_device_entry(const ConfigTable& table) {
  DeviceSpec device;
  TopologyEntry entry;
  entry.id = table.text("id");
  entry.parents = {{table.text("parent"), 1}};
  entry.count = read_count(table);
  device.min = optional_power(table, "min").value_or(Watts{});
  device.max = table.power("max");
  device.guaranteed = optional_power(table, "guaranteed");
  device.fail_safe = optional_power(table, "fail_safe");
  device.vendor = table.optional_text("vendor").value_or("");
  device.accelerator = table.optional_text("accelerator").value_or("");
  device.curve = table.optional_text("curve").value_or("");
  device.place = table.where("id");
  table.reject_unknown_keys();
  entry.made = std::move(device);
  return entry;
}

}  // namespace perwatt::topology
