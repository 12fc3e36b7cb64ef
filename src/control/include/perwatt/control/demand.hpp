// What a device would draw if its cap did not hold it, from readings of draw and cap.
//
// A draw well below the cap in force is the demand itself. A draw at the cap says only that the
// demand is no less: it is taken to be `probe_ratio` times the cap, so that a device that is held
// gets more as long as it uses it. The estimate is the highest of the last `memory`, the peak that
// of the last `peak_memory`: what it may soon want again. Without a fresh reading both stand; they
// never fall for want of readings (docs/model/control.md#demand).
#pragma once

#include <algorithm>

#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::control {

struct DemandRules {
  double held_ratio = 0.97;   // of the cap: a draw above it is held
  double probe_ratio = 1.25;  // of the cap, for what is held; > 1
  double margin_ratio = 1.1;  // of the highest draw, for what is not; >= 1
  Seconds memory = seconds(30);
  Seconds peak_memory = seconds(600);
};

/// The highest value of about the last `memory`: of two halves, so that it takes two numbers.
class RecentHighest {
 public:
  /// `at` later than the one before.
  void add(Seconds memory, Instant at, Watts value) {
    if (at >= half_began_ + memory * 0.5) {
      before_ = at >= half_began_ + memory ? value : now_;
      now_ = value;
      half_began_ = at;
    }
    now_ = std::max(now_, value);
  }

  /// 0 before the first.
  [[nodiscard]] Watts highest() const { return std::max(before_, now_); }

 private:
  Watts before_;
  Watts now_;
  Instant half_began_;
};

class Demand {
 public:
  /// A reading to be trusted, of `at` (later than the one before), under the cap in force then.
  void read(const DemandRules& rules, Instant at, Watts draw, Watts cap) {
    const bool is_held = draw >= cap * rules.held_ratio;
    const Watts seen = is_held ? cap * rules.probe_ratio : draw * rules.margin_ratio;
    recent_.add(rules.memory, at, seen);
    peak_.add(rules.peak_memory, at, seen);
  }

  /// 0 before the first reading; estimate() <= peak().
  [[nodiscard]] Watts estimate() const { return recent_.highest(); }

  [[nodiscard]] Watts peak() const { return std::max(peak_.highest(), recent_.highest()); }

 private:
  RecentHighest recent_;
  RecentHighest peak_;
};

}  // namespace perwatt::control
