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
  std::vector<double> least_watts;      // by place of a device
  std::vector<double> own_least_watts;  // by place of a node: of its own devices
  std::vector<Key> own_least_key;
  long double least_value = 0;  // of all devices at their least watts
};

/// What a node's limit does to the pieces that reach it.
template <class Key>
struct NodeCut {
  Key threshold = KeyLimits<Key>::lowest;
  long double share = 1;
  Key best_rejected = KeyLimits<Key>::lowest;
  Key least_kept = KeyLimits<Key>::highest;  // highest: nothing is kept
  bool is_full = false;  // what is kept uses up the limit, if limits above let it
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

template <class Key>
struct TreeState {
  TreeState(const Problem& problem, const TreeOrder& order)
      : table{problem, order}, capacity(order.node_at.size()), cuts(order.node_at.size()) {}

  PieceTable<Key> table;
  std::vector<double> capacity;  // by place: limit less the least watts below
  std::vector<NodeCut<Key>> cuts;
};

/// What set_prices() finds on its way down, by place.
template <class Key>
struct PriceScratch {
  struct Above {                                 // of the full nodes on the way up
    Key least_kept = KeyLimits<Key>::lowest;     // of the nearest; lowest: there is none
    Key best_rejected = KeyLimits<Key>::lowest;  // of all
  };

  std::vector<Above> aboves;
  std::vector<Reach<Key>> reaches;
};

/// Prices from what the limits did; see NodeUse.
template <class Key>
void set_prices(const TreeOrder& order, const std::vector<NodeCut<Key>>& cuts,
                PriceScratch<Key>& scratch, Allocation& answer);

extern template struct PieceTable<double>;
extern template struct PieceTable<PriorityKey>;
extern template void set_prices(const TreeOrder&, const std::vector<NodeCut<double>>&,
                                PriceScratch<double>&, Allocation&);
extern template void set_prices(const TreeOrder&, const std::vector<NodeCut<PriorityKey>>&,
                                PriceScratch<PriorityKey>&, Allocation&);

}  // namespace perwatt::allocate
