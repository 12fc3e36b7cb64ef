// Families that mix attention with layers of fixed state: Qwen3-Next, Qwen3.5, Nemotron-H.
#include <algorithm>
#include <array>
#include <string>

#include "family_readers.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::inference {

namespace {

LinearAttention read_delta_net(const ConfigNode& config) {
  LinearAttention attention;
  attention.key_heads = config.size("linear_num_key_heads");
  attention.value_heads = config.size("linear_num_value_heads");
  attention.key_head_dim = config.size("linear_key_head_dim");
  attention.value_head_dim = config.size("linear_value_head_dim");
  attention.conv_kernel = config.size("linear_conv_kernel_dim");
  attention.state_element_bytes = state_element_bytes(config, "mamba_ssm_dtype");
  if (attention.value_heads % attention.key_heads != 0) {
    config.fail("linear_num_key_heads", "a divisor of linear_num_value_heads (" +
                                            std::to_string(attention.value_heads) + ")");
  }
  return attention;
}

/// Qwen3-Next: full attention with an output gate in every full_attention_interval-th layer, gated
/// delta nets in the others.
template <class FeedForwardOf>
ModelShape read_qwen_hybrid(const TextConfig& config, const FeedForwardOf& feed_forward_of) {
  const auto& text = config.text;
  auto shape = read_trunk(config, false);
  auto full = read_heads(text);
  full.has_output_gate = text.flag_or("attn_output_gate", true);
  const auto linear = read_delta_net(text);
  const int layers = read_layer_count(text);
  const int full_every = text.size_or("full_attention_interval", 4);
  const auto types = read_layer_types(text, layers, [&](int layer) {
    return (layer + 1) % full_every == 0 ? "full_attention" : "linear_attention";
  });
  const double norms = 2.0 * shape.hidden_size;
  const double biases =
      text.flag_or("attention_bias", false) ? input_biases(full) + shape.hidden_size : 0;
  for (int layer = 0; layer < layers; ++layer) {
    const auto& type = types[static_cast<std::size_t>(layer)];
    if (type == "full_attention") {
      add_layer(shape, {1, full, feed_forward_of(layer), norms + 2.0 * full.head_dim + biases});
    } else if (type == "linear_attention") {
      add_layer(shape, {1, linear, feed_forward_of(layer),
                        norms + 2.0 * linear.value_heads + linear.value_head_dim});
    } else {
      text.refuse("layer type '" + printable(type) + "' is not supported",
                  "supported for this model: full_attention, linear_attention");
    }
  }
  shape.mtp_layers = text.count_or("mtp_num_hidden_layers", 0);
  return shape;
}

ModelShape read_qwen_hybrid_moe(const TextConfig& config) {
  const auto& text = config.text;
  auto moe = read_experts(text, {"num_experts"}, "moe_intermediate_size");
  moe.shared_intermediate_size = text.count_or("shared_expert_intermediate_size", 0);
  moe.has_shared_gate = moe.shared_intermediate_size > 0;
  const auto dense_layers = text.counts("mlp_only_layers");
  const int step = text.size_or("decoder_sparse_step", 1);
  return read_qwen_hybrid(config, [&](int layer) -> FeedForward {
    const bool is_dense =
        (layer + 1) % step != 0 ||
        std::find(dense_layers.begin(), dense_layers.end(), layer) != dense_layers.end();
    if (is_dense) {
      return DenseFeedForward{text.size("intermediate_size")};
    }
    return moe;
  });
}

ModelShape read_qwen3_5(const TextConfig& config) {
  const DenseFeedForward ffn{config.text.size("intermediate_size")};
  return read_qwen_hybrid(config, [&](int) { return ffn; });
}

Mamba2 read_mamba2(const ConfigNode& config) {
  Mamba2 mixer;
  mixer.heads = config.size("mamba_num_heads");
  mixer.head_dim = config.size("mamba_head_dim");
  mixer.groups = first_size(config, {"n_groups", "mamba_n_groups"});
  mixer.state_size = config.size("ssm_state_size");
  mixer.conv_kernel = first_size(config, {"conv_kernel", "mamba_d_conv"});
  mixer.state_element_bytes = state_element_bytes(config, "mamba_ssm_cache_dtype");
  if (mixer.heads % mixer.groups != 0) {
    config.fail("n_groups", "a divisor of mamba_num_heads (" + std::to_string(mixer.heads) + ")");
  }
  return mixer;
}

/// The signs of hybrid_override_pattern, or those that layers_block_type stands for.
std::string read_pattern(const ConfigNode& config) {
  std::string pattern;
  if (config.has("hybrid_override_pattern")) {
    pattern = config.text("hybrid_override_pattern");
  }
  for (const auto& type : config.texts("layers_block_type")) {
    if (config.has("hybrid_override_pattern")) {
      break;
    }
    if (type == "mamba" || type == "linear_attention") {
      pattern += 'M';
    } else if (type == "attention" || type == "full_attention") {
      pattern += '*';
    } else if (type == "mlp") {
      pattern += '-';
    } else if (type == "moe") {
      pattern += 'E';
    } else {
      config.refuse("layer type '" + printable(type) + "' is not supported",
                    "supported for this model: mamba, attention, mlp, moe");
    }
  }
  if (pattern.empty() || pattern.size() > kMostLayers) {
    config.fail("hybrid_override_pattern",
                "the kinds of 1 to " + std::to_string(kMostLayers) + " layers");
  }
  return pattern;
}

ExpertFeedForward read_nemotron_experts(const ConfigNode& config) {
  if (config.has("moe_latent_size")) {
    config.refuse("moe_latent_size (experts behind a latent projection) is not supported",
                  "supported for this model: mamba, attention, mlp and moe layers without it");
  }
  auto moe = read_experts(config, {"n_routed_experts"}, "moe_intermediate_size");
  moe.shared_intermediate_size =
      product(config, "n_shared_experts", config.count_or("n_shared_experts", 0),
              config.count_or("moe_shared_expert_intermediate_size", 0));
  moe.is_gated = false;
  return moe;
}

LayerGroup read_nemotron_layer(const ConfigNode& config, char sign, double hidden) {
  LayerGroup layer;
  layer.small_parameters = hidden;  // one norm
  switch (sign) {
    case 'M': {
      const auto mixer = read_mamba2(config);
      const double inner = static_cast<double>(mixer.heads) * mixer.head_dim;
      const double channels = inner + 2.0 * mixer.groups * mixer.state_size;
      layer.attention = mixer;
      layer.small_parameters +=
          3.0 * mixer.heads + inner + (config.flag_or("use_conv_bias", true) ? channels : 0);
      return layer;
    }
    case '*':
      layer.attention = read_heads(config);
      return layer;
    case '-':
      layer.feed_forward = DenseFeedForward{config.size("intermediate_size"), false};
      return layer;
    case 'E': {
      const auto moe = read_nemotron_experts(config);
      layer.small_parameters += moe.experts;
      layer.feed_forward = moe;
      return layer;
    }
    default:
      config.refuse("layer '" + printable(std::string{sign}) +
                        "' of hybrid_override_pattern is not supported",
                    "M (Mamba-2), * (attention), - (feed-forward) and E (experts) are");
  }
}

ModelShape read_nemotron_h(const TextConfig& config) {
  const auto& text = config.text;
  auto shape = read_trunk(config, false);
  const auto pattern = read_pattern(text);
  const int layers =
      text.has("num_hidden_layers") ? read_layer_count(text) : static_cast<int>(pattern.size());
  demand_one_per_layer(text, "hybrid_override_pattern", pattern.size(), layers);
  for (const char sign : pattern) {
    add_layer(shape, read_nemotron_layer(text, sign, shape.hidden_size));
  }
  shape.mtp_layers = text.count_or("num_nextn_predict_layers", 0);
  return shape;
}

constexpr std::array<FamilyReader, 4> kHybridFamilies = {{
    {"qwen3_next", "Qwen3NextForCausalLM", read_qwen_hybrid_moe, {}},
    {"qwen3_5_text", "", read_qwen3_5, {}},
    {"qwen3_5_moe_text", "", read_qwen_hybrid_moe, {}},
    {"nemotron_h", "NemotronHForCausalLM", read_nemotron_h, {}},
}};

}  // namespace

std::span<const FamilyReader> hybrid_families() {
  return kHybridFamilies;
}

}  // namespace perwatt::inference
