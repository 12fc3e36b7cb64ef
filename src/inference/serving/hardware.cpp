#include "perwatt/inference/serving/hardware.hpp"

#include <cmath>
#include <string>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::inference::serving {

namespace {

constexpr double kGiga = 1e9;
constexpr double kBitsPerByte = 8;
constexpr double kMostDomainGpus = 1e6;

/// The share of TDP that GB300 boards draw idle in the 1 Hz traces (222 W of 1400 W).
constexpr double kIdleShareOfTdp = 0.16;

double figure(const catalog::Accelerator& accelerator, std::string_view name) {
  const auto* found = accelerator.find(name);
  if (found == nullptr || !(found->value > 0)) {
    throw_bad_input("accelerator '" + accelerator.id + "' has no figure " + std::string{name},
                    accelerator.defined_at,
                    "the serving model needs it: add it to the entry, or name another accelerator");
  }
  return found->value;
}

}  // namespace

Watts idle_power(const catalog::Accelerator& accelerator) {
  return accelerator.idle ? accelerator.idle->value : accelerator.tdp.value * kIdleShareOfTdp;
}

Hardware hardware_of(const catalog::Accelerator& accelerator) {
  Hardware hardware;
  hardware.accelerator = accelerator.id;
  hardware.vendor = accelerator.vendor;
  if (!accelerator.dense_bf16_flops) {
    figure(accelerator, "dense_bf16_tflops");
  }
  if (!accelerator.memory_bytes_per_second) {
    figure(accelerator, "memory_bandwidth_tb_per_s");
  }
  hardware.bf16_flops = *accelerator.dense_bf16_flops;
  hardware.fp8_flops = accelerator.dense_fp8_flops.value_or(0);
  hardware.fp4_flops = accelerator.dense_fp4_flops.value_or(0);
  hardware.memory_bytes_per_second = *accelerator.memory_bytes_per_second;
  hardware.memory_bytes = figure(accelerator, "memory_gb") * kGiga;
  const double domain = figure(accelerator, "scale_up_size_gpus");
  if (domain != std::floor(domain) || domain > kMostDomainGpus) {
    throw_bad_input("scale_up_size_gpus = " + shortest(domain) + " of accelerator '" +
                        accelerator.id + "' is no number of GPUs",
                    accelerator.defined_at, "give a whole number from 1 to 1,000,000");
  }
  hardware.scale_up_gpus = static_cast<int>(domain);
  hardware.scale_up_bytes_per_second = figure(accelerator, "scale_up_bandwidth_gb_per_s") * kGiga;
  if (const auto* scale_out = accelerator.find("scale_out_gbit_per_s")) {
    hardware.scale_out_bytes_per_second = scale_out->value * kGiga / kBitsPerByte;
  }
  hardware.tdp = accelerator.tdp.value;
  hardware.idle = idle_power(accelerator);
  return hardware;
}

Multiplication multiplication(NumberType weights, const Hardware& hardware) {
  switch (weights) {
    case NumberType::bf16:
      break;
    case NumberType::fp8:
    case NumberType::mxfp8:
    case NumberType::int8:
      return {hardware.fp8_flops > 0 ? MathUnit::fp8 : MathUnit::bf16, false};
    case NumberType::nvfp4:
    case NumberType::mxfp4:
      return hardware.fp4_flops > 0 ? Multiplication{MathUnit::fp4, false}
                                    : Multiplication{MathUnit::bf16, true};
    case NumberType::int4:
      return {MathUnit::bf16, true};
  }
  return {};
}

}  // namespace perwatt::inference::serving
