#include "perwatt/allocate/site_limits.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>
#include <string>

#include "dominators.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/topology/loads.hpp"

namespace perwatt::allocate {

namespace {

using topology::PowerTree;

constexpr double kAlike = 1e-12;  // ratios of one sum may differ by so much

using Share = std::pair<topology::NodeIndex, double>;

/// The power of `n`'s supply, or of a phase of it, per root watt of the devices of each node below.
class SharesBelow {
 public:
  SharesBelow(const PowerTree& tree, const std::vector<double>& root_factor,
              const std::vector<char>& has_devices_below, std::size_t most_shares)
      : tree_{tree},
        root_factor_{root_factor},
        has_devices_below_{has_devices_below},
        most_shares_{most_shares},
        factor_(tree.nodes().size(), 0) {}

  std::vector<Share> of(topology::NodeIndex n, std::optional<topology::Phase> phase) {
    std::vector<Share> shares;
    std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> open;
    factor_[n.value] = 1;
    open.push(n.value);
    while (!open.empty()) {
      const auto at = open.top();  // all that adds to its factor has a lower index and is done
      open.pop();
      const double factor = factor_[at];
      factor_[at] = 0;
      count();
      const auto devices = tree_.devices_of({at});
      const double part = phase ? topology::phase_share(tree_.node({at}).phase, *phase) : 1;
      if (devices.first < devices.end && part > 0) {
        shares.emplace_back(topology::NodeIndex{at}, factor * part / root_factor_[at]);
      }
      for (const auto child : tree_.fed_by({at})) {
        if (!has_devices_below_[child.value]) {
          continue;
        }
        if (factor_[child.value] == 0) {
          open.push(child.value);
        }
        factor_[child.value] += factor * tree_.node({at}).factor * share_of(child, at);
      }
    }
    return shares;
  }

 private:
  [[nodiscard]] double share_of(topology::NodeIndex child, std::uint32_t parent) const {
    for (const auto& supply : tree_.node(child).supplies) {
      if (supply.parent.value == parent) {
        return supply.share_ratio;
      }
    }
    return 0;
  }

  void count() {
    if (++shares_ > most_shares_) {
      throw_bad_input("limits of feeds and phases bound more than " + std::to_string(most_shares_) +
                          " nodes in all",
                      "topology", "leave out limits that never bind");
    }
  }

  const PowerTree& tree_;
  const std::vector<double>& root_factor_;
  const std::vector<char>& has_devices_below_;
  std::size_t most_shares_;
  std::size_t shares_ = 0;
  std::vector<double> factor_;  // by node; 0: not reached
};

/// A tree of sums that takes further ones where they nest. Parts of a sum: the sums right below it
/// and the nodes whose own devices it is the least sum of.
class SumTree {
 public:
  /// `sums` and `sum_of` as in SiteLimits; `holders`: the nodes with devices.
  SumTree(std::vector<NestedSum>& sums, std::vector<std::uint32_t>& sum_of,
          const std::vector<topology::NodeIndex>& holders)
      : sums_{sums}, sum_of_{sum_of}, parts_(sums.size(), 0), filled_(sums.size(), 0) {
    for (const auto holder : holders) {
      ++parts_[sum_of_[holder.value]];
    }
    for (std::size_t s = 1; s < sums_.size(); ++s) {
      ++parts_[sums_[s].parent];
    }
  }

  /// The sum of all devices of these nodes: one that is there or a new one; nothing where it
  /// crosses another. REQUIRES: each node has devices and stands once.
  std::optional<std::uint32_t> nest(const std::vector<Share>& members) {
    fill(members);
    std::optional<std::uint32_t> partial;
    bool crosses = false;
    for (const auto s : touched_) {
      if (filled_[s] < parts_[s]) {
        crosses = crosses || partial;
        partial = s;
      }
    }
    const std::size_t filled = partial ? filled_[*partial] : 0;
    for (const auto s : touched_) {
      filled_[s] = 0;
    }
    if (crosses) {
      return std::nullopt;
    }
    if (!partial) {
      return 0;
    }
    if (filled == 1 && !full_.empty() && sums_[full_.back()].parent == *partial) {
      return full_.back();
    }
    return insert(*partial, static_cast<std::uint32_t>(filled), members);
  }

  /// Parents before children, as NestedSum has it: the new number of each sum.
  std::vector<std::uint32_t> put_in_order() {
    std::vector<std::vector<std::uint32_t>> below(sums_.size());
    for (std::uint32_t s = 1; s < sums_.size(); ++s) {
      below[sums_[s].parent].push_back(s);
    }
    std::vector<std::uint32_t> order{0};
    std::vector<std::uint32_t> number(sums_.size(), 0);
    std::vector<NestedSum> ordered{{kNoSum}};
    for (std::size_t i = 0; i < order.size(); ++i) {
      for (const auto s : below[order[i]]) {
        number[s] = static_cast<std::uint32_t>(order.size());
        ordered.push_back({static_cast<std::uint32_t>(i)});
        order.push_back(s);
      }
    }
    sums_ = std::move(ordered);
    for (auto& sum : sum_of_) {
      sum = sum == kNoSum ? kNoSum : number[sum];
    }
    return number;
  }

 private:
  /// Counts the parts of each sum that the members fill; full_: sums they fill whole.
  void fill(const std::vector<Share>& members) {
    touched_.clear();
    full_.clear();
    for (const auto& [node, ratio] : members) {
      auto sum = sum_of_[node.value];
      for (;;) {
        if (filled_[sum]++ == 0) {
          touched_.push_back(sum);
        }
        if (filled_[sum] < parts_[sum]) {
          break;
        }
        full_.push_back(sum);
        if (sums_[sum].parent == kNoSum) {
          break;
        }
        sum = sums_[sum].parent;
      }
    }
  }

  std::uint32_t insert(std::uint32_t parent, std::uint32_t count,
                       const std::vector<Share>& members) {
    const auto added = static_cast<std::uint32_t>(sums_.size());
    for (const auto sum : full_) {
      if (sums_[sum].parent == parent) {
        sums_[sum].parent = added;
      }
    }
    for (const auto& [node, ratio] : members) {
      if (sum_of_[node.value] == parent) {
        sum_of_[node.value] = added;
      }
    }
    sums_.push_back({parent});
    parts_.push_back(count);
    filled_.push_back(0);
    parts_[parent] -= count - 1;
    return added;
  }

  std::vector<NestedSum>& sums_;
  std::vector<std::uint32_t>& sum_of_;
  std::vector<std::uint32_t> parts_;   // by sum
  std::vector<std::uint32_t> filled_;  // by sum, 0 between calls
  std::vector<std::uint32_t> touched_;
  std::vector<std::uint32_t> full_;
};

bool are_alike(const std::vector<Share>& shares) {
  const auto [least, most] =
      std::minmax_element(shares.begin(), shares.end(),
                          [](const Share& a, const Share& b) { return a.second < b.second; });
  return least->second >= most->second * (1 - kAlike);
}

class Builder {
 public:
  explicit Builder(const PowerTree& tree, std::size_t most_shares)
      : tree_{tree},
        dominators_{tree},
        has_devices_below_(tree.nodes().size(), 0),
        most_shares_{most_shares} {}

  SiteLimits build() {
    limits_.units = topology::root_units(tree_);
    const std::vector<Watts> nothing(tree_.devices().size());
    idle_ = topology::loads_at(tree_, nothing);
    for (std::size_t n = tree_.nodes().size(); n-- > 0;) {
      const auto devices = tree_.devices_of({static_cast<std::uint32_t>(n)});
      if (devices.first < devices.end) {
        has_devices_below_[n] = 1;
        holders_.push_back({static_cast<std::uint32_t>(n)});
      }
      for (const auto& supply : tree_.nodes()[n].supplies) {
        if (has_devices_below_[n] != 0) {
          has_devices_below_[supply.parent.value] = 1;
        }
      }
    }
    lay_out_sums();
    SumTree sums{limits_.nested, limits_.sum_of, holders_};
    SharesBelow below{tree_, limits_.units.node_factor, has_devices_below_, most_shares_};
    for (std::uint32_t n = 0; n < tree_.nodes().size(); ++n) {
      if (has_devices_below_[n]) {
        add_limits({n}, sums, below);
      }
    }
    const auto number = sums.put_in_order();
    for (auto& limit : limits_.limits) {
      limit.sum = limit.is_cross ? limit.sum : number[limit.sum];
    }
    return std::move(limits_);
  }

 private:
  /// A sum for every node that no way leads around.
  void lay_out_sums() {
    std::vector<std::uint32_t> sum_at(tree_.nodes().size(), kNoSum);  // of it or the nearest above
    limits_.sum_of.assign(tree_.nodes().size(), kNoSum);
    for (std::uint32_t n = 0; n < sum_at.size(); ++n) {
      const auto above = n == 0 ? kNoSum : sum_at[dominators_.nearest[n]];
      sum_at[n] = above;
      if (dominators_.covers[n] && has_devices_below_[n]) {
        sum_at[n] = static_cast<std::uint32_t>(limits_.nested.size());
        limits_.nested.push_back({above});
      }
    }
    for (const auto holder : holders_) {
      limits_.sum_of[holder.value] = sum_at[holder.value];
    }
    own_sum_ = std::move(sum_at);
  }

  void add_limits(topology::NodeIndex n, SumTree& sums, SharesBelow& below) {
    if (const auto power = tree_.node(n).steady_limit()) {
      SiteLimit limit{n,
                      std::nullopt,
                      own_sum_[n.value],
                      false,
                      std::max(Watts{}, *power - idle_.supply[n.value]),
                      1 / limits_.units.node_factor[n.value]};
      if (dominators_.covers[n.value]) {
        limits_.limits.push_back(limit);
      } else {
        add(limit, below.of(n, std::nullopt), sums);
      }
    }
    for (const auto phase : topology::kPhases) {
      std::optional<Watts> least;
      for (const auto& limit : tree_.node(n).limits) {
        if (limit.phase == phase) {
          least = least ? std::min(*least, limit.power) : limit.power;
        }
      }
      if (least) {
        const Watts idle = idle_.phase_supply[n.value][static_cast<std::size_t>(phase)];
        add({n, phase, 0, false, std::max(Watts{}, *least - idle), 1}, below.of(n, phase), sums);
      }
    }
  }

  void add(SiteLimit limit, std::vector<Share> shares, SumTree& sums) {
    if (shares.empty()) {
      return;
    }
    if (are_alike(shares)) {
      if (const auto sum = sums.nest(shares)) {
        limit.sum = *sum;
        limit.ratio = shares.front().second;
        limits_.limits.push_back(limit);
        return;
      }
    }
    limit.is_cross = true;
    limit.sum = static_cast<std::uint32_t>(limits_.cross.size());
    limit.ratio = 1;
    limits_.cross.push_back({std::move(shares)});
    limits_.limits.push_back(limit);
  }

  const PowerTree& tree_;
  Dominators dominators_;
  std::vector<char> has_devices_below_;
  std::size_t most_shares_;
  std::vector<topology::NodeIndex> holders_;  // nodes with devices
  std::vector<std::uint32_t> own_sum_;
  topology::NodeLoads idle_;
  SiteLimits limits_;
};

}  // namespace

SumLimits SiteLimits::least() const {
  const Watts none = watts(std::numeric_limits<double>::infinity());
  SumLimits least{std::vector<Watts>(nested.size(), none), std::vector<Watts>(cross.size(), none)};
  for (const auto& limit : limits) {
    auto& of_sum = limit.is_cross ? least.cross[limit.sum] : least.nested[limit.sum];
    of_sum = std::min(of_sum, limit.limit_on_sum());
  }
  return least;
}

SiteLimits site_limits(const PowerTree& tree, std::size_t most_shares) {
  return Builder{tree, most_shares}.build();
}

}  // namespace perwatt::allocate
