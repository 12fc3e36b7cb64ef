#include "perwatt/inference/model_shape.hpp"

#include <algorithm>
#include <numeric>

namespace perwatt::inference {

namespace {

double sum(const ByPart<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

double matrices(bool is_gated) {
  return is_gated ? 3 : 2;
}

}  // namespace

std::string_view to_string(ModelPart part) {
  switch (part) {
    case ModelPart::attention:
      return "attention";
    case ModelPart::dense_ffn:
      return "dense_ffn";
    case ModelPart::routed_experts:
      return "routed_experts";
    case ModelPart::shared_experts:
      return "shared_experts";
    case ModelPart::router:
      return "router";
    case ModelPart::embedding:
      return "embedding";
    case ModelPart::lm_head:
      return "lm_head";
    case ModelPart::small:
      break;
  }
  return "small";
}

ByPart<double> feed_forward_parameters(const FeedForward& feed_forward, double hidden_size) {
  ByPart<double> parameters;
  if (const auto* dense = std::get_if<DenseFeedForward>(&feed_forward)) {
    parameters[ModelPart::dense_ffn] =
        matrices(dense->is_gated) * hidden_size * dense->intermediate_size;
  } else if (const auto* moe = std::get_if<ExpertFeedForward>(&feed_forward)) {
    const double per_width = matrices(moe->is_gated) * hidden_size;
    parameters[ModelPart::routed_experts] = per_width * moe->intermediate_size * moe->experts;
    parameters[ModelPart::shared_experts] =
        per_width * moe->shared_intermediate_size + (moe->has_shared_gate ? hidden_size : 0);
    parameters[ModelPart::router] = hidden_size * moe->experts;
  }
  return parameters;
}

double active_share(const FeedForward& feed_forward, ModelPart part) {
  const auto* moe = std::get_if<ExpertFeedForward>(&feed_forward);
  return moe != nullptr && part == ModelPart::routed_experts
             ? static_cast<double>(moe->experts_per_token) / moe->experts
             : 1;
}

int ModelShape::layer_count() const {
  return std::accumulate(layers.begin(), layers.end(), 0,
                         [](int count, const LayerGroup& group) { return count + group.count; });
}

bool ModelShape::has_experts() const {
  return std::any_of(layers.begin(), layers.end(), [](const LayerGroup& group) {
    return std::holds_alternative<ExpertFeedForward>(group.feed_forward);
  });
}

std::vector<LayerGroup> ModelShape::distinct_layers() const {
  std::vector<LayerGroup> distinct;
  for (const auto& group : layers) {
    const auto found = std::find_if(distinct.begin(), distinct.end(),
                                    [&](const LayerGroup& other) { return group.is_like(other); });
    if (found == distinct.end()) {
      distinct.push_back(group);
    } else {
      found->count += group.count;
    }
  }
  return distinct;
}

ByPart<double> ModelShape::layer_parameters(const LayerGroup& group) const {
  auto parameters = feed_forward_parameters(group.feed_forward, hidden_size);
  parameters[ModelPart::attention] = projection_parameters(group.attention, hidden_size);
  parameters[ModelPart::small] = group.small_parameters;
  return parameters;
}

ByPart<double> ModelShape::parameters() const {
  ByPart<double> total;
  for (const auto& group : layers) {
    const auto layer = layer_parameters(group);
    for (const auto part : kAllModelParts) {
      total[part] += group.count * layer[part];
    }
  }
  const double table = static_cast<double>(vocabulary_size) * hidden_size;
  total[ModelPart::embedding] = table;
  total[ModelPart::lm_head] = has_tied_embeddings ? 0 : table;
  total[ModelPart::small] += final_small_parameters;
  return total;
}

ByPart<double> ModelShape::active_parameters_by_part() const {
  ByPart<double> active;
  for (const auto& group : layers) {
    const auto layer = layer_parameters(group);
    for (const auto part : kAllModelParts) {
      active[part] += group.count * layer[part] * active_share(group.feed_forward, part);
    }
  }
  active[ModelPart::lm_head] = static_cast<double>(vocabulary_size) * hidden_size;
  active[ModelPart::small] += final_small_parameters;
  return active;
}

double ModelShape::total_parameters() const {
  return sum(parameters());
}

double ModelShape::active_parameters() const {
  return sum(active_parameters_by_part());
}

double ModelShape::linear_flops_per_token() const {
  auto active = active_parameters_by_part();
  active[ModelPart::small] = 0;
  double convolutions = 0;
  for (const auto& group : layers) {
    convolutions += group.count * convolution_parameters(group.attention);
  }
  return 2 * (sum(active) - convolutions);
}

ByPart<double> ModelShape::weight_bytes(const CheckpointFormat& format) const {
  auto bytes = parameters();
  for (const auto part : kAllModelParts) {
    bytes[part] *= format.weights[part].bytes_per_parameter;
  }
  return bytes;
}

CheckpointFormat ModelShape::format(std::string_view precision) const {
  const auto own = checkpoint.precision(has_experts());
  const bool is_own = own == precision || (own == "mxfp4" && precision == "fp4");
  return is_own ? checkpoint : format_at_precision(precision, has_experts(), name);
}

double ModelShape::kv_bytes(double context_tokens, double element_bytes) const {
  double bytes = 0;
  for (const auto& group : layers) {
    bytes += group.count * inference::kv_bytes(group.attention, context_tokens, element_bytes);
  }
  return bytes;
}

double ModelShape::state_bytes() const {
  double bytes = 0;
  for (const auto& group : layers) {
    bytes += group.count * inference::state_bytes(group.attention);
  }
  return bytes;
}

}  // namespace perwatt::inference
