#include "laminar.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

namespace perwatt::allocate {

namespace {

constexpr double kSumRounding = 1e-9;  // of a limit: least watts above it by so much still fit

template <class Key>
Key key_of(double slope, Priority priority) {
  if constexpr (std::is_same_v<Key, double>) {
    return slope;
  } else {
    return {static_cast<double>(priority), slope};
  }
}

}  // namespace

template <class Key>
PieceTable<Key>::PieceTable(const Problem& problem, const TreeOrder& order) {
  const auto devices = problem.devices();
  first_piece.reserve(devices.size() + 1);
  first_piece.push_back(0);
  least_watts.reserve(devices.size());
  pieces.reserve(devices.size() * 4);
  for (const std::uint32_t d : order.device_at) {
    const auto curve = problem.curve(DeviceIndex{d});
    least_watts.push_back(curve.front().power.in_base());
    least_value += curve.front().value;
    double last_slope = KeyLimits<double>::highest;
    for (std::size_t i = 1; i < curve.size(); ++i) {
      const double width = (curve[i].power - curve[i - 1].power).in_base();
      const double slope = std::min((curve[i].value - curve[i - 1].value) / width, last_slope);
      if (slope <= 0) {
        break;
      }
      pieces.push_back({key_of<Key>(slope, devices[d].terms.priority), width});
      last_slope = slope;
    }
    first_piece.push_back(static_cast<std::uint32_t>(pieces.size()));
  }
  const std::size_t nodes = order.node_at.size();
  own_least_watts.assign(nodes, 0.0);
  own_least_key.assign(nodes, KeyLimits<Key>::highest);
  for (std::size_t place = 0; place < nodes; ++place) {
    for (auto d = order.first_device[place]; d < order.first_device[place + 1]; ++d) {
      own_least_watts[place] += least_watts[d];
      if (first_piece[d] < first_piece[d + 1] &&
          own_least_key[place] > pieces[first_piece[d + 1] - 1].key) {
        own_least_key[place] = pieces[first_piece[d + 1] - 1].key;
      }
    }
  }
}

template <class Key>
LaminarProgram<Key>::LaminarProgram(const Problem& problem, const TreeOrder& order)
    : problem_{problem},
      order_{order},
      table_{problem, order},
      capacity_(order.node_at.size()),
      cuts_(order.node_at.size()),
      stacks_{table_.pieces},
      open_(order.node_at.size()),
      used_(order.node_at.size()) {}

template <class Key>
bool LaminarProgram<Key>::reserve_least_watts(Allocation& answer) {
  const std::size_t nodes = capacity_.size();
  std::vector<double>& least = used_;  // until the answer's own sums
  answer.overfull.clear();
  std::fill(least.begin(), least.end(), 0.0);
  for (std::size_t place = 0; place < nodes; ++place) {
    least[place] += table_.own_least_watts[place];
    const double limit = problem_.nodes()[order_.node_at[place]].limit.in_base();
    capacity_[place] = limit - least[place];
    if (capacity_[place] < 0) {
      if (capacity_[place] < -limit * kSumRounding) {
        answer.overfull.push_back(NodeIndex{order_.node_at[place]});
      }
      capacity_[place] = 0;
    }
    if (order_.parent[place] != TreeOrder::kNone) {
      least[order_.parent[place]] += least[place];
    }
  }
  return answer.overfull.empty();
}

/// The pieces that reach a node are what its children kept, on the stacks already, and its own.
template <class Key>
void LaminarProgram<Key>::cut_one(std::size_t place) {
  auto& node = cuts_[place];
  auto& open = open_[place];
  const auto first_child = order_.first_child[place];
  const bool is_leaf = first_child == TreeOrder::kNone;
  open.begin = is_leaf ? stacks_.tops() : open_[first_child].begin;
  const auto first = table_.first_piece[order_.first_device[place]];
  const auto end = table_.first_piece[order_.first_device[place + 1]];
  stacks_.push({table_.pieces.data() + first, end - first}, open.watts);
  double total = 0;
  for (const double watts : open.watts) {
    total += watts;
  }
  const double capacity = capacity_[place];
  node.is_full = total >= capacity;
  if (capacity <= 0) {
    node.best_rejected = stacks_.drop(open.begin);
    node.threshold = node.least_kept = KeyLimits<Key>::highest;
    node.share = 0;
    open.watts = {};
  } else if (total > capacity) {
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
  for (std::size_t place = 0; place < cuts_.size(); ++place) {
    cuts_[place] = {};
    cuts_[place].least_kept = table_.own_least_key[place];
    open_[place].watts = {};
  }
  for (std::size_t place = 0; place < cuts_.size(); ++place) {
    cut_one(place);
    if (order_.parent[place] != TreeOrder::kNone) {
      auto& above = cuts_[order_.parent[place]];
      auto& watts = open_[order_.parent[place]].watts;
      for (std::size_t band = 0; band < kBands; ++band) {
        watts[band] += open_[place].watts[band];
      }
      if (above.least_kept > cuts_[place].least_kept) {
        above.least_kept = cuts_[place].least_kept;
      }
    }
  }
}

/// Watts and value of the own devices of a node.
template <class Key>
long double LaminarProgram<Key>::fill(std::size_t place, Reach reach, Allocation& answer) {
  double node_watts = 0;
  double value = 0;
  double tied_watts = 0;
  const auto share = static_cast<double>(reach.share);
  for (auto d = order_.first_device[place]; d < order_.first_device[place + 1]; ++d) {
    double watts = table_.least_watts[d];
    double ties = 0;
    for (auto i = table_.first_piece[d]; i < table_.first_piece[d + 1]; ++i) {
      const auto& piece = table_.pieces[i];
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
  std::vector<Reach> reaches(cuts_.size());
  long double value = table_.least_value;  // so that whole numbers stay whole
  for (std::size_t place = cuts_.size(); place-- > 0;) {
    auto& node = cuts_[place];
    Reach reach =
        order_.parent[place] == TreeOrder::kNone ? Reach{} : reaches[order_.parent[place]];
    // Full in the end only when nothing of what it kept goes further up.
    const bool keeps_nothing = node.least_kept == KeyLimits<Key>::highest;
    node.is_full = node.is_full &&
                   (keeps_nothing || node.least_kept > reach.threshold ||
                    (node.least_kept == reach.threshold && reach.share >= 1));
    if (node.threshold == reach.threshold) {
      reach.share *= node.share;
    } else if (node.threshold > reach.threshold) {
      reach = {node.threshold, node.share};
    }
    reaches[place] = reach;
  }
  for (std::size_t place = 0; place < cuts_.size(); ++place) {  // as the pieces lie in memory
    value += fill(place, reaches[place], answer);
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
void set_prices(const TreeOrder& order, const std::vector<NodeCut<Key>>& cuts, Allocation& answer) {
  struct Above {  // of the full nodes on the way up
    Key least_kept = KeyLimits<Key>::lowest;      // of the nearest; lowest: there is none
    Key best_rejected = KeyLimits<Key>::lowest;  // of all
  };

  std::vector<Above> aboves(cuts.size());
  const auto slope = [](Key key) { return key == KeyLimits<Key>::lowest ? 0.0 : slope_of(key); };
  for (std::size_t place = cuts.size(); place-- > 0;) {
    const auto& node = cuts[place];
    Above above = order.parent[place] == TreeOrder::kNone ? Above{} : aboves[order.parent[place]];
    auto& use = answer.nodes[order.node_at[place]];
    use.price_per_watt = 0;
    use.loss_per_watt = 0;
    if (node.is_full) {
      // One watt more goes to the best that was left out, from the least that the nearest full node
      // above keeps; one watt less comes from the least kept and goes to the best left out above.
      if (node.best_rejected > above.least_kept) {
        use.price_per_watt = slope(node.best_rejected) - slope(above.least_kept);
      }
      if (node.least_kept == KeyLimits<Key>::highest) {
        use.loss_per_watt.reset();
      } else {
        use.loss_per_watt = slope(node.least_kept) - slope(above.best_rejected);
      }
      above.least_kept = node.least_kept;
      if (node.best_rejected > above.best_rejected) {
        above.best_rejected = node.best_rejected;
      }
    }
    aboves[place] = above;
  }
}

template <class Key>
void LaminarProgram<Key>::solve(Allocation& answer) {
  answer.device_watts.resize(order_.device_at.size());
  answer.nodes.assign(cuts_.size(), {});
  answer.status = reserve_least_watts(answer) ? Status::optimal : Status::infeasible;
  if (answer.status == Status::infeasible) {
    return;
  }
  cut_all();
  hand_down(answer);
  add_up(answer);
  set_prices(order_, cuts_, answer);
}

template class LaminarProgram<double>;
template class LaminarProgram<PriorityKey>;

}  // namespace perwatt::allocate
