#include "node_sums.hpp"

#include <algorithm>

#include "perwatt/topology/root_units.hpp"

namespace perwatt::simulate {

namespace {

/// Four sums side by side: as exact as one, and not a chain of waits for the adder.
double sum_of_watts(const float* watts, std::size_t count) {
  std::array<double, 4> sums{};
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    for (std::size_t lane = 0; lane < 4; ++lane) {
      sums[lane] += static_cast<double>(watts[i + lane]);
    }
  }
  for (; i < count; ++i) {
    sums[0] += static_cast<double>(watts[i]);
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

void spread_over_phases(std::array<double, 3>& phases, double power_watts,
                        std::optional<topology::Phase> own) {
  for (const auto phase : topology::kPhases) {
    phases[static_cast<std::size_t>(phase)] += power_watts * topology::phase_share(own, phase);
  }
}

}  // namespace

NodeSums::NodeSums(const topology::PowerTree& tree, std::span<const std::uint16_t> kind_of_device,
                   std::size_t kinds)
    : tree_{tree} {
  const auto devices = tree.devices();
  for (std::uint32_t d = 0; d < devices.size(); ++d) {
    const std::uint32_t node = devices[d].parent.value;
    const std::uint32_t kind = kind_of_device[d];
    if (segments_.empty() || segments_.back().node != node || segments_.back().kind != kind) {
      segments_.push_back({d, d, node, kind});
    }
    segments_.back().end = d + 1;
  }
  const std::size_t count = tree.nodes().size();
  for (const auto& node : tree.nodes()) {
    feed_begin_.push_back(static_cast<std::uint32_t>(feeds_.size()));
    for (const auto& supply : node.supplies) {
      feeds_.push_back({supply.parent.value, supply.share_ratio});
    }
  }
  feed_begin_.push_back(static_cast<std::uint32_t>(feeds_.size()));
  factor_.resize(count);
  fixed_watts_.resize(count);
  load_.resize(count);
  supply_.resize(count);
  node_joules_.resize(count);
  open_.resize(count);
  live_.resize(count);
  if (tree.has_phase_limits()) {
    own_load_.resize(count);
    phase_supply_.resize(count);
  }
  kind_watts_.resize(kinds);
  kind_joules_.resize(kinds);
  recompute_live();
}

void NodeSums::recompute_live() {
  const auto nodes = tree_.nodes();
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    const auto& supplies = nodes[n].supplies;
    double live_share = 0;
    bool all_live = true;
    for (const auto& supply : supplies) {
      const bool up = live_[supply.parent.value] != 0;
      live_share += up ? supply.share_ratio : 0;
      all_live = all_live && up;
    }
    const bool live = open_[n] == 0 && (supplies.empty() || live_share > 0);
    live_[n] = live ? 1 : 0;
    factor_[n] = live ? nodes[n].factor : 0;
    fixed_watts_[n] = live ? in_watts(nodes[n].fixed) : 0;
    for (std::size_t i = 0; i < supplies.size(); ++i) {
      const bool used = live && live_[supplies[i].parent.value] != 0;
      const double share = supplies[i].share_ratio / (all_live ? 1 : live_share);
      feeds_[feed_begin_[n] + i].share_ratio = used ? share : 0;
    }
  }
}

void NodeSums::add_up(std::span<const float> draw_watts) {
  std::fill(load_.begin(), load_.end(), 0.0);
  std::fill(kind_watts_.begin(), kind_watts_.end(), 0.0);
  for (const auto& segment : segments_) {
    const double watts =
        sum_of_watts(draw_watts.data() + segment.first, segment.end - segment.first);
    load_[segment.node] += watts;
    kind_watts_[segment.kind] += watts;
  }
  if (!own_load_.empty()) {
    own_load_ = load_;
  }
  for (std::size_t n = load_.size(); n-- > 0;) {
    supply_[n] = fixed_watts_[n] + load_[n] * factor_[n];
    for (std::uint32_t f = feed_begin_[n]; f < feed_begin_[n + 1]; ++f) {
      load_[feeds_[f].parent] += supply_[n] * feeds_[f].share_ratio;
    }
  }
  if (!phase_supply_.empty()) {
    add_up_phases();
  }
}

void NodeSums::add_up_phases() {
  const auto nodes = tree_.nodes();
  std::fill(phase_supply_.begin(), phase_supply_.end(), std::array<double, 3>{});
  for (std::size_t n = nodes.size(); n-- > 0;) {
    auto& phases = phase_supply_[n];  // first the load, then the supply
    spread_over_phases(phases, own_load_[n], nodes[n].phase);
    for (auto& phase : phases) {
      phase *= factor_[n];
    }
    spread_over_phases(phases, fixed_watts_[n], nodes[n].phase);
    for (std::uint32_t f = feed_begin_[n]; f < feed_begin_[n + 1]; ++f) {
      auto& above = phase_supply_[feeds_[f].parent];
      for (std::size_t p = 0; p < above.size(); ++p) {
        above[p] += phases[p] * feeds_[f].share_ratio;
      }
    }
  }
}

void NodeSums::add_energy(Seconds time) {
  for (std::size_t n = 0; n < supply_.size(); ++n) {
    node_joules_[n] += supply_[n] * in_seconds(time);
  }
  for (std::size_t k = 0; k < kind_watts_.size(); ++k) {
    kind_joules_[k] += kind_watts_[k] * in_seconds(time);
  }
}

}  // namespace perwatt::simulate
