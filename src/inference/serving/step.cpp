#include "perwatt/inference/serving/step.hpp"

#include <algorithm>
#include <cmath>

namespace perwatt::inference::serving {

namespace {

constexpr double kOverheadScale = 1.5;  // layer counts are weighted so that a MoE layer is 1.8
constexpr double kDraftLayers = 1.05;   // of a draft token, in layers of the model

constexpr std::size_t kProjections = static_cast<std::size_t>(OperatorGroup::projections);
constexpr std::size_t kCore = static_cast<std::size_t>(OperatorGroup::attention_core);
constexpr std::size_t kDense = static_cast<std::size_t>(OperatorGroup::dense_ffn);
constexpr std::size_t kExperts = static_cast<std::size_t>(OperatorGroup::experts);
constexpr std::size_t kHead = static_cast<std::size_t>(OperatorGroup::lm_head);

bool is_amd(const Setup& setup) {
  return setup.hardware.vendor == "AMD";
}

double engine_factor(const Setup& setup, const SpeedValues& speed) {
  const auto family = [&] {
    switch (setup.engine.family) {
      case EngineFamily::tensorrt_llm:
        return 1.0;
      case EngineFamily::sglang:
        return speed[SpeedTerm::sglang] * (is_amd(setup) ? speed[SpeedTerm::sglang_amd] : 1);
      case EngineFamily::atom:
        return speed[SpeedTerm::atom];
      case EngineFamily::vllm_v0:
        return speed[SpeedTerm::vllm_v0];
      case EngineFamily::vllm:
      case EngineFamily::other:
        break;
    }
    return speed[SpeedTerm::vllm];
  }();
  switch (setup.engine.router) {
    case Router::dynamo:
      return family * speed[SpeedTerm::dynamo];
    case Router::mori:
      return family * speed[SpeedTerm::mori];
    case Router::none:
      break;
  }
  return family;
}

// Below this clock, over the one coefficients are measured at, the cores ask for bytes more slowly
// than HBM could give them; of the time of a layer besides its operations, this much is of the
// cores and follows their clock. docs/model/serving.md#clock
constexpr double kBandwidthKnee = 0.6;
constexpr double kCoreShareOfLayers = 0.5;

double bandwidth_ratio(double clock) {
  return std::min(1.0, clock / kBandwidthKnee);
}

/// Between the larger of both and their sum: operations and bytes overlap, but not wholly.
double overlapped(double compute, double memory) {
  return std::cbrt(compute * compute * compute + memory * memory * memory);
}

}  // namespace

StepModel::StepModel(const Setup& setup, const ServingWork& work,
                     const CoefficientsOfOne& coefficients)
    : work_{&work} {
  const auto& own = coefficients.accelerator;
  const auto& speed = coefficients.speed;
  const Hardware& hardware = setup.hardware;
  const double compute = own[AcceleratorTerm::compute];
  rates_.bytes = own[AcceleratorTerm::bandwidth] * hardware.memory_bytes_per_second;
  const double bf16_rate = compute * hardware.bf16_flops;
  rates_.flops[static_cast<int>(MathUnit::bf16)] = bf16_rate;
  rates_.flops[static_cast<int>(MathUnit::fp8)] =
      compute * speed[SpeedTerm::fp8_compute] * hardware.fp8_flops;
  rates_.flops[static_cast<int>(MathUnit::fp4)] =
      compute * speed[SpeedTerm::fp4_compute] * hardware.fp4_flops;
  const auto rate = [&](const Multiplication& unit) {
    return rates_.flops[static_cast<int>(unit.unit)];
  };
  projection_flops_rate_ = rate(work.projection_unit);
  dense_flops_rate_ = rate(work.dense_unit);
  const double experts_rate = rate(work.expert_unit);
  expert_flops_rate_ =
      experts_rate / (work.expert_unit.is_dequantised ? speed[SpeedTerm::dequantisation] : 1.0);
  expert_bytes_rate_ =
      rates_.bytes / (work.has_four_bit_experts ? speed[SpeedTerm::four_bit_expert_traffic]
                                                : speed[SpeedTerm::expert_traffic]);
  core_flops_rate_ =
      bf16_rate * (work.has_latent_attention ? speed[SpeedTerm::latent_compute] : 1.0);
  core_factor_ = speed[SpeedTerm::attention_core];
  skew_ = speed[SpeedTerm::routing_skew];
  imbalance_ = speed[SpeedTerm::expert_imbalance];
  // Measured: engines differ in their kernels for experts; dense models run alike on all.
  engine_factor_ = work.layers.experts > 0 ? engine_factor(setup, speed) : 1.0;
  attention_dp_factor_ =
      work.decode.instance.attention_dp > 1 ? speed[SpeedTerm::attention_dp] : 1.0;
  const double drift = speed[is_amd(setup) ? SpeedTerm::age_amd : SpeedTerm::age_nvidia];
  age_factor_ = setup.software_age_quarters == 0
                    ? 1.0
                    : std::exp(std::log(drift) * setup.software_age_quarters);
  if (setup.has_mtp) {
    verified_ = speed[SpeedTerm::mtp_verified];
    accepted_ = speed[SpeedTerm::mtp_accepted];
    draft_ = kDraftLayers * (verified_ - 1) / work.layers.all;
  }

  const double layers = work.layers.attention +
                        (speed[SpeedTerm::indexed_layer] - 1) * work.layers.indexed +
                        speed[SpeedTerm::linear_layer] * work.layers.linear +
                        speed[SpeedTerm::mamba_layer] * work.layers.mamba +
                        speed[SpeedTerm::dense_ffn] * work.layers.dense_ffn +
                        speed[SpeedTerm::expert_ffn] * work.layers.experts;
  layers_seconds_ = own[AcceleratorTerm::layer] * layers / kOverheadScale;
  const double core_seconds = kCoreShareOfLayers * layers_seconds_;
  const auto slower_layers = [&](double clock) { return core_seconds * (1 / clock - 1); };
  if (setup.engine.family == EngineFamily::vllm_v0) {
    layers_seconds_ *= speed[SpeedTerm::vllm_v0_overhead];
  }
  host_seconds_ = speed[SpeedTerm::host_seconds];
  const auto latency = [&](const InstanceWork& instance) {
    return instance.collectives * own[AcceleratorTerm::collective] *
           (instance.is_within_scale_up ? 1.0 : speed[SpeedTerm::scale_out_collective]);
  };
  const auto link = [&](const InstanceWork& instance) {
    return kLinkEfficiency * (instance.is_within_scale_up ? hardware.scale_up_bytes_per_second
                                                          : hardware.scale_out_bytes_per_second);
  };
  collectives_seconds_ = latency(work.decode);
  link_bytes_per_second_ = link(work.decode);
  const bool has_near_stages = work.decode.instance.gpus <= hardware.scale_up_gpus;
  hop_latency_ = own[AcceleratorTerm::collective] *
                 (has_near_stages ? 1.0 : speed[SpeedTerm::scale_out_collective]);
  hop_bytes_per_second_ = kLinkEfficiency * (has_near_stages ? hardware.scale_up_bytes_per_second
                                                             : hardware.scale_out_bytes_per_second);

  const InstanceWork& prompt = work.prefill;
  const double tokens = work.prompt_tokens;
  const double operations =
      tokens * (prompt.projection_flops / projection_flops_rate_ +
                prompt.dense_flops / dense_flops_rate_ + prompt.expert_flops / experts_rate) +
      work.prompt_core_flops / bf16_rate;
  const double exchange = tokens * prompt.exchange_bytes_per_token *
                          (1 - 1.0 / prompt.instance.stage_gpus()) / (prompt.stages * link(prompt));
  const double weights = prompt.projection_bytes + prompt.dense_bytes + prompt.shared_expert_bytes +
                         prompt.routed_expert_bytes;
  const double chunks = std::max(1.0, tokens / kPrefillChunkTokens);
  prefill_.own =
      age_factor_ *
      (speed[SpeedTerm::prefill] * engine_factor_ * operations / setup.clocks.prefill + exchange);
  prefill_.shared =
      age_factor_ * chunks * speed[SpeedTerm::prefill_chunk] *
      ((layers_seconds_ + slower_layers(setup.clocks.prefill) + latency(prompt)) / prompt.stages +
       weights / (rates_.bytes * bandwidth_ratio(setup.clocks.prefill)) + host_seconds_);
  prefill_.pipeline_fill = (prompt.stages - 1) / chunks * prefill_.seconds();
  layers_seconds_ += slower_layers(setup.clocks.decode);
  set_decode_clock(setup.clocks.decode);
}

void StepModel::set_decode_clock(double clock) {
  for (double* rate : {&rates_.flops[0], &rates_.flops[1], &rates_.flops[2], &core_flops_rate_,
                       &expert_flops_rate_, &projection_flops_rate_, &dense_flops_rate_}) {
    *rate *= clock;
  }
  rates_.bytes *= bandwidth_ratio(clock);
  expert_bytes_rate_ *= bandwidth_ratio(clock);
}

StepModel::Operators StepModel::operators(double sequences) const {
  const InstanceWork& work = work_->decode;
  sequences = in_flight(sequences);
  const double tokens = sequences * verified_;
  Operators result;
  auto& [compute, memory, seconds] = result;
  compute[kProjections] = tokens * work.projection_flops / projection_flops_rate_;
  memory[kProjections] = work.projection_bytes / rates_.bytes;
  compute[kCore] = core_factor_ * tokens * work_->core_flops_per_token / core_flops_rate_;
  memory[kCore] = core_factor_ * sequences * work_->core_bytes_per_sequence / rates_.bytes;
  compute[kDense] = tokens * work.dense_flops / dense_flops_rate_;
  memory[kDense] = work.dense_bytes / rates_.bytes;
  if (work.experts > 0) {
    const double touched = touched_experts(work.experts, work.experts_per_token, tokens,
                                           work.instance.expert_parallel, skew_, imbalance_);
    compute[kExperts] = tokens * work.expert_flops / expert_flops_rate_;
    memory[kExperts] =
        (work.routed_expert_bytes * touched / work.experts + work.shared_expert_bytes) /
        expert_bytes_rate_;
  }
  compute[kHead] = tokens * work.head_flops / rates_.flops[static_cast<int>(MathUnit::bf16)];
  memory[kHead] = work.head_bytes / rates_.bytes;
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    compute[i] *= work.stages;
    memory[i] *= work.stages;
    seconds[i] = overlapped(compute[i], memory[i]);
  }
  return result;
}

/// Sequences that a stage decodes at once: each is in one stage at a time.
double StepModel::in_flight(double sequences) const {
  const double stages = work_->decode.stages;
  return stages == 1 ? sequences : std::max(std::min(1.0, sequences), sequences / stages);
}

double StepModel::exchange_seconds(double tokens) const {
  return tokens * work_->decode.exchange_bytes_per_token / link_bytes_per_second_;
}

/// From each stage to the next, and the chosen token back to the first.
double StepModel::hop_seconds(double tokens) const {
  const InstanceWork& work = work_->decode;
  return work.stages == 1 ? 0.0
                          : work.stages * (hop_latency_ + tokens * work.stage_bytes_per_token /
                                                              hop_bytes_per_second_);
}

StepModel::Step StepModel::decode(double sequences) const {
  const auto parts = operators(sequences).seconds;
  double operators = 0;
  for (const double part : parts) {
    operators += part;
  }
  operators *= attention_dp_factor_;
  Step step;
  step.operator_seconds = operators;
  const double tokens = in_flight(sequences) * verified_;
  step.seconds = age_factor_ * (operators * engine_factor_ * (1 + draft_) + layers_seconds_ +
                                collectives_seconds_ + exchange_seconds(tokens) +
                                hop_seconds(tokens) + host_seconds_);
  return step;
}

StepModel::Breakdown StepModel::explain_decode(double sequences) const {
  const auto parts = operators(sequences);
  Breakdown result;
  const double factor = age_factor_ * attention_dp_factor_ * engine_factor_;
  for (std::size_t i = 0; i < parts.seconds.size(); ++i) {
    result.compute[i] = factor * parts.compute[i];
    result.memory[i] = factor * parts.memory[i];
    result.operators[i] = factor * parts.seconds[i];
    result.draft += draft_ * result.operators[i];
  }
  result.layers = age_factor_ * layers_seconds_;
  const double tokens = in_flight(sequences) * verified_;
  result.collectives =
      age_factor_ * (collectives_seconds_ + exchange_seconds(tokens) + hop_seconds(tokens));
  result.host = age_factor_ * host_seconds_;
  return result;
}

}  // namespace perwatt::inference::serving
