// The exact time-energy frontier of a pipeline: the least effective energy of an iteration for
// every time it may take, with each operation on the convex hull of its options.
//
// The frontier is convex and piecewise linear. It bounds every plan of real settings from below: a
// setting between two corners of a hull is a mixture no device has. Method: parametric_flow.hpp and
// docs/model/training.md.
#pragma once

#include <optional>
#include <vector>

#include "perwatt/training/pipeline.hpp"

namespace perwatt::training {

struct FrontierPoint {
  Seconds time;  // of the iteration, with the tail
  Joules effective_energy;
  Watts slope;  // -dE_effective/dT towards the point before, which is slower; 0 at first
};

class TimeEnergyFrontier {
 public:
  /// Every breakpoint, slow to fast. Throws Error(bad_input) for a pipeline with a circle or with
  /// more work than scaled_work.hpp can count.
  static TimeEnergyFrontier of(const Pipeline& pipeline);

  [[nodiscard]] const std::vector<FrontierPoint>& points() const { return points_; }

  [[nodiscard]] Seconds slowest() const { return points_.front().time; }

  [[nodiscard]] Seconds fastest() const { return points_.back().time; }

  /// Least effective energy of an iteration of `time`, in O(log n); beyond slowest() the GPUs wait.
  /// REQUIRES: time >= fastest().
  [[nodiscard]] Joules effective_energy(Seconds time) const;

  /// With the blocking power of all stages over the whole iteration.
  [[nodiscard]] Joules energy(Seconds time) const {
    return effective_energy(time) + blocking_ * time;
  }

  /// The time of least energy(): where the slope passes the blocking power of all stages.
  [[nodiscard]] Seconds least_energy_time() const;

  /// The shortest time whose mean power energy(T) / T is at most `cap`, waiting included; nothing
  /// when there is none. fastest() when `cap` does not bind.
  [[nodiscard]] std::optional<Seconds> time_under_power(Watts cap) const;

  /// Blocking power of all stages.
  [[nodiscard]] Watts blocking() const { return blocking_; }

 private:
  std::vector<FrontierPoint> points_;
  Watts blocking_;
};

}  // namespace perwatt::training
