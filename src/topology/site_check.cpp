#include "perwatt/topology/site_check.hpp"

#include <algorithm>

namespace perwatt::topology {

namespace {

/// What makes a strict check refuse, beside the maximum.
std::vector<std::string> strict_reasons(const SiteCheck& check) {
  std::vector<std::string> reasons;
  const auto add = [&](std::size_t count, const std::string& what) {
    if (count > 0) {
      reasons.push_back(what + ": " + std::to_string(count));
    }
  };
  add(check.guaranteed.overloads.size(), "limits passed at the guaranteed draws");
  const auto& losses = check.feeds.losses;
  add(static_cast<std::size_t>(
          std::count_if(losses.begin(), losses.end(),
                        [&](const auto& loss) { return !loss.carried_at(kAtMaximum); })),
      "feed losses not carried at the maximum");
  add(check.feeds.not_studied, "feed losses not studied");
  add(static_cast<std::size_t>(std::count_if(check.meters.begin(), check.meters.end(),
                                             [](const auto& meter) { return !meter.agrees; })),
      "meters that disagree with what they feed");
  if (check.pulse && (check.pulse->has_fault() || !check.pulse->problem.empty())) {
    reasons.emplace_back("the pulse was not followed as the tree has it");
  }
  return reasons;
}

std::vector<NodeIndex> empty_leaves(const PowerTree& tree) {
  std::vector<NodeIndex> leaves;
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    const auto devices = tree.devices_of({n});
    if (tree.fed_by({n}).empty() && devices.first == devices.end &&
        tree.node({n}).fixed == Watts{}) {
      leaves.push_back({n});
    }
  }
  return leaves;
}

std::vector<Overload> read_overloads(const PowerTree& tree, const Readings& readings) {
  const auto metered = metered_supply(tree, readings);
  std::vector<Overload> passed;
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    const auto& limits = tree.node({n}).limits;
    for (std::uint32_t i = 0; metered.supply[n] && i < limits.size(); ++i) {
      const Watts load = *metered.supply[n];
      if (!limits[i].phase && passes(load, limits[i].power)) {
        passed.push_back({{n}, i, load, time_allowed(limits[i], load, std::nullopt)});
      }
    }
  }
  return passed;
}

void check_readings(const PowerTree& tree, const SiteQuestion& question, SiteCheck& check,
                    std::vector<LevelLoads>& levels) {
  auto metered = metered_loads(tree, *question.readings);
  check.unread_leaf = metered.unknown;
  if (!metered.unknown) {
    levels.push_back({"readings", std::move(metered.own_loads)});
  }
  check.read_overloads = read_overloads(tree, *question.readings);
  check.meters = check_meters(tree, *question.readings, question.tolerance_ratio);
  if (question.pulse) {
    check.pulse = check_pulse(tree, *question.readings, question.pulse->id, question.pulse->times);
  }
}

std::string passed_text(std::size_t count, const std::string& when) {
  return std::to_string(count) + (count == 1 ? " limit passed " : " limits passed ") + when;
}

void conclude(const PowerTree& tree, const SiteQuestion& question, SiteCheck& check) {
  check.status = check.empty_leaves.empty() ? CheckStatus::fits : CheckStatus::unknown;
  if (!check.maximum.overloads.empty()) {
    check.reasons.push_back(
        passed_text(check.maximum.overloads.size(), "with every device at its maximum"));
    if (question.downgrade && !question.strict) {
      check.downgrade = downgrade(tree);
    }
    check.status = check.downgrade ? CheckStatus::downgraded : CheckStatus::refused;
  }
  auto refusals = question.strict ? strict_reasons(check) : std::vector<std::string>{};
  if (!check.read_overloads.empty()) {
    refusals.push_back(passed_text(check.read_overloads.size(), "by the readings"));
  }
  if (!refusals.empty() || (question.strict && check.status == CheckStatus::unknown)) {
    check.status = CheckStatus::refused;
  }
  check.reasons.insert(check.reasons.end(), refusals.begin(), refusals.end());
  if (!check.empty_leaves.empty()) {
    check.reasons.push_back(
        "leaves without a device: " + std::to_string(check.empty_leaves.size()) +
        "; what they may draw is not known");
  }
}

}  // namespace

std::string_view to_string(CheckStatus status) {
  switch (status) {
    case CheckStatus::fits:
      return "fits";
    case CheckStatus::unknown:
      return "unknown";
    case CheckStatus::downgraded:
      return "downgraded";
    case CheckStatus::refused:
      break;
  }
  return "refused";
}

std::string_view to_string(LossOutcome outcome) {
  switch (outcome) {
    case LossOutcome::carried:
      return "carried";
    case LossOutcome::unknown:
      return "unknown";
    case LossOutcome::carried_guaranteed:
      return "carried when lowered to the guaranteed draws";
    case LossOutcome::carried_minimum:
      return "carried at the minima alone";
    case LossOutcome::not_carried:
      return "not carried";
    case LossOutcome::no_other_feed:
      break;
  }
  return "no other feed";
}

LossOutcome outcome_of(const SiteCheck& check, const FeedLoss& loss) {
  if (loss.switched_nodes == 0) {
    return LossOutcome::no_other_feed;
  }
  if (loss.carried_at(kAtMaximum)) {
    return check.empty_leaves.empty() ? LossOutcome::carried : LossOutcome::unknown;
  }
  if (loss.carried_at(kAtGuaranteed)) {
    return LossOutcome::carried_guaranteed;
  }
  return loss.carried_at(kAtMinimum) ? LossOutcome::carried_minimum : LossOutcome::not_carried;
}

std::optional<Seconds> time_to_lower(const FeedLoss& loss) {
  std::optional<Seconds> least;
  for (const auto& overload : loss.levels[kAtMaximum].overloads) {
    if (!overload.time_allowed) {
      return std::nullopt;
    }
    least = least ? std::min(*least, *overload.time_allowed) : *overload.time_allowed;
  }
  return least;
}

SiteCheck check_site(const PowerTree& tree, const SiteQuestion& question) {
  SiteCheck check;
  check.maximum = check_level(tree, DrawLevel::maximum);
  check.guaranteed = check_level(tree, DrawLevel::guaranteed);
  check.fail_safe = check_level(tree, DrawLevel::fail_safe);
  check.empty_leaves = empty_leaves(tree);
  std::vector<LevelLoads> levels{level_loads(tree, DrawLevel::maximum),
                                 level_loads(tree, DrawLevel::guaranteed),
                                 level_loads(tree, DrawLevel::minimum)};
  if (question.readings != nullptr) {
    check_readings(tree, question, check, levels);
  }
  for (const auto& level : levels) {
    check.level_names.push_back(level.name);
  }
  check.feeds = study_feed_losses(tree, levels);
  conclude(tree, question, check);
  return check;
}

}  // namespace perwatt::topology
