// Families whose layers are all attention by heads and one dense feed-forward part.
#include <array>
#include <string>

#include "family_readers.hpp"

namespace perwatt::inference {

namespace {

/// Which layers look at a window only, unless layer_types says.
enum class Windows {
  none,
  all,          // every layer when sliding_window is a number
  qwen,         // from max_window_layers on, with use_sliding_window
  alternating,  // even layers
  by_pattern    // all but every sliding_window_pattern-th
};

enum class Biases {
  none,
  by_key,  // attention_bias, mlp_bias: all projections
  inputs,  // always of query, key and value
  all      // of every projection
};

enum class HeadNorms { none, per_head, per_head_with_bias };

struct DenseTraits {
  Windows windows = Windows::none;
  Biases biases = Biases::by_key;
  HeadNorms head_norms = HeadNorms::none;
  int norms = 2;               // of one layer
  bool has_norm_bias = false;  // LayerNorm with a bias
  bool is_gated = true;
  bool is_tied = false;
  int pattern = 0;
};

std::string windowed(bool is_windowed) {
  return is_windowed ? "sliding_attention" : "full_attention";
}

std::vector<Reach> read_reaches(const ConfigNode& config, const DenseTraits& traits, int layers) {
  const bool has_window = config.has("sliding_window") || traits.windows == Windows::by_pattern;
  const int pattern = traits.windows == Windows::by_pattern
                          ? config.size_or("sliding_window_pattern", traits.pattern)
                          : 1;
  const auto types = read_layer_types(config, layers, [&](int layer) {
    switch (traits.windows) {
      case Windows::none:
        return windowed(false);
      case Windows::all:
        return windowed(has_window);
      case Windows::qwen:
        return windowed(has_window && config.flag_or("use_sliding_window", false) &&
                        layer >= config.count_or("max_window_layers", layers));
      case Windows::alternating:
        return windowed(has_window && layer % 2 == 0);
      case Windows::by_pattern:
        break;
    }
    return windowed((layer + 1) % pattern != 0);
  });
  std::vector<Reach> reaches;
  reaches.reserve(types.size());
  for (const auto& type : types) {
    reaches.push_back(read_reach(config, type));
  }
  return reaches;
}

double head_norms(const HeadAttention& heads, HeadNorms norms) {
  switch (norms) {
    case HeadNorms::none:
      return 0;
    case HeadNorms::per_head:
      return 2.0 * heads.head_dim;
    case HeadNorms::per_head_with_bias:
      break;
  }
  return 2.0 * heads.head_dim * (static_cast<double>(heads.q_heads) + heads.kv_heads);
}

double bias_parameters(const ConfigNode& config, const DenseTraits& traits,
                       const HeadAttention& heads, const DenseFeedForward& ffn) {
  const double hidden = config.size("hidden_size");
  const double ffn_biases = ffn.intermediate_size * (ffn.is_gated ? 2.0 : 1.0) + hidden;
  switch (traits.biases) {
    case Biases::none:
      return 0;
    case Biases::by_key:
      return (config.flag_or("attention_bias", false) ? input_biases(heads) + hidden : 0) +
             (config.flag_or("mlp_bias", false) ? ffn_biases : 0);
    case Biases::inputs:
      return input_biases(heads);
    case Biases::all:
      break;
  }
  return input_biases(heads) + hidden + ffn_biases;
}

ModelShape read_layers(const TextConfig& config, const DenseTraits& traits,
                       std::string_view intermediate_key,
                       const std::function<std::vector<Reach>(int)>& reaches_of) {
  auto shape = read_trunk(config, traits.is_tied);
  const auto heads = read_heads(config.text);
  const DenseFeedForward ffn{config.text.size(intermediate_key), traits.is_gated};
  const double norm = shape.hidden_size * (traits.has_norm_bias ? 2.0 : 1.0);
  shape.final_small_parameters = norm;
  LayerGroup layer;
  layer.feed_forward = ffn;
  layer.small_parameters = traits.norms * norm + head_norms(heads, traits.head_norms) +
                           bias_parameters(config.text, traits, heads, ffn);
  for (const auto& reach : reaches_of(read_layer_count(config.text))) {
    auto attention = heads;
    attention.reach = reach;
    layer.attention = attention;
    add_layer(shape, layer);
  }
  return shape;
}

ModelShape read_dense(const TextConfig& config, const DenseTraits& traits) {
  return read_layers(config, traits, "intermediate_size",
                     [&](int layers) { return read_reaches(config.text, traits, layers); });
}

ModelShape read_llama(const TextConfig& config) {
  return read_dense(config, {});
}

ModelShape read_mistral(const TextConfig& config) {
  return read_dense(config, {.windows = Windows::all, .biases = Biases::none});
}

ModelShape read_qwen2(const TextConfig& config) {
  return read_dense(config, {.windows = Windows::qwen, .biases = Biases::inputs});
}

ModelShape read_qwen3(const TextConfig& config) {
  return read_dense(config, {.windows = Windows::qwen, .head_norms = HeadNorms::per_head});
}

ModelShape read_gemma(const TextConfig& config) {
  return read_dense(config, {.is_tied = true});
}

ModelShape read_gemma2(const TextConfig& config) {
  return read_dense(config, {.windows = Windows::alternating, .norms = 4, .is_tied = true});
}

ModelShape read_gemma3(const TextConfig& config) {
  return read_dense(config, {.windows = Windows::by_pattern,
                             .head_norms = HeadNorms::per_head,
                             .norms = 4,
                             .is_tied = true,
                             .pattern = 6});
}

ModelShape read_cohere2(const TextConfig& config) {
  return read_dense(config,
                    {.windows = Windows::by_pattern, .norms = 1, .is_tied = true, .pattern = 4});
}

ModelShape read_chameleon(const TextConfig& config) {
  return read_dense(config, {.head_norms = HeadNorms::per_head_with_bias});
}

ModelShape read_starcoder2(const TextConfig& config) {
  const bool has_bias = config.text.flag_or("use_bias", true);
  return read_dense(config, {.windows = Windows::all,
                             .biases = has_bias ? Biases::all : Biases::none,
                             .has_norm_bias = true,
                             .is_gated = false,
                             .is_tied = true});
}

/// Every `dense_attention_every_n_layers`-th layer is full, the others are block sparse.
ModelShape read_phi3_small(const TextConfig& config) {
  const auto& text = config.text;
  const int every = text.size("dense_attention_every_n_layers");
  const int local =
      product(text, "blocksparse_num_local_blocks", text.size("blocksparse_num_local_blocks"),
              text.size("blocksparse_block_size"));
  const Reach sparse{Reach::Kind::block_sparse, local, text.size("blocksparse_vert_stride")};
  const DenseTraits traits{.biases = Biases::all, .has_norm_bias = true, .is_tied = true};
  return read_layers(config, traits, "ff_intermediate_size", [&](int layers) {
    std::vector<Reach> reaches;
    reaches.reserve(static_cast<std::size_t>(layers));
    for (int layer = 0; layer < layers; ++layer) {
      reaches.push_back((layer + 1) % every == 0 ? Reach{} : sparse);
    }
    return reaches;
  });
}

constexpr std::array<ConfigDefault, 5> kLlamaDefaults = {{{"vocab_size", 32000},
                                                          {"hidden_size", 4096},
                                                          {"intermediate_size", 11008},
                                                          {"num_hidden_layers", 32},
                                                          {"num_attention_heads", 32}}};
constexpr std::array<ConfigDefault, 6> kMistralDefaults = {{{"vocab_size", 32000},
                                                            {"hidden_size", 4096},
                                                            {"intermediate_size", 14336},
                                                            {"num_hidden_layers", 32},
                                                            {"num_attention_heads", 32},
                                                            {"num_key_value_heads", 8}}};
constexpr std::array<ConfigDefault, 9> kGemma3Defaults = {{{"vocab_size", 262208},
                                                           {"hidden_size", 2304},
                                                           {"intermediate_size", 9216},
                                                           {"num_hidden_layers", 26},
                                                           {"num_attention_heads", 8},
                                                           {"num_key_value_heads", 4},
                                                           {"head_dim", 256},
                                                           {"sliding_window", 4096},
                                                           {"max_position_embeddings", 131072}}};

constexpr std::array<FamilyReader, 14> kDenseFamilies = {{
    {"llama", "LlamaForCausalLM", read_llama, kLlamaDefaults},
    {"mistral", "MistralForCausalLM", read_mistral, kMistralDefaults},
    {"qwen2", "Qwen2ForCausalLM", read_qwen2, {}},
    {"qwen3", "Qwen3ForCausalLM", read_qwen3, {}},
    {"qwen3_vl_text", "", read_qwen3, {}},
    {"phi3", "Phi3ForCausalLM", read_mistral, {}},
    {"phi3_v", "Phi3VForCausalLM", read_mistral, {}},
    {"phi3small", "Phi3SmallForCausalLM", read_phi3_small, {}},
    {"gemma", "GemmaForCausalLM", read_gemma, {}},
    {"gemma2", "Gemma2ForCausalLM", read_gemma2, {}},
    {"gemma3_text", "Gemma3ForCausalLM", read_gemma3, kGemma3Defaults},
    {"cohere2", "Cohere2ForCausalLM", read_cohere2, {}},
    {"chameleon", "ChameleonForConditionalGeneration", read_chameleon, {}},
    {"starcoder2", "Starcoder2ForCausalLM", read_starcoder2, {}},
}};

}  // namespace

std::span<const FamilyReader> dense_families() {
  return kDenseFamilies;
}

}  // namespace perwatt::inference
