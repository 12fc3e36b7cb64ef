#include "perwatt/inference/serving/model.hpp"

#include <algorithm>
#include <cmath>

namespace perwatt::inference::serving {

namespace {

// A prompt waits for the step under way and takes its turn among prompts before its first token;
// of the whole, this much counts as time not spent decoding.
constexpr double kPromptTurns = 1.5;
constexpr double kPromptTurnsInPool = 1.3;
constexpr double kStepsWaited = 0.5;

// Some requests always decode, however long prompts take.
constexpr double kLeastDecodingShare = 0.3;

constexpr double kMostBusy = 0.95;             // of a server, in queue terms
constexpr double kPoolSharpness = 6;           // of the minimum of two pools' rates
constexpr double kSharedUnderLoad = 0.5;       // of what prompts of one chunk share, in a full pool
constexpr double kPrefillOperatorShare = 0.7;  // of a prefill's time, in operators
constexpr double kPromptWeightReads = 0.3;     // of a weight read per chunk that HBM sees

/// Root of a rising function on (0, high]: secant steps kept inside a shrinking bracket.
template <class Function>
double rising_root(double low, double high, Function excess) {
  double low_value = excess(low);
  if (low_value >= 0) {
    return low;
  }
  double high_value = excess(high);
  if (high_value <= 0) {
    return high;
  }
  constexpr int kMostRounds = 60;
  constexpr double kTolerance = 1e-8;
  for (int round = 0; round < kMostRounds && high - low > kTolerance * high; ++round) {
    const double middle = low - low_value * (high - low) / (high_value - low_value);
    const double value = excess(middle);
    if (std::abs(value) <= kTolerance * high) {
      return middle;
    }
    if (value < 0) {
      low = middle;
      low_value = value;
      high_value /= 2;  // Illinois: the end that stays loses weight
    } else {
      high = middle;
      high_value = value;
      low_value /= 2;
    }
  }
  return low - low_value * (high - low) / (high_value - low_value);
}

double queue_length(double busy) {
  const double bounded = std::clamp(busy, 0.0, kMostBusy);
  return bounded / (1 - bounded);
}

}  // namespace

ServingModel::ServingModel(const Setup& setup, const ServingWork& work,
                           const CoefficientsOfOne& coefficients)
    : setup_{&setup},
      work_{&work},
      coefficients_{&coefficients},
      steps_{setup, work, coefficients},
      most_sequences_{std::max(
          1.0, work.kv_memory_bytes / std::max(1.0, work.cache_memory_bytes_per_sequence))} {}

bool ServingModel::fits() const {
  return work_->kv_memory_bytes >= work_->cache_memory_bytes_per_sequence;
}

/// Seconds of an instance for each output token of all its sequences, prefills included: per token
/// of one sequence, `prompts` prefills stand between its first token and its last.
double ServingModel::per_token(double step_seconds, double prompts) const {
  const double decoding = step_seconds / steps_.accepted_tokens();
  if (setup_->layout.mode == Serving::disaggregated) {
    return decoding;
  }
  const double stall = prompts / setup_->output_tokens * steps_.prefill().seconds();
  return decoding + stall * (setup_->tpot_kind == TpotKind::median_gap
                                 ? coefficients_->speed[SpeedTerm::gap_stall]
                                 : 1.0);
}

double ServingModel::requests_per_second(double step_seconds, double sequences) const {
  return sequences / (setup_->output_tokens * per_token(step_seconds, sequences));
}

Prediction ServingModel::closed_loop(double concurrency) const {
  const double share = concurrency / setup_->layout.decode.instances;
  const double prompt = steps_.prefill().seconds();
  const bool has_pools = setup_->layout.mode == Serving::disaggregated;
  const auto surplus = [&](double sequences) {
    const double step = steps_.decode(sequences).seconds;
    const double rate = requests_per_second(step, sequences);
    const double waits =
        has_pools ? kPromptTurnsInPool * prompt : kPromptTurns * prompt + kStepsWaited * step;
    return sequences + rate * waits - share;
  };
  const double least = kLeastDecodingShare * share;
  const double most = std::min(share, most_sequences_);
  const double sequences = most <= least ? most : rising_root(least, most, surplus);
  Prediction result = steady_state(sequences);
  const double ideal = result.requests_per_second;
  if (has_pools) {
    const double pool = coefficients_->speed[SpeedTerm::prefill_pool] *
                        setup_->layout.prefill.instances /
                        (steps_.prefill().own + kSharedUnderLoad * steps_.prefill().shared);
    const double smooth = std::pow(
        std::pow(ideal, -kPoolSharpness) + std::pow(pool, -kPoolSharpness), -1 / kPoolSharpness);
    result.requests_per_second = coefficients_->speed[SpeedTerm::closed_loop_pools] * smooth;
  } else {
    result.requests_per_second = coefficients_->speed[SpeedTerm::closed_loop] * ideal;
  }
  complete(result, concurrency);
  return result;
}

Prediction ServingModel::at_batch(double sequences) const {
  Prediction result = steady_state(sequences);
  complete(result, sequences * setup_->layout.decode.instances);
  return result;
}

Prediction ServingModel::under(const Load& load) const {
  if (const auto* loop = std::get_if<ClosedLoop>(&load)) {
    return closed_loop(loop->concurrency);
  }
  return at_batch(std::get<FixedBatch>(load).sequences);
}

Prediction ServingModel::steady_state(double sequences) const {
  Prediction result;
  const auto step = steps_.decode(std::max(sequences, 1.0));
  result.sequences = sequences;
  result.most_sequences = most_sequences_;
  result.step = seconds(step.seconds);
  result.operators = seconds(step.operator_seconds);
  result.prompt = seconds(steps_.prefill().seconds());
  // A request waits for the prompts of the others; its own is done before it decodes.
  result.tpot = seconds(per_token(step.seconds, std::max(0.0, sequences - 1)));
  result.requests_per_second =
      requests_per_second(step.seconds, sequences) * setup_->layout.decode.instances;
  return result;
}

void ServingModel::complete(Prediction& result, double concurrency) const {
  const double rate = result.requests_per_second;
  result.output_per_gpu = tokens_per_second(rate * setup_->output_tokens / setup_->layout.num_gpus);
  const double servers = setup_->layout.prefill.instances;
  result.prefill_busy_ratio = rate / servers * steps_.prefill().seconds();
  result.ttft = first_token(result, concurrency);
}

Seconds ServingModel::first_token(const Prediction& result, double concurrency) const {
  using T = FirstTokenTerm;
  const auto& terms = coefficients_->first_token;
  const bool is_amd = setup_->hardware.vendor == "AMD";
  const double prompt = in_seconds(result.prompt);
  const double queue = queue_length(result.prefill_busy_ratio);
  if (setup_->layout.mode == Serving::disaggregated) {
    double factor = is_amd ? terms[T::pools_amd] : 1.0;
    factor *= work_->prefill.instance.attention_dp > 1 ? terms[T::pools_attention_dp] : 1.0;
    factor *= setup_->engine.family == EngineFamily::sglang ? terms[T::pools_sglang] : 1.0;
    const double share = concurrency / setup_->layout.prefill.instances;
    const double waiting = std::max(0.0, concurrency / result.requests_per_second -
                                             setup_->output_tokens * in_seconds(result.tpot));
    const double turns = terms[T::pools_prefill] + terms[T::pools_queue] * queue +
                         terms[T::pools_burst] * std::pow(share, terms[T::pools_burst_exponent]);
    return seconds(
        factor * (terms[T::pools_seconds] + prompt * turns + terms[T::pools_waiting] * waiting) +
        steps_.prefill().pipeline_fill + work_->kv_transfer_seconds);
  }
  double factor = is_amd ? terms[T::amd] : 1.0;
  factor *= work_->decode.instance.attention_dp > 1 ? terms[T::attention_dp] : 1.0;
  switch (setup_->engine.family) {
    case EngineFamily::sglang:
      factor *= terms[T::sglang];
      break;
    case EngineFamily::vllm:
    case EngineFamily::other:
      factor *= terms[T::vllm];
      break;
    case EngineFamily::atom:
      factor *= terms[T::atom];
      break;
    case EngineFamily::tensorrt_llm:
    case EngineFamily::vllm_v0:
      break;
  }
  const double beyond_memory = std::max(0.0, concurrency - most_sequences_);
  const double turns = terms[T::prefill] + terms[T::queue] * queue +
                       terms[T::burst] * std::pow(concurrency, terms[T::burst_exponent]);
  return seconds(factor * (terms[T::seconds] + prompt * turns +
                           terms[T::step] * in_seconds(result.step) +
                           terms[T::waiting] * beyond_memory / result.requests_per_second) +
                 steps_.prefill().pipeline_fill);
}

DeploymentUse ServingModel::use(const Prediction& prediction, double requests_per_second) const {
  const InstanceWork& decode = work_->decode;
  const InstanceWork& prompt = work_->prefill;
  const auto& layout = setup_->layout;
  const double sequences = std::max(1.0, prediction.sequences);
  // Of one GPU: steps and prompts of all instances over the GPUs of their pool.
  const double steps = requests_per_second * setup_->output_tokens /
                       (sequences * steps_.accepted_tokens()) * decode.instance.gpus;
  const double prompts = requests_per_second * prompt.instance.gpus;
  if (layout.mode == Serving::aggregated) {
    return {use_of_gpu(prediction, steps / layout.num_gpus, prompts / layout.num_gpus), {}, 0};
  }
  return {use_of_gpu(prediction, steps / layout.decode.gpus, 0),
          use_of_gpu(prediction, 0, prompts / layout.prefill.gpus),
          static_cast<double>(layout.prefill.gpus) / layout.num_gpus};
}

Utilisation ServingModel::use_of_gpu(const Prediction& prediction, double steps,
                                     double prompts) const {
  const InstanceWork& decode = work_->decode;
  const InstanceWork& prompt = work_->prefill;
  const Hardware& hardware = setup_->hardware;
  const double sequences = std::max(1.0, prediction.sequences);
  const double tokens = sequences * steps_.verified_tokens();
  // A stage reads its weights for each of the batches that are in the pipeline one after the other.
  const double reads = std::min(decode.stages, sequences);
  const double touched =
      decode.experts > 0 ? touched_experts(decode.experts, decode.experts_per_token, tokens / reads,
                                           1, coefficients_->speed[SpeedTerm::routing_skew], 0) /
                               decode.experts
                         : 0.0;
  const double expert_bytes =
      reads * (decode.routed_expert_bytes * touched + decode.shared_expert_bytes);
  const double step_bytes =
      reads * (decode.projection_bytes + decode.dense_bytes + decode.head_bytes) + expert_bytes +
      sequences * work_->core_bytes_per_sequence;
  const double weights = prompt.projection_bytes + prompt.dense_bytes + prompt.shared_expert_bytes +
                         prompt.routed_expert_bytes;
  const double chunks = std::max(1.0, work_->prompt_tokens / kPrefillChunkTokens);

  std::array<double, 3> flops{};
  const auto add = [&](const Multiplication& unit, double amount) {
    flops[static_cast<std::size_t>(unit.unit)] += amount;
  };
  const double prompt_tokens = work_->prompt_tokens;
  add(work_->projection_unit,
      steps * tokens * decode.projection_flops + prompts * prompt_tokens * prompt.projection_flops);
  add(work_->dense_unit,
      steps * tokens * decode.dense_flops + prompts * prompt_tokens * prompt.dense_flops);
  add(work_->expert_unit,
      steps * tokens * decode.expert_flops + prompts * prompt_tokens * prompt.expert_flops);
  add(Multiplication{}, steps * tokens * (work_->core_flops_per_token + decode.head_flops) +
                            prompts * work_->prompt_core_flops);

  Utilisation result;
  const double prompt_seconds = in_seconds(prediction.prompt);
  result.busy_ratio = std::min(1.0, steps * in_seconds(prediction.operators) +
                                        prompts * kPrefillOperatorShare * prompt_seconds);
  result.serving_ratio =
      std::min(1.0, steps * in_seconds(prediction.step) + prompts * prompt_seconds);
  const double bandwidth = hardware.memory_bytes_per_second;
  result.memory_ratio =
      (steps * step_bytes + prompts * kPromptWeightReads * chunks * weights) / bandwidth;
  result.dequantised_memory_ratio =
      work_->expert_unit.is_dequantised ? steps * expert_bytes / bandwidth : 0.0;
  result.bf16_ratio = flops[0] / hardware.bf16_flops;
  result.fp8_ratio = flops[1] / hardware.bf16_flops;
  result.fp4_ratio = flops[2] / hardware.bf16_flops;
  return result;
}

}  // namespace perwatt::inference::serving
