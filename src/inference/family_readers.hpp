// Private to model_config.cpp and the family files: what the readers of config.json share.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config_node.hpp"

#include "perwatt/inference/model_shape.hpp"

namespace perwatt::inference {

inline constexpr int kMostLayers = 1024;

/// A text model's config, and the object around it when it stands in a multimodal one: keys of the
/// whole model may stand in either.
struct TextConfig {
  const ConfigNode& text;
  const ConfigNode& outer;
  std::string model_type;
};

/// How one family is read. `defaults` are those of the class in transformers, for keys that a
/// nested text_config leaves out.
struct FamilyReader {
  std::string_view model_type;
  std::string_view architecture;  // of a file without model_type
  ModelShape (*read)(const TextConfig&);
  std::span<const ConfigDefault> defaults;
};

[[nodiscard]] std::span<const FamilyReader> dense_families();
[[nodiscard]] std::span<const FamilyReader> expert_families();
[[nodiscard]] std::span<const FamilyReader> latent_families();
[[nodiscard]] std::span<const FamilyReader> hybrid_families();

/// Hidden size, vocabulary, context, tied embeddings (`is_tied` when no key says), final norm.
[[nodiscard]] ModelShape read_trunk(const TextConfig& config, bool is_tied);

/// num_hidden_layers, at most kMostLayers.
[[nodiscard]] int read_layer_count(const ConfigNode& config);

/// Heads with full reach. Checks that key-value heads divide query heads and that heads divide the
/// hidden size when the file states no head_dim.
[[nodiscard]] HeadAttention read_heads(const ConfigNode& config);

/// The reach of one layer type: full_attention, sliding_attention (sliding_window) or
/// chunked_attention (attention_chunk_size). Throws naming any other.
[[nodiscard]] Reach read_reach(const ConfigNode& config, const std::string& layer_type);

/// layer_types, checked to be one for each layer; when the key is missing `otherwise` of each.
[[nodiscard]] std::vector<std::string> read_layer_types(
    const ConfigNode& config, int layers, const std::function<std::string(int)>& otherwise);

/// Throws unless `list` has one value for each layer.
void demand_one_per_layer(const ConfigNode& config, std::string_view key, std::size_t values,
                          int layers);

/// Biases of query, key and value projections.
[[nodiscard]] double input_biases(const HeadAttention& heads);

/// Experts, experts per token and the width of one; no shared ones. Checks that there are as many
/// as a token takes.
[[nodiscard]] ExpertFeedForward read_experts(const ConfigNode& config,
                                             std::initializer_list<std::string_view> count_keys,
                                             std::string_view width_key);

/// `count` * `width` of a value under `key`, refused beyond ConfigNode::kMostSize.
[[nodiscard]] int product(const ConfigNode& config, std::string_view key, int count, int width);

/// The first of `keys` that the config has.
[[nodiscard]] int first_size(const ConfigNode& config,
                             std::initializer_list<std::string_view> keys);

/// Bytes of an element of a recurrent state: `key` is "float32" (also when missing), "bfloat16" or
/// "float16".
[[nodiscard]] double state_element_bytes(const ConfigNode& config, std::string_view key);

/// Appends a layer, to the last group when alike.
void add_layer(ModelShape& shape, const LayerGroup& layer);

/// The formats that quantization_config (or `quantization_file`, an hf_quant_config.json) states
/// for the layers of `shape`.
[[nodiscard]] CheckpointFormat read_checkpoint_format(const TextConfig& config,
                                                      const ConfigNode* quantization_file,
                                                      const ModelShape& shape);

}  // namespace perwatt::inference
