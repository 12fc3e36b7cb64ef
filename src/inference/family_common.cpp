#include <cmath>
#include <cstddef>

#include "family_readers.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::inference {

ModelShape read_trunk(const TextConfig& config, bool is_tied) {
  ModelShape shape;
  shape.family = config.model_type;
  shape.hidden_size = config.text.size("hidden_size");
  shape.vocabulary_size = config.text.size("vocab_size");
  shape.max_context_tokens = config.text.count_or("max_position_embeddings", 0);
  const auto* tied = "tie_word_embeddings";
  shape.has_tied_embeddings = config.text.flag_or(tied, config.outer.flag_or(tied, is_tied));
  shape.final_small_parameters = shape.hidden_size;
  return shape;
}

int read_layer_count(const ConfigNode& config) {
  const int layers = config.size("num_hidden_layers");
  if (layers > kMostLayers) {
    config.fail("num_hidden_layers", "a number of layers up to " + std::to_string(kMostLayers));
  }
  return layers;
}

HeadAttention read_heads(const ConfigNode& config) {
  HeadAttention heads;
  heads.q_heads = config.size("num_attention_heads");
  heads.kv_heads = config.size_or("num_key_value_heads", heads.q_heads);
  if (heads.q_heads % heads.kv_heads != 0) {
    config.fail("num_key_value_heads",
                "a divisor of num_attention_heads (" + std::to_string(heads.q_heads) + ")");
  }
  heads.head_dim = config.size_or("head_dim", 0);
  if (heads.head_dim == 0) {
    const int hidden = config.size("hidden_size");
    if (hidden % heads.q_heads != 0) {
      config.fail("num_attention_heads", "a divisor of hidden_size (" + std::to_string(hidden) +
                                             "), and there is no head_dim");
    }
    heads.head_dim = hidden / heads.q_heads;
  }
  heads.value_head_dim = heads.head_dim;
  return heads;
}

Reach read_reach(const ConfigNode& config, const std::string& layer_type) {
  if (layer_type == "full_attention") {
    return {};
  }
  if (layer_type == "sliding_attention") {
    return {Reach::Kind::sliding, config.size("sliding_window")};
  }
  if (layer_type == "chunked_attention") {
    return {Reach::Kind::chunked, config.size("attention_chunk_size")};
  }
  config.refuse("layer type '" + printable(layer_type) + "' is not supported",
                "supported for this model: full_attention, sliding_attention, chunked_attention");
}

std::vector<std::string> read_layer_types(const ConfigNode& config, int layers,
                                          const std::function<std::string(int)>& otherwise) {
  auto types = config.texts("layer_types");
  if (!config.has("layer_types")) {
    for (int layer = 0; layer < layers; ++layer) {
      types.push_back(otherwise(layer));
    }
  }
  demand_one_per_layer(config, "layer_types", types.size(), layers);
  return types;
}

void demand_one_per_layer(const ConfigNode& config, std::string_view key, std::size_t values,
                          int layers) {
  if (values != static_cast<std::size_t>(layers)) {
    config.fail(key, "one value for each of " + std::to_string(layers) + " layers (it has " +
                         std::to_string(values) + ")");
  }
}

double input_biases(const HeadAttention& heads) {
  return static_cast<double>(heads.q_heads) * heads.head_dim +
         static_cast<double>(heads.kv_heads) * (heads.head_dim + heads.value_head_dim);
}

ExpertFeedForward read_experts(const ConfigNode& config,
                               std::initializer_list<std::string_view> count_keys,
                               std::string_view width_key) {
  ExpertFeedForward moe;
  moe.experts = first_size(config, count_keys);
  moe.experts_per_token = config.size("num_experts_per_tok");
  moe.intermediate_size = config.size(width_key);
  if (moe.experts_per_token > moe.experts) {
    config.fail("num_experts_per_tok", "a number of experts up to " + std::to_string(moe.experts));
  }
  return moe;
}

int product(const ConfigNode& config, std::string_view key, int count, int width) {
  const double whole = static_cast<double>(count) * width;
  if (whole > ConfigNode::kMostSize) {
    config.fail(key, "a plausible number: with " + std::to_string(width) +
                         " each it makes more than " + std::to_string(ConfigNode::kMostSize));
  }
  return static_cast<int>(whole);
}

int first_size(const ConfigNode& config, std::initializer_list<std::string_view> keys) {
  for (const auto key : keys) {
    if (config.has(key)) {
      return config.size(key);
    }
  }
  return config.size(*keys.begin());
}

double state_element_bytes(const ConfigNode& config, std::string_view key) {
  const auto type = config.text_or(key, "float32");
  if (type == "float32") {
    return 4;
  }
  if (type == "bfloat16" || type == "float16") {
    return 2;
  }
  config.fail(key, "one of float32, bfloat16, float16");
}

void add_layer(ModelShape& shape, const LayerGroup& layer) {
  if (!shape.layers.empty() && shape.layers.back().is_like(layer)) {
    shape.layers.back().count += layer.count;
  } else {
    shape.layers.push_back(layer);
  }
}

}  // namespace perwatt::inference
