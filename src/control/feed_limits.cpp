#include "perwatt/control/feed_limits.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>

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

/// By node: itself one of `lost`, or below one.
std::vector<char> nodes_below(const PowerTree& tree, std::span<const NodeIndex> lost) {
  std::vector<char> is_below(tree.nodes().size(), 0);
  for (const auto node : lost) {
    is_below[node.value] = 1;
  }
  for (std::uint32_t n = 0; n < is_below.size(); ++n) {
    for (const auto fed : tree.fed_by({n})) {
      is_below[fed.value] = static_cast<char>(is_below[fed.value] | is_below[n]);
    }
  }
  return is_below;
}

/// What a watt of supply of a node adds above it, as declared and with feeds lost.
struct Added {
  double declared = 0;
  double live = 0;
};

/// Raises `growth` of all nodes above `node` to what its watts grow by there.
void raise_growth(const PowerTree& tree, const std::vector<char>& is_live, std::uint32_t node,
                  std::vector<double>& growth) {
  std::map<std::uint32_t, Added, std::greater<>> waiting{{node, {1, 1}}};  // children first
  while (!waiting.empty()) {
    const auto [n, added] = *waiting.begin();
    waiting.erase(waiting.begin());
    growth[n] = std::max(growth[n], added.live / added.declared);
    double live_share = 0;
    for (const auto& supply : tree.nodes()[n].supplies) {
      live_share += is_live[supply.parent.value] ? supply.share_ratio : 0;
    }
    for (const auto& supply : tree.nodes()[n].supplies) {
      const double factor = tree.node(supply.parent).factor * supply.share_ratio;
      auto& above = waiting[supply.parent.value];
      above.declared += added.declared * factor;
      above.live += is_live[supply.parent.value] ? added.live * factor / live_share : 0;
    }
  }
}

/// By node: true supply over declared sum, at most.
std::vector<double> growths(const PowerTree& tree, std::span<const NodeIndex> lost,
                            const std::vector<char>& is_live) {
  std::vector<double> growth(tree.nodes().size(), 1);
  const auto is_below = nodes_below(tree, lost);
  for (std::uint32_t n = 1; n < growth.size(); ++n) {
    const auto own = tree.devices_of({n});
    const bool draws = own.first.value < own.end.value || tree.nodes()[n].fixed > Watts{};
    if (is_below[n] && is_live[n] && draws) {
      raise_growth(tree, is_live, n, growth);
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
  const auto growth = growths(tree, lost, is_live);
  std::vector<Watts> changed(limits.begin(), limits.end());
  for (std::size_t n = 0; n < changed.size(); ++n) {
    changed[n] = is_live[n] ? limits[n] * (1 / growth[n]) : limits[n];
  }
  return changed;
}

std::vector<Watts> survivable_limits(const PowerTree& tree, Seconds response) {
  auto kept = steady_limits(tree);
  std::vector<char> is_a_loss(tree.nodes().size());
  for (auto n = static_cast<std::uint32_t>(tree.nodes().size()); n-- > 1;) {  // children first
    const auto& supplies = tree.nodes()[n].supplies;
    for (const auto& supply : supplies) {
      auto& above = is_a_loss[supply.parent.value];
      above = static_cast<char>(above | is_a_loss[n] | (supplies.size() > 1 ? 1 : 0));
    }
  }
  for (std::uint32_t lost = 1; lost < tree.nodes().size(); ++lost) {
    if (!is_a_loss[lost]) {
      continue;
    }
    const NodeIndex gone[] = {{lost}};
    const auto is_live = live_nodes(tree, gone);
    const auto growth = growths(tree, gone, is_live);
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
