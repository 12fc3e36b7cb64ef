// In which number format each part of a model is stored.
//
// Bytes per parameter hold the scales of a block format. Sources and the rules for a precision the
// checkpoint was not published in: docs/model/model-shape.md#formats.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "perwatt/inference/model_part.hpp"

namespace perwatt::inference {

enum class NumberType {
  bf16,   // any 16-bit float
  fp8,    // 8-bit float, scales per tensor, channel or 128 x 128 block (their bytes: below 0.1 %)
  mxfp8,  // 8-bit float, a byte of scale per 32
  int8,
  nvfp4,  // 4-bit float, a byte of scale per 16
  mxfp4,  // 4-bit float, a byte of scale per 32
  int4    // weights only, a 16-bit scale per group
};

/// "bf16", "fp8", ...
[[nodiscard]] std::string_view to_string(NumberType type);

struct NumberFormat {
  NumberType type = NumberType::bf16;
  double bytes_per_parameter = 2;

  bool operator==(const NumberFormat&) const = default;
};

/// The format of `type`; `group_size` is of the scales of int4 (elsewhere without effect).
[[nodiscard]] NumberFormat number_format(NumberType type, int group_size = 128);

/// How a checkpoint, or a serving engine that converts it, keeps the weights.
struct CheckpointFormat {
  ByPart<NumberFormat> weights;        // 16 bit unless stated
  std::optional<NumberType> kv_cache;  // stated by the checkpoint; else the engine chooses
  std::string method;                  // "fp8", "mxfp4", "modelopt", ...; "" when not quantised

  /// The precision of the bulk of the weights as the catalog names it: "bf16", "fp8" (any 8
  /// bits), "fp4" (NVFP4) or "mxfp4"; "int4", which the catalog does not name.
  [[nodiscard]] std::string_view precision(bool has_experts) const;
};

/// The weights of a model served at a catalog precision (catalog::kPrecisions) that its checkpoint
/// does not state:
///   bf16   everything 16 bit
///   fp8    every linear layer 8 bit; router, embedding, LM head and norms 16 bit
///   fp4    NVFP4 feed-forward and experts; attention 16 bit in a model with experts, NVFP4 else
///   mxfp4  MXFP4 routed experts (in a dense model: all linear layers), the rest 16 bit
/// Throws Error(bad_input) naming `where` for any other precision.
[[nodiscard]] CheckpointFormat format_at_precision(std::string_view precision, bool has_experts,
                                                   const std::string& where);

}  // namespace perwatt::inference
