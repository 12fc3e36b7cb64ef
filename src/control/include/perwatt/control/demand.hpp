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

class Demand {
 public:
  /// Levels at which shares are kept, at equal distances: least + k (most - least) / kLevels.
  static constexpr std::size_t kLevels = 8;

  /// Shares are told in whole parts of this: little changes change nothing.
  static constexpr int kParts = 32;

  /// Parts of time above each level, not rising with k.
  using Habits = std::array<std::uint8_t, kLevels>;

  /// A reading to be trusted, of `at` (later than the one before), under the cap in force then, of
  /// a device that takes caps from `least` to `most`.
  void read(const DemandRules& rules, Instant at, Watts draw, Watts cap, Watts least, Watts most) {
    const bool is_held = draw >= cap * rules.held_ratio;
    const Watts seen = is_held ? cap * rules.probe_ratio : draw * rules.margin_ratio;
    remember(rules, at, seen);
    weigh(rules, at, in_watts(seen - least) / std::max(1.0, in_watts(most - least)));
  }

  /// 0 before the first reading.
  [[nodiscard]] Watts estimate() const { return std::max(before_, now_); }

  [[nodiscard]] Habits habits() const {
    Habits parts;
    for (std::size_t k = 0; k < kLevels; ++k) {
      parts[k] = static_cast<std::uint8_t>(std::lround(above_[k] * kParts));
    }
    return parts;
  }

 private:
  /// Of two halves of the memory, so that it takes two numbers.
  void remember(const DemandRules& rules, Instant at, Watts seen) {
    if (at >= half_began_ + rules.memory * 0.5) {
      before_ = at >= half_began_ + rules.memory ? seen : now_;
      now_ = seen;
      half_began_ = at;
    }
    now_ = std::max(now_, seen);
  }

  /// `seen_ratio` of the range of caps.
  void weigh(const DemandRules& rules, Instant at, double seen_ratio) {
    const auto weight =
        is_first_ ? 1.0F
                  : static_cast<float>(1 - std::exp(-std::max(0.0, (at - last_) / rules.habit)));
    for (std::size_t k = 0; k < kLevels; ++k) {
      const double level = static_cast<double>(k) / kLevels;
      above_[k] += weight * ((seen_ratio > level ? 1.0F : 0.0F) - above_[k]);
    }
    last_ = at;
    is_first_ = false;
  }

  Watts before_;
  Watts now_;
  Instant half_began_;
  Instant last_;
  std::array<float, kLevels> above_{};
  bool is_first_ = true;
};

}  // namespace perwatt::control
