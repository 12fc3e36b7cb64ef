#include "tree_state.hpp"

#include <algorithm>
#include <type_traits>

namespace perwatt::allocate {

namespace {

template <class Key>
Key key_of(double slope, Priority priority) {
  if constexpr (std::is_same_v<Key, double>) {
    return slope;
  } else {
    return {static_cast<double>(priority), slope};
  }
}

/// The pieces of a curve of falling worth, those of equal worth as one, without those worth
/// nothing.
template <class Key>
void append_pieces(std::span<const CurvePoint> curve, Priority priority,
                   std::vector<Piece<Key>>& pieces) {
  const std::size_t first = pieces.size();
  double last_slope = KeyLimits<double>::highest;
  for (std::size_t i = 1; i < curve.size(); ++i) {
    const double width = (curve[i].power - curve[i - 1].power).in_base();
    const double slope = std::min((curve[i].value - curve[i - 1].value) / width, last_slope);
    if (slope <= 0) {
      return;
    }
    if (pieces.size() > first && slope == last_slope) {
      pieces.back().watts += width;
    } else {
      pieces.push_back({key_of<Key>(slope, priority), width});
    }
    last_slope = slope;
  }
}

}  // namespace

template <class Key>
PieceTable<Key>::PieceTable(const Problem& problem, const TreeOrder& order) {
  const auto devices = problem.devices();
  pieces.reserve(devices.size() * 4);
  for (const std::uint32_t d : order.device_at) {
    const auto curve = problem.curve(DeviceIndex{d});
    least_watts.push_back(curve.front().power.in_base());
    least_value_of.push_back(curve.front().value);
    first_piece.push_back(static_cast<std::uint32_t>(pieces.size()));
    append_pieces(curve, devices[d].terms.priority, pieces);
    end_piece.push_back(static_cast<std::uint32_t>(pieces.size()));
    const bool has_pieces = first_piece.back() < pieces.size();
    least_key_of.push_back(has_pieces ? pieces.back().key : KeyLimits<Key>::highest);
    // A curve that had more points once may have them again.
    const std::size_t room = devices[d].end_of_room - devices[d].first_point - 1;
    if (room > curve.size() - 1) {
      pieces.resize(first_piece.back() + room);
      has_gaps = true;
    }
  }
  refresh(order);
}

template <class Key>
void PieceTable<Key>::refresh(const TreeOrder& order) {
  const std::size_t nodes = order.node_at.size();
  own_least_watts.assign(nodes, 0.0);
  own_least_key.assign(nodes, KeyLimits<Key>::highest);
  for (std::size_t place = 0; place < nodes; ++place) {
    for (auto d = order.first_device[place]; d < order.first_device[place + 1]; ++d) {
      own_least_watts[place] += least_watts[d];
      if (own_least_key[place] > least_key_of[d]) {
        own_least_key[place] = least_key_of[d];
      }
    }
  }
  least_value = 0;
  for (const double value : least_value_of) {
    least_value += static_cast<long double>(value);
  }
  has_changed = false;
}

namespace {

template <class Key>
double slope_or_none(Key key) {
  return key == KeyLimits<Key>::lowest ? 0.0 : slope_of(key);
}

/// The price of one node, and what it is to those below it.
template <class Key>
Above<Key> price_node(const NodeCut<Key>& node, Above<Key> above, LimitUse& use) {
  use.price_per_watt = 0;
  use.loss_per_watt = 0;
  const bool keeps_nothing = node.least_kept == KeyLimits<Key>::highest;
  const bool stays_full =
      node.is_full && (keeps_nothing || node.least_kept > above.reach.threshold ||
                       (node.least_kept == above.reach.threshold && above.reach.share >= 1));
  above.reach = above.reach.below(node);
  if (!stays_full) {
    return above;
  }
  // One watt more goes to the best that was left out, from the least that the nearest full node
  // above keeps; one watt less comes from the least kept and goes to the best left out above.
  if (node.best_rejected > above.least_kept) {
    use.price_per_watt = slope_or_none(node.best_rejected) - slope_or_none(above.least_kept);
  }
  if (keeps_nothing) {
    use.loss_per_watt.reset();
  } else {
    use.loss_per_watt = slope_of(node.least_kept) - slope_or_none(above.best_rejected);
  }
  above.least_kept = node.least_kept;
  if (node.best_rejected > above.best_rejected) {
    above.best_rejected = node.best_rejected;
  }
  return above;
}

}  // namespace

template <class Key>
void set_prices(const TreeOrder& order, TreeState<Key>& state, Allocation& answer) {
  for (std::size_t place = state.cuts.size(); place-- > 0;) {
    const auto parent = order.parent[place];
    state.below[place] = price_node(state.cuts[place],
                                    parent == TreeOrder::kNone ? Above<Key>{} : state.below[parent],
                                    answer.nodes[order.node_at[place]]);
  }
}

template <class Key>
void update_prices(const TreeOrder& order, TreeState<Key>& state, std::vector<char>& is_changed,
                   Allocation& answer) {
  for (std::size_t place = state.cuts.size(); place-- > 0;) {
    const auto parent = order.parent[place];
    const bool is_root = parent == TreeOrder::kNone;
    if (is_changed[place] == 0 && (is_root || is_changed[parent] == 0)) {
      continue;
    }
    const auto below = price_node(state.cuts[place], is_root ? Above<Key>{} : state.below[parent],
                                  answer.nodes[order.node_at[place]]);
    is_changed[place] = below == state.below[place] ? 0 : 1;
    state.below[place] = below;
  }
}

template <class Key>
bool PieceTable<Key>::replace(std::uint32_t device_place, std::span<const CurvePoint> curve,
                              Priority priority) {
  auto& fresh = fresh_;
  fresh.clear();
  append_pieces(curve, priority, fresh);
  const std::size_t next =
      device_place + 1 < first_piece.size() ? first_piece[device_place + 1] : pieces.size();
  const std::size_t room = next - first_piece[device_place];
  if (fresh.size() > room) {
    return false;
  }
  std::copy(fresh.begin(), fresh.end(), pieces.begin() + first_piece[device_place]);
  end_piece[device_place] = first_piece[device_place] + static_cast<std::uint32_t>(fresh.size());
  has_gaps = has_gaps || fresh.size() < room;
  has_changed = true;
  least_value += static_cast<long double>(curve.front().value) -
                 static_cast<long double>(least_value_of[device_place]);
  least_watts[device_place] = curve.front().power.in_base();
  least_value_of[device_place] = curve.front().value;
  least_key_of[device_place] = fresh.empty() ? KeyLimits<Key>::highest : fresh.back().key;
  return true;
}

template struct PieceTable<double>;
template struct PieceTable<PriorityKey>;
template void set_prices(const TreeOrder&, TreeState<double>&, Allocation&);
template void set_prices(const TreeOrder&, TreeState<PriorityKey>&, Allocation&);
template void update_prices(const TreeOrder&, TreeState<double>&, std::vector<char>&, Allocation&);
template void update_prices(const TreeOrder&, TreeState<PriorityKey>&, std::vector<char>&,
                            Allocation&);

}  // namespace perwatt::allocate
