// The exact split over nested limits: marginal worth per watt, merged from the leaves up.
//
// Each node keeps, of the pieces of curve below it, those of greatest worth that its limit has room
// for (Cutter). What all nodes on the way to the root keep is the optimum: limits on the subtrees
// of a tree are nested, so they form a polymatroid, on which the greedy order of worth is optimal
// (A. Federgruen, H. Groenevelt, "The greedy procedure for resource allocation problems",
// Operations Research 34(6), 1986). A device needs no list of its pieces to know: what stays of it
// lies above the highest threshold on its way up. Time n log^2 n at worst, linear on trees that fan
// out.
//
// Pieces of equal worth share what room there is, each the same part of its watts: the answer does
// not depend on the order of nodes or devices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "piece_stacks.hpp"
#include "tree_state.hpp"

#include "perwatt/allocate/allocation.hpp"

namespace perwatt::allocate {

template <class Key>
class LaminarProgram {
 public:
  /// Keeps references to all three.
  LaminarProgram(const Problem& problem, const TreeOrder& order, TreeState<Key>& state);

  /// Solves from nothing and leaves what each node's limit did in the state.
  void solve(Allocation& answer);

 private:
  using BandWatts = typename PieceStacks<Key>::BandWatts;

  struct Open {  // what a node's subtree has on the stacks
    typename PieceStacks<Key>::Tops begin;
    typename PieceStacks<Key>::Tops end;
    BandWatts watts;
  };

  bool reserve_least_watts(Allocation& answer);
  void cut_all();
  void push_own(std::size_t place, BandWatts& watts);
  void cut_one(std::size_t place);
  void hand_down(Allocation& answer);
  long double fill(std::size_t place, const Reach<Key>& reach, Allocation& answer);
  void add_up(Allocation& answer);

  const Problem& problem_;
  const TreeOrder& order_;
  TreeState<Key>& state_;
  PieceStacks<Key> stacks_;
  std::vector<Open> open_;
  std::vector<double> used_;
};

extern template class LaminarProgram<double>;
extern template class LaminarProgram<PriorityKey>;

}  // namespace perwatt::allocate
