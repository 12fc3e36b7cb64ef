// What a language model is, layer by layer: enough to count its parameters, bytes and operations.
//
// Read from a HuggingFace config.json (perwatt/inference/model_config.hpp). Vision and audio towers
// and multi-token-prediction layers are not counted. Formulas: docs/model/model-shape.md.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "perwatt/inference/attention_shape.hpp"
#include "perwatt/inference/checkpoint_format.hpp"
#include "perwatt/inference/model_part.hpp"

namespace perwatt::inference {

struct DenseFeedForward {
  int intermediate_size = 0;
  bool is_gated = true;  // three matrices, else two

  bool operator==(const DenseFeedForward&) const = default;
};

struct ExpertFeedForward {
  int experts = 0;
  int experts_per_token = 0;
  int intermediate_size = 0;         // of one routed expert
  int shared_intermediate_size = 0;  // of all shared experts together; 0: none
  bool has_shared_gate = false;      // a sigmoid gate on the shared expert (Qwen3-Next)
  bool is_gated = true;

  bool operator==(const ExpertFeedForward&) const = default;
};

/// The first alternative: a layer without feed-forward part.
using FeedForward = std::variant<std::monostate, DenseFeedForward, ExpertFeedForward>;

/// Layers that are alike.
struct LayerGroup {
  int count = 1;
  Attention attention;
  FeedForward feed_forward;
  double small_parameters = 0;  // of one layer

  /// Alike in everything but the count.
  [[nodiscard]] bool is_like(const LayerGroup& other) const {
    return attention == other.attention && feed_forward == other.feed_forward &&
           small_parameters == other.small_parameters;
  }
};

struct ModelShape {
  std::string name;    // of the file or entry it was read from
  std::string family;  // model_type of the text model
  int hidden_size = 0;
  int vocabulary_size = 0;
  bool has_tied_embeddings = false;
  int max_context_tokens = 0;      // 0: not stated
  int mtp_layers = 0;              // multi-token prediction; in none of the counts
  std::vector<LayerGroup> layers;  // neighbours that are alike form one group; in order
  double final_small_parameters = 0;
  CheckpointFormat checkpoint;
  std::string source;  // "perwatt_source" of a built-in description; empty else

  [[nodiscard]] int layer_count() const;
  [[nodiscard]] bool has_experts() const;

  /// layers with all alike ones in one group, by first appearance: for sums in which order does not
  /// count.
  [[nodiscard]] std::vector<LayerGroup> distinct_layers() const;

  /// Weights of one layer of the group.
  [[nodiscard]] ByPart<double> layer_parameters(const LayerGroup& group) const;

  /// Weights of the model.
  [[nodiscard]] ByPart<double> parameters() const;

  /// Of them, those one token makes use of: the chosen experts, all of the other layers, the LM
  /// head (also when it is tied), and no embedding row.
  [[nodiscard]] ByPart<double> active_parameters_by_part() const;

  [[nodiscard]] double total_parameters() const;
  [[nodiscard]] double active_parameters() const;

  /// Floating-point operations of the matrix products of one token with weights, LM head
  /// included: twice the active weights that are in matrices.
  [[nodiscard]] double linear_flops_per_token() const;

  [[nodiscard]] ByPart<double> weight_bytes(const CheckpointFormat& format) const;

  /// The checkpoint's own format when it is of catalog precision `precision`, else
  /// format_at_precision().
  [[nodiscard]] CheckpointFormat format(std::string_view precision) const;

  /// Over all layers: kv_bytes() and state_bytes() of one sequence.
  [[nodiscard]] double kv_bytes(double context_tokens, double element_bytes) const;
  [[nodiscard]] double state_bytes() const;
};

/// Weights of the matrices of a feed-forward part, by part.
[[nodiscard]] ByPart<double> feed_forward_parameters(const FeedForward& feed_forward,
                                                     double hidden_size);

/// Share of `part` that one token makes use of in a layer: experts per token / experts for the
/// routed ones, else 1.
[[nodiscard]] double active_share(const FeedForward& feed_forward, ModelPart part);

}  // namespace perwatt::inference
