#include "laminar.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

namespace perwatt::allocate {

template <class Key>
LaminarProgram<Key>::LaminarProgram(const Problem& problem, const TreeOrder& order,
                                    TreeState<Key>& state)
    : problem_{problem},
      order_{order},
      state_{state},
      open_(order.node_at.size()),
      used_(order.node_at.size()) {
  stacks_.begin(state.table.pieces);
}

template <class Key>
bool LaminarProgram<Key>::reserve_least_watts(Allocation& answer) {
  const std::size_t nodes = state_.capacity.size();
  auto& least = state_.least_below;
  std::fill(least.begin(), least.end(), 0.0);
  for (std::size_t place = 0; place < nodes; ++place) {
    least[place] += state_.table.own_least_watts[place];
    const double limit = problem_.nodes()[order_.node_at[place]].limit.in_base();
    state_.capacity[place] = limit - least[place];
    if (state_.capacity[place] < limit * kMetExactly) {
      if (state_.capacity[place] < -limit * kSumRounding) {
        answer.overfull.push_back(NodeIndex{order_.node_at[place]});
      }
      state_.capacity[place] = 0;
    }
    if (order_.parent[place] != TreeOrder::kNone) {
      least[order_.parent[place]] += least[place];
    }
  }
  return answer.overfull.empty();
}

template <class Key>
void LaminarProgram<Key>::push_own(std::size_t place, BandWatts& watts) {
  const auto& table = state_.table;
  const auto first = order_.first_device[place];
  const auto end = order_.first_device[place + 1];
  if (first == end) {
    return;
  }
  const std::size_t most = table.end_piece[end - 1] - table.first_piece[first];  // gaps too
  if (table.has_gaps) {
    stacks_.push(
        first, end, [&table](std::uint32_t d) { return table.of(d); }, most, watts);
  } else {  // as they lie, side by side
    const std::span<const Piece<Key>> all{table.pieces.data() + table.first_piece[first], most};
    stacks_.push(
        0, 1, [all](std::uint32_t) { return all; }, most, watts);
  }
}

/// The pieces that reach a node are what its children kept, on the stacks already, and its own.
template <class Key>
void LaminarProgram<Key>::cut_one(std::size_t place) {
  auto& node = state_.cuts[place];
  auto& open = open_[place];
  const auto first_child = order_.first_child[place];
  const bool is_leaf = first_child == TreeOrder::kNone;
  open.begin = is_leaf ? stacks_.tops() : open_[first_child].begin;
  push_own(place, open.watts);
  double total = 0;
  for (const double watts : open.watts) {
    total += watts;
  }
  const double capacity = state_.capacity[place];
  const double rounding = kMetExactly * capacity;
  node.is_full = std::isfinite(capacity) && total >= capacity - rounding;
  if (capacity <= 0) {
    node = nothing_kept(stacks_.drop(open.begin));
    open.watts = {};
  } else if (total > capacity + rounding) {
    // The first child's subtree lies below the next child's, which begins after it.
    const auto& first_end = is_leaf ? open.begin : open_[first_child].end;
    const auto cut = stacks_.cut(open.begin, first_end, capacity, open.watts);
    node.threshold = node.least_kept = cut.threshold;
    node.share = cut.share;
    node.best_rejected = cut.best_rejected;
  }
  open.end = stacks_.tops();
}

template <class Key>
void LaminarProgram<Key>::cut_all() {
  stacks_.clear();
  for (std::size_t place = 0; place < state_.cuts.size(); ++place) {
    state_.cuts[place] = {};
    state_.cuts[place].least_kept = state_.table.own_least_key[place];
    open_[place].watts = {};
  }
  for (std::size_t place = 0; place < state_.cuts.size(); ++place) {
    cut_one(place);
    if (order_.parent[place] != TreeOrder::kNone) {
      auto& above = state_.cuts[order_.parent[place]];
      auto& watts = open_[order_.parent[place]].watts;
      for (std::size_t band = 0; band < kBands; ++band) {
        watts[band] += open_[place].watts[band];
      }
      if (above.least_kept > state_.cuts[place].least_kept) {
        above.least_kept = state_.cuts[place].least_kept;
      }
    }
  }
}

/// Watts and value of the own devices of a node.
template <class Key>
long double LaminarProgram<Key>::fill(std::size_t place, const Reach<Key>& reach,
                                      Allocation& answer) {
  const auto& table = state_.table;
  const auto share = static_cast<double>(reach.share);
  double node_watts = 0;
  double value = 0;
  double tied_watts = 0;
  for (auto d = order_.first_device[place]; d < order_.first_device[place + 1]; ++d) {
    double watts = table.least_watts[d];
    double ties = 0;
    for (auto i = table.first_piece[d]; i < table.end_piece[d]; ++i) {  // without a branch
      const auto& piece = table.pieces[i];
      const double taken = Cutter<Key>::watts_if(piece.key > reach.threshold, piece);
      watts += taken;
      value += taken * slope_of(piece.key);
      ties += Cutter<Key>::watts_if(!(reach.threshold > piece.key), piece) - taken;
    }
    watts += ties * share;
    tied_watts += ties;
    answer.device_watts[order_.device_at[d]] = Watts::from_base(watts);
    node_watts += watts;
  }
  used_[place] = node_watts;
  if (tied_watts > 0) {
    return value + static_cast<long double>(tied_watts * slope_of(reach.threshold)) * reach.share;
  }
  return value;
}

template <class Key>
void LaminarProgram<Key>::hand_down(Allocation& answer) {
  set_prices(order_, state_, answer);
  long double value = state_.table.least_value;  // so that whole numbers stay whole
  for (std::size_t place = 0; place < state_.cuts.size(); ++place) {  // as pieces lie in memory
    value += fill(place, state_.below[place].reach, answer);
  }
  answer.value = static_cast<double>(value);
  answer.bound = answer.value;
}

template <class Key>
void LaminarProgram<Key>::add_up(Allocation& answer) {
  for (std::size_t place = 0; place < used_.size(); ++place) {
    answer.nodes[order_.node_at[place]].power = Watts::from_base(used_[place]);
    if (order_.parent[place] != TreeOrder::kNone) {
      used_[order_.parent[place]] += used_[place];
    }
  }
}

template <class Key>
void LaminarProgram<Key>::solve(Allocation& answer) {
  if (state_.table.has_changed) {
    state_.table.refresh(order_);
    stacks_.begin(state_.table.pieces);
  }
  auto device_watts = std::move(answer.device_watts);  // for what it has reserved
  answer = {};
  device_watts.assign(order_.device_at.size(), Watts{});
  answer.device_watts = std::move(device_watts);
  answer.nodes.assign(state_.cuts.size(), {});
  answer.status = reserve_least_watts(answer) ? Status::optimal : Status::infeasible;
  if (answer.status == Status::infeasible) {
    return;
  }
  cut_all();
  hand_down(answer);
  add_up(answer);
}

template class LaminarProgram<double>;
template class LaminarProgram<PriorityKey>;

}  // namespace perwatt::allocate
