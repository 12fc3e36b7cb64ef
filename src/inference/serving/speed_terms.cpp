#include "speed_terms.hpp"

#include <variant>

namespace perwatt::inference::serving {

bool matters(SpeedTerm term, const MeasuredCase& row) {
  const Setup& setup = row.setup;
  const ServingWork& work = row.work;
  const auto& layers = work.layers;
  const bool has_experts = layers.experts > 0;
  const bool is_amd = setup.hardware.vendor == "AMD";
  const bool has_pools = setup.layout.mode == Serving::disaggregated;
  const bool is_loop = std::holds_alternative<ClosedLoop>(row.load);
  const auto uses = [&](MathUnit unit) {
    return work.projection_unit.unit == unit || work.dense_unit.unit == unit ||
           work.expert_unit.unit == unit;
  };
  switch (term) {
    case SpeedTerm::fp8_compute:
      return uses(MathUnit::fp8);
    case SpeedTerm::fp4_compute:
      return uses(MathUnit::fp4);
    case SpeedTerm::expert_traffic:
      return has_experts && !work.has_four_bit_experts;
    case SpeedTerm::four_bit_expert_traffic:
      return has_experts && work.has_four_bit_experts;
    case SpeedTerm::attention_core:
    case SpeedTerm::host_seconds:
    case SpeedTerm::prefill:
    case SpeedTerm::prefill_chunk:
      return true;
    case SpeedTerm::routing_skew:
    case SpeedTerm::expert_ffn:
      return has_experts;
    case SpeedTerm::expert_imbalance:
      return has_experts && work.decode.instance.expert_parallel > 1;
    case SpeedTerm::linear_layer:
      return layers.linear > 0;
    case SpeedTerm::dense_ffn:
      return layers.dense_ffn > 0;
    case SpeedTerm::indexed_layer:
      return layers.indexed > 0;
    case SpeedTerm::mamba_layer:
      return layers.mamba > 0;
    case SpeedTerm::sglang:
      return has_experts && setup.engine.family == EngineFamily::sglang;
    case SpeedTerm::sglang_amd:
      return has_experts && setup.engine.family == EngineFamily::sglang && is_amd;
    case SpeedTerm::vllm:
      return has_experts && (setup.engine.family == EngineFamily::vllm ||
                             setup.engine.family == EngineFamily::other);
    case SpeedTerm::atom:
      return has_experts && setup.engine.family == EngineFamily::atom;
    case SpeedTerm::vllm_v0:
      return has_experts && setup.engine.family == EngineFamily::vllm_v0;
    case SpeedTerm::vllm_v0_overhead:
      return setup.engine.family == EngineFamily::vllm_v0;
    case SpeedTerm::dynamo:
      return has_experts && setup.engine.router == Router::dynamo;
    case SpeedTerm::mori:
      return has_experts && setup.engine.router == Router::mori;
    case SpeedTerm::mtp_verified:
    case SpeedTerm::mtp_accepted:
      return setup.has_mtp;
    case SpeedTerm::attention_dp:
      return work.decode.instance.attention_dp > 1;
    case SpeedTerm::closed_loop:
      return is_loop && !has_pools;
    case SpeedTerm::closed_loop_pools:
    case SpeedTerm::prefill_pool:
      return is_loop && has_pools;
    case SpeedTerm::scale_out_collective:
      return !work.decode.is_within_scale_up || !work.prefill.is_within_scale_up;
    case SpeedTerm::age_nvidia:
      return !is_amd;
    case SpeedTerm::age_amd:
      return is_amd;
    case SpeedTerm::dequantisation:
      return work.expert_unit.is_dequantised;
    case SpeedTerm::latent_compute:
      return work.has_latent_attention;
    case SpeedTerm::gap_stall:
      return setup.tpot_kind == TpotKind::median_gap;
  }
  return true;
}

}  // namespace perwatt::inference::serving
