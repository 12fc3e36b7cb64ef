// The parts of a model's weights that are stored, sharded and read differently.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace perwatt::inference {

enum class ModelPart {
  attention,       // projections of every attention-like layer, indexers and convolutions included
  dense_ffn,       // feed-forward layers without experts
  routed_experts,  // all experts a router chooses from
  shared_experts,  // experts that every token passes, and their gates
  router,          // scores of the routed experts
  embedding,       // the table from token to vector; one row of it is read per token
  lm_head,         // the vector to vocabulary product; no weights of its own when tied
  small            // norms, biases, sinks and the like: no matrix products
};

inline constexpr std::size_t kModelParts = 8;

/// "attention", "dense_ffn", ...: as in messages and tables.
[[nodiscard]] std::string_view to_string(ModelPart part);

/// One value for each part.
template <class T>
class ByPart {
 public:
  constexpr T& operator[](ModelPart part) { return values_[static_cast<std::size_t>(part)]; }

  constexpr const T& operator[](ModelPart part) const {
    return values_[static_cast<std::size_t>(part)];
  }

  constexpr bool operator==(const ByPart&) const = default;

  constexpr auto begin() const { return values_.begin(); }

  constexpr auto end() const { return values_.end(); }

 private:
  std::array<T, kModelParts> values_{};
};

/// Every part, in the order of ModelPart.
inline constexpr std::array<ModelPart, kModelParts> kAllModelParts = {
    ModelPart::attention,      ModelPart::dense_ffn, ModelPart::routed_experts,
    ModelPart::shared_experts, ModelPart::router,    ModelPart::embedding,
    ModelPart::lm_head,        ModelPart::small};

}  // namespace perwatt::inference
