#include "perwatt/topology/root_units.hpp"

#include <algorithm>
#include <queue>

#include "perwatt/topology/loads.hpp"

namespace perwatt::topology {

RootUnits root_units(const PowerTree& tree) {
  const auto nodes = tree.nodes();
  RootUnits units;
  units.node_factor.assign(nodes.size(), 0);
  units.node_factor[0] = 1;
  for (std::size_t n = 1; n < nodes.size(); ++n) {
    for (const auto& supply : nodes[n].supplies) {
      units.node_factor[n] += supply.share_ratio * nodes[supply.parent.value].factor *
                              units.node_factor[supply.parent.value];
    }
  }
  const auto devices = tree.devices();
  const std::vector<Watts> nothing(devices.size());
  units.fixed_supply = loads_at(tree, nothing).supply;
  units.limit_at_root.resize(nodes.size());
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    if (const auto limit = nodes[n].steady_limit()) {
      units.limit_at_root[n] =
          std::max(Watts{}, *limit - units.fixed_supply[n]) * units.node_factor[n];
    }
  }
  for (const auto& device : devices) {
    const double factor =
        nodes[device.parent.value].factor * units.node_factor[device.parent.value];
    units.device_factor.push_back(factor);
    units.device_min_at_root.push_back(device.min * factor);
    units.device_max_at_root.push_back(device.max * factor);
  }
  return units;
}

std::vector<AncestorFactor> ancestors_of(const PowerTree& tree, NodeIndex n) {
  // By descending index: all that adds to a node's factor has a higher index and came before it.
  std::vector<AncestorFactor> ancestors;
  std::priority_queue<std::pair<std::uint32_t, double>> open;
  open.push({n.value, 1.0});
  while (!open.empty()) {
    const std::uint32_t at = open.top().first;
    double factor = 0;
    while (!open.empty() && open.top().first == at) {
      factor += open.top().second;
      open.pop();
    }
    ancestors.push_back({{at}, factor});
    for (const auto& supply : tree.nodes()[at].supplies) {
      open.push(
          {supply.parent.value, factor * supply.share_ratio * tree.node(supply.parent).factor});
    }
  }
  return ancestors;
}

double phase_share(std::optional<Phase> own, Phase phase) {
  if (!own) {
    return 1.0 / 3;
  }
  return *own == phase ? 1 : 0;
}

}  // namespace perwatt::topology
