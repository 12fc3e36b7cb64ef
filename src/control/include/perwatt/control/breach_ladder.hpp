// What to do about a limit that is passed although all caps say it is not, and by when.
//
// Steps, each with the time until it shows in the readings (StepTimes):
//     throttle   caps of devices tagged flexible to their least
//     fail_safe  all devices below to fail-safe
//     pause      work tagged for it is paused
//     shut       nodes are shut down; after this there is only the breaker
// The ladder says which step is required below a node now; the caller takes it. `throttle` and
// `pause` touch tagged devices and work alone. `fail_safe` and `shut`, which touch all, are
// required only for what else trips a breaker or a UPS: of a limit of another kind (a contract, a
// demand limit, cooling) without a curve the ladder ends with `pause` and leaves them out.
//
// Deadline. Of a limit with a curve the share of the way to tripping, over ticks dt:
//     share += dt / time_to_trip(supply / limit)  while over, else  share -= dt / recovery,  >= 0
// (a step of 1 where time_to_trip <= dt), and while over, for supplies that rise by rise_ratio yet:
//     left = (1 - share) * time_to_trip(supply / limit * (1 + rise_ratio))
// A limit with a window and no curve: what the window still holds, whatever leaves it meanwhile:
//     left = window * max(0, limit - mean) / (supply * (1 + rise_ratio))
// With both, the lesser; until a window has been seen from end to end it is no deadline. Each step
// leaves its time to the steps after it:
//     need(shut) = time(shut) + tick            need(s) = time(s) + tick + need(s + 1)
// and s is required from the first tick with left <= need(s). So while the supply rises no further
// than by rise_ratio over that of any tick, each step comes in time for the next to act, and shut
// its time before the trip, if the breaker stands the overload for need(shut) at all;
// Breach::is_too_late says when not. `throttle` is also required once a limit is passed by more
// than tolerance_ratio in two ticks running: what it costs is little.
//
// Without a deadline the limit is to be kept at once and there is no time to leave: the next step
// is required as soon as the one before has had its time and the limit is still passed by more than
// tolerance_ratio. What trips nothing always waits for that.
//
// Steps only rise while the supply is above the limit. One after the other they are released, the
// last first, each when the supply (and the mean over a window) has been below limit * (1 -
// release_ratio) for release_after. docs/model/control.md#breach-ladder
//
// Thread rule: one thread at a time. No clock, no allocation after construction.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/control/supply_estimate.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::control {

enum class BreachStep : std::uint8_t { none, throttle, fail_safe, pause, shut };

/// "none", …
[[nodiscard]] std::string_view to_string(BreachStep step);

/// From taking a step until the readings show it.
struct StepTimes {
  Seconds throttle = seconds(5);    // a cap written and worn in, read
  Seconds fail_safe = seconds(13);  // where the agent does not hear: until its lease has run out
  Seconds pause = seconds(10);
  Seconds shut = seconds(10);

  [[nodiscard]] Seconds of(BreachStep step) const;
};

struct LadderRules {
  StepTimes times;
  Seconds tick = seconds(1);  // between ticks, at most
  double rise_ratio = 0.05;
  double tolerance_ratio = 0.01;
  double release_ratio = 0.02;  // 0 to 1
  Seconds release_after = seconds(30);
  Seconds recovery = seconds(300);  // of a breaker from a share of 1, cold
};

/// A limit at this tick.
struct Breach {
  topology::NodeIndex node;
  std::uint32_t limit = 0;  // index into Node::limits
  BreachStep step = BreachStep::none;
  bool is_over = false;          // now; a step may still be required when not
  bool is_window_known = false;  // seen from end to end
  bool is_too_late = false;      // it may trip before `shut` shows
  Watts supply;                  // what the limit bounds
  Watts mean;                    // over its window, or what is seen of it; the supply without one
  double trip_share = 0;
  std::optional<Seconds> left;  // to trip, or until the window is full, at this supply; while over
  Instant since;                // over
};

class BreachLadder {
 public:
  /// `tree` must outlive it. Throws Error(bad_input) for rules out of range.
  BreachLadder(const topology::PowerTree& tree, const LadderRules& rules);

  /// `supplies` updated. A span of all limits that are over or still have a step, by node and
  /// limit; it holds until the next tick. Linear in limits. REQUIRES: `now` rises.
  std::span<const Breach> tick(const SupplyEstimate& supplies, Instant now) noexcept;

  /// The highest step that a limit of `node` requires now.
  [[nodiscard]] BreachStep step(topology::NodeIndex node) const noexcept {
    return steps_[node.value];
  }

  /// Every limit as of the last tick, in the order of nodes and their limits.
  [[nodiscard]] std::span<const Breach> limits() const noexcept { return states_; }

  /// need(step) of the header: known from the rules.
  [[nodiscard]] Seconds need(BreachStep step) const noexcept {
    return need_[static_cast<std::size_t>(step)];
  }

 private:
  static constexpr std::size_t kSlots = 63;

  /// Mean over the last 63 to 64 64ths of a window: energies of equal slots, end to end.
  struct Window {
    Seconds slot;
    std::array<double, kSlots> joules{};  // of full slots
    std::size_t next = 0;
    std::size_t filled = 0;
    double sum_joules = 0;
    double open_joules = 0;
    double open_seconds = 0;

    [[nodiscard]] Watts mean_with(Watts supply, Seconds dt) noexcept;
  };

  struct Timing {
    std::uint32_t window = 0;  // in windows_, when the limit has one
    bool can_trip = false;
    bool was_beyond = false;  // passed by more than the tolerance in the tick before
    Instant stepped_at;       // the last step
    Instant below_since;
    bool is_below = false;
  };

  void judge(std::size_t i, Watts supply, Seconds dt, Instant now) noexcept;
  void run_curve(Breach& breach, const topology::TripCurve& curve, Watts limit,
                 Seconds dt) const noexcept;
  [[nodiscard]] std::optional<Seconds> time_left(const Breach& breach, const topology::Limit& limit,
                                                 double rise) const noexcept;
  [[nodiscard]] BreachStep required(const Breach& breach, const Timing& timing,
                                    const topology::Limit& limit, Instant now) const noexcept;
  void release(Breach& breach, Timing& timing, Watts limit, Instant now) const noexcept;

  const topology::PowerTree* tree_;
  LadderRules rules_;
  std::array<Seconds, 5> need_;
  std::optional<Instant> last_tick_;
  std::vector<Breach> states_;
  std::vector<Timing> timings_;
  std::vector<Window> windows_;
  std::vector<BreachStep> steps_;  // by node
  std::vector<Breach> breached_;
};

}  // namespace perwatt::control
