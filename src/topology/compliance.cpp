#include "perwatt/topology/compliance.hpp"

#include <algorithm>

namespace perwatt::topology {

namespace {

/// By node: the least ratio of its own limits, 1 where the maximum fits.
std::vector<double> own_ratios(const PowerTree& tree, const NodeLoads& floor,
                               const NodeLoads& maximum) {
  std::vector<double> ratios(tree.nodes().size(), 1);
  for (std::uint32_t n = 0; n < ratios.size(); ++n) {
    for (const auto& limit : tree.nodes()[n].limits) {
      const Watts high = maximum.bounded_by(limit, {n});
      const Watts low = floor.bounded_by(limit, {n});
      if (passes(high, limit.power) && high > low) {
        ratios[n] = std::min(ratios[n], std::max(0.0, (limit.power - low) / (high - low)));
      }
    }
  }
  return ratios;
}

}  // namespace

LevelCheck check_level(const PowerTree& tree, DrawLevel level) {
  const auto loads = loads_at(tree, device_draws(tree, level));
  return {level, loads.supply[0], overloads(tree, loads)};
}

Downgrade downgrade(const PowerTree& tree) {
  Downgrade result;
  auto floor_draws = device_draws(tree, DrawLevel::guaranteed);
  auto floor = loads_at(tree, floor_draws);
  if (!overloads(tree, floor).empty()) {
    result.keeps_guarantees = false;
    floor_draws = device_draws(tree, DrawLevel::minimum);
    floor = loads_at(tree, floor_draws);
  }
  const auto maximum = loads_at(tree, device_draws(tree, DrawLevel::maximum));
  auto ratios = own_ratios(tree, floor, maximum);
  for (std::size_t n = 0; n < ratios.size(); ++n) {
    for (const auto& supply : tree.nodes()[n].supplies) {
      ratios[n] = std::min(ratios[n], ratios[supply.parent.value]);
    }
    result.least_range_ratio = std::min(result.least_range_ratio, ratios[n]);
  }
  for (std::size_t d = 0; d < floor_draws.size(); ++d) {
    const auto& device = tree.devices()[d];
    result.draws.push_back(floor_draws[d] +
                           (device.max - floor_draws[d]) * ratios[device.parent.value]);
  }
  result.loads = loads_at(tree, result.draws);
  for (std::uint32_t n = 0; n < ratios.size(); ++n) {
    const auto range = tree.devices_of({n});
    if (range.first != range.end) {
      result.nodes.push_back({{n}, maximum.supply[n], result.loads.supply[n], ratios[n]});
    }
  }
  return result;
}

}  // namespace perwatt::topology
