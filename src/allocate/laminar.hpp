// The exact split over nested limits: marginal worth per watt, merged from the leaves up.
//
// Each node keeps, of the pieces of curve below it, those of greatest worth that its limit has room
// for (Cutter). What all nodes on the way to the root keep is the optimum: limits on the subtrees of
// a tree are nested, so they form a polymatroid, on which the greedy order of worth is optimal
// (A. Federgruen, H. Groenevelt, "The greedy procedure for resource allocation problems", Operations
// Research 34(6), 1986). A device needs no list of its pieces to know: what stays of it lies above
// the highest threshold on its way up. Time n log^2 n at worst, linear on trees that fan out.
//
// Pieces of equal worth share what room there is, each the same part of its watts: the answer does
// not depend on the order of nodes or devices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cut.hpp"
#include "piece_stacks.hpp"
#include "perwatt/allocate/allocation.hpp"
#include "perwatt/allocate/problem.hpp"
#include "tree_order.hpp"

namespace perwatt::allocate {

/// The devices' curves as pieces of falling worth, in the tree's order; pieces worth nothing are
/// left out, for they are never used.
template <class Key>
struct PieceTable {
  PieceTable(const Problem& problem, const TreeOrder& order);

  std::vector<Piece<Key>> pieces;
  std::vector<std::uint32_t> first_piece;  // by place of a device; one more than devices
  std::vector<double> least_watts;         // by place of a device
  std::vector<double> own_least_watts;     // by place of a node: of its own devices
  std::vector<Key> own_least_key;
  double least_value = 0;                  // of all devices at their least watts
};

/// What a node's limit does to the pieces that reach it.
template <class Key>
struct NodeCut {
  Key threshold = KeyLimits<Key>::lowest;
  long double share = 1;
  Key best_rejected = KeyLimits<Key>::lowest;
  Key least_kept = KeyLimits<Key>::highest;  // highest: nothing is kept
  bool is_full = false;  // what is kept uses up the limit
};

template <class Key>
class LaminarProgram {
 public:
  LaminarProgram(const Problem& problem, const TreeOrder& order);

  /// The limits and least watts of a problem of the same nodes and devices.
  void solve(Allocation& answer);

 private:
  struct Open {  // what a node's subtree has on the stacks
    typename PieceStacks<Key>::Tops begin;
    typename PieceStacks<Key>::Tops end;
    typename PieceStacks<Key>::BandWatts watts;
  };

  struct Reach {  // the highest threshold on the way up from a node
    Key threshold = KeyLimits<Key>::lowest;
    long double share = 1;
  };

  bool reserve_least_watts(Allocation& answer);
  void cut_all();
  void cut_one(std::size_t place);
  void hand_down(Allocation& answer);
  long double fill(std::size_t place, Reach reach, Allocation& answer);
  void add_up(Allocation& answer);

  const Problem& problem_;
  const TreeOrder& order_;
  PieceTable<Key> table_;
  std::vector<double> capacity_;  // by place: limit less the least watts below
  std::vector<NodeCut<Key>> cuts_;
  PieceStacks<Key> stacks_;
  std::vector<Open> open_;
  std::vector<double> used_;
};

/// Prices from the cuts; see NodeUse.
template <class Key>
void set_prices(const TreeOrder& order, const std::vector<NodeCut<Key>>& cuts, Allocation& answer);

extern template class LaminarProgram<double>;
extern template class LaminarProgram<PriorityKey>;

}  // namespace perwatt::allocate
