// Operations and bytes of a decode step and of a prefill, counted from the model's layers: what the
// calibrated rates are applied to. Formulas: docs/model/serving.md#work.
#pragma once

#include "perwatt/inference/serving/setup.hpp"

namespace perwatt::inference::serving {

/// Operators of a step, summed over layers, that share a limit.
enum class OperatorGroup { projections, attention_core, dense_ffn, experts, lm_head };

inline constexpr int kOperatorGroups = 5;

[[nodiscard]] std::string_view to_string(OperatorGroup group);

/// Layers by what they cost besides operations and bytes.
struct LayerCounts {
  double attention = 0;  // with a cache
  double indexed = 0;    // of them, with sparse choice of what is read
  double linear = 0;
  double mamba = 0;
  double dense_ffn = 0;
  double experts = 0;
  double all = 0;
};

/// Of one GPU of an instance; over all layers.
struct InstanceWork {
  Instance instance;

  // Per token that passes the step (a verified token counts whole).
  double projection_flops = 0;
  double dense_flops = 0;
  double expert_flops = 0;  // routed and shared
  double head_flops = 0;

  // Weights, read once per step.
  double projection_bytes = 0;
  double dense_bytes = 0;
  double shared_expert_bytes = 0;
  double routed_expert_bytes = 0;  // all experts of the GPU's share
  double head_bytes = 0;

  double experts = 0;  // of a layer; 0: none
  double experts_per_token = 0;

  // Bytes sent by a GPU for one token in all collectives of a step.
  double exchange_bytes_per_token = 0;
  double collectives = 0;          // of a step; 0 on one GPU a stage
  bool is_within_scale_up = true;  // a stage

  double stages = 1;                 // of its pipeline
  double stage_bytes_per_token = 0;  // passed from stage to stage

  double weight_memory_bytes = 0;  // held by one GPU
};

struct ServingWork {
  InstanceWork prefill;
  InstanceWork decode;
  LayerCounts layers;
  Multiplication projection_unit;
  Multiplication dense_unit;
  Multiplication expert_unit;
  bool has_four_bit_experts = false;
  bool has_latent_attention = false;

  // Decode at the mean context (input + output / 2), per GPU of the decode instance.
  double core_flops_per_token = 0;  // and sequence
  double core_bytes_per_sequence = 0;

  // Prefill of one prompt, per GPU of the prefill instance.
  double prompt_core_flops = 0;
  double prompt_tokens = 0;  // computed: without those of the prefix cache

  // Cache of one sequence in its course, per GPU of the decode instance.
  double cache_memory_bytes_per_sequence = 0;
  double kv_transfer_bytes = 0;    // of one prompt, over all GPUs of an instance
  double kv_transfer_seconds = 0;  // of one prompt between pools; 0 without them
  double kv_memory_bytes = 0;      // left for caches on a GPU of the decode instance; may be <= 0
};

/// Bytes of an element that GPUs pass to each other.
inline constexpr double kActivationBytes = 2;

/// Share of a link's data-sheet rate that large messages reach.
inline constexpr double kLinkEfficiency = 0.7;

/// REQUIRES: layout_problem() is empty for both instances.
[[nodiscard]] ServingWork count_work(const Setup& setup);

/// Seconds that the cache of one prompt, `bytes` over all GPUs of an instance, travels between the
/// pools of `setup`.
[[nodiscard]] double kv_transfer_seconds(const Setup& setup, double bytes);

/// Routed experts that `tokens` touch in one layer on the busiest of `expert_parallel` GPUs, times
/// their number: what a step must read, in experts. `skew` below 1 makes tokens choose alike;
/// `imbalance` scales the excess of the busiest GPU. Between experts_per_token and all.
[[nodiscard]] double touched_experts(double experts, double experts_per_token, double tokens,
                                     int expert_parallel, double skew, double imbalance);

}  // namespace perwatt::inference::serving
