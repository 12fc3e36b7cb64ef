#include "perwatt/inference/checkpoint_format.hpp"

#include <algorithm>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/catalog/catalog.hpp"

namespace perwatt::inference {

std::string_view to_string(NumberType type) {
  switch (type) {
    case NumberType::bf16:
      return "bf16";
    case NumberType::fp8:
      return "fp8";
    case NumberType::mxfp8:
      return "mxfp8";
    case NumberType::int8:
      return "int8";
    case NumberType::nvfp4:
      return "nvfp4";
    case NumberType::mxfp4:
      return "mxfp4";
    case NumberType::int4:
      break;
  }
  return "int4";
}

NumberFormat number_format(NumberType type, int group_size) {
  switch (type) {
    case NumberType::bf16:
      return {type, 2};
    case NumberType::fp8:
    case NumberType::int8:
      return {type, 1};
    case NumberType::mxfp8:
      return {type, 1 + 1.0 / 32};
    case NumberType::nvfp4:
      return {type, 0.5 + 1.0 / 16};
    case NumberType::mxfp4:
      return {type, 0.5 + 1.0 / 32};
    case NumberType::int4:
      break;
  }
  return {type, 0.5 + 2.0 / group_size};
}

std::string_view CheckpointFormat::precision(bool has_experts) const {
  const auto part = has_experts ? ModelPart::routed_experts : ModelPart::dense_ffn;
  switch (weights[part].type) {
    case NumberType::bf16:
      return "bf16";
    case NumberType::fp8:
    case NumberType::mxfp8:
    case NumberType::int8:
      return "fp8";
    case NumberType::mxfp4:
      return "mxfp4";
    case NumberType::nvfp4:
      return "fp4";
    case NumberType::int4:
      break;
  }
  return "int4";
}

CheckpointFormat format_at_precision(std::string_view precision, bool has_experts,
                                     const std::string& where) {
  if (!catalog::is_precision(precision)) {
    throw_bad_input("'" + printable(precision) + "' is no precision of weights", where,
                    "one of bf16, fp8, fp4, mxfp4");
  }
  CheckpointFormat format;
  const auto set = [&](NumberType type, std::initializer_list<ModelPart> parts) {
    for (const auto part : parts) {
      format.weights[part] = number_format(type);
    }
  };
  if (precision == "fp8") {
    set(NumberType::fp8, {ModelPart::attention, ModelPart::dense_ffn, ModelPart::routed_experts,
                          ModelPart::shared_experts});
  } else if (precision == "fp4") {
    set(NumberType::nvfp4,
        {ModelPart::dense_ffn, ModelPart::routed_experts, ModelPart::shared_experts});
    if (!has_experts) {
      set(NumberType::nvfp4, {ModelPart::attention});
    }
  } else if (precision == "mxfp4") {
    set(NumberType::mxfp4, {ModelPart::routed_experts});
    if (!has_experts) {
      set(NumberType::mxfp4, {ModelPart::attention, ModelPart::dense_ffn});
    }
  }
  format.method = precision == "bf16" ? "" : precision;
  return format;
}

}  // namespace perwatt::inference
