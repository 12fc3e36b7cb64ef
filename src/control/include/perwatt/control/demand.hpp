// What a device would draw if its cap did not hold it, from readings of draw and cap.
//
// A draw well below the cap in force is the demand itself: its highest over the last `memory`. A
// draw at the cap says only that the demand is no less: it is taken to be `probe_ratio` times the
// cap, so that a device that is held gets more as long as it uses it. Without a fresh reading the
// estimate stands; it never falls for want of readings (facts: docs/model/control.md#demand).
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
};

class Demand {
 public:
  /// A reading to be trusted, of `at` (later than the one before), under the cap in force then.
  void read(const DemandRules& rules, Instant at, Watts draw, Watts cap) {
    const bool is_held = draw >= cap * rules.held_ratio;
    const Watts seen = is_held ? cap * rules.probe_ratio : draw * rules.margin_ratio;
    if (at >=
        memory_.half_began + rules.memory * 0.5) {  // the highest of two halves: memory/2 to memory
      memory_.before = at >= memory_.half_began + rules.memory ? seen : memory_.now;
      memory_.now = seen;
      memory_.half_began = at;
    }
    memory_.now = std::max(memory_.now, seen);
  }

  /// 0 before the first reading.
  [[nodiscard]] Watts estimate() const { return std::max(memory_.before, memory_.now); }

  /// All that it knows: the highest of the half before and of this one.
  struct Memory {
    Watts before;
    Watts now;
    Instant half_began;
  };

  [[nodiscard]] const Memory& memory() const { return memory_; }

  void resume(const Memory& memory) { memory_ = memory; }

 private:
  Memory memory_;
};

}  // namespace perwatt::control
