// The data-sheet rates of an accelerator that the serving model starts from.
#pragma once

#include <string>

#include "perwatt/base/units.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/inference/checkpoint_format.hpp"

namespace perwatt::inference::serving {

/// Board power without work; modelled where the catalog has no idle reading.
/// docs/model/gpu_power.md#idle
[[nodiscard]] Watts idle_power(const catalog::Accelerator& accelerator);

/// Rates of one accelerator. FLOP/s are dense; 0: it has no such units.
struct Hardware {
  std::string accelerator;  // catalog id
  std::string vendor;
  double bf16_flops = 0;
  double fp8_flops = 0;
  double fp4_flops = 0;
  double memory_bytes_per_second = 0;
  double memory_bytes = 0;
  int scale_up_gpus = 1;
  double scale_up_bytes_per_second = 0;   // of one GPU, one direction
  double scale_out_bytes_per_second = 0;  // of one GPU, one direction; 0: not known
  Watts tdp;                              // board
  Watts idle;                             // board without work
};

/// Throws Error(bad_input) naming the figure that the catalog's entry lacks.
[[nodiscard]] Hardware hardware_of(const catalog::Accelerator& accelerator);

/// Which units multiply weights of a format: the narrowest the accelerator has that are at least as
/// wide.
enum class MathUnit { bf16, fp8, fp4 };

struct Multiplication {
  MathUnit unit = MathUnit::bf16;
  bool is_dequantised = false;  // 4-bit weights widened first, for want of 4-bit units
};

[[nodiscard]] Multiplication multiplication(NumberType weights, const Hardware& hardware);

}  // namespace perwatt::inference::serving
