// One policy's solvers over one state: from nothing, or from the last answer.
#pragma once

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
        incremental_{problem, order, state_} {}

  void solve(Allocation& answer) {
    program_.solve(answer);
    incremental_.forget();
    changes_ = 0;
    updates_ = 0;
  }

  /// The problem holds the new limit already.
  void limit_changed(NodeIndex node) {
    ++changes_;
    incremental_.limit_changed(order_.place_of[static_cast<std::size_t>(node)]);
  }

  [[gnu::always_inline]] void prefetch(DeviceIndex device) const noexcept {
    state_.table.prefetch(order_.place_of_device[static_cast<std::size_t>(device)]);
  }

  /// The problem holds the new curve already. False when the table has no room for it.
  bool curve_changed(DeviceIndex device) {
    const auto index = static_cast<std::size_t>(device);
    const auto place = order_.place_of_device[index];
    if (is_little()) {  // else the next solve is a full one
      incremental_.device_changes(place);
    }
    if (!state_.table.replace(place, problem_.curve(device),
                              problem_.devices()[index].terms.priority)) {
      return false;
    }
    ++changes_;
    return true;
  }

  /// False when it took a full solve.
  bool resolve(Allocation& answer) {
    const bool can_update = answer.status == Status::optimal && is_little() &&
                            updates_ < kUpdatesInARow && incremental_.has_windows();
    if (can_update && incremental_.update(answer)) {
      ++updates_;
      changes_ = 0;
      has_failed_ = false;
      return true;
    }
    const bool was_little = is_little();
    const bool has_failed_twice = can_update && has_failed_;
    has_failed_ = can_update;
    solve(answer);
    // Not for the first of small changes after large ones, nor where windows fail time and again.
    if (answer.status == Status::optimal && was_little && had_little_ && !has_failed_twice) {
      incremental_.make_windows();
    }
    had_little_ = was_little;
    return false;
  }

 private:
  [[nodiscard]] bool is_little() const {
    return changes_ * kLargePart < problem_.devices().size() + kLargePart;
  }

  const Problem& problem_;
  const TreeOrder& order_;
  TreeState<Key> state_;
  LaminarProgram<Key> program_;
  IncrementalProgram<Key> incremental_;
  std::size_t changes_ = 0;
  int updates_ = 0;
  bool has_failed_ = false;  // the last try to update
  bool had_little_ = true;   // to do at the last call of resolve()
};

}  // namespace perwatt::allocate
