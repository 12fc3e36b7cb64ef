// Mean power of a GPU board, from how the board is used and at which core clock it runs.
// Equations, and where the law of the clock comes from: docs/model/serving.md#power and #clock.
#pragma once

#include "perwatt/base/units.hpp"
#include "perwatt/inference/serving/coefficients.hpp"
#include "perwatt/inference/serving/hardware.hpp"

namespace perwatt::inference::serving {

/// Utilisations that power depends on, means over time and over the GPUs of a pool.
struct Utilisation {
  double busy_ratio = 0;                // time in operators
  double serving_ratio = 0;             // time in steps and prefills
  double memory_ratio = 0;              // HBM bytes/s of the data sheet's
  double dequantised_memory_ratio = 0;  // of them, 4-bit weights widened for want of units
  double bf16_ratio = 0;                // FLOP/s of the bf16 peak
  double fp8_ratio = 0;                 // FLOP/s of 8-bit units, of the bf16 peak
  double fp4_ratio = 0;
};

/// Of a deployment: each GPU is of one of two pools. Aggregated serving is one pool.
struct DeploymentUse {
  Utilisation decode;
  Utilisation prefill;
  double prefill_gpu_ratio = 0;  // share of the GPUs
};

/// How voltage follows the core clock; both are shares of those at the highest clock. The voltage
/// is flat up to a knee and rises in a straight line from there.
struct ClockLaw {
  double lowest_voltage_ratio = 0.76;
  double knee_clock_ratio = 0.75;

  [[nodiscard]] double voltage_ratio(double clock_ratio) const;
};

/// The lowest clock that a board is run at.
inline constexpr double kLowestClockRatio = 0.25;

class BoardPower {
 public:
  BoardPower(const Hardware& hardware, const AcceleratorPowerValues& accelerator,
             const PowerValues& shared, const ClockLaw& law = {});

  /// At the board's own limit and clock, where coefficients are measured: concave in use, and bent
  /// below the limit.
  [[nodiscard]] Watts at_own_limit(const Utilisation& use) const;

  /// The clock the board runs at then: 1 unless its limit throttles it.
  [[nodiscard]] double own_clock(const Utilisation& use) const;

  /// At a clock, `use` as it is at that clock. Continuous: at_clock(use, own_clock(use)) is
  /// at_own_limit(use). REQUIRES: 0 < clock_ratio <= 1.
  [[nodiscard]] Watts at_clock(const Utilisation& use, double clock_ratio) const;

 private:
  [[nodiscard]] double demand(const Utilisation& use, double clock_ratio) const;  // of the limit

  Watts tdp_;
  double static_ratio_ = 0;
  AcceleratorPowerValues own_;
  PowerValues shared_;
  ClockLaw law_;
};

/// Mean over the GPUs of a deployment, at their own limit and clock.
[[nodiscard]] Watts gpu_power(const DeploymentUse& use, const BoardPower& board);

}  // namespace perwatt::inference::serving
