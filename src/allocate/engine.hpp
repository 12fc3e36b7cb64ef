// One policy's solvers over one state: from nothing, or from the last answer.
#pragma once

#include <cmath>
#include <cstddef>

#include "incremental.hpp"
#include "laminar.hpp"
#include "tree_order.hpp"
#include "tree_state.hpp"

#include "perwatt/allocate/allocation.hpp"
#include "perwatt/allocate/problem.hpp"

namespace perwatt::allocate {

inline constexpr int kUpdatesInARow = 4096;   // then sums are made anew
inline constexpr std::size_t kLargePart = 8;  // one device in so many: a full solve is as quick

/// What solves one policy: keys are slopes, or class and slope.
template <class Key>
class Engine {
 public:
  Engine(const Problem& problem, const TreeOrder& order)
      : problem_{problem},
        order_{order},
        state_{problem, order},
        program_{problem, order, state_},
        incremental_{order, state_} {}

  void solve(Allocation& answer) {
    program_.solve(answer);
    incremental_.forget();
    changes_ = 0;
    updates_ = 0;
  }

  /// The problem holds the new limit already.
  void limit_changed(NodeIndex node, Watts before) {
    const Watts now = problem_.nodes()[static_cast<std::size_t>(node)].limit;
    if (now == before) {
      return;
    }
    ++changes_;
    if (std::isinf(now.in_base()) || std::isinf(before.in_base())) {
      incremental_.forget();
      return;
    }
    incremental_.room_changed(order_.place_of[static_cast<std::size_t>(node)],
                              (now - before).in_base());
  }

  /// The problem holds the new curve already. False when the table has no room for it.
  bool curve_changed(DeviceIndex device) {
    const auto index = static_cast<std::size_t>(device);
    const auto place = order_.place_of_device[index];
    incremental_.device_changes(place);
    if (!state_.table.replace(place, problem_.curve(device),
                              problem_.devices()[index].terms.priority)) {
      return false;
    }
    ++changes_;
    return true;
  }

  /// False when it took a full solve.
  bool resolve(Allocation& answer) {
    const bool is_little = changes_ * kLargePart < problem_.devices().size() + kLargePart;
    if (answer.status == Status::optimal && is_little && updates_ < kUpdatesInARow &&
        incremental_.has_windows() && incremental_.update(answer)) {
      ++updates_;
      changes_ = 0;
      return true;
    }
    const bool had_windows = incremental_.has_windows();
    solve(answer);
    // Windows that just failed on a small change are not made for the next one, too.
    if (answer.status == Status::optimal && is_little && (!had_windows || !has_just_failed_)) {
      incremental_.make_windows();
    }
    has_just_failed_ = had_windows && is_little;
    return false;
  }

 private:
  const Problem& problem_;
  const TreeOrder& order_;
  TreeState<Key> state_;
  LaminarProgram<Key> program_;
  IncrementalProgram<Key> incremental_;
  std::size_t changes_ = 0;
  int updates_ = 0;
  bool has_just_failed_ = false;
};

}  // namespace perwatt::allocate
