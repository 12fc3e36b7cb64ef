#include "perwatt/topology/loads.hpp"

#include <algorithm>

#include "perwatt/topology/root_units.hpp"

namespace perwatt::topology {

namespace {

constexpr double kLimitRounding = 1e-9;

void spread(std::array<Watts, 3>& phases, Watts power, std::optional<Phase> own) {
  for (const auto phase : kPhases) {
    phases[static_cast<std::size_t>(phase)] += power * phase_share(own, phase);
  }
}

void add_phases(const PowerTree& tree, std::span<const Watts> own, NodeLoads& loads) {
  const auto nodes = tree.nodes();
  loads.phase_supply.assign(nodes.size(), {});  // first the load, then the supply
  for (std::size_t n = nodes.size(); n-- > 0;) {
    auto& phases = loads.phase_supply[n];
    spread(phases, own[n], nodes[n].phase);
    for (auto& phase : phases) {
      phase = phase * nodes[n].factor;
    }
    spread(phases, nodes[n].fixed, nodes[n].phase);
    for (const auto& supply : nodes[n].supplies) {
      auto& above = loads.phase_supply[supply.parent.value];
      for (std::size_t p = 0; p < above.size(); ++p) {
        above[p] += phases[p] * supply.share_ratio;
      }
    }
  }
}

}  // namespace

std::string_view to_string(DrawLevel level) {
  switch (level) {
    case DrawLevel::minimum:
      return "minimum";
    case DrawLevel::guaranteed:
      return "guaranteed";
    case DrawLevel::fail_safe:
      return "fail-safe";
    case DrawLevel::maximum:
      break;
  }
  return "maximum";
}

std::vector<Watts> device_draws(const PowerTree& tree, DrawLevel level) {
  std::vector<Watts> draws;
  draws.reserve(tree.devices().size());
  for (const auto& device : tree.devices()) {
    switch (level) {
      case DrawLevel::minimum:
        draws.push_back(device.min);
        break;
      case DrawLevel::guaranteed:
        draws.push_back(device.guaranteed);
        break;
      case DrawLevel::fail_safe:
        draws.push_back(device.fail_safe.value_or(device.max));
        break;
      case DrawLevel::maximum:
        draws.push_back(device.max);
        break;
    }
  }
  return draws;
}

std::vector<Watts> own_loads(const PowerTree& tree, std::span<const Watts> draws) {
  std::vector<Watts> loads(tree.nodes().size());
  for (std::size_t d = 0; d < draws.size(); ++d) {
    loads[tree.devices()[d].parent.value] += draws[d];
  }
  return loads;
}

NodeLoads loads_at(const PowerTree& tree, std::span<const Watts> draws) {
  return loads_from(tree, own_loads(tree, draws));
}

NodeLoads loads_from(const PowerTree& tree, std::span<const Watts> own_loads) {
  const auto nodes = tree.nodes();
  NodeLoads loads;
  loads.supply.assign(own_loads.begin(), own_loads.end());  // first the load, then the supply
  for (std::size_t n = nodes.size(); n-- > 0;) {
    const Watts supply = nodes[n].fixed + loads.supply[n] * nodes[n].factor;
    loads.supply[n] = supply;
    for (const auto& part : nodes[n].supplies) {
      loads.supply[part.parent.value] += supply * part.share_ratio;
    }
  }
  if (tree.has_phase_limits()) {
    add_phases(tree, own_loads, loads);
  }
  return loads;
}

bool passes(Watts load, Watts limit) {
  return load > limit * (1 + kLimitRounding);
}

std::optional<Seconds> time_allowed(const Limit& limit, Watts load, std::optional<Watts> before) {
  if (limit.curve) {
    return limit.curve->time_to_trip(load / limit.power);
  }
  if (!before || limit.window == Seconds{}) {
    return std::nullopt;
  }
  const Watts room = std::max(Watts{}, limit.power - *before);
  return limit.window * (room / (load - std::min(*before, limit.power)));
}

std::vector<Overload> overloads(const PowerTree& tree, const NodeLoads& loads,
                                const NodeLoads* before) {
  std::vector<Overload> passed;
  for (std::uint32_t n = 0; n < tree.nodes().size(); ++n) {
    const auto& limits = tree.nodes()[n].limits;
    for (std::uint32_t i = 0; i < limits.size(); ++i) {
      const Watts load = loads.bounded_by(limits[i], {n});
      if (passes(load, limits[i].power)) {
        const auto start =
            before == nullptr ? std::nullopt : std::optional{before->bounded_by(limits[i], {n})};
        passed.push_back({{n}, i, load, time_allowed(limits[i], load, start)});
      }
    }
  }
  return passed;
}

}  // namespace perwatt::topology
