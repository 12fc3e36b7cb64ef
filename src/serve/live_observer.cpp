#include "live_observer.hpp"

#include <algorithm>
#include <cmath>

#include "perwatt/topology/loads.hpp"

namespace perwatt::serve {

namespace {

using topology::NodeIndex;
using topology::PowerTree;

/// Sums of steps meet times of the file to this.
constexpr Seconds kTimeSlack = seconds(1e-6);

/// Adds up from the leaves along first supplies.
template <class Add>
void add_to_parents(const PowerTree& tree, Add add) {
  for (auto n = static_cast<std::uint32_t>(tree.nodes().size()); n-- > 1;) {
    add(NodeIndex{n}, tree.parent({n}));
  }
}

/// By node: the least limit in force in the step that ended at `time`.
std::vector<std::optional<Watts>> limits_at(const simulate::Scenario& scenario, Seconds time) {
  std::vector<std::optional<Watts>> limits;
  for (const auto& node : scenario.tree.nodes()) {
    limits.push_back(node.steady_limit());
  }
  for (const auto& fault : scenario.faults) {
    const Seconds begun = time - fault.at;
    const bool is_active = begun > kTimeSlack && begun <= fault.lasts + kTimeSlack;
    if (fault.kind == simulate::FaultKind::limit_lowered && is_active) {
      auto& limit = limits[fault.node.value];
      limit = limit ? std::min(*limit, fault.power) : fault.power;
    }
  }
  return limits;
}

template <class Item>
void keep_newest(std::vector<Item>& items) {
  if (items.size() > kMostHistory) {
    items.erase(items.begin());
  }
}

}  // namespace

LiveObserver::LiveObserver(const simulate::Scenario& scenario, const simulate::PolicyPlan& policy)
    : scenario_{simulate::scenario_for(scenario, policy)},
      policy_{policy.name},
      policy_kind_{simulate::to_string(policy.kind)},
      mode_{policy.mode} {}

LiveSite LiveObserver::site() const {
  const auto& tree = scenario_.tree;
  LiveSite site;
  site.name = scenario_.name;
  site.policy = policy_;
  site.policy_kind = policy_kind_;
  site.mode = mode_;
  site.takes_orders = policy_kind_ == simulate::to_string(simulate::PolicyKind::perwatt) &&
                      mode_ == control::Mode::control;
  site.duration = scenario_.warm_up + scenario_.duration;
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    const auto& node = tree.node({n});
    const auto own = tree.devices_of({n});
    site.nodes.push_back({node.id, node.kind,
                          n == 0 ? std::nullopt : std::optional{tree.parent({n})},
                          own.end.value - own.first.value});
  }
  add_to_parents(tree, [&](NodeIndex n, NodeIndex parent) {
    site.nodes[parent.value].devices += site.nodes[n.value].devices;
  });
  for (const auto& device : tree.devices()) {
    if (mode_ == control::Mode::advise) {
      site.devices.push_back(device.id);
    }
  }
  return site;
}

std::vector<NodeFigures> LiveObserver::figures(const simulate::ScenarioRun& run) const {
  const auto& plant = run.plant();
  const auto& tree = plant.tree();
  const auto draws = plant.draw_watts();
  std::vector<Watts> caps(tree.devices().size());
  std::vector<NodeFigures> figures(tree.nodes().size());
  for (std::uint32_t d = 0; d < caps.size(); ++d) {
    caps[d] = plant.read_cap({d});
    auto& node = figures[tree.device({d}).parent.value];
    node.cap = node.cap.value_or(Watts{}) + caps[d];
    node.device_draw += watts(static_cast<double>(draws[d]));
    node.devices_on += draws[d] > 0 ? 1 : 0;  // what is on draws its idle power at least
  }
  add_to_parents(tree, [&](NodeIndex n, NodeIndex parent) {
    figures[parent.value].cap =
        figures[parent.value].cap.value_or(Watts{}) + figures[n.value].cap.value_or(Watts{});
    figures[parent.value].device_draw += figures[n.value].device_draw;
    figures[parent.value].devices_on += figures[n.value].devices_on;
  });
  const auto at_caps = topology::loads_at(tree, caps).supply;
  const auto limits = limits_at(scenario_, run.time());
  for (std::uint32_t n = 0; n < figures.size(); ++n) {
    figures[n].draw = watts(plant.supply_watts()[n]);
    figures[n].cap = figures[n].cap.value_or(Watts{});
    figures[n].at_caps = at_caps[n];
    figures[n].limit = limits[n];
    figures[n].is_live = plant.is_live({n});
    figures[n].is_maintained = !run.maintained_nodes().empty() && run.maintained_nodes()[n] != 0;
  }
  return figures;
}

/// A node draws what its meter says, else what the devices below say with the losses of the tree.
std::vector<NodeFigures> LiveObserver::figures(const simulate::RecordedRun& run) const {
  const auto& tree = run.tree();
  std::vector<Watts> draws(tree.devices().size());
  std::vector<NodeFigures> figures(tree.nodes().size());
  for (std::uint32_t d = 0; d < draws.size(); ++d) {
    const auto& reading = run.devices()[d];
    draws[d] = reading.power.value_or(Watts{});
    auto& node = figures[tree.device({d}).parent.value];
    node.device_draw += draws[d];
    node.devices_on += reading.power ? 1 : 0;
  }
  add_to_parents(tree, [&](NodeIndex n, NodeIndex parent) {
    figures[parent.value].device_draw += figures[n.value].device_draw;
    figures[parent.value].devices_on += figures[n.value].devices_on;
  });
  const auto supplies = topology::loads_at(tree, draws).supply;
  for (std::uint32_t n = 0; n < figures.size(); ++n) {
    figures[n].draw = run.meters()[n].power.value_or(supplies[n]);
    figures[n].limit = tree.node({n}).steady_limit();
  }
  return figures;
}

void LiveObserver::add_advice(std::span<const Watts> advised,
                              std::span<const std::optional<Watts>> caps, LiveState& state) const {
  const auto& tree = scenario_.tree;
  if (advised.empty()) {
    return;
  }
  for (auto& node : state.nodes) {
    node.advised_cap = Watts{};
  }
  for (std::uint32_t d = 0; d < advised.size(); ++d) {
    *state.nodes[tree.device({d}).parent.value].advised_cap += advised[d];
    if (!caps[d] || std::llround(in_watts(*caps[d])) != std::llround(in_watts(advised[d]))) {
      state.advice.push_back({{d}, caps[d], advised[d]});
    }
  }
  add_to_parents(tree, [&](NodeIndex n, NodeIndex parent) {
    *state.nodes[parent.value].advised_cap += *state.nodes[n.value].advised_cap;
  });
}

LiveRates LiveObserver::rates(const LiveState& state) {
  // What is earned counts anew with the first step after the warm-up.
  const auto is_scored = [&](Seconds time) { return time > scenario_.warm_up + kTimeSlack; };
  while (!samples_.empty() && !is_scored(samples_.front().time) && is_scored(state.time)) {
    samples_.pop_front();
  }
  samples_.push_back({state.time, state.totals, state.energy});
  while (samples_.size() > 2 && samples_[1].time <= state.time - kRateWindow) {
    samples_.pop_front();
  }
  const auto& first = samples_.front();
  const Seconds span = state.time - first.time;
  if (span <= Seconds{}) {
    return rates_;
  }
  const auto rate = [&](std::int64_t now, std::int64_t then) {
    return tokens(static_cast<double>(now - then)) / span;
  };
  rates_ = {rate(state.totals.output_tokens, first.totals.output_tokens),
            rate(state.totals.good_tokens, first.totals.good_tokens),
            (state.totals.revenue - first.totals.revenue) / span,
            scenario_.electricity * (state.energy - first.energy) / span};
  return rates_;
}

void LiveObserver::remember(const LiveState& state) {
  const auto& root = state.nodes.front();
  if (!history_.time.empty() && history_.time.back() == state.time) {
    return;
  }
  history_.time.push_back(state.time);
  history_.facility.push_back(root.draw);
  history_.at_caps.push_back(root.at_caps);
  history_.limit.push_back(root.limit);
  history_.good.push_back(state.rates.good);
  keep_newest(history_.time);
  keep_newest(history_.facility);
  keep_newest(history_.at_caps);
  keep_newest(history_.limit);
  keep_newest(history_.good);
}

LiveState LiveObserver::observe(const simulate::ScenarioRun& run) {
  LiveState state;
  state.number = number_++;
  state.time = run.time();
  state.is_over = run.steps_done() == run.steps();
  state.is_released = run.is_released();
  state.nodes = figures(run);
  state.totals = run.totals();
  const Joules energy = run.plant().energy_of_node({0});
  energy_before_ = energy_before_.value_or(energy);
  state.energy = energy - *energy_before_;
  state.violations = run.plant().violations();
  state.rates = rates(state);
  std::vector<std::optional<Watts>> caps;
  for (std::uint32_t d = 0; d < run.advised_caps().size(); ++d) {
    caps.emplace_back(run.plant().read_cap({d}));
  }
  add_advice(run.advised_caps(), caps, state);
  finish(run.events(), state);
  return state;
}

LiveState LiveObserver::observe(const simulate::RecordedRun& run) {
  LiveState state;
  state.number = number_++;
  state.time = run.time();
  state.is_over = run.steps_done() == run.steps();
  state.knows_work = false;
  state.nodes = figures(run);
  const std::vector<std::optional<Watts>> unknown(run.advised_caps().size());
  add_advice(run.advised_caps(), unknown, state);
  finish(run.events(), state);
  return state;
}

void LiveObserver::finish(const std::vector<simulate::RunEvent>& events, LiveState& state) {
  for (auto e = events.size() - std::min(events.size(), kMostEvents); e < events.size(); ++e) {
    state.events.push_back({static_cast<std::int64_t>(e), events[e]});
  }
  remember(state);
  state.history = history_;
}

}  // namespace perwatt::serve
