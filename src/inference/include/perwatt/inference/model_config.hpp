// Model descriptions from HuggingFace's config.json.
//
// Supported families and the keys that are read: docs/reference/model-config.md. What is not known
// is refused, never guessed: a model_type, layer type, number format or missing key is
// Error(bad_input) naming the file, the key and what is supported.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "perwatt/inference/model_shape.hpp"

namespace perwatt::inference {

/// `text` is a config.json; `name` stands for it in messages. `quantization_text`, when not empty,
/// is the hf_quant_config.json beside it, read when the config states no quantization itself.
[[nodiscard]] ModelShape parse_model_config(std::string_view text, const std::string& name,
                                            std::string_view quantization_text = {});

/// A config.json, or a folder that holds one (and perhaps an hf_quant_config.json).
[[nodiscard]] ModelShape load_model_shape(const std::filesystem::path& path);

/// The shape of a model of the catalog from a folder of shipped descriptions (data/models):
/// `catalog_id`.json. A file that is {"same_as": "other-id"} stands for the other one. Throws
/// Error(bad_input) naming the known ids when there is none.
[[nodiscard]] ModelShape load_built_in_shape(const std::filesystem::path& folder,
                                             std::string_view catalog_id);

}  // namespace perwatt::inference
