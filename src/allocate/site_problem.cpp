#include "perwatt/allocate/site_problem.hpp"

#include <algorithm>
#include <utility>

namespace perwatt::allocate {

Problem site_problem(const topology::PowerTree& tree, const SiteLimits& limits, double used_ratio,
                     const CurveOf& curve_of, std::size_t most_points) {
  const auto least = limits.least();
  Problem problem{Policy::value};
  for (std::size_t s = 0; s < limits.nested.size(); ++s) {
    const auto parent = limits.nested[s].parent;
    problem.add_node(parent == kNoSum ? std::nullopt : std::optional{NodeIndex{parent}},
                     least.nested[s] * used_ratio);
  }
  for (std::size_t d = 0; d < tree.devices().size(); ++d) {
    const auto node = tree.devices()[d].parent.value;
    problem.add_device(NodeIndex{limits.sum_of[node]}, curve_of(d), {}, most_points);
  }
  for (std::size_t k = 0; k < limits.cross.size(); ++k) {
    std::vector<WattShare> shares;
    for (const auto& [node, ratio] : limits.cross[k].shares) {
      const auto range = tree.devices_of(node);
      for (auto d = range.first.value; d < range.end.value; ++d) {
        shares.push_back({DeviceIndex{d}, ratio});
      }
    }
    problem.add_cross_limit(least.cross[k] * used_ratio, std::move(shares));
  }
  return problem;
}

void set_limits(Problem& problem, const SiteLimits& limits, double used_ratio) {
  const auto least = limits.least();
  for (std::uint32_t s = 0; s < least.nested.size(); ++s) {
    problem.set_limit(NodeIndex{s}, least.nested[s] * used_ratio);
  }
  for (std::uint32_t k = 0; k < least.cross.size(); ++k) {
    problem.set_cross_limit(CrossLimitIndex{k}, least.cross[k] * used_ratio);
  }
}

void ChangingLimits::restore(std::span<const Watts> powers) {
  for (std::size_t i = 0; i < powers.size(); ++i) {
    limits_.limits[i].power = powers[i];
  }
}

void ChangingLimits::set(topology::NodeIndex node, Watts limit) {
  for (std::size_t i = 0; i < limits_.limits.size(); ++i) {
    auto& one = limits_.limits[i];
    if (one.node == node && !one.phase) {
      one.power = std::min(tree_limits_[i].power,
                           std::max(Watts{}, limit - limits_.units.fixed_supply[node.value]));
    }
  }
}

}  // namespace perwatt::allocate
