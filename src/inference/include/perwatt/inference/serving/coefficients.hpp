// The fitted numbers of the serving model: few, physical, bounded; per accelerator and engine,
// never per model. Meanings and equations: docs/model/serving.md#coefficients.
//
// Each table lists, for every coefficient, the value it starts from when nothing is measured, the
// spread of the log-normal prior, and hard bounds.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace perwatt::inference::serving {

struct CoefficientInfo {
  std::string_view name;
  double start = 1;
  double log_spread = 0.3;
  double low = 0;
  double high = 0;
};

/// Of one accelerator: times.
enum class AcceleratorTerm {
  bandwidth,   // reached share of HBM bandwidth
  compute,     // reached share of dense bf16 peak
  layer,       // seconds per attention layer and step besides its operations
  collective,  // seconds per collective besides its bytes
};

inline constexpr std::array<CoefficientInfo, 4> kAcceleratorTerms{{
    {"bandwidth_ratio", 0.82, 0.15, 0.3, 0.92},
    {"compute_ratio", 0.62, 0.3, 0.15, 0.85},
    {"layer_seconds", 40e-6, 0.5, 5e-6, 4e-4},
    {"collective_seconds", 8e-6, 0.5, 1e-6, 1e-4},
}};

/// Of one accelerator: watts, as shares of the board's TDP.
enum class AcceleratorPowerTerm { floor, memory, compute };

inline constexpr std::array<CoefficientInfo, 3> kAcceleratorPowerTerms{{
    {"power_floor_ratio", 0.18, 0.35, 0.05, 0.6},
    {"power_memory_ratio", 0.4, 0.35, 0.05, 2.0},
    {"power_compute_ratio", 0.6, 0.35, 0.05, 3.0},
}};

/// Shared by all accelerators: times of steps, prefills and the closed loop.
enum class SpeedTerm {
  fp8_compute,
  fp4_compute,
  expert_traffic,
  four_bit_expert_traffic,
  attention_core,
  routing_skew,
  expert_imbalance,
  linear_layer,
  dense_ffn,
  expert_ffn,
  indexed_layer,
  mamba_layer,
  host_seconds,
  sglang,
  sglang_amd,
  vllm,
  atom,
  vllm_v0,
  vllm_v0_overhead,
  dynamo,
  mori,
  mtp_verified,
  mtp_accepted,
  prefill,
  prefill_chunk,
  attention_dp,
  closed_loop,
  closed_loop_pools,
  scale_out_collective,
  prefill_pool,
  age_nvidia,
  age_amd,
  dequantisation,
  latent_compute,
  gap_stall,
};

inline constexpr std::array<CoefficientInfo, 35> kSpeedTerms{{
    {"fp8_compute_ratio", 0.6, 0.3, 0.2, 1.15},
    {"fp4_compute_ratio", 0.9, 0.4, 0.2, 1.15},
    {"expert_traffic_factor", 1.0, 0.3, 0.92, 3},
    {"four_bit_expert_traffic_factor", 1.3, 0.3, 0.92, 3},
    {"attention_core_factor", 1.4, 0.3, 1, 4},
    {"routing_skew", 0.7, 0.4, 0.1, 1.5},
    {"expert_imbalance", 1.0, 0.5, 0.1, 5},
    {"linear_layer_factor", 1.35, 0.4, 0.2, 6},
    {"dense_ffn_factor", 0.5, 0.4, 0.05, 4},
    {"expert_ffn_factor", 1.75, 0.4, 0.2, 8},
    {"indexed_layer_factor", 4.2, 0.5, 1, 15},
    {"mamba_layer_factor", 2.5, 0.5, 0.3, 12},
    {"host_seconds", 0.8e-3, 0.5, 1e-4, 5e-3},
    {"sglang_factor", 1.27, 0.3, 1, 3},
    {"sglang_amd_factor", 1.39, 0.3, 1, 4},
    {"vllm_factor", 1.4, 0.3, 1, 3},
    {"atom_factor", 1.27, 0.3, 1, 3},
    {"vllm_v0_factor", 1.7, 0.3, 1, 4},
    {"vllm_v0_overhead_factor", 15, 0.7, 1, 60},
    {"dynamo_factor", 1.06, 0.2, 0.6, 2},
    {"mori_factor", 0.8, 0.2, 0.4, 2},
    {"mtp_verified_tokens", 1.87, 0.2, 1, 3},
    {"mtp_accepted_tokens", 1.81, 0.2, 1, 3},
    {"prefill_factor", 1.75, 0.3, 1, 5},
    {"prefill_chunk_factor", 1.75, 0.3, 0.2, 6},
    {"attention_dp_factor", 1.2, 0.2, 1, 3},
    {"closed_loop_ratio", 0.968, 0.03, 0.8, 1},
    {"closed_loop_pools_ratio", 0.944, 0.05, 0.7, 1},
    {"scale_out_collective_factor", 10, 0.6, 1, 60},
    {"prefill_pool_factor", 1.0, 0.3, 0.4, 2.5},
    {"age_factor_nvidia", 1.07, 0.05, 0.9, 1.5},
    {"age_factor_amd", 1.17, 0.08, 0.9, 1.6},
    {"dequantisation_factor", 1.3, 0.4, 0.5, 5},
    {"latent_compute_factor", 1.5, 0.4, 0.3, 2.3},
    {"gap_stall_ratio", 0.33, 0.5, 0.05, 1.5},
}};

/// Shared: time to the first token.
enum class FirstTokenTerm {
  sglang,
  vllm,
  atom,
  amd,
  attention_dp,
  seconds,
  prefill,
  queue,
  burst,
  burst_exponent,
  step,
  waiting,
  pools_amd,
  pools_attention_dp,
  pools_sglang,
  pools_seconds,
  pools_prefill,
  pools_queue,
  pools_burst,
  pools_burst_exponent,
  pools_waiting,
};

inline constexpr std::array<CoefficientInfo, 21> kFirstTokenTerms{{
    {"sglang_factor", 1.5, 0.5, 0.1, 10},
    {"vllm_factor", 0.7, 0.5, 0.1, 10},
    {"atom_factor", 1.1, 0.5, 0.1, 10},
    {"amd_factor", 0.29, 0.5, 0.02, 5},
    {"attention_dp_factor", 1.45, 0.5, 0.2, 10},
    {"seconds", 0.063, 0.5, 1e-3, 1},
    {"prefill_factor", 1.9, 0.5, 0.1, 20},
    {"queue_factor", 0.24, 0.5, 1e-3, 5},
    {"burst_factor", 0.035, 0.5, 1e-4, 2},
    {"burst_exponent", 1.1, 0.5, 0.1, 2},
    {"step_factor", 0.5, 0.5, 0.01, 5},
    {"waiting_factor", 0.25, 0.5, 0.01, 2},
    {"pools_amd_factor", 0.86, 0.5, 0.05, 10},
    {"pools_attention_dp_factor", 1.96, 0.5, 0.1, 20},
    {"pools_sglang_factor", 1.0, 0.5, 0.1, 10},
    {"pools_seconds", 0.107, 0.5, 1e-3, 2},
    {"pools_prefill_factor", 0.62, 0.5, 0.02, 10},
    {"pools_queue_factor", 0.11, 0.5, 1e-3, 5},
    {"pools_burst_factor", 0.22, 0.5, 1e-3, 5},
    {"pools_burst_exponent", 0.56, 0.5, 0.1, 2},
    {"pools_waiting_factor", 0.23, 0.5, 0.01, 2},
}};

/// Shared: board power.
enum class PowerTerm {
  memory_exponent,
  fp8_energy,
  fp4_energy,
  dequantisation,
  busy,
  serving,
  compute_exponent,
};

inline constexpr std::array<CoefficientInfo, 7> kPowerTerms{{
    {"memory_exponent", 0.56, 0.2, 0.3, 1.2},
    {"fp8_energy_factor", 2.5, 0.5, 0.5, 10},
    {"fp4_energy_factor", 5.0, 0.7, 0.5, 30},
    {"dequantisation_factor", 2.0, 0.4, 0.8, 6},
    {"busy_ratio", 0.07, 0.7, 1e-3, 0.5},
    {"serving_ratio", 0.04, 0.7, 1e-3, 0.5},
    {"compute_exponent", 0.56, 0.2, 0.3, 1.2},
}};

/// Values of one table, by its enum.
template <class Term, std::size_t Count>
class Values {
 public:
  constexpr double& operator[](Term term) { return values_[static_cast<std::size_t>(term)]; }

  constexpr double operator[](Term term) const { return values_[static_cast<std::size_t>(term)]; }

  [[nodiscard]] std::span<double> all() { return values_; }

  [[nodiscard]] std::span<const double> all() const { return values_; }

  bool operator==(const Values&) const = default;

 private:
  std::array<double, Count> values_{};
};

using AcceleratorValues = Values<AcceleratorTerm, kAcceleratorTerms.size()>;
using AcceleratorPowerValues = Values<AcceleratorPowerTerm, kAcceleratorPowerTerms.size()>;
using SpeedValues = Values<SpeedTerm, kSpeedTerms.size()>;
using FirstTokenValues = Values<FirstTokenTerm, kFirstTokenTerms.size()>;
using PowerValues = Values<PowerTerm, kPowerTerms.size()>;

/// What the model needs for one accelerator.
struct CoefficientsOfOne {
  AcceleratorValues accelerator;
  AcceleratorPowerValues accelerator_power;
  SpeedValues speed;
  FirstTokenValues first_token;
  PowerValues power;
};

struct AcceleratorCoefficients {
  std::string vendor;
  std::optional<AcceleratorValues> times;
  std::optional<AcceleratorPowerValues> power;  // absent where no power was measured

  bool operator==(const AcceleratorCoefficients&) const = default;
};

struct Coefficients {
  std::map<std::string, AcceleratorCoefficients, std::less<>> accelerators;  // by catalog id
  SpeedValues speed;
  FirstTokenValues first_token;
  PowerValues power;

  bool operator==(const Coefficients&) const = default;

  /// An accelerator without values of its own has the geometric mean of its vendor's times, else of
  /// all, and of all accelerators' powers (vendors tell nothing about those); the starting values
  /// when there are none.
  [[nodiscard]] CoefficientsOfOne of(std::string_view accelerator, std::string_view vendor) const;

  /// Of all tables, accelerators counted each.
  [[nodiscard]] std::size_t count() const;
};

/// Nothing fitted: the starting values.
[[nodiscard]] Coefficients starting_coefficients();

}  // namespace perwatt::inference::serving
