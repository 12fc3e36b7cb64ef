// Families of attention by heads with experts in some or all layers.
#include <algorithm>
#include <array>
#include <string>

#include "family_readers.hpp"

namespace perwatt::inference {

namespace {

double two_norms(const ModelShape& shape) {
  return 2.0 * shape.hidden_size;
}

double attention_biases(const ConfigNode& config, const ModelShape& shape,
                        const HeadAttention& heads, bool is_on_by_default) {
  return config.flag_or("attention_bias", is_on_by_default)
             ? input_biases(heads) + shape.hidden_size
             : 0;
}

/// The key of the dense width is asked for only where a layer is dense.
FeedForward dense_or_experts(bool is_dense, const ConfigNode& config, std::string_view width_key,
                             const ExpertFeedForward& experts) {
  return is_dense ? FeedForward{DenseFeedForward{config.size(width_key)}} : FeedForward{experts};
}

ModelShape read_mixtral(const TextConfig& config) {
  auto shape = read_trunk(config, false);
  auto heads = read_heads(config.text);
  if (config.text.has("sliding_window")) {
    heads.reach = read_reach(config.text, "sliding_attention");
  }
  const auto moe = read_experts(config.text, {"num_local_experts"}, "intermediate_size");
  add_layer(shape, {read_layer_count(config.text), heads, moe, two_norms(shape)});
  return shape;
}

/// Qwen3-MoE: experts in every decoder_sparse_step-th layer that is not in mlp_only_layers.
ModelShape read_qwen3_moe(const TextConfig& config) {
  const auto& text = config.text;
  auto shape = read_trunk(config, false);
  const auto heads = read_heads(text);
  const auto moe =
      read_experts(text, {"num_experts", "num_local_experts"}, "moe_intermediate_size");
  const auto dense_layers = text.counts("mlp_only_layers");
  const int step = text.size_or("decoder_sparse_step", 1);
  const double small =
      two_norms(shape) + 2.0 * heads.head_dim + attention_biases(text, shape, heads, false);
  const int layers = read_layer_count(text);
  for (int layer = 0; layer < layers; ++layer) {
    const bool is_dense =
        (layer + 1) % step != 0 ||
        std::find(dense_layers.begin(), dense_layers.end(), layer) != dense_layers.end();
    add_layer(shape, {1, heads, dense_or_experts(is_dense, text, "intermediate_size", moe), small});
  }
  return shape;
}

ModelShape read_glm4_moe(const TextConfig& config) {
  const auto& text = config.text;
  auto shape = read_trunk(config, false);
  const auto heads = read_heads(text);
  auto moe = read_experts(text, {"n_routed_experts"}, "moe_intermediate_size");
  moe.shared_intermediate_size = product(
      text, "n_shared_experts", text.count_or("n_shared_experts", 0), moe.intermediate_size);
  const double small = two_norms(shape) +
                       (text.flag_or("use_qk_norm", false) ? 2.0 * heads.head_dim : 0) +
                       (text.flag_or("attention_bias", false) ? input_biases(heads) : 0);
  const int layers = read_layer_count(text);
  const int dense = std::min(text.count_or("first_k_dense_replace", 0), layers);
  if (dense > 0) {
    add_layer(shape, {dense, heads, DenseFeedForward{text.size("intermediate_size")}, small});
  }
  if (dense < layers) {
    add_layer(shape, {layers - dense, heads, moe, small + moe.experts});
  }
  shape.mtp_layers = text.count_or("num_nextn_predict_layers", 0);
  return shape;
}

/// MiniMax-M2: norms over all heads of queries and of keys; a correction of each expert's score.
ModelShape read_minimax_m2(const TextConfig& config) {
  const auto& text = config.text;
  auto shape = read_trunk(config, false);
  const auto heads = read_heads(text);
  auto moe = read_experts(text, {"num_local_experts"}, "intermediate_size");
  moe.shared_intermediate_size = text.count_or("shared_intermediate_size", 0);
  const double head_norms = heads.head_dim * (static_cast<double>(heads.q_heads) + heads.kv_heads);
  const int layers = read_layer_count(text);
  if (const auto types = text.counts("attn_type_list"); text.has("attn_type_list")) {
    demand_one_per_layer(text, "attn_type_list", types.size(), layers);
    if (std::find(types.begin(), types.end(), 0) != types.end()) {
      text.refuse("attn_type_list has lightning attention (0), which is not supported",
                  "supported for this model: full attention (1)");
    }
  }
  add_layer(shape, {layers, heads, moe, two_norms(shape) + head_norms + moe.experts});
  shape.mtp_layers = text.flag_or("use_mtp", true) ? text.count_or("num_mtp_modules", 0) : 0;
  return shape;
}

/// MiniMax-M3: dense layers first, then experts; from some layer on an indexer chooses blocks.
ModelShape read_minimax_m3(const TextConfig& config) {
  const auto& text = config.text;
  auto shape = read_trunk(config, false);
  const auto heads = read_heads(text);
  auto moe = read_experts(text, {"num_local_experts"}, "intermediate_size");
  moe.shared_intermediate_size =
      product(text, "n_shared_experts", text.count_or("n_shared_experts", 1),
              text.count_or("shared_intermediate_size", 0));
  const int layers = read_layer_count(text);
  const auto has_experts = text.counts("moe_layer_freq");
  demand_one_per_layer(text, "moe_layer_freq", has_experts.size(), layers);
  const auto sparse = text.child("sparse_attention_config");
  const auto is_sparse = sparse.counts("sparse_attention_freq");
  demand_one_per_layer(sparse, "sparse_attention_freq", is_sparse.size(), layers);
  Indexer indexer;
  indexer.heads = sparse.size("sparse_num_index_heads");
  indexer.head_dim = sparse.size("sparse_index_dim");
  indexer.key_bytes = 2.0 * indexer.head_dim;
  indexer.top_k = product(sparse, "sparse_topk_blocks", sparse.size("sparse_topk_blocks"),
                          sparse.size("sparse_block_size"));
  for (std::size_t layer = 0; layer < has_experts.size(); ++layer) {
    auto attention = heads;
    double small = two_norms(shape) + 2.0 * heads.head_dim;
    if (is_sparse[layer] != 0) {
      attention.indexer = indexer;
      small += 2.0 * indexer.head_dim;
    }
    const bool is_dense = has_experts[layer] == 0;
    add_layer(shape,
              {1, attention, dense_or_experts(is_dense, text, "dense_intermediate_size", moe),
               small + (is_dense ? 0 : moe.experts)});
  }
  shape.mtp_layers = text.count_or("num_mtp_modules", 0);
  return shape;
}

/// gpt-oss: windows in even layers, a sink for each head, biases in every projection.
ModelShape read_gpt_oss(const TextConfig& config) {
  const auto& text = config.text;
  auto shape = read_trunk(config, false);
  const auto heads = read_heads(text);
  const auto moe = read_experts(text, {"num_local_experts"}, "intermediate_size");
  const double expert_biases =
      moe.experts * (2.0 * moe.intermediate_size + shape.hidden_size + 1.0);
  const double small =
      two_norms(shape) + heads.q_heads + expert_biases + attention_biases(text, shape, heads, true);
  const auto types = read_layer_types(text, read_layer_count(text), [](int layer) {
    return layer % 2 == 0 ? "sliding_attention" : "full_attention";
  });
  for (const auto& type : types) {
    auto attention = heads;
    attention.reach = read_reach(text, type);
    add_layer(shape, {1, attention, moe, small});
  }
  return shape;
}

/// Llama 4: every no_rope_layer_interval-th layer is full, the others are chunked; every
/// interleave_moe_layer_step-th layer has experts.
ModelShape read_llama4(const TextConfig& config) {
  const auto& text = config.text;
  auto shape = read_trunk(config, false);
  const auto heads = read_heads(text);
  auto moe = read_experts(text, {"num_local_experts"}, "intermediate_size");
  moe.shared_intermediate_size = moe.intermediate_size;
  const int layers = read_layer_count(text);
  const int full_every = text.size_or("no_rope_layer_interval", 4);
  auto has_rope = text.counts("no_rope_layers");  // 1: a layer with positions, thus chunked
  if (has_rope.empty()) {
    for (int layer = 0; layer < layers; ++layer) {
      has_rope.push_back((layer + 1) % full_every == 0 ? 0 : 1);
    }
  }
  demand_one_per_layer(text, "no_rope_layers", has_rope.size(), layers);
  const bool is_chunked = text.has("attention_chunk_size");
  const auto types = read_layer_types(text, layers, [&](int layer) {
    const bool is_full = has_rope[static_cast<std::size_t>(layer)] == 0 || !is_chunked;
    return is_full ? "full_attention" : "chunked_attention";
  });
  const auto expert_layers = text.counts("moe_layers");
  const int step = text.size_or("interleave_moe_layer_step", 1);
  const double small = two_norms(shape) + attention_biases(text, shape, heads, false);
  for (int layer = 0; layer < layers; ++layer) {
    auto attention = heads;
    attention.reach = read_reach(text, types[static_cast<std::size_t>(layer)]);
    const bool is_dense =
        text.has("moe_layers")
            ? std::find(expert_layers.begin(), expert_layers.end(), layer) == expert_layers.end()
            : (layer + 1) % step != 0;
    add_layer(shape, {1, attention, dense_or_experts(is_dense, text, "intermediate_size_mlp", moe),
                      small});
  }
  return shape;
}

constexpr std::array<FamilyReader, 9> kExpertFamilies = {{
    {"mixtral", "MixtralForCausalLM", read_mixtral, {}},
    {"qwen3_moe", "Qwen3MoeForCausalLM", read_qwen3_moe, {}},
    {"qwen3_vl_moe_text", "", read_qwen3_moe, {}},
    {"qwen3_omni_moe_text", "", read_qwen3_moe, {}},
    {"glm4_moe", "Glm4MoeForCausalLM", read_glm4_moe, {}},
    {"minimax_m2", "MiniMaxM2ForCausalLM", read_minimax_m2, {}},
    {"minimax_m3_vl_text", "", read_minimax_m3, {}},
    {"gpt_oss", "GptOssForCausalLM", read_gpt_oss, {}},
    {"llama4_text", "Llama4ForCausalLM", read_llama4, {}},
}};

}  // namespace

std::span<const FamilyReader> expert_families() {
  return kExpertFamilies;
}

}  // namespace perwatt::inference
