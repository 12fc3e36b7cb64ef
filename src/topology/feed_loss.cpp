#include "perwatt/topology/feed_loss.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <queue>
#include <utility>

#include "perwatt/topology/root_units.hpp"

namespace perwatt::topology {

namespace {

/// Power on the whole and on each phase.
struct Flow {
  std::array<double, 4> watts{};  // sum, L1, L2, L3

  Flow& operator+=(const Flow& other) {
    for (std::size_t i = 0; i < watts.size(); ++i) {
      watts[i] += other.watts[i];
    }
    return *this;
  }

  Flow operator*(double factor) const {
    Flow scaled = *this;
    for (auto& part : scaled.watts) {
      part *= factor;
    }
    return scaled;
  }

  [[nodiscard]] Watts bounded_by(const Limit& limit) const {
    return perwatt::watts(watts[limit.phase ? 1 + static_cast<std::size_t>(*limit.phase) : 0]);
  }
};

Flow flow_of(const NodeLoads& loads, std::size_t n) {
  Flow flow;
  flow.watts[0] = in_watts(loads.supply[n]);
  for (std::size_t p = 0; !loads.phase_supply.empty() && p < 3; ++p) {
    flow.watts[1 + p] = in_watts(loads.phase_supply[n][p]);
  }
  return flow;
}

/// Which nodes are to be lost, with those on the only way to each: see the header.
std::vector<FeedLoss> losses_of(const PowerTree& tree) {
  const auto nodes = tree.nodes();
  std::vector<char> is_side(nodes.size(), 0);
  std::vector<char> leads(nodes.size(), 0);  // to a side, or is one
  std::vector<std::uint32_t> ways(nodes.size(), 0);
  std::vector<std::uint32_t> way(nodes.size(), 0);  // the last node below that leads to a side
  for (std::size_t n = nodes.size(); n-- > 0;) {
    leads[n] = leads[n] || is_side[n];
    for (const auto& supply : nodes[n].supplies) {
      const auto above = supply.parent.value;
      is_side[above] = is_side[above] || nodes[n].supplies.size() > 1;
      ways[above] += leads[n] != 0;
      way[above] = leads[n] ? static_cast<std::uint32_t>(n) : way[above];
      leads[above] = leads[above] || leads[n];
    }
  }
  std::vector<FeedLoss> losses;
  std::vector<std::uint32_t> number(nodes.size(), 0);  // of the loss, by node
  for (std::uint32_t n = 0; n < nodes.size(); ++n) {
    if (is_side[n] || ways[n] > 1) {
      number[n] = static_cast<std::uint32_t>(losses.size());
      losses.emplace_back();
      losses.back().lost = {n};
    }
  }
  for (auto n = static_cast<std::uint32_t>(nodes.size()); n-- > 0;) {
    if (leads[n] && !is_side[n] && ways[n] == 1) {
      number[n] = number[way[n]];
      losses[number[n]].or_above.push_back({n});
    }
  }
  return losses;
}

class LossStudy {
 public:
  LossStudy(const PowerTree& tree, std::span<const LevelLoads> levels)
      : tree_{tree}, touched_(tree.nodes().size(), 0), is_dark_(tree.nodes().size(), 0) {
    for (const auto& level : levels) {
      base_.push_back(loads_from(tree, level.own_loads));
    }
  }

  [[nodiscard]] std::size_t visits() const { return visits_; }

  void lose(FeedLoss& loss) {
    darken(loss);
    for (const auto& base : base_) {
      loss.levels.push_back({overloads_at(base)});
    }
    for (const auto n : reached_) {
      touched_[n] = is_dark_[n] = 0;
    }
  }

 private:
  /// Marks what goes dark and collects in reached_ what that reaches: dark and switched nodes.
  void darken(FeedLoss& loss) {
    reached_.clear();
    std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> open;
    open.push(loss.lost.value);
    touched_[loss.lost.value] = 1;
    while (!open.empty()) {
      const auto n = open.top();  // all its parents have a lower index: they are settled
      open.pop();
      ++visits_;
      reached_.push_back(n);
      is_dark_[n] = n == loss.lost.value || alive_share(n) == 0;
      if (!is_dark_[n]) {
        ++loss.switched_nodes;
        continue;
      }
      ++loss.dark_nodes;
      const auto range = tree_.devices_of({n});
      loss.dark_devices += range.end.value - range.first.value;
      for (const auto child : tree_.fed_by({n})) {
        if (!touched_[child.value]) {
          touched_[child.value] = 1;
          open.push(child.value);
        }
      }
    }
  }

  [[nodiscard]] double alive_share(std::uint32_t n) const {
    double sum = 0;
    for (const auto& supply : tree_.nodes()[n].supplies) {
      sum += is_dark_[supply.parent.value] ? 0 : supply.share_ratio;
    }
    return sum;
  }

  /// Carries the changes of supply up, children before parents.
  std::vector<Overload> overloads_at(const NodeLoads& base) {
    std::vector<Overload> passed;
    std::priority_queue<std::pair<std::uint32_t, std::size_t>> open;
    std::vector<Flow> changes;  // of the load of the node in open
    const auto change_load = [&](std::uint32_t n, const Flow& change) {
      open.push({n, changes.size()});
      changes.push_back(change);
    };
    for (const auto n : reached_) {
      change_load(n, {});
    }
    while (!open.empty()) {
      const auto n = open.top().first;
      Flow change;
      while (!open.empty() && open.top().first == n) {
        change += changes[open.top().second];
        open.pop();
      }
      ++visits_;
      settle(base, n, change, change_load, passed);
    }
    return passed;
  }

  template <class ChangeLoad>
  void settle(const NodeLoads& base, std::uint32_t n, const Flow& load_change,
              const ChangeLoad& change_load, std::vector<Overload>& passed) const {
    const auto& node = tree_.nodes()[n];
    const auto before = flow_of(base, n);
    const auto change = is_dark_[n] ? before * -1 : load_change * node.factor;
    Flow now = before;
    now += change;
    if (!is_dark_[n]) {
      judge(n, before, now, passed);
    }
    const double alive = touched_[n] ? alive_share(n) : 1;
    for (const auto& supply : node.supplies) {
      if (is_dark_[supply.parent.value]) {
        continue;  // its own supply goes to nothing anyhow
      }
      Flow more = change * supply.share_ratio;
      if (touched_[n] && !is_dark_[n]) {
        more = now * (supply.share_ratio / alive);
        more += before * -supply.share_ratio;
      }
      change_load(supply.parent.value, more);
    }
  }

  void judge(std::uint32_t n, const Flow& before, const Flow& now,
             std::vector<Overload>& passed) const {
    const auto& limits = tree_.nodes()[n].limits;
    for (std::uint32_t i = 0; i < limits.size(); ++i) {
      const Watts load = now.bounded_by(limits[i]);
      const Watts start = before.bounded_by(limits[i]);
      if (passes(load, limits[i].power) && passes(load, start)) {
        passed.push_back({{n}, i, load, time_allowed(limits[i], load, start)});
      }
    }
  }

  const PowerTree& tree_;
  std::vector<NodeLoads> base_;
  std::vector<char> touched_;
  std::vector<char> is_dark_;
  std::vector<std::uint32_t> reached_;
  std::size_t visits_ = 0;
};

}  // namespace

LevelLoads level_loads(const PowerTree& tree, DrawLevel level) {
  return {std::string{to_string(level)}, own_loads(tree, device_draws(tree, level))};
}

FeedLossStudy study_feed_losses(const PowerTree& tree, std::span<const LevelLoads> levels,
                                std::size_t most_visits) {
  FeedLossStudy study;
  if (!tree.has_feeds()) {
    return study;
  }
  LossStudy losses{tree, levels};
  for (auto& loss : losses_of(tree)) {
    if (losses.visits() > most_visits) {
      ++study.not_studied;
    } else {
      losses.lose(loss);
      study.losses.push_back(std::move(loss));
    }
  }
  return study;
}

}  // namespace perwatt::topology
