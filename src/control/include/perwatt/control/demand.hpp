// What a device would draw if its cap did not hold it, from readings of draw and cap.
//
// A draw well below the cap in force is the demand itself. A draw at the cap says only that the
// demand is no less: it is taken to be `probe_ratio` times the cap, so that a device that is held
// gets more as long as it uses it. The estimate is the highest of the last `memory`. Beyond it, a
// watt is wanted as often as it was of late: share_above() is the exponentially weighted share of
// time, with time constant `habit`, in which the demand was above a level. Without a fresh reading
// all stands; nothing falls for want of readings (docs/model/control.md#demand).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::control {

struct DemandRules {
  double held_ratio = 0.98;    // of the cap: a draw above it is held
  double probe_ratio = 1.25;   // of the cap, for what is held; > 1
  double margin_ratio = 1.04;  // of the highest draw, for what is not; >= 1
  Seconds memory = seconds(30);
  Seconds habit = seconds(300);
};

/// What a new reading weighs among the habits, by the time since the one before, which is much the
/// same for all devices: exp() takes longer than the rest.
class HabitWeight {
 public:
  explicit HabitWeight(Seconds habit) : habit_{habit} {}

  [[nodiscard]] double of(Seconds since) {
    if (since != since_) {
      since_ = since;
      weight_ = 1 - std::exp(-(since / habit_));
    }
    return weight_;
  }

 private:
  Seconds habit_;
  Seconds since_;
  double weight_ = 0;
};

class Demand {
 public:
  /// Levels at which shares are kept, at equal distances: least + k (most - least) / kLevels.
  static constexpr std::size_t kLevels = 8;

  /// Shares are told in whole parts of this: little changes change nothing.
  static constexpr int kParts = 64;

  /// Parts of time above each level, not rising with k.
  using Habits = std::array<std::uint8_t, kLevels>;

  /// All that it knows.
  struct Memory {
    Watts before;  // the highest of the half before, and of this one
    Watts now;
    Instant half_began;
    Instant last;
    std::array<float, kLevels> above{};  // shares of time
    bool has_read = false;
  };

  /// A reading to be trusted, of `at` (later than the one before), under the cap in force then, of
  /// a device that takes caps from `least` to `most`. `weight` of the rules' habit.
  void read(const DemandRules& rules, HabitWeight& weight, Instant at, Watts draw, Watts cap,
            Watts least, Watts most) {
    const bool is_held = draw >= cap * rules.held_ratio;
    const Watts seen = is_held ? cap * rules.probe_ratio : draw * rules.margin_ratio;
    remember(rules, at, seen);
    weigh(weight, at, in_watts(seen - least) / std::max(1.0, in_watts(most - least)));
  }

  /// 0 before the first reading.
  [[nodiscard]] Watts estimate() const { return std::max(memory_.before, memory_.now); }

  [[nodiscard]] Habits habits() const {
    Habits parts;
    for (std::size_t k = 0; k < kLevels; ++k) {
      parts[k] = static_cast<std::uint8_t>(memory_.above[k] * kParts + 0.5F);
    }
    return parts;
  }

  [[nodiscard]] const Memory& memory() const { return memory_; }

  void resume(const Memory& memory) { memory_ = memory; }

 private:
  /// Of two halves of the memory, so that it takes two numbers.
  void remember(const DemandRules& rules, Instant at, Watts seen) {
    if (at >= memory_.half_began + rules.memory * 0.5) {
      memory_.before = at >= memory_.half_began + rules.memory ? seen : memory_.now;
      memory_.now = seen;
      memory_.half_began = at;
    }
    memory_.now = std::max(memory_.now, seen);
  }

  /// `seen_ratio` of the range of caps.
  void weigh(HabitWeight& weights, Instant at, double seen_ratio) {
    const Seconds since = std::max(Seconds{}, at - memory_.last);
    const double weight = memory_.has_read ? weights.of(since) : 1;
    for (std::size_t k = 0; k < kLevels; ++k) {
      const double level = static_cast<double>(k) / kLevels;
      auto& above = memory_.above[k];
      above += static_cast<float>(weight) * ((seen_ratio > level ? 1.0F : 0.0F) - above);
    }
    memory_.last = at;
    memory_.has_read = true;
  }

  Memory memory_;
};

}  // namespace perwatt::control
