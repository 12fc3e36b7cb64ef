#include "topology_json.hpp"

#include "json_values.hpp"

#include "perwatt/topology/outline.hpp"

namespace perwatt::cli {

namespace {

using nlohmann::ordered_json;
using topology::PowerTree;

ordered_json watts_or_null(const std::optional<Watts>& power) {
  return power ? ordered_json(in_watts(*power)) : ordered_json(nullptr);
}

ordered_json seconds_or_null(const std::optional<Seconds>& time) {
  return time ? ordered_json(in_seconds(*time)) : ordered_json(nullptr);
}

ordered_json limit_json(const topology::Limit& limit) {
  ordered_json json{{"power_watts", in_watts(limit.power)},
                    {"what", topology::to_string(limit.kind)},
                    {"window_seconds", in_seconds(limit.window)}};
  if (limit.phase) {
    json["phase"] = topology::to_string(*limit.phase);
  }
  if (limit.curve) {
    json["trip"] = ordered_json::array();
    for (const auto& point : limit.curve->points) {
      json["trip"].push_back({{"ratio", point.ratio}, {"time_seconds", in_seconds(point.time)}});
    }
  }
  return json;
}

void add_node(const PowerTree& tree, const topology::Node& node, ordered_json& json) {
  json["kind"] = topology::to_string(node.kind);
  json["feeds"] = ordered_json::array();
  for (const auto& supply : node.supplies) {
    json["feeds"].push_back(
        {{"parent", tree.node(supply.parent).id}, {"share_ratio", supply.share_ratio}});
  }
  json["limits"] = ordered_json::array();
  for (const auto& limit : node.limits) {
    json["limits"].push_back(limit_json(limit));
  }
  json["loss_factor"] = node.factor;
  json["fixed_watts"] = in_watts(node.fixed);
  if (!node.feed.empty()) {
    json["feed"] = node.feed;
  }
  if (node.phase) {
    json["phase"] = topology::to_string(*node.phase);
  }
  if (node.meter) {
    json["meter"] = topology::to_string(*node.meter);
  }
}

void add_device(const PowerTree& tree, const topology::Device& device, ordered_json& json) {
  json["kind"] = "device";
  json["parent"] = tree.node(device.parent).id;
  json["min_watts"] = in_watts(device.min);
  json["guaranteed_watts"] = in_watts(device.guaranteed);
  json["fail_safe_watts"] = watts_or_null(device.fail_safe);
  json["max_watts"] = in_watts(device.max);
  json["vendor"] = device.vendor;
  json["accelerator"] = device.accelerator;
  json["curve"] = device.curve;
}

ordered_json overload_json(const PowerTree& tree, const topology::Overload& overload) {
  const auto& node = tree.node(overload.node);
  const auto& limit = node.limits[overload.limit];
  ordered_json json{{"node", node.id},
                    {"what", topology::to_string(limit.kind)},
                    {"limit_watts", in_watts(limit.power)},
                    {"load_watts", in_watts(overload.load)},
                    {"over_by_watts", in_watts(overload.load - limit.power)},
                    {"time_allowed_seconds", seconds_or_null(overload.time_allowed)}};
  if (limit.phase) {
    json["phase"] = topology::to_string(*limit.phase);
  }
  return json;
}

ordered_json overloads_json(const PowerTree& tree, const std::vector<topology::Overload>& passed) {
  auto json = ordered_json::array();
  for (const auto& overload : passed) {
    json.push_back(overload_json(tree, overload));
  }
  return json;
}

ordered_json level_json(const PowerTree& tree, const topology::LevelCheck& level) {
  return {{"root_supply_watts", in_watts(level.root_supply)},
          {"overloads", overloads_json(tree, level.overloads)}};
}

ordered_json downgrade_json(const PowerTree& tree, const topology::Downgrade& downgrade) {
  ordered_json json{{"keeps_guarantees", downgrade.keeps_guarantees},
                    {"least_range_ratio", downgrade.least_range_ratio},
                    {"root_supply_watts", in_watts(downgrade.loads.supply[0])},
                    {"nodes", ordered_json::array()}};
  for (const auto& node : downgrade.nodes) {
    json["nodes"].push_back({{"node", tree.node(node.node).id},
                             {"supply_at_max_watts", in_watts(node.supply_at_max)},
                             {"supply_watts", in_watts(node.supply)},
                             {"range_ratio", node.range_ratio}});
  }
  return json;
}

ordered_json losses_json(const PowerTree& tree, const topology::SiteCheck& check) {
  auto json = ordered_json::array();
  for (const auto& loss : check.feeds.losses) {
    ordered_json entry{{"lost", tree.node(loss.lost).id},
                       {"outcome", topology::to_string(topology::outcome_of(check, loss))},
                       {"lower_within_seconds", seconds_or_null(topology::time_to_lower(loss))},
                       {"switched_nodes", loss.switched_nodes},
                       {"dark_nodes", loss.dark_nodes},
                       {"dark_devices", loss.dark_devices}};
    entry["or_above"] = ordered_json::array();
    for (const auto node : loss.or_above) {
      entry["or_above"].push_back(tree.node(node).id);
    }
    for (std::size_t level = 0; level < loss.levels.size(); ++level) {
      entry["overloads_at_" + check.level_names[level]] =
          overloads_json(tree, loss.levels[level].overloads);
    }
    json.push_back(std::move(entry));
  }
  return json;
}

ordered_json meters_json(const PowerTree& tree, const std::vector<topology::MeterFinding>& meters) {
  auto json = ordered_json::array();
  for (const auto& meter : meters) {
    json.push_back({{"node", tree.node(meter.node).id},
                    {"reading_watts", in_watts(meter.reading)},
                    {"expected_watts", in_watts(meter.expected)},
                    {"residual_watts", in_watts(meter.residual())},
                    {"agrees", meter.agrees},
                    {"assumes_shares", meter.assumes_shares}});
  }
  return json;
}

ordered_json pulse_json(const topology::PulseCheck& pulse) {
  ordered_json json{{"id", pulse.id}, {"problem", nullptr}};
  if (!pulse.problem.empty()) {
    json["problem"] = pulse.problem;
    return json;
  }
  json["step_watts"] = in_watts(pulse.step);
  json["standard_error_watts"] = in_watts(pulse.standard_error);
  json["own_meter_moved"] = pulse.own_meter_moved;
  json["false_alarm_ratio"] = topology::kPulseFalseAlarmRatio;
  json["meters"] = ordered_json::array();
  for (const auto& finding : pulse.findings) {
    json["meters"].push_back({{"id", finding.id},
                              {"is_ancestor", finding.is_ancestor},
                              {"step_watts", in_watts(finding.step)},
                              {"standard_error_watts", in_watts(finding.standard_error)},
                              {"expected_watts", in_watts(finding.expected)},
                              {"samples_on", finding.samples_on},
                              {"samples_off", finding.samples_off},
                              {"verdict", topology::to_string(finding.verdict)}});
  }
  return json;
}

void add_split(const TopologySplit& answer, const topology::OutlineLine& line, ordered_json& json) {
  const auto& split = answer.split;
  if (!line.device) {
    const auto& price = split.prices[line.node.value];
    json["split_watts"] = in_watts(split.supply[line.node.value]);
    json["price_per_watt"] = price.price_per_watt;
    json["loss_per_watt"] =
        price.loss_per_watt ? ordered_json(*price.loss_per_watt) : ordered_json(nullptr);
    return;
  }
  const auto d = line.device->value;
  json["split_watts"] = in_watts(split.device_power[d]);
  json["curve_watts"] = answer.curves.curve_of[d]
                            ? ordered_json(answer.curves.curves[*answer.curves.curve_of[d]].watts)
                            : ordered_json(nullptr);
  json["settings"] = ordered_json::array();
  for (const auto& [name, count] : settings_of(answer, line)) {
    json["settings"].push_back({{"setting", name}, {"devices", count}});
  }
}

}  // namespace

ordered_json tree_json(const TopologyInput& input, bool all, const TopologySplit* split) {
  const auto& tree = input.tree;
  const auto draws = known_draws(input);
  const auto maximum =
      topology::loads_at(tree, topology::device_draws(tree, topology::DrawLevel::maximum));
  ordered_json json{{"nodes", tree.nodes().size()},
                    {"devices", tree.devices().size()},
                    {"depth", tree.depth()},
                    {"split", split != nullptr ? split_json(tree, *split) : ordered_json(nullptr)},
                    {"lines", ordered_json::array()}};
  const bool has_figures = split != nullptr && split->has_figures();
  for (const auto& line :
       topology::outline(tree, draws, all, has_figures ? &split->beside : nullptr)) {
    const auto figures = topology::figures_of(tree, maximum, draws, line);
    ordered_json entry{{"id", line.device ? tree.device(*line.device).id : tree.node(line.node).id},
                       {"depth", line.depth},
                       {"alike", line.alike}};
    if (line.device) {
      add_device(tree, tree.device(*line.device), entry);
    } else {
      add_node(tree, tree.node(line.node), entry);
    }
    entry["limit_watts"] = watts_or_null(figures.limit);
    entry["draw_watts"] = watts_or_null(figures.draw);
    entry["headroom_watts"] = watts_or_null(figures.headroom);
    entry["at_maximum_watts"] = in_watts(figures.at_maximum);
    if (has_figures) {
      add_split(*split, line, entry);
    }
    json["lines"].push_back(std::move(entry));
  }
  json["untrusted"] = input.untrusted;
  return json;
}

ordered_json check_json(const TopologyInput& input, const topology::SiteCheck& check) {
  const auto& tree = input.tree;
  ordered_json json{{"status", topology::to_string(check.status)},
                    {"reasons", check.reasons},
                    {"nodes", tree.nodes().size()},
                    {"devices", tree.devices().size()},
                    {"maximum", level_json(tree, check.maximum)},
                    {"guaranteed", level_json(tree, check.guaranteed)},
                    {"fail_safe", level_json(tree, check.fail_safe)},
                    {"empty_leaves", check.empty_leaves.size()},
                    {"read_overloads", overloads_json(tree, check.read_overloads)}};
  json["downgrade"] =
      check.downgrade ? downgrade_json(tree, *check.downgrade) : ordered_json(nullptr);
  json["feed_losses"] = losses_json(tree, check);
  json["feed_losses_not_studied"] = check.feeds.not_studied;
  json["meters"] = meters_json(tree, check.meters);
  json["unread_leaf"] =
      check.unread_leaf ? ordered_json(tree.node(*check.unread_leaf).id) : ordered_json(nullptr);
  json["pulse"] = check.pulse ? pulse_json(*check.pulse) : ordered_json(nullptr);
  json["untrusted"] = input.untrusted;
  return json;
}

}  // namespace perwatt::cli
