// What is known of a tree while it is solved and after: pieces of curve, room, and what the limits
// did.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cut.hpp"
#include "tree_order.hpp"

#include "perwatt/allocate/allocation.hpp"
#include "perwatt/allocate/problem.hpp"

namespace perwatt::allocate {

/// The devices' curves as pieces of falling worth, in the tree's order; pieces worth nothing are
/// left out, for they are never used.
template <class Key>
struct PieceTable {
  PieceTable(const Problem& problem, const TreeOrder& order);

  /// Sums over nodes' own devices and how many pieces there are, after replace().
  void refresh(const TreeOrder& order);

  /// The curve of a device in place of its last one; false when it has more pieces than room.
  bool replace(std::uint32_t device_place, std::span<const CurvePoint> curve, Priority priority);

  /// The pieces of the device, for replace().
  [[gnu::always_inline]] void prefetch(std::uint32_t device_place) const noexcept {
    const auto* own = pieces.data() + first_piece[device_place];
    constexpr std::size_t kLine = 64 / sizeof(Piece<Key>);
    for (std::uint32_t i = 0; i < end_piece[device_place] - first_piece[device_place]; i += kLine) {
      __builtin_prefetch(own + i, 1);
    }
  }

  [[nodiscard]] std::span<const Piece<Key>> of(std::uint32_t device_place) const {
    return {pieces.data() + first_piece[device_place],
            end_piece[device_place] - first_piece[device_place]};
  }

  std::vector<Piece<Key>> pieces;
  std::vector<std::uint32_t> first_piece;  // by place of a device
  std::vector<std::uint32_t> end_piece;
  bool has_gaps = false;                // a curve has fewer pieces than room
  bool has_changed = false;             // since the last refresh()
  std::vector<double> least_value_of;   // by place of a device
  std::vector<Key> least_key_of;        // by place of a device; highest: no piece
  std::vector<double> least_watts;      // by place of a device
  std::vector<double> own_least_watts;  // by place of a node: of its own devices
  std::vector<Key> own_least_key;
  long double least_value = 0;  // of all devices at their least watts

 private:
  std::vector<Piece<Key>> fresh_;  // of replace()
};

/// What a node's limit does to the pieces that reach it.
template <class Key>
struct NodeCut {
  Key threshold = KeyLimits<Key>::lowest;
  long double share = 1;
  Key best_rejected = KeyLimits<Key>::lowest;
  Key least_kept = KeyLimits<Key>::highest;  // highest: nothing is kept
  bool is_full = false;  // what is kept uses up the limit, if limits above let it

  bool operator==(const NodeCut&) const = default;
};

/// A limit that has room for least watts only.
template <class Key>
NodeCut<Key> nothing_kept(Key best_rejected) {
  return {KeyLimits<Key>::highest, 0, best_rejected, KeyLimits<Key>::highest, true};
}

/// The highest threshold on the way from a node to the root, with the share of what is at it.
template <class Key>
struct Reach {
  Key threshold = KeyLimits<Key>::lowest;
  long double share = 1;

  bool operator==(const Reach&) const = default;

  /// One limit lower down.
  [[nodiscard]] Reach below(const NodeCut<Key>& cut) const {
    if (cut.threshold == threshold) {
      return {threshold, share * cut.share};
    }
    return cut.threshold > threshold ? Reach{cut.threshold, cut.share} : *this;
  }

  /// Watts that stay of a piece.
  [[nodiscard]] double kept(const Piece<Key>& piece) const {
    if (piece.key > threshold) {
      return piece.watts;
    }
    return piece.key == threshold ? piece.watts * static_cast<double>(share) : 0.0;
  }
};

/// What lies above a node, as far as its price depends on it.
template <class Key>
struct Above {
  Reach<Key> reach;
  Key least_kept = KeyLimits<Key>::lowest;     // of the nearest full node; lowest: there is none
  Key best_rejected = KeyLimits<Key>::lowest;  // of all full nodes

  bool operator==(const Above&) const = default;
};

template <class Key>
struct TreeState {
  TreeState(const Problem& problem, const TreeOrder& order)
      : table{problem, order},
        least_below(order.node_at.size()),
        capacity(order.node_at.size()),
        cuts(order.node_at.size()),
        below(order.node_at.size()) {}

  PieceTable<Key> table;
  std::vector<double> least_below;  // by place: least watts of all devices below
  std::vector<double> capacity;     // by place: limit less the least watts below
  std::vector<NodeCut<Key>> cuts;
  std::vector<Above<Key>> below;  // by place: what the node and all above are to those below it
};

/// Prices from what the limits did (LimitUse), and `below`.
template <class Key>
void set_prices(const TreeOrder& order, TreeState<Key>& state, Allocation& answer);

/// The same where only the nodes marked in `is_changed` (by place) were cut otherwise; marks those
/// whose `below` changes, too.
template <class Key>
void update_prices(const TreeOrder& order, TreeState<Key>& state, std::vector<char>& is_changed,
                   Allocation& answer);

extern template struct PieceTable<double>;
extern template struct PieceTable<PriorityKey>;
extern template void set_prices(const TreeOrder&, TreeState<double>&, Allocation&);
extern template void set_prices(const TreeOrder&, TreeState<PriorityKey>&, Allocation&);
extern template void update_prices(const TreeOrder&, TreeState<double>&, std::vector<char>&,
                                   Allocation&);
extern template void update_prices(const TreeOrder&, TreeState<PriorityKey>&, std::vector<char>&,
                                   Allocation&);

}  // namespace perwatt::allocate
