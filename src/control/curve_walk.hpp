// The value along a curve at watts that do not fall from call to call: each stretch is passed once.
#pragma once

#include <cstddef>
#include <span>

#include "perwatt/allocate/problem.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::control {

class CurveWalk {
 public:
  /// REQUIRES: a curve without a fault, that outlives the walk.
  explicit CurveWalk(std::span<const allocate::CurvePoint> curve)
      : curve_{curve}, passed_{curve.front().value} {}

  /// As allocate::value_at, to the last bit. REQUIRES: `power` is not below that of the last call.
  double value_at(Watts power) {
    for (; next_ < curve_.size() && power >= curve_[next_].power; ++next_) {
      passed_ += curve_[next_].value - curve_[next_ - 1].value;
    }
    if (next_ == curve_.size() || power <= curve_[next_ - 1].power) {
      return passed_;
    }
    const auto& from = curve_[next_ - 1];
    const auto& to = curve_[next_];
    return passed_ + (to.value - from.value) * ((power - from.power) / (to.power - from.power));
  }

 private:
  std::span<const allocate::CurvePoint> curve_;
  double passed_;  // the value at the last point that was passed
  std::size_t next_ = 1;
};

}  // namespace perwatt::control
