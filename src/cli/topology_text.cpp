#include "topology_text.hpp"

#include <algorithm>

#include "table.hpp"
#include <fmt/format.h>

#include "perwatt/topology/outline.hpp"

namespace perwatt::cli {

namespace {

using topology::PowerTree;

constexpr std::size_t kDeepestIndent = 30;
constexpr std::size_t kMostRows = 20;  // of a list in a check; --json has all

std::string watts_or_dash(const std::optional<Watts>& power) {
  return power ? power_text(*power) : "-";
}

std::string limit_text(const topology::Limit& limit) {
  auto text = power_text(limit.power) + " " + std::string{topology::to_string(limit.kind)};
  if (limit.window > Seconds{}) {
    text += " over " + duration_text(limit.window);
  }
  return limit.phase ? text + " " + std::string{topology::to_string(*limit.phase)} : text;
}

std::string use_text(const std::optional<double>& use, bool colours) {
  if (!use) {
    return "-";
  }
  constexpr double kBarCells = 10;
  const auto filled = static_cast<std::size_t>(std::clamp(*use * kBarCells + 0.5, 0.0, kBarCells));
  auto bar = std::string(filled, '#') +
             std::string(static_cast<std::size_t>(kBarCells) - filled, '.') +
             fmt::format(" {} %", significant(*use * 100, 3));
  if (!colours) {
    return bar;
  }
  const char* colour = "\x1b[32m";
  if (*use > 0.9) {
    colour = *use > 1 ? "\x1b[31m" : "\x1b[33m";
  }
  return colour + bar + "\x1b[0m";
}

std::string label_of(const topology::OutlineLine& line) {
  auto label = std::string(2 * std::min(line.depth, kDeepestIndent), ' ');
  if (line.depth > kDeepestIndent) {
    label += fmt::format("(level {}) ", line.depth + 1);
  }
  label += line.id;
  return line.alike > 1 ? fmt::format("{} … {} ({} alike)", label, line.last_id, line.alike)
                        : label;
}

std::string kind_of(const PowerTree& tree, const topology::OutlineLine& line) {
  if (line.device) {
    const auto& device = tree.device(*line.device);
    return device.accelerator.empty() ? "device" : device.accelerator;
  }
  const auto& node = tree.node(line.node);
  std::string kind{topology::to_string(node.kind)};
  if (!node.feed.empty()) {
    kind += " " + node.feed;
  }
  if (node.supplies.size() > 1) {
    kind += fmt::format(", {} feeds", node.supplies.size());
  }
  return kind;
}

std::string overload_list(const PowerTree& tree, const std::vector<topology::Overload>& passed) {
  TextTable table{{"node", "limit", "load", "over by", "holds for"}, {0, 1}};
  for (std::size_t i = 0; i < std::min(passed.size(), kMostRows); ++i) {
    const auto& node = tree.node(passed[i].node);
    const auto& limit = node.limits[passed[i].limit];
    table.add({node.id, limit_text(limit), power_text(passed[i].load),
               power_text(passed[i].load - limit.power),
               passed[i].time_allowed ? duration_text(*passed[i].time_allowed) : "-"});
  }
  auto text = table.text();
  if (passed.size() > kMostRows) {
    text += fmt::format("and {} more: --json lists all\n", passed.size() - kMostRows);
  }
  return text;
}

std::string level_text(const PowerTree& tree, const topology::LevelCheck& level,
                       const std::string& name) {
  if (level.overloads.empty()) {
    return fmt::format("{}: {} at the root, within every limit\n", name,
                       power_text(level.root_supply));
  }
  return fmt::format("{}: {} at the root, {} limit{} passed\n", name, power_text(level.root_supply),
                     level.overloads.size(), level.overloads.size() == 1 ? "" : "s") +
         overload_list(tree, level.overloads);
}

std::string downgrade_text(const PowerTree& tree, const topology::Downgrade& downgrade) {
  auto text = fmt::format(
      "\nDowngraded to fit: {} at the root; every device keeps at least {:.1f} % of its range "
      "above "
      "its {}\n",
      power_text(downgrade.loads.supply[0]), downgrade.least_range_ratio * 100,
      downgrade.keeps_guarantees ? "guaranteed draw" : "minimum (the guaranteed draws do not fit)");
  TextTable table{{"node", "at maximum", "downgraded", "range"}};
  std::size_t rows = 0;
  const auto& nodes = downgrade.nodes;
  for (std::size_t i = 0; i < nodes.size();) {
    std::size_t end = i + 1;
    while (end < nodes.size() && nodes[end].supply == nodes[i].supply &&
           nodes[end].supply_at_max == nodes[i].supply_at_max) {
      ++end;
    }
    if (rows++ < kMostRows) {
      const auto& first = tree.node(nodes[i].node).id;
      const auto label = end - i == 1 ? first
                                      : fmt::format("{} … {} ({} alike)", first,
                                                    tree.node(nodes[end - 1].node).id, end - i);
      table.add({label, power_text(nodes[i].supply_at_max), power_text(nodes[i].supply),
                 fmt::format("{:.1f} %", nodes[i].range_ratio * 100)});
    }
    i = end;
  }
  text += table.text();
  return rows > kMostRows ? text + fmt::format("and {} more: --json lists all\n", rows - kMostRows)
                          : text;
}

std::string worst_text(const PowerTree& tree, const topology::FeedLossAtLevel& level) {
  const topology::Overload* worst = nullptr;
  const auto ratio = [&](const topology::Overload& overload) {
    return overload.load / tree.node(overload.node).limits[overload.limit].power;
  };
  for (const auto& overload : level.overloads) {
    if (worst == nullptr || ratio(overload) > ratio(*worst)) {
      worst = &overload;
    }
  }
  if (worst == nullptr) {
    return "carried";
  }
  const auto& limit = tree.node(worst->node).limits[worst->limit];
  return fmt::format("{} over by {}", tree.node(worst->node).id,
                     power_text(worst->load - limit.power));
}

std::string feeds_text(const PowerTree& tree, const topology::SiteCheck& check) {
  if (check.feeds.losses.empty()) {
    return "";
  }
  std::string text = "\nLoss of one feed: what the others pass, and how it ends\n";
  std::vector<std::string> header{"lost", "switched", "dark"};
  for (const auto& name : check.level_names) {
    header.push_back("at " + name);
  }
  header.insert(header.end(), {"lower within", "outcome"});
  TextTable table{std::move(header), {0, 3, 4, 5, 6, 7, 8}};
  std::size_t rows = 0;
  for (const auto& loss : check.feeds.losses) {
    if (rows++ >= kMostRows) {
      continue;
    }
    auto lost = tree.node(loss.lost).id;
    if (!loss.or_above.empty()) {
      lost +=
          " (or " + tree.node(loss.or_above.front()).id +
          (loss.or_above.size() > 1 ? fmt::format(" and {} above", loss.or_above.size() - 1) : "") +
          ")";
    }
    std::vector<std::string> row{lost, std::to_string(loss.switched_nodes),
                                 fmt::format("{} devices", loss.dark_devices)};
    for (std::size_t level = 0; level < loss.levels.size(); ++level) {
      const bool is_known = level == topology::kAtReadings || !tree.devices().empty();
      row.push_back(loss.switched_nodes > 0 && is_known ? worst_text(tree, loss.levels[level])
                                                        : "-");
    }
    const auto time = topology::time_to_lower(loss);
    const bool is_carried = loss.carried_at(topology::kAtMaximum);
    row.push_back(time ? duration_text(*time) : (is_carried ? "-" : "at once"));
    row.emplace_back(topology::to_string(topology::outcome_of(check, loss)));
    table.add(std::move(row));
  }
  text += table.text();
  if (rows > kMostRows) {
    text += fmt::format("and {} more: --json lists all\n", rows - kMostRows);
  }
  if (check.feeds.not_studied > 0) {
    text += fmt::format("{} losses were not studied: too much work\n", check.feeds.not_studied);
  }
  return text;
}

std::string meters_text(const PowerTree& tree, const topology::SiteCheck& check) {
  std::string text;
  if (check.unread_leaf) {
    text += fmt::format("\nNo reading of '{}': the readings do not cover the tree\n",
                        tree.node(*check.unread_leaf).id);
  }
  if (check.meters.empty()) {
    return text;
  }
  text += "\nMeters against the sum of what they feed\n";
  TextTable table{{"meter", "reads", "expected", "residual", "verdict"}, {0, 4}};
  for (const auto& meter : check.meters) {
    const std::string verdict = meter.agrees ? "agrees" : "disagrees";
    table.add({tree.node(meter.node).id, power_text(meter.reading), power_text(meter.expected),
               power_text(meter.residual()),
               verdict + (meter.assumes_shares ? " (feeds shared as declared)" : "")});
  }
  return text + table.text();
}

std::string pulse_text(const topology::PulseCheck& pulse) {
  if (!pulse.problem.empty()) {
    return fmt::format("\nPulse of '{}': {}\n", pulse.id, pulse.problem);
  }
  auto text = fmt::format(
      "\nPulse of '{}': a step of {} ± {} (standard error); one wrong verdict in {:.0f} checks\n",
      pulse.id, power_text(pulse.step), power_text(pulse.standard_error),
      1 / topology::kPulseFalseAlarmRatio);
  if (!pulse.own_meter_moved) {
    text += "Its own meter stood still: another one is what was moved\n";
  }
  TextTable table{{"meter", "declared", "step", "standard error", "when it follows", "verdict"},
                  {0, 1, 5}};
  for (const auto& finding : pulse.findings) {
    table.add({finding.id, finding.is_ancestor ? "ancestor" : "-", power_text(finding.step),
               power_text(finding.standard_error), power_text(finding.expected),
               (finding.is_fault() ? "FAULT: " : "") +
                   std::string{topology::to_string(finding.verdict)}});
  }
  return text + table.text();
}

void add_split(const TopologySplit& answer, const topology::OutlineLine& line,
               std::vector<std::string>& row) {
  const auto& split = answer.split;
  if (line.device) {
    row.insert(row.end(), {power_text(split.device_power[line.device->value]), "", ""});
    std::string settings;
    for (const auto& [name, count] : settings_of(answer, line)) {
      settings += (settings.empty() ? "" : ", ") +
                  (line.alike > 1 ? fmt::format("{} x {}", count, name) : name);
    }
    row.push_back(std::move(settings));
    return;
  }
  const auto& price = split.prices[line.node.value];
  row.insert(row.end(),
             {power_text(split.supply[line.node.value]), significant(price.per_kilowatt_more()),
              price.loss_per_watt ? significant(*price.per_kilowatt_less()) : "infeasible", ""});
}

}  // namespace

std::string tree_text(const TopologyInput& input, const TreeTextOptions& options) {
  const auto& tree = input.tree;
  const auto draws = known_draws(input);
  const auto maximum =
      topology::loads_at(tree, topology::device_draws(tree, topology::DrawLevel::maximum));
  std::vector<std::string> header{"node", "kind", "limit", "draw", "headroom", "at maximum"};
  std::string text;
  const TopologySplit* split = options.split;
  if (split != nullptr) {
    text = split_text(tree, *split) + "\n";
    split = split->has_figures() ? split : nullptr;
  }
  if (split != nullptr) {
    header.insert(header.end(), {"best split", "+1 kW is worth", "-1 kW costs", "settings"});
  }
  header.emplace_back(input.readings ? "draw of limit" : "maximum of limit");
  TextTable table{std::move(header),
                  {0, 1, 2, split != nullptr ? 9U : 6U, split != nullptr ? 10U : 6U}};
  for (const auto& line :
       topology::outline(tree, draws, options.all, split != nullptr ? &split->beside : nullptr)) {
    const auto figures = topology::figures_of(tree, maximum, draws, line);
    std::vector<std::string> row{
        label_of(line),
        kind_of(tree, line),
        figures.set_by != nullptr ? limit_text(*figures.set_by) : watts_or_dash(figures.limit),
        watts_or_dash(figures.draw),
        watts_or_dash(figures.headroom),
        power_text(figures.at_maximum)};
    if (split != nullptr) {
      add_split(*split, line, row);
    }
    row.push_back(use_text(figures.use_ratio, options.colours));
    table.add(std::move(row));
  }
  text += table.text();
  for (const auto& name : input.untrusted) {
    text += fmt::format("Untrusted readings left out: {}\n", name);
  }
  return text;
}

std::string check_text(const TopologyInput& input, const topology::SiteCheck& check) {
  const auto& tree = input.tree;
  auto text = fmt::format("{} nodes, {} devices: {}\n", tree.nodes().size(), tree.devices().size(),
                          topology::to_string(check.status));
  for (const auto& reason : check.reasons) {
    text += "  " + reason + "\n";
  }
  if (!tree.devices().empty()) {
    text += "\n" + level_text(tree, check.maximum, "All at maximum");
    text += level_text(tree, check.guaranteed, "All at the guaranteed draw");
    text += level_text(tree, check.fail_safe, "All at fail-safe");
  }
  if (!check.read_overloads.empty()) {
    text += "\nPassed by the readings\n" + overload_list(tree, check.read_overloads);
  }
  if (check.downgrade) {
    text += downgrade_text(tree, *check.downgrade);
  }
  text += feeds_text(tree, check) + meters_text(tree, check);
  if (check.pulse) {
    text += pulse_text(*check.pulse);
  }
  for (const auto& name : input.untrusted) {
    text += fmt::format("Untrusted readings left out: {}\n", name);
  }
  return text;
}

}  // namespace perwatt::cli
