// Private: the parametric flow behind the frontier.
//
// The cheapest way to end an iteration at T is a linear program: choose when each operation begins
// and ends, its duration between them, and pay the convex hull of its options. Its dual is a flow
// from the beginning to the end of the iteration (Fulkerson 1961; Kelley 1961): the flow through an
// operation is the price of its time, hull slopes are capacities, and the value of the flow is
// -dE/dT. Raising the flow along longest paths passes every breakpoint of E(T) from the slowest
// iteration to the fastest one, once.
//
// Whole numbers throughout (scaled_work.hpp): no tolerance decides anything.
#pragma once

#include <cstdint>
#include <vector>

#include "scaled_work.hpp"

#include "perwatt/training/pipeline.hpp"

namespace perwatt::training {

class ParametricFlow {
 public:
  /// Begins at the slowest iteration: every operation at its cheapest, nothing flows.
  /// REQUIRES: pipeline and works outlive the object; the pipeline has no circle.
  ParametricFlow(const Pipeline& pipeline, const ScaledWorks& works,
                 const std::vector<std::uint32_t>& topological);

  /// How long an iteration takes, without the tail.
  [[nodiscard]] Picoseconds time() const { return nodes_[kEnd].position - nodes_[kBegin].position; }

  /// -dE/dT on the side of shorter iterations.
  [[nodiscard]] Flow flow() const { return flow_; }

  /// Goes to the next breakpoint, or to `until` if that comes first. False, and nothing changes,
  /// when the iteration cannot be shorter.
  bool shorten(Picoseconds until);

  /// When the operation begins and ends in the cheapest iteration of time(), from an origin of its
  /// own; the window is at least as long as the operation.
  [[nodiscard]] Picoseconds begin(std::uint32_t operation) const {
    return nodes_[begin_node(rank_[operation])].position;
  }

  [[nodiscard]] Picoseconds end(std::uint32_t operation) const {
    return nodes_[begin_node(rank_[operation]) + 1].position;
  }

  /// What one second less of the operation costs (flow units), the price the plan pays for time.
  [[nodiscard]] Flow price(std::uint32_t operation) const { return arcs_[arc_of_[operation]].flow; }

 private:
  static constexpr std::uint32_t kBegin = 0;
  static constexpr std::uint32_t kEnd = 1;

  static std::uint32_t begin_node(std::uint32_t rank) { return 2 + 2 * rank; }

  /// A corner of a hull: the length that an arc with at least `from` flow may have.
  struct Step {
    Picoseconds length;
    Flow from;
  };

  /// More flow goes at the length of steps_[step], the first whose successor begins above `flow`.
  struct Arc {
    Flow flow;
    std::uint32_t step;
  };

  /// An arc seen from one of its nodes.
  struct Half {
    std::uint32_t other;
    std::uint32_t arc_and_way;  // twice the arc, and one more when it leads to `other`

    [[nodiscard]] std::uint32_t arc() const { return arc_and_way / 2; }

    [[nodiscard]] bool is_forward() const { return arc_and_way % 2 != 0; }
  };

  /// A node that asks those before it for flow.
  struct Pull {
    std::uint32_t node;
    Flow want;
    Flow got;
  };

  /// A moment of the iteration. The rest holds during the search numbered alike, for nodes it saw:
  /// the search for the longest path through residual arcs, as the shortest one by how much longer
  /// each arc could be.
  struct Node {
    Picoseconds position;
    Picoseconds distance;
    std::uint32_t seen_in;
    std::uint32_t settled_in;
  };

  struct Reached {
    Picoseconds distance;
    std::uint32_t node;
  };

  void make_arcs(const Pipeline& pipeline, const ScaledWorks& works,
                 const std::vector<std::uint32_t>& topological);
  void place_late();
  void saturate();
  void search();
  void scan(std::uint32_t node, Picoseconds distance);
  void advance(Picoseconds by);
  void block();
  [[nodiscard]] Flow room_into(std::uint32_t node, const Half& half) const;
  void push_into(const Half& half, Flow more);

  /// The length at which `arc` may carry less. REQUIRES: it carries some.
  [[nodiscard]] Picoseconds length_of_less(const Arc& arc) const {
    return steps_[arc.flow > steps_[arc.step].from ? arc.step : arc.step - 1].length;
  }

  static bool is_farther(const Reached& a, const Reached& b) { return a.distance > b.distance; }

  // Nodes stand in topological order and arcs in that of their tails: neighbours in time are
  // neighbours in memory, where most of the time goes.
  std::vector<std::uint32_t> rank_;    // of operations in topological order
  std::vector<std::uint32_t> arc_of_;  // by operation
  std::vector<Step> steps_;            // of all hulls, each with an end of infinite flow
  std::vector<Arc> arcs_;
  std::vector<std::uint32_t> first_half_;
  std::vector<Half> halves_;  // by node
  std::vector<Node> nodes_;
  Flow flow_ = 0;
  bool is_fastest_ = false;

  std::vector<std::uint32_t> queue_;
  std::vector<Reached> heap_;
  std::vector<std::uint32_t> settled_;
  std::vector<std::uint32_t> place_;      // in settled_, of settled nodes
  std::vector<std::uint32_t> next_half_;  // to be asked for flow, of settled nodes
  std::vector<Pull> pulls_;
  std::uint32_t now_ = 0;
  bool is_searched_ = false;
};

}  // namespace perwatt::training
