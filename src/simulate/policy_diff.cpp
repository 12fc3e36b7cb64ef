#include "perwatt/simulate/policy_diff.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "job_curves.hpp"
#include "policy.hpp"

#include "perwatt/allocate/problem.hpp"
#include "perwatt/simulate/plant.hpp"
#include "perwatt/simulate/scenario_run.hpp"
#include "perwatt/simulate/simulated_platform.hpp"
#include "perwatt/topology/loads.hpp"

namespace perwatt::simulate {

namespace {

using WattsById = std::map<std::string, Watts, std::less<>>;

/// What devices want at the instant, without caps.
WattsById demands_at(const PolicySide& side, Seconds at) {
  ScenarioRun run{side.scenario, side.policy, side.scenario.seed};
  while (run.steps_done() < run.steps() && run.time() < at) {
    run.step();
  }
  WattsById demands;
  for (std::uint32_t d = 0; d < run.demands().size(); ++d) {
    demands.emplace(run.plant().tree().device({d}).id, run.demands()[d]);
  }
  return demands;
}

/// A site under its policy, once its caps have settled.
struct Settled {
  Scenario scenario;  // as it is under the policy
  std::vector<Watts> caps;
  std::vector<UsdPerSecond> values;  // by device
};

Settled settled(const PolicySide& side, const WattsById& wanted) {
  Settled result{scenario_for(side.scenario, side.policy), {}, {}};
  const auto& scenario = result.scenario;
  const auto values = device_values(scenario);
  std::vector<Watts> demands;
  for (std::uint32_t d = 0; d < values.size(); ++d) {
    const auto found = wanted.find(scenario.tree.device({d}).id);
    const Watts idle = scenario.plant.kinds[scenario.plant.kind_of_device[d]].idle;
    demands.push_back(values[d].has_job && found != wanted.end() ? found->second : idle);
  }
  Plant plant{scenario.tree, scenario.plant};
  for (std::uint32_t d = 0; d < demands.size(); ++d) {
    plant.set_demand({d}, demands[d]);
  }
  SimulatedPlatform platform{plant};
  const auto policy = make_policy(
      {scenario, side.policy, side.scenario.seed, platform, values, [&] { return demands; }});
  policy->start(plant.now());
  const Seconds time = std::max(kSettling, side.policy.cadence * 6);
  const auto steps = std::llround(std::ceil(time / scenario.plant.step()));
  for (std::int64_t s = 0; s < steps; ++s) {
    policy->step(plant.now());
    plant.step();
  }
  for (std::uint32_t d = 0; d < demands.size(); ++d) {
    result.caps.push_back(plant.read_cap({d}));
    const auto& curve = values[d].curve;
    const Watts drawn =
        std::clamp(std::min(result.caps[d], demands[d]), curve.front().power, curve.back().power);
    result.values.push_back(UsdPerSecond::from_base(allocate::value_at(curve, drawn)));
  }
  return result;
}

/// By node.
std::vector<NodeUnder> nodes_under(const Settled& side) {
  const auto& tree = side.scenario.tree;
  std::vector<NodeUnder> nodes(tree.nodes().size());
  const auto supply = topology::loads_at(tree, side.caps).supply;
  for (std::uint32_t d = 0; d < side.caps.size(); ++d) {
    nodes[tree.device({d}).parent.value].value += side.values[d];
  }
  for (auto n = static_cast<std::uint32_t>(nodes.size()); n-- > 0;) {
    nodes[n].at_caps = supply[n];
    nodes[n].limit = tree.node({n}).steady_limit();
    if (n > 0) {
      nodes[tree.parent({n}).value].value += nodes[n].value;
    }
  }
  return nodes;
}

void add_nodes(const Settled& before, const Settled& after, PolicyDiff& diff) {
  const auto then = nodes_under(before);
  const auto now = nodes_under(after);
  const auto& tree = before.scenario.tree;
  const auto& other = after.scenario.tree;
  for (std::uint32_t n = 0; n < then.size(); ++n) {
    const auto& node = tree.node({n});
    const auto found = other.find_node(node.id);
    diff.nodes.push_back(
        {node.id, node.kind, then[n], found ? std::optional{now[found->value]} : std::nullopt});
  }
  for (std::uint32_t n = 0; n < now.size(); ++n) {
    if (!tree.find_node(other.node({n}).id)) {
      diff.nodes.push_back({other.node({n}).id, other.node({n}).kind, std::nullopt, now[n]});
    }
  }
}

void add_devices(const Settled& before, const Settled& after, const WattsById& demands,
                 PolicyDiff& diff) {
  const auto& tree = before.scenario.tree;
  const auto& other = after.scenario.tree;
  const auto demand_of = [&](const std::string& id) {
    const auto found = demands.find(id);
    return found == demands.end() ? Watts{} : found->second;
  };
  for (std::uint32_t d = 0; d < before.caps.size(); ++d) {
    const auto& id = tree.device({d}).id;
    const auto found = other.find_device(id);
    diff.devices.push_back({id, demand_of(id), before.caps[d],
                            found ? std::optional{after.caps[found->value]} : std::nullopt});
  }
  for (std::uint32_t d = 0; d < after.caps.size(); ++d) {
    const auto& id = other.device({d}).id;
    if (!tree.find_device(id)) {
      diff.devices.push_back({id, demand_of(id), std::nullopt, after.caps[d]});
    }
  }
}

}  // namespace

PolicyDiff policy_diff(const PolicySide& before, const PolicySide& after, Seconds at) {
  const auto demands = demands_at(before, at);
  const auto then = settled(before, demands);
  const auto now = settled(after, demands);
  PolicyDiff diff;
  diff.at = at;
  add_nodes(then, now, diff);
  add_devices(then, now, demands, diff);
  return diff;
}

}  // namespace perwatt::simulate
