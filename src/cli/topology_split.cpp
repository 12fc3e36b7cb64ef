#include "topology_split.hpp"

#include <algorithm>
#include <map>

#include "table.hpp"
#include <fmt/format.h>

#include "perwatt/base/file.hpp"

namespace perwatt::cli {

namespace {

using nlohmann::ordered_json;
using topology::PowerTree;

constexpr std::size_t kMostNamed = 10;

std::string overfull_text(const PowerTree& tree, const allocate::SiteSplit& split) {
  std::string text = "No split of watts: what must be drawn passes the limit of";
  for (std::size_t i = 0; i < std::min(split.overfull.size(), kMostNamed); ++i) {
    text += (i == 0 ? " " : ", ") + tree.node(split.overfull[i]).id;
  }
  return text + (split.overfull.size() > kMostNamed
                     ? fmt::format(" and {} more\n", split.overfull.size() - kMostNamed)
                     : "\n");
}

}  // namespace

allocate::SiteCurves read_curves(const TopologyFiles& files, const PowerTree& tree) {
  return allocate::read_site_curves(read_file(files.site), files.site, tree,
                                    [](const std::string& path) { return read_file(path); });
}

std::optional<TopologySplit> split_of(const TopologyFiles& files, const PowerTree& tree) {
  if (files.site.empty()) {
    return std::nullopt;
  }
  TopologySplit answer;
  answer.curves = read_curves(files, tree);
  if (std::none_of(answer.curves.curve_of.begin(), answer.curves.curve_of.end(),
                   [](const auto& curve) { return curve.has_value(); })) {
    return std::nullopt;
  }
  answer.split = allocate::split_site(tree, answer.curves);
  if (answer.has_figures()) {
    for (const auto& price : answer.split.prices) {
      answer.beside.nodes.push_back(price.price_per_watt);
    }
    for (const Watts power : answer.split.device_power) {
      answer.beside.devices.push_back(in_watts(power));
    }
  }
  return answer;
}

std::vector<std::pair<std::string, std::size_t>> settings_of(const TopologySplit& answer,
                                                             const topology::OutlineLine& line) {
  std::map<std::size_t, std::size_t> counts;
  const auto first = line.device->value;
  for (std::size_t d = first; d < first + line.alike; ++d) {
    if (const auto setting = answer.split.settings.setting[d]) {
      ++counts[*setting];
    }
  }
  std::vector<std::pair<std::string, std::size_t>> settings;
  for (const auto& [setting, count] : counts) {
    const auto& curve = answer.curves.curves[*answer.curves.curve_of[first]];
    const auto& taken = curve.settings[setting];
    settings.emplace_back(taken.name.empty() ? power_text(taken.power) : taken.name, count);
  }
  std::stable_sort(settings.begin(), settings.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return settings;
}

std::string split_text(const PowerTree& tree, const TopologySplit& answer) {
  const auto& split = answer.split;
  if (!answer.has_figures()) {
    return overfull_text(tree, split);
  }
  auto text = fmt::format("Best split: {} {} with {} at the root\n", significant(split.value, 6),
                          split.value_unit, power_text(split.supply[0]));
  if (split.bound > split.value * (1 + 1e-9)) {
    text += fmt::format("No split makes more than {}\n", significant(split.bound, 6));
  }
  return text +
         fmt::format("Every device at one of its settings: {}, {} % below the bound\n",
                     significant(split.settings.value, 6),
                     significant(std::max(0.0, split.gap_ratio()) * 100, 2)) +
         (split.settings.is_complete ? ""
                                     : "  (not all that fits was raised: the site is large)\n");
}

ordered_json split_json(const PowerTree& tree, const TopologySplit& answer) {
  const auto& split = answer.split;
  ordered_json json{{"status", answer.has_figures() ? "optimal" : "infeasible"},
                    {"value_unit", split.value_unit}};
  if (!answer.has_figures()) {
    json["overfull_nodes"] = ordered_json::array();
    for (const auto node : split.overfull) {
      json["overfull_nodes"].push_back(tree.node(node).id);
    }
    return json;
  }
  json["value"] = split.value;
  json["bound"] = split.bound;
  json["settings_value"] = split.settings.value;
  json["settings_gap_ratio"] = split.gap_ratio();
  json["settings_are_complete"] = split.settings.is_complete;
  return json;
}

}  // namespace perwatt::cli
