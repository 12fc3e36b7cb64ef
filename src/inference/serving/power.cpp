#include "perwatt/inference/serving/power.hpp"

#include <algorithm>
#include <cmath>

namespace perwatt::inference::serving {

namespace {

constexpr double kLimitSharpness = 8;  // of the board limit
constexpr double kLeastUse = 1e-9;

// Of the power that goes with bytes from memory, what the core clock and voltage feed (L2, fabric,
// SMs); the rest is HBM and its interface. docs/model/serving.md#clock
constexpr double kCoreShareOfMemory = 0.5;

/// Of activity that uses `exponent` of the rate: the rate is given, so at a lower clock each cycle
/// does more.
double core_factor(double clock, double voltage, double exponent) {
  return std::pow(clock, 1 - exponent) * voltage * voltage;
}

}  // namespace

double ClockLaw::voltage_ratio(double clock_ratio) const {
  const double above = std::max(0.0, clock_ratio - knee_clock_ratio) / (1 - knee_clock_ratio);
  return lowest_voltage_ratio + (1 - lowest_voltage_ratio) * above;
}

BoardPower::BoardPower(const Hardware& hardware, const AcceleratorPowerValues& accelerator,
                       const PowerValues& shared, const ClockLaw& law)
    : tdp_{hardware.tdp},
      static_ratio_{
          std::min(hardware.idle / hardware.tdp, accelerator[AcceleratorPowerTerm::floor])},
      own_{accelerator},
      shared_{shared},
      law_{law} {}

double BoardPower::demand(const Utilisation& use, double clock) const {
  const double memory =
      use.memory_ratio + (shared_[PowerTerm::dequantisation] - 1) * use.dequantised_memory_ratio;
  const double compute = use.bf16_ratio + shared_[PowerTerm::fp8_energy] * use.fp8_ratio +
                         shared_[PowerTerm::fp4_energy] * use.fp4_ratio;
  const double memory_exponent = shared_[PowerTerm::memory_exponent];
  const double compute_exponent = shared_[PowerTerm::compute_exponent];
  const double voltage = law_.voltage_ratio(clock);
  const double active = own_[AcceleratorPowerTerm::floor] - static_ratio_ +
                        shared_[PowerTerm::busy] * use.busy_ratio +
                        shared_[PowerTerm::serving] * use.serving_ratio;
  const double memory_factor =
      1 - kCoreShareOfMemory + kCoreShareOfMemory * core_factor(clock, voltage, memory_exponent);
  return static_ratio_ + active * core_factor(clock, voltage, 0) +
         own_[AcceleratorPowerTerm::memory] * memory_factor *
             std::pow(std::max(memory, kLeastUse), memory_exponent) +
         own_[AcceleratorPowerTerm::compute] * core_factor(clock, voltage, compute_exponent) *
             std::pow(std::max(compute, kLeastUse), compute_exponent);
}

Watts BoardPower::at_own_limit(const Utilisation& use) const {
  return tdp_ * std::pow(std::pow(demand(use, 1), -kLimitSharpness) + 1, -1 / kLimitSharpness);
}

double BoardPower::own_clock(const Utilisation& use) const {
  const Watts drawn = at_own_limit(use);
  double low = kLowestClockRatio;
  double high = 1;
  if (at_clock(use, low) >= drawn) {
    return low;
  }
  constexpr int kHalvings = 40;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    (at_clock(use, middle) < drawn ? low : high) = middle;
  }
  return high;
}

Watts BoardPower::at_clock(const Utilisation& use, double clock_ratio) const {
  return tdp_ * demand(use, clock_ratio);
}

Watts gpu_power(const DeploymentUse& use, const BoardPower& board) {
  const Watts decode = board.at_own_limit(use.decode);
  if (use.prefill_gpu_ratio == 0) {
    return decode;
  }
  return decode + (board.at_own_limit(use.prefill) - decode) * use.prefill_gpu_ratio;
}

}  // namespace perwatt::inference::serving
