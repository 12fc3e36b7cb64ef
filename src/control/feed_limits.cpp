#include "perwatt/control/feed_limits.hpp"

#include <algorithm>
#include <limits>

namespace perwatt::control {

namespace {

using topology::NodeIndex;
using topology::PowerTree;

const Watts kNoLimit = Watts::from_base(std::numeric_limits<double>::infinity());
constexpr double kMostOverload = 10;  // of a rating
constexpr int kBisections = 60;

/// By node.
std::vector<char> live_nodes(const PowerTree& tree, std::span<const NodeIndex> lost) {
  const auto nodes = tree.nodes();
  std::vector<char> is_live(nodes.size(), 1);
  for (const auto node : lost) {
    is_live[node.value] = 0;
  }
  for (std::uint32_t n = 1; n < nodes.size(); ++n) {
    const auto& supplies = nodes[n].supplies;
    const bool is_fed = std::any_of(supplies.begin(), supplies.end(), [&](const auto& supply) {
      return is_live[supply.parent.value] != 0;
    });
    is_live[n] = is_live[n] != 0 && is_fed;
  }
  return is_live;
}

/// By node: true supply over declared sum, at most.
std::vector<double> growths(const PowerTree& tree, const std::vector<char>& is_live) {
  const auto nodes = tree.nodes();
  std::vector<double> growth(nodes.size(), 1);
  for (auto n = static_cast<std::uint32_t>(nodes.size()); n-- > 1;) {
    if (!is_live[n]) {
      continue;
    }
    double live_share = 0;
    for (const auto& supply : nodes[n].supplies) {
      live_share += is_live[supply.parent.value] ? supply.share_ratio : 0;
    }
    for (const auto& supply : nodes[n].supplies) {
      auto& parent = growth[supply.parent.value];
      parent = std::max(parent, growth[n] / live_share);
    }
  }
  return growth;
}

/// What multiple of a limit it holds for `response`.
double ratio_held(const topology::Limit& limit, Seconds response) {
  if (!limit.curve) {
    return 1;
  }
  double low = 1;
  double high = kMostOverload;
  for (int i = 0; i < kBisections; ++i) {
    const double middle = (low + high) / 2;
    const auto time = limit.curve->time_to_trip(middle);
    (!time || *time > response ? low : high) = middle;
  }
  return low;
}

}  // namespace

std::vector<Watts> steady_limits(const PowerTree& tree) {
  std::vector<Watts> limits;
  for (const auto& node : tree.nodes()) {
    limits.push_back(node.steady_limit().value_or(kNoLimit));
  }
  return limits;
}

std::vector<Watts> limits_without(const PowerTree& tree, std::span<const NodeIndex> lost,
                                  std::span<const Watts> limits) {
  const auto is_live = live_nodes(tree, lost);
  const auto growth = growths(tree, is_live);
  std::vector<Watts> changed(limits.begin(), limits.end());
  for (std::size_t n = 0; n < changed.size(); ++n) {
    changed[n] = is_live[n] ? limits[n] * (1 / growth[n]) : limits[n];
  }
  return changed;
}

std::vector<Watts> survivable_limits(const PowerTree& tree, Seconds response) {
  auto kept = steady_limits(tree);
  std::vector<char> is_one_of_several(tree.nodes().size());
  for (const auto& node : tree.nodes()) {
    for (const auto& supply : node.supplies) {
      is_one_of_several[supply.parent.value] |= node.supplies.size() > 1;
    }
  }
  for (std::uint32_t lost = 1; lost < tree.nodes().size(); ++lost) {
    if (!is_one_of_several[lost]) {
      continue;
    }
    const NodeIndex gone[] = {{lost}};
    const auto is_live = live_nodes(tree, gone);
    const auto growth = growths(tree, is_live);
    for (std::size_t n = 0; n < kept.size(); ++n) {
      for (const auto& limit : tree.nodes()[n].limits) {
        if (is_live[n] && growth[n] > 1 && !limit.phase) {
          kept[n] = std::min(kept[n], limit.power * (ratio_held(limit, response) / growth[n]));
        }
      }
    }
  }
  return kept;
}

}  // namespace perwatt::control
