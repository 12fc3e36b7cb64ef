// Families with latent attention: DeepSeek-V2 to V4, Kimi-K2, GLM-5.
#include <algorithm>
#include <array>
#include <string>

#include "family_readers.hpp"

namespace perwatt::inference {

namespace {

// One 8-bit key of the indexer with its 4-byte scale.
constexpr double kIndexScaleBytes = 4;

LatentAttention read_latent(const ConfigNode& config) {
  LatentAttention attention;
  attention.q_heads = config.size("num_attention_heads");
  attention.q_lora_rank = config.size_or("q_lora_rank", 0);
  attention.kv_lora_rank = config.size("kv_lora_rank");
  attention.qk_nope_head_dim = config.size("qk_nope_head_dim");
  attention.qk_rope_head_dim = config.size("qk_rope_head_dim");
  attention.value_head_dim = config.size("v_head_dim");
  return attention;
}

Indexer read_indexer(const ConfigNode& config) {
  Indexer indexer;
  indexer.heads = config.size("index_n_heads");
  indexer.head_dim = config.size("index_head_dim");
  indexer.top_k = config.size("index_topk");
  indexer.key_bytes = indexer.head_dim + kIndexScaleBytes;
  return indexer;
}

ExpertFeedForward read_routed_experts(const ConfigNode& config) {
  auto moe = read_experts(config, {"n_routed_experts"}, "moe_intermediate_size");
  moe.shared_intermediate_size = product(
      config, "n_shared_experts", config.count_or("n_shared_experts", 0), moe.intermediate_size);
  return moe;
}

/// For each layer whether it has experts: mlp_layer_types, else first_k_dense_replace and
/// moe_layer_freq.
std::vector<bool> read_expert_layers(const ConfigNode& config, int layers) {
  std::vector<bool> has_experts;
  if (config.has("mlp_layer_types")) {
    for (const auto& type : config.texts("mlp_layer_types")) {
      if (type != "dense" && type != "sparse") {
        config.fail("mlp_layer_types", "a list of 'dense' and 'sparse'");
      }
      has_experts.push_back(type == "sparse");
    }
    demand_one_per_layer(config, "mlp_layer_types", has_experts.size(), layers);
    return has_experts;
  }
  const int dense = config.count_or("first_k_dense_replace", 0);
  const int every = config.size_or("moe_layer_freq", 1);
  for (int layer = 0; layer < layers; ++layer) {
    has_experts.push_back(layer >= dense && layer % every == 0);
  }
  return has_experts;
}

/// For each layer whether it runs the indexer itself (GLM-5.2 shares its choice).
std::vector<bool> read_own_indexers(const ConfigNode& config, int layers) {
  std::vector<bool> is_own;
  if (config.has("indexer_types")) {
    for (const auto& type : config.texts("indexer_types")) {
      if (type != "full" && type != "shared") {
        config.fail("indexer_types", "a list of 'full' and 'shared'");
      }
      is_own.push_back(type == "full");
    }
    demand_one_per_layer(config, "indexer_types", is_own.size(), layers);
    return is_own;
  }
  const int every = config.size_or("index_topk_freq", 1);
  const int offset = config.count_or("index_skip_topk_offset", 2);
  for (int layer = 0; layer < layers; ++layer) {
    is_own.push_back(std::max(layer - offset + 1, 0) % every == 0);
  }
  return is_own;
}

ModelShape read_deepseek(const TextConfig& config, bool has_indexer, bool has_score_correction) {
  const auto& text = config.text;
  auto shape = read_trunk(config, false);
  const auto base = read_latent(text);
  const auto moe = read_routed_experts(text);
  const int layers = read_layer_count(text);
  const auto has_experts = read_expert_layers(text, layers);
  const auto has_own_indexer =
      has_indexer ? read_own_indexers(text, layers) : std::vector<bool>(has_experts.size());
  for (std::size_t layer = 0; layer < has_experts.size(); ++layer) {
    auto attention = base;
    double small = 2.0 * shape.hidden_size + base.q_lora_rank + base.kv_lora_rank;
    if (has_indexer) {
      attention.indexer = read_indexer(text);
      attention.indexer->is_own = has_own_indexer[layer];
      small += attention.indexer->is_own ? 2.0 * attention.indexer->head_dim : 0;
    }
    if (has_experts[layer]) {
      small += has_score_correction ? moe.experts : 0;
      add_layer(shape, {1, attention, moe, small});
    } else {
      add_layer(shape, {1, attention, DenseFeedForward{text.size("intermediate_size")}, small});
    }
  }
  shape.mtp_layers = text.count_or("num_nextn_predict_layers", 0);
  return shape;
}

ModelShape read_deepseek_v2(const TextConfig& config) {
  return read_deepseek(config, false, false);
}

ModelShape read_deepseek_v3(const TextConfig& config) {
  return read_deepseek(config, false, true);
}

ModelShape read_deepseek_v32(const TextConfig& config) {
  return read_deepseek(config, true, true);
}

constexpr std::array<ConfigDefault, 3> kGlmIndexer = {
    {{"index_n_heads", 32}, {"index_head_dim", 128}, {"index_topk", 2048}}};

/// GLM-5's own file leaves out the indexer's sizes when they are those of its class.
ModelShape read_glm_moe_dsa(const TextConfig& config) {
  const auto text = config.text.with_defaults(kGlmIndexer);
  return read_deepseek({text, config.outer, config.model_type}, true, true);
}

/// Manifold-constrained hyper-connections: two maps a layer from `streams` residual streams.
double hyper_connection_parameters(const ModelShape& shape, double streams) {
  const double outputs = (2 + streams) * streams;
  return 2 * (outputs * streams * shape.hidden_size + outputs + 3);
}

CompressedAttention read_compressed(const ConfigNode& config) {
  CompressedAttention attention;
  attention.q_heads = config.size("num_attention_heads");
  if (config.size_or("num_key_value_heads", 1) != 1) {
    config.fail("num_key_value_heads", "1, the only number supported for this model");
  }
  attention.head_dim = config.size("head_dim");
  attention.q_lora_rank = config.size("q_lora_rank");
  attention.output_groups = config.size("o_groups");
  attention.output_lora_rank = config.size("o_lora_rank");
  attention.window = config.size("sliding_window");
  if (attention.q_heads % attention.output_groups != 0) {
    config.fail("o_groups",
                "a divisor of num_attention_heads (" + std::to_string(attention.q_heads) + ")");
  }
  return attention;
}

/// The ratio of each layer; the list may go on with those of the MTP layers.
std::vector<int> read_ratios(const ConfigNode& config, int layers, int mtp_layers) {
  auto ratios = config.counts("compress_ratios");
  if (static_cast<int>(ratios.size()) == layers + mtp_layers) {
    ratios.resize(static_cast<std::size_t>(layers));
  }
  demand_one_per_layer(config, "compress_ratios", ratios.size(), layers);
  return ratios;
}

ModelShape read_deepseek_v4(const TextConfig& config) {
  constexpr int kSparseRatio = 4;   // chosen by an indexer, from overlapping windows
  constexpr int kHeavyRatio = 128;  // all of them read
  const auto& text = config.text;
  auto shape = read_trunk(config, false);
  const auto base = read_compressed(text);
  const auto moe = read_routed_experts(text);
  const double streams = text.size("hc_mult");
  shape.mtp_layers = text.count_or("num_nextn_predict_layers", 0);
  for (const int ratio : read_ratios(text, read_layer_count(text), shape.mtp_layers)) {
    auto attention = base;
    attention.ratio = ratio;
    double width = 1;
    double small = 2.0 * shape.hidden_size + base.q_lora_rank + base.head_dim + base.q_heads +
                   moe.experts + hyper_connection_parameters(shape, streams);
    if (ratio == kSparseRatio) {
      attention.is_overlapping = true;
      attention.indexer = read_indexer(text);
      width = 2;
      small += ratio * width * attention.indexer->head_dim + attention.indexer->head_dim;
    } else if (ratio != 0 && ratio != kHeavyRatio) {
      text.fail("compress_ratios", "a list of 0, 4 and 128, the layers that are supported");
    }
    small += ratio == 0 ? 0 : ratio * width * base.head_dim + base.head_dim;
    add_layer(shape, {1, attention, moe, small});
  }
  shape.final_small_parameters += streams * streams * shape.hidden_size + streams + 1;
  return shape;
}

constexpr std::array<FamilyReader, 6> kLatentFamilies = {{
    {"deepseek_v2", "DeepseekV2ForCausalLM", read_deepseek_v2, {}},
    {"deepseek_v3", "DeepseekV3ForCausalLM", read_deepseek_v3, {}},
    {"deepseek_v32", "DeepseekV32ForCausalLM", read_deepseek_v32, {}},
    {"kimi_k2", "", read_deepseek_v3, {}},
    {"glm_moe_dsa", "GlmMoeDsaForCausalLM", read_glm_moe_dsa, {}},
    {"deepseek_v4", "DeepseekV4ForCausalLM", read_deepseek_v4, {}},
}};

}  // namespace

std::span<const FamilyReader> latent_families() {
  return kLatentFamilies;
}

}  // namespace perwatt::inference
