#include "perwatt/inference/serving/operation.hpp"

#include <algorithm>

namespace perwatt::inference::serving {

/// Both pools at one pair of clocks.
struct OperatedDeployment::Pools {
  Prediction prediction;
  DeploymentUse use;
};

OperatedDeployment::OperatedDeployment(const Setup& setup, const ServingWork& work,
                                       const CoefficientsOfOne& coefficients)
    : setup_{setup},
      work_{work},
      coefficients_{coefficients},
      board_{setup.hardware, coefficients.accelerator_power, coefficients.power} {}

OperatedDeployment::Pools OperatedDeployment::evaluate(const Load& load, const CoreClocks& clocks,
                                                       const Correction& correction) const {
  Setup setup = setup_;
  setup.clocks = clocks;
  const ServingModel model{setup, work_, coefficients_};
  const Prediction prediction = model.under(load);
  return {prediction, model.use(prediction, prediction.requests_per_second * correction.rate)};
}

Operation OperatedDeployment::at(const Load& load, const PowerSetting& setting,
                                 const Correction& correction) const {
  const bool has_pools = setup_.layout.mode == Serving::disaggregated;
  const Pools unlimited = evaluate(load, {}, correction);
  // The clocks that the coefficients stand for: below 1 where the board's own limit throttles.
  const double own_decode = board_.own_clock(unlimited.use.decode);
  const double own_prefill = has_pools ? board_.own_clock(unlimited.use.prefill) : own_decode;

  Operation result;
  const double locked = setting.clock_ratio.value_or(1);
  CoreClocks& clocks = result.clocks;
  clocks.decode = std::min(1.0, locked / own_decode);
  clocks.prefill = std::min(1.0, locked / own_prefill);
  const auto decode_power = [&](const Pools& pools) {
    return board_.at_clock(pools.use.decode, clocks.decode * own_decode) * correction.power;
  };
  const auto prefill_power = [&](const Pools& pools) {
    return board_.at_clock(pools.use.prefill, clocks.prefill * own_prefill) * correction.power;
  };

  /// Lowers the clock of one pool until it keeps the cap.
  const auto keep_cap = [&](const auto& power, double own, const auto& set) {
    const Watts cap = *setting.gpu_cap;
    if (power(evaluate(load, clocks, correction)) <= cap) {
      return;
    }
    double high = std::min(1.0, locked / own);
    double low = std::min(high, kLowestClockRatio / own);
    set(low);
    if (power(evaluate(load, clocks, correction)) > cap) {
      result.is_cap_kept = false;
      return;
    }
    constexpr int kHalvings = 24;
    for (int i = 0; i < kHalvings; ++i) {
      const double middle = (low + high) / 2;
      set(middle);
      (power(evaluate(load, clocks, correction)) > cap ? high : low) = middle;
    }
    set(low);
  };
  if (setting.gpu_cap) {
    if (has_pools) {
      keep_cap(prefill_power, own_prefill, [&](double clock) { clocks.prefill = clock; });
      keep_cap(decode_power, own_decode, [&](double clock) { clocks.decode = clock; });
    } else {
      keep_cap(decode_power, own_decode, [&](double clock) { clocks = CoreClocks{clock, clock}; });
    }
  }

  const Pools pools = evaluate(load, clocks, correction);
  result.prediction = pools.prediction;
  result.gpu_power = decode_power(pools);
  if (has_pools) {
    result.gpu_power += (prefill_power(pools) - result.gpu_power) * pools.use.prefill_gpu_ratio;
  }
  return result;
}

}  // namespace perwatt::inference::serving
