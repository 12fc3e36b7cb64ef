// A deployment at one load with its boards capped or their clocks locked: what it then yields and
// draws. docs/model/serving.md#clock
#pragma once

#include <optional>

#include "perwatt/base/units.hpp"
#include "perwatt/inference/serving/model.hpp"

namespace perwatt::inference::serving {

/// Two levers. A locked clock slows every kernel that the cores bound; a cap slows a pool only
/// where it would draw more.
struct PowerSetting {
  std::optional<Watts> gpu_cap;       // of every board
  std::optional<double> clock_ratio;  // core clock over the highest: [kLowestClockRatio, 1]
};

/// Factors that measured relatives or anchors put on what the physical terms say.
struct Correction {
  double rate = 1;
  double power = 1;
};

/// One load of one deployment under a setting. Rates, latencies and watts are those of the physical
/// terms, but for what Correction says.
struct Operation {
  Prediction prediction;
  Watts gpu_power;          // mean over the boards
  CoreClocks clocks;        // over the clocks at which the boards run unlimited
  bool is_cap_kept = true;  // false: a pool draws more than the cap at its lowest clock
};

class OperatedDeployment {
 public:
  /// All three must outlive it. REQUIRES: layout_problem() is empty for both instances.
  OperatedDeployment(const Setup& setup, const ServingWork& work,
                     const CoefficientsOfOne& coefficients);

  /// Power at the rate of the prediction times `correction.rate`, itself times `correction.power`.
  [[nodiscard]] Operation at(const Load& load, const PowerSetting& setting,
                             const Correction& correction = {}) const;

 private:
  struct Pools;

  [[nodiscard]] Pools evaluate(const Load& load, const CoreClocks& clocks,
                               const Correction& correction) const;

  const Setup& setup_;
  const ServingWork& work_;
  const CoefficientsOfOne& coefficients_;
  BoardPower board_;
};

}  // namespace perwatt::inference::serving
