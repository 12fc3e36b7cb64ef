#include "perwatt/inference/serving/work.hpp"

#include <algorithm>
#include <cmath>
#include <variant>

namespace perwatt::inference::serving {

namespace {

// Memory that is neither weights nor cache: activations, graphs, communication buffers.
constexpr double kReservedBytes = 4e9;

// How far through its answer a sequence is when memory is reckoned: engines keep room to grow.
constexpr double kAnswerShareKept = 0.7;

LayerCounts count_layers(const ModelShape& model) {
  LayerCounts counts;
  for (const auto& group : model.layers) {
    const double layers = group.count;
    counts.all += layers;
    if (std::holds_alternative<LinearAttention>(group.attention)) {
      counts.linear += layers;
    } else if (std::holds_alternative<Mamba2>(group.attention)) {
      counts.mamba += layers;
    } else if (!std::holds_alternative<std::monostate>(group.attention)) {
      counts.attention += layers;
      const auto* heads = std::get_if<HeadAttention>(&group.attention);
      const auto* latent = std::get_if<LatentAttention>(&group.attention);
      const bool is_indexed = (heads != nullptr && heads->indexer) ||
                              (latent != nullptr && latent->indexer) ||
                              std::holds_alternative<CompressedAttention>(group.attention);
      counts.indexed += is_indexed ? layers : 0;
    }
    counts.dense_ffn += std::holds_alternative<DenseFeedForward>(group.feed_forward) ? layers : 0;
    counts.experts += std::holds_alternative<ExpertFeedForward>(group.feed_forward) ? layers : 0;
  }
  return counts;
}

/// Experts of the first layer that has any: no supported model mixes their numbers.
void set_experts(InstanceWork& work, const ModelShape& model) {
  for (const auto& group : model.layers) {
    if (const auto* moe = std::get_if<ExpertFeedForward>(&group.feed_forward)) {
      work.experts = moe->experts;
      work.experts_per_token = moe->experts_per_token;
      return;
    }
  }
}

InstanceWork count_instance(const Setup& setup, const Instance& instance,
                            const LayerCounts& layers) {
  const ModelShape& model = *setup.model;
  const auto parameters = model.parameters();
  const auto bytes = model.weight_bytes(setup.format);
  const auto active = model.active_parameters_by_part();
  double convolutions = 0;
  for (const auto& group : model.layers) {
    convolutions += group.count * convolution_parameters(group.attention);
  }
  const double gpus = instance.gpus;
  const double stages = instance.pipeline_stages;
  const double attention_gpus = instance.attention_tp() * stages;
  InstanceWork work;
  work.instance = instance;
  set_experts(work, model);
  work.projection_flops = 2 * (parameters[ModelPart::attention] - convolutions) / gpus;
  work.dense_flops = 2 * parameters[ModelPart::dense_ffn] / gpus;
  work.expert_flops = 2 *
                      (active[ModelPart::routed_experts] + parameters[ModelPart::shared_experts] +
                       parameters[ModelPart::router]) /
                      gpus;
  work.head_flops = 2 * active[ModelPart::lm_head] / gpus;
  work.projection_bytes = bytes[ModelPart::attention] / attention_gpus;
  work.dense_bytes = bytes[ModelPart::dense_ffn] / gpus;
  work.shared_expert_bytes = (bytes[ModelPart::shared_experts] + bytes[ModelPart::router]) / gpus;
  work.routed_expert_bytes = bytes[ModelPart::routed_experts] / gpus;
  const double head_bytes =
      active[ModelPart::lm_head] * setup.format.weights[ModelPart::lm_head].bytes_per_parameter;
  work.head_bytes = head_bytes / gpus;
  work.weight_memory_bytes =
      work.projection_bytes + work.dense_bytes + work.shared_expert_bytes +
      work.routed_expert_bytes +
      (bytes[ModelPart::embedding] + bytes[ModelPart::lm_head] + bytes[ModelPart::small]) / gpus;
  work.stages = stages;
  work.stage_bytes_per_token = model.hidden_size * kActivationBytes;
  const int stage_gpus = instance.stage_gpus();
  if (stage_gpus > 1) {
    work.collectives =
        layers.attention + layers.linear + layers.mamba + layers.dense_ffn + layers.experts;
    // Data-parallel attention sends a token to its experts and back instead of summing parts.
    const double share = instance.attention_dp > 1
                             ? std::max(1.0, work.experts_per_token) / instance.attention_dp
                             : 1.0;
    work.exchange_bytes_per_token = work.collectives * model.hidden_size * kActivationBytes * share;
    work.is_within_scale_up = stage_gpus <= setup.hardware.scale_up_gpus ||
                              !(setup.hardware.scale_out_bytes_per_second > 0);
  }
  return work;
}

/// What the engine leaves for caches on a GPU. Rules of the engines: docs/model/serving.md#memory.
double kv_memory(const Setup& setup, double weight_bytes) {
  constexpr double kEngineShare = 0.9;  // default of every supported engine
  const double memory = setup.hardware.memory_bytes;
  const double free = memory - weight_bytes;
  const double by_default = setup.engine.family == EngineFamily::tensorrt_llm
                                ? kEngineShare * (free - kReservedBytes)
                                : kEngineShare * memory - weight_bytes - kReservedBytes;
  // Who serves a model that nearly fills the memory raises the engine's share.
  constexpr double kLeastShareOfFree = 0.5;
  return std::max(by_default, kLeastShareOfFree * free);
}

}  // namespace

std::string_view to_string(OperatorGroup group) {
  switch (group) {
    case OperatorGroup::projections:
      return "attention projections";
    case OperatorGroup::attention_core:
      return "attention over the cache";
    case OperatorGroup::dense_ffn:
      return "dense feed-forward";
    case OperatorGroup::experts:
      return "experts";
    case OperatorGroup::lm_head:
      break;
  }
  return "LM head";
}

ServingWork count_work(const Setup& setup) {
  const ModelShape& model = *setup.model;
  ServingWork work;
  work.layers = count_layers(model);
  work.prefill = count_instance(setup, setup.layout.prefill.instance, work.layers);
  work.decode = setup.layout.prefill.instance == setup.layout.decode.instance
                    ? work.prefill
                    : count_instance(setup, setup.layout.decode.instance, work.layers);
  const auto unit = [&](ModelPart part) {
    return multiplication(setup.format.weights[part].type, setup.hardware);
  };
  work.projection_unit = unit(ModelPart::attention);
  work.dense_unit = unit(ModelPart::dense_ffn);
  work.expert_unit = unit(ModelPart::routed_experts);
  work.has_four_bit_experts =
      setup.format.weights[ModelPart::routed_experts].bytes_per_parameter < 1;

  const double context = setup.input_tokens + setup.output_tokens / 2;
  const double longest = setup.input_tokens + kAnswerShareKept * setup.output_tokens;
  const double cached = setup.cached_input_ratio * setup.input_tokens;
  work.prompt_tokens = setup.input_tokens - cached;
  const double prompt_context = cached + work.prompt_tokens / 2;
  const Instance& decode = setup.layout.decode.instance;
  const Instance& prefill = setup.layout.prefill.instance;
  for (const auto& group : model.distinct_layers()) {
    const auto& attention = group.attention;
    const double shards = static_cast<double>(decode.pipeline_stages) * decode.attention_dp *
                          cache_shards(attention, decode.attention_tp());
    work.has_latent_attention = work.has_latent_attention ||
                                std::holds_alternative<LatentAttention>(attention) ||
                                std::holds_alternative<CompressedAttention>(attention);
    work.core_flops_per_token +=
        group.count * core_flops(attention, context, Phase::decode) / decode.gpus;
    work.core_bytes_per_sequence +=
        group.count * kv_read_bytes(attention, context, setup.kv_element_bytes) / shards;
    work.prompt_core_flops += group.count * work.prompt_tokens *
                              core_flops(attention, prompt_context, Phase::prefill) / prefill.gpus;
    work.cache_memory_bytes_per_sequence +=
        group.count *
        (kv_bytes(attention, longest, setup.kv_element_bytes) + state_bytes(attention)) / shards;
    work.kv_transfer_bytes +=
        group.count *
        (kv_bytes(attention, setup.input_tokens, setup.kv_element_bytes) + state_bytes(attention));
  }
  work.kv_memory_bytes = kv_memory(setup, work.decode.weight_memory_bytes);
  if (setup.layout.mode == Serving::disaggregated) {
    work.kv_transfer_seconds = kv_transfer_seconds(setup, work.kv_transfer_bytes);
  }
  return work;
}

// Every GPU of the smaller instance sends or receives its share, inside the scale-up domain where
// the whole deployment fits it.
double kv_transfer_seconds(const Setup& setup, double bytes) {
  const Hardware& hardware = setup.hardware;
  const auto& layout = setup.layout;
  const bool is_within_scale_up =
      layout.num_gpus <= hardware.scale_up_gpus || !(hardware.scale_out_bytes_per_second > 0);
  const double rate = kLinkEfficiency *
                      (is_within_scale_up ? hardware.scale_up_bytes_per_second
                                          : hardware.scale_out_bytes_per_second) *
                      std::min(layout.prefill.instance.gpus, layout.decode.instance.gpus);
  return bytes / rate;
}

double touched_experts(double experts, double experts_per_token, double tokens, int expert_parallel,
                       double skew, double imbalance) {
  const double missed = 1 - experts_per_token / experts;
  const double touched =
      std::max(experts_per_token, experts * (1 - std::pow(missed, skew * std::max(tokens, 1.0))));
  if (expert_parallel <= 1) {
    return touched;
  }
  // The busiest of `ranks` counts of mean `mean`: about sqrt(2 ln(ranks)) standard deviations
  // above.
  const double ranks = expert_parallel;
  const double mean = touched / ranks;
  const double busiest = mean + imbalance * std::sqrt(2 * std::log(ranks) * mean * (1 - 1 / ranks));
  return ranks * std::min(busiest, experts / ranks);
}

}  // namespace perwatt::inference::serving
