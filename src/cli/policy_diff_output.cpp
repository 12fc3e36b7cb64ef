#include "policy_diff_output.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "json_values.hpp"
#include "table.hpp"
#include <fmt/format.h>

#include "perwatt/base/text.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::cli {

namespace {

using simulate::DeviceDiff;
using simulate::NodeDiff;
using simulate::NodeUnder;

constexpr std::size_t kMostDeviceRows = 10;

std::optional<Watts> headroom_of(const std::optional<NodeUnder>& node) {
  return node && node->limit ? std::optional{*node->limit - node->at_caps} : std::nullopt;
}

std::optional<Watts> at_caps_of(const std::optional<NodeUnder>& node) {
  return node ? std::optional{node->at_caps} : std::nullopt;
}

std::string change_text(const std::optional<Watts>& before, const std::optional<Watts>& after) {
  const auto text = [](const std::optional<Watts>& power) {
    return power ? power_text(*power) : "-";
  };
  return text(before) == text(after) ? text(before) : text(before) + " -> " + text(after);
}

std::string value_text(const NodeDiff& node) {
  const auto value = [](const std::optional<NodeUnder>& side) {
    return side ? in_usd_per_hour(side->value) : 0.0;
  };
  const double more = value(node.after) - value(node.before);
  return std::abs(more) < 0.005 ? "0" : fmt::format("{}{}", more > 0 ? "+" : "", significant(more));
}

/// To a watt; a device that is not there has none.
double change_watts(const DeviceDiff& device) {
  return std::round(in_watts(device.after.value_or(Watts{}) - device.before.value_or(Watts{})));
}

std::string devices_text(const simulate::PolicyDiff& diff) {
  std::vector<const DeviceDiff*> changed;
  double raised = 0;
  double lowered = 0;
  std::size_t raises = 0;
  for (const auto& device : diff.devices) {
    const double change = change_watts(device);
    if (change != 0) {
      changed.push_back(&device);
      raises += change > 0 ? 1 : 0;
      (change > 0 ? raised : lowered) += std::abs(change);
    }
  }
  std::string text = fmt::format("{} of {} devices get more ({} in all), {} less ({})\n", raises,
                                 diff.devices.size(), power_text(watts(raised)),
                                 changed.size() - raises, power_text(watts(lowered)));
  if (changed.empty()) {
    return text;
  }
  std::stable_sort(changed.begin(), changed.end(), [](const DeviceDiff* a, const DeviceDiff* b) {
    return std::abs(change_watts(*a)) > std::abs(change_watts(*b));
  });
  TextTable table{{"changes most", "wants", "cap"}};
  for (std::size_t d = 0; d < std::min(changed.size(), kMostDeviceRows); ++d) {
    table.add({printable(changed[d]->id), power_text(changed[d]->demand),
               change_text(changed[d]->before, changed[d]->after)});
  }
  return text + "\n" + table.text();
}

Json node_under_json(const std::optional<NodeUnder>& node) {
  if (!node) {
    return nullptr;
  }
  return {{"at_caps_watts", in_watts(node->at_caps)},
          {"limit_watts", base_or_null(node->limit)},
          {"headroom_watts", base_or_null(headroom_of(node))},
          {"usd_per_hour", in_usd_per_hour(node->value)}};
}

}  // namespace

std::string policy_diff_text(const simulate::PolicyDiff& diff, const std::string& before,
                             const std::string& after) {
  std::string text = fmt::format("{} -> {}, with the demand of {} s\n\n", printable(before),
                                 printable(after), significant(in_seconds(diff.at)));
  TextTable table{{"node", "at caps", "limit", "headroom", "USD/h"}};
  for (const auto& node : diff.nodes) {
    if (node.kind == topology::NodeKind::node) {
      continue;
    }
    const auto limit = [](const std::optional<NodeUnder>& side) {
      return side ? side->limit : std::nullopt;
    };
    table.add({printable(node.id), change_text(at_caps_of(node.before), at_caps_of(node.after)),
               change_text(limit(node.before), limit(node.after)),
               change_text(headroom_of(node.before), headroom_of(node.after)), value_text(node)});
  }
  return text + table.text() + "\n" + devices_text(diff);
}

Json policy_diff_json(const simulate::PolicyDiff& diff, const std::string& before,
                      const std::string& after) {
  Json json{{"before", before},  {"after", after},         {"at_seconds", in_seconds(diff.at)},
            {"tag", "modelled"}, {"nodes", Json::array()}, {"devices", Json::array()}};
  for (const auto& node : diff.nodes) {
    json["nodes"].push_back({{"id", node.id},
                             {"kind", topology::to_string(node.kind)},
                             {"before", node_under_json(node.before)},
                             {"after", node_under_json(node.after)}});
  }
  for (const auto& device : diff.devices) {
    json["devices"].push_back({{"id", device.id},
                               {"demand_watts", in_watts(device.demand)},
                               {"cap_before_watts", base_or_null(device.before)},
                               {"cap_after_watts", base_or_null(device.after)}});
  }
  return json;
}

}  // namespace perwatt::cli
