// GPU kernels of a transformer layer, their shapes, and the least time an accelerator needs for
// them. Formulas, dtypes and their sources: docs/model/operators.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "perwatt/base/units.hpp"
#include "perwatt/catalog/catalog.hpp"

namespace perwatt::inference {

/// A kernel that has a table of its own. The name of each is the stem of its file in data/ops.
enum class Operator {
  gemm,
  context_attention,      // all new tokens of a sequence, causal
  generation_attention,   // one new token per sequence against its cache
  context_mla,            // the attention kernel alone
  generation_mla,         // the same, absorbed form
  mla_context_module,     // a whole DeepSeek-V3 attention layer: projections and attention
  mla_generation_module,  // the same in decode
  mla_bmm,                // the batched products of the absorbed form
  moe                     // the grouped GEMMs of the routed experts of one GPU
};

[[nodiscard]] std::string_view to_string(Operator op);

/// Output m x n from m x k and k x n: m tokens, n output and k input features of one GPU.
struct GemmShape {
  double m = 0;
  double n = 0;
  double k = 0;
};

/// Heads are those of one GPU. `sequence` is the number of new tokens of each sequence (context) or
/// the length of the cache with the new token (generation).
struct AttentionKernelShape {
  double batch = 0;
  double sequence = 0;
  double heads = 0;
  double kv_heads = 0;
};

/// Latent attention of DeepSeek-V3: rank 512, rope 64, head 128. Kernel and module alike.
struct MlaShape {
  double batch = 0;
  double sequence = 0;
  double heads = 0;
};

struct MlaBmmShape {
  double tokens = 0;
  double heads = 0;
};

/// `tokens` are those of the whole expert-parallel group; experts and inter are of the whole model.
struct MoeShape {
  double tokens = 0;
  double hidden = 0;
  double inter = 0;
  double topk = 0;
  double experts = 0;
  double tensor_parallel = 1;
  double expert_parallel = 1;
};

using OperatorShape =
    std::variant<GemmShape, AttentionKernelShape, MlaShape, MlaBmmShape, MoeShape>;

/// Number formats and what else sets tables of one operator apart. Empty where it does not apply.
struct OperatorFormat {
  std::string dtype;     // "bf16", "fp8", "fp8_block", "nvfp4", ...: weights, or Q x K of attention
  std::string kv_dtype;  // attention and modules: of the cache
  int head_dim = 0;      // attention
  std::string variant;   // moe: "balanced", "power_law_1.2"; mla_bmm: "pre", "post"

  bool operator==(const OperatorFormat&) const = default;
};

/// Rates of one accelerator for one number format.
struct OperatorRates {
  double flops = 0;             // dense FLOP/s
  double bytes_per_second = 0;  // of memory
};

/// The rates of `accelerator` for kernels of `dtype`. Nothing when the dtype is unknown or the
/// catalog lacks the rate.
[[nodiscard]] std::optional<OperatorRates> operator_rates(const catalog::Accelerator& accelerator,
                                                          std::string_view dtype);

/// What a kernel has to do at least.
struct OperatorWork {
  double flops = 0;
  double bytes = 0;  // moved between memory and the chip once
};

/// REQUIRES: the shape is of the operator and all its numbers are positive.
[[nodiscard]] OperatorWork operator_work(Operator op, const OperatorFormat& format,
                                         const OperatorShape& shape);

/// max(flops / peak, bytes / bandwidth): no kernel is faster but those that find their operands in
/// cache.
[[nodiscard]] Seconds speed_of_light(const OperatorWork& work, const OperatorRates& rates);

}  // namespace perwatt::inference
