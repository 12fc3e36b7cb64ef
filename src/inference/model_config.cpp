#include "perwatt/inference/model_config.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "family_readers.hpp"
#include <nlohmann/json.hpp>

#include "perwatt/base/text.hpp"

namespace perwatt::inference {

namespace {

constexpr double kMostParameters = 1e15;  // 1,000 times the largest published model

/// A multimodal model: where its text model's config stands, and of which type that is when it
/// does not say (or, as MiniMax-M3, says another's).
struct Wrapper {
  std::string_view model_type;
  std::string_view architecture;
  std::array<std::string_view, 2> path;  // keys from the outside in; the second may be empty
  std::string_view text_type;            // empty: the text config must say
  bool is_type_fixed = false;
};

constexpr std::array<Wrapper, 13> kWrappers = {{
    {"llava", "LlavaForConditionalGeneration", {"text_config", ""}, "llama"},
    {"llava_next", "LlavaNextForConditionalGeneration", {"text_config", ""}, "llama"},
    {"mistral3", "Mistral3ForConditionalGeneration", {"text_config", ""}, "mistral"},
    {"gemma3", "Gemma3ForConditionalGeneration", {"text_config", ""}, "gemma3_text"},
    {"llama4", "Llama4ForConditionalGeneration", {"text_config", ""}, "llama4_text"},
    {"qwen3_vl", "Qwen3VLForConditionalGeneration", {"text_config", ""}, "qwen3_vl_text"},
    {"qwen3_vl_moe",
     "Qwen3VLMoeForConditionalGeneration",
     {"text_config", ""},
     "qwen3_vl_moe_text"},
    {"qwen3_omni_moe",
     "Qwen3OmniMoeForConditionalGeneration",
     {"thinker_config", "text_config"},
     "qwen3_omni_moe_text"},
    {"qwen3_5", "Qwen3_5ForConditionalGeneration", {"text_config", ""}, "qwen3_5_text"},
    {"qwen3_5_moe", "Qwen3_5MoeForConditionalGeneration", {"text_config", ""}, "qwen3_5_moe_text"},
    {"kimi_k25", "KimiK25ForConditionalGeneration", {"text_config", ""}, "kimi_k2"},
    {"minimax_m3_vl",
     "MiniMaxM3SparseForConditionalGeneration",
     {"text_config", ""},
     "minimax_m3_vl_text",
     true},
    {"NemotronH_Nano_VL_V2", "NemotronH_Nano_VL_V2", {"llm_config", ""}, "nemotron_h"},
}};

std::vector<FamilyReader> all_families() {
  std::vector<FamilyReader> all;
  for (const auto& families :
       {dense_families(), expert_families(), latent_families(), hybrid_families()}) {
    all.insert(all.end(), families.begin(), families.end());
  }
  return all;
}

std::string supported_types() {
  std::vector<std::string> types;
  for (const auto& family : all_families()) {
    types.emplace_back(family.model_type);
  }
  for (const auto& wrapper : kWrappers) {
    types.emplace_back(wrapper.model_type);
  }
  std::sort(types.begin(), types.end());
  return join(types, ", ");
}

/// model_type, else the type whose architecture the file names.
std::string read_type(const ConfigNode& config) {
  if (config.has("model_type")) {
    return config.text("model_type");
  }
  for (const auto& architecture : config.texts("architectures")) {
    for (const auto& family : all_families()) {
      if (architecture == family.architecture) {
        return std::string{family.model_type};
      }
    }
    for (const auto& wrapper : kWrappers) {
      if (architecture == wrapper.architecture) {
        return std::string{wrapper.model_type};
      }
    }
  }
  config.refuse("lacks 'model_type' and names no supported architecture",
                "supported model types: " + supported_types());
}

ModelShape read_family(const TextConfig& config) {
  const auto families = all_families();
  const auto family = std::find_if(families.begin(), families.end(), [&](const FamilyReader& one) {
    return one.model_type == config.model_type;
  });
  if (family == families.end()) {
    config.text.refuse("model_type '" + printable(config.model_type) + "' is not supported",
                       "supported: " + supported_types());
  }
  // Only nested configs leave out what the class has by default.
  const bool is_nested = &config.text != &config.outer;
  const auto text =
      config.text.with_defaults(is_nested ? family->defaults : std::span<const ConfigDefault>{});
  return family->read({text, is_nested ? config.outer : text, config.model_type});
}

void demand_plausible(const ModelShape& shape, const ConfigNode& config) {
  const double total = shape.total_parameters();
  if (!std::isfinite(total) || total > kMostParameters) {
    config.refuse("its sizes make " + significant(total / 1e9) + " billion parameters",
                  "check the sizes; models up to " + significant(kMostParameters / 1e9) +
                      " billion are read");
  }
}

ModelShape read_config(const ConfigNode& outer, const ConfigNode* quantization_file) {
  const auto type = read_type(outer);
  const auto wrapper = std::find_if(kWrappers.begin(), kWrappers.end(),
                                    [&](const Wrapper& one) { return one.model_type == type; });
  ModelShape shape;
  if (wrapper == kWrappers.end()) {
    const TextConfig config{outer, outer, type};
    shape = read_family(config);
    shape.checkpoint = read_checkpoint_format(config, quantization_file, shape);
  } else {
    auto text = outer.child(wrapper->path[0]);
    if (!wrapper->path[1].empty()) {
      text = text.child(wrapper->path[1]);
    }
    const bool is_stated = text.has("model_type") && !wrapper->is_type_fixed;
    const TextConfig config{text, outer,
                            is_stated ? text.text("model_type") : std::string{wrapper->text_type}};
    shape = read_family(config);
    shape.checkpoint = read_checkpoint_format(config, quantization_file, shape);
  }
  demand_plausible(shape, outer);
  return shape;
}

}  // namespace

ModelShape parse_model_config(std::string_view text, const std::string& name,
                              std::string_view quantization_text) {
  const auto document = parse_config(text, name);
  const ConfigNode config{document, name};
  ModelShape shape;
  if (quantization_text.empty()) {
    shape = read_config(config, nullptr);
  } else {
    const std::string quantization_name = name + " (hf_quant_config.json)";
    const auto quantization = parse_config(quantization_text, quantization_name);
    const ConfigNode node{quantization, quantization_name};
    shape = read_config(config, &node);
  }
  shape.name = name;
  shape.source = config.text_or("perwatt_source", "");
  return shape;
}

}  // namespace perwatt::inference
