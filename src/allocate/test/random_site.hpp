// Power trees at random: losses, fixed draws, feeds, phases.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "perwatt/base/random.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::allocate {

struct SiteKind {
  bool has_feeds = false;
  bool has_phases = false;
  std::uint64_t most_nodes = 30;
};

/// Limits lie between what the minima draw and a little more than the maxima.
inline topology::PowerTree random_site(std::uint64_t seed, const SiteKind& kind) {
  using namespace topology;
  std::mt19937_64 random{seed};
  const auto below = [&](std::uint64_t n) { return uniform_below(random, n); };
  const auto share = [&] { return uniform_unit(random); };
  const auto size = 2 + below(kind.most_nodes);
  std::vector<NodeSpec> nodes;
  std::vector<DeviceSpec> devices;
  for (std::uint64_t i = 0; i < size; ++i) {
    NodeSpec node;
    node.id = "n" + std::to_string(i);
    node.place = node.id;
    if (i > 0) {
      node.supplies = {{"n" + std::to_string(below(i)), 1}};
    }
    if (kind.has_feeds && i > 2 && below(3) == 0) {
      const auto other = "n" + std::to_string(below(i));
      if (other != node.supplies[0].parent) {
        const double part = below(2) == 0 ? 0.5 : 0.1 + 0.8 * share();
        node.supplies = {{node.supplies[0].parent, part}, {other, 1 - part}};
      }
    }
    node.factor = below(2) == 0 ? 1 : 1 + 0.1 * share();
    node.fixed = watts(below(2) == 0 ? 0 : 50 * share());
    nodes.push_back(node);
  }
  for (std::uint64_t i = 0; i < 2 * size; ++i) {
    DeviceSpec device;
    device.id = "d" + std::to_string(i);
    device.place = device.id;
    device.parent = nodes[below(size)].id;
    device.min = watts(100 * share());
    device.max = device.min + watts(500 * share());
    devices.push_back(device);
  }
  if (kind.has_phases) {  // leaves, so that phases cannot contradict
    for (std::uint64_t i = 0; i < size; ++i) {
      NodeSpec leaf;
      leaf.id = "leaf" + std::to_string(i);
      leaf.place = leaf.id;
      leaf.supplies = {{nodes[below(size)].id, 1}};
      leaf.phase = below(4) == 0 ? std::nullopt : std::optional{kPhases[below(3)]};
      devices[i].parent = leaf.id;
      nodes.push_back(leaf);
    }
  }
  // Limits that hold at the minima.
  auto free = PowerTree::build(nodes, devices);
  const auto limited = [&](Watts low, Watts high) {
    return low + (high - low) * (0.1 + share()) + watts(1e-3);
  };
  std::vector<Watts> least(free.devices().size());
  std::vector<Watts> most(free.devices().size());
  for (std::size_t d = 0; d < least.size(); ++d) {
    least[d] = free.devices()[d].min;
    most[d] = free.devices()[d].max;
  }
  const auto supply_at = [&](const std::vector<Watts>& draws) {
    std::vector<Watts> supply(free.nodes().size());
    for (std::size_t d = 0; d < draws.size(); ++d) {
      supply[free.devices()[d].parent.value] += draws[d];
    }
    for (std::size_t n = supply.size(); n-- > 0;) {
      const auto& node = free.nodes()[n];
      supply[n] = node.fixed + supply[n] * node.factor;
      for (const auto& part : node.supplies) {
        supply[part.parent.value] += supply[n] * part.share_ratio;
      }
    }
    return supply;
  };
  const auto low = supply_at(least);
  const auto high = supply_at(most);
  for (auto& node : nodes) {
    const auto n = free.find_node(node.id)->value;
    if (below(5) > 0) {
      node.limits.push_back(
          {LimitKind::breaker, limited(low[n], high[n]), {}, std::nullopt, std::nullopt});
    }
    if (kind.has_phases && !node.phase && below(3) == 0) {
      for (const auto phase : kPhases) {
        node.limits.push_back(
            {LimitKind::breaker, limited(low[n], high[n]), {}, std::nullopt, phase});
      }
    }
  }
  return PowerTree::build(std::move(nodes), std::move(devices));
}

}  // namespace perwatt::allocate
