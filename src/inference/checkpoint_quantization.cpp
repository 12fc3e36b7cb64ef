// The number formats that quantization_config states: docs/model/model-shape.md#formats.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "family_readers.hpp"
#include "module_pattern.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::inference {

namespace {

constexpr const char* kSupported =
    "supported: fp8, mxfp8, mxfp4, fbgemm_fp8, modelopt (NVFP4, FP8), compressed-tensors, gptq, "
    "awq and quark with 4 or 8 bits";

constexpr std::array<ModelPart, 4> kQuantisedParts = {ModelPart::attention, ModelPart::dense_ffn,
                                                      ModelPart::routed_experts,
                                                      ModelPart::shared_experts};

/// Names that the modules of a part have in published checkpoints, after "layers.N.". A module is
/// one line; what stands in it are names of the same module in different families.
using Modules = std::vector<std::vector<std::string>>;

Modules modules_of(ModelPart part, const LayerGroup& layer) {
  switch (part) {
    case ModelPart::attention:
      if (std::holds_alternative<LatentAttention>(layer.attention)) {
        return {{"self_attn.q_a_proj", "self_attn.q_proj"},
                {"self_attn.q_b_proj", "self_attn.q_proj"},
                {"self_attn.kv_a_proj_with_mqa"},
                {"self_attn.kv_b_proj"},
                {"self_attn.o_proj"}};
      }
      if (std::holds_alternative<CompressedAttention>(layer.attention)) {
        return {{"attn.fused_wqa_wkv", "attn.wq_a", "self_attn.q_a_proj"},
                {"attn.wq_b", "self_attn.q_b_proj"},
                {"attn.wo_a", "self_attn.o_a_proj"},
                {"attn.wo_b", "self_attn.o_b_proj"}};
      }
      if (std::holds_alternative<LinearAttention>(layer.attention)) {
        return {{"linear_attn.in_proj_qkvz", "linear_attn.in_proj_qkv"}, {"linear_attn.out_proj"}};
      }
      if (std::holds_alternative<Mamba2>(layer.attention)) {
        return {{"mixer.in_proj"}, {"mixer.out_proj"}};
      }
      if (std::holds_alternative<HeadAttention>(layer.attention)) {
        return {{"self_attn.q_proj", "self_attn.qkv_proj", "mixer.q_proj"},
                {"self_attn.k_proj", "self_attn.qkv_proj", "mixer.k_proj"},
                {"self_attn.v_proj", "self_attn.qkv_proj", "mixer.v_proj"},
                {"self_attn.o_proj", "mixer.o_proj"}};
      }
      return {};
    case ModelPart::dense_ffn:
      if (!std::holds_alternative<DenseFeedForward>(layer.feed_forward)) {
        return {};
      }
      return {{"mlp.gate_proj", "mlp.gate_up_proj", "feed_forward.gate_proj", "mixer.up_proj"},
              {"mlp.up_proj", "mlp.gate_up_proj", "feed_forward.up_proj", "mixer.up_proj"},
              {"mlp.down_proj", "feed_forward.down_proj", "mixer.down_proj"}};
    case ModelPart::routed_experts:
    case ModelPart::shared_experts:
      break;
    default:
      return {};
  }
  const auto* moe = std::get_if<ExpertFeedForward>(&layer.feed_forward);
  if (moe == nullptr) {
    return {};
  }
  if (part == ModelPart::routed_experts) {
    return {
        {"mlp.experts.0.gate_proj", "block_sparse_moe.experts.0.w1",
         "feed_forward.experts.gate_up_proj", "ffn.experts.0.gate_proj", "mixer.experts.0.up_proj"},
        {"mlp.experts.0.down_proj", "block_sparse_moe.experts.0.w2",
         "feed_forward.experts.down_proj", "ffn.experts.0.down_proj", "mixer.experts.0.down_proj"}};
  }
  if (moe->shared_intermediate_size == 0) {
    return {};
  }
  return {{"mlp.shared_experts.down_proj", "mlp.shared_expert.down_proj",
           "feed_forward.shared_expert.down_proj", "block_sparse_moe.shared_experts.down_proj",
           "ffn.shared_experts.down_proj", "mixer.shared_experts.down_proj"}};
}

/// The names that a module of a layer has, with the prefixes that checkpoints use.
std::vector<std::string> full_names(const std::vector<std::string>& module, int layer) {
  std::vector<std::string> names;
  for (const auto& name : module) {
    const auto tail = "layers." + std::to_string(layer) + "." + name;
    for (const char* prefix :
         {"model.", "language_model.model.", "model.language_model.", "backbone."}) {
      names.push_back(prefix + tail);
    }
  }
  return names;
}

bool any_match(const std::vector<ModulePattern>& patterns, const std::vector<std::string>& names) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const ModulePattern& pattern) {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return pattern.matches(name); });
  });
}

/// Whether `means` holds for more than half of the modules of `part`, over some 8 layers.
template <class Means>
bool is_mostly(const ModelShape& shape, ModelPart part, const Means& means) {
  std::vector<std::pair<int, const LayerGroup*>> layers;
  int first = 0;
  for (const auto& group : shape.layers) {
    for (int layer = first; layer < first + group.count; ++layer) {
      if (!modules_of(part, group).empty()) {
        layers.emplace_back(layer, &group);
      }
    }
    first += group.count;
  }
  constexpr std::size_t kSample = 8;
  const std::size_t step = std::max<std::size_t>(1, layers.size() / kSample);
  int meant = 0;
  int all = 0;
  for (std::size_t i = step / 2; i < layers.size(); i += step) {
    for (const auto& module : modules_of(part, *layers[i].second)) {
      meant += means(full_names(module, layers[i].first)) ? 1 : 0;
      ++all;
    }
  }
  return 2 * meant > all;
}

std::vector<ModulePattern> read_patterns(const ConfigNode& config, std::string_view key) {
  constexpr std::size_t kMost = 4096;
  constexpr std::size_t kMostExpressions = 32;
  const auto texts = config.texts(key);
  std::vector<ModulePattern> patterns;
  std::size_t expressions = 0;
  for (const auto& text : texts) {
    const auto pattern = ModulePattern::parse(text);
    if (!pattern) {
      config.refuse("'" + printable(text) + "' in " + std::string{key} +
                        " is no pattern of modules that is supported",
                    "names, names with * and regular expressions (re:) without {} are");
    }
    expressions += pattern->is_expression() ? 1 : 0;
    if (patterns.size() == kMost || expressions > kMostExpressions) {
      config.fail(key, "a list of at most " + std::to_string(kMost) + " modules with " +
                           std::to_string(kMostExpressions) + " regular expressions");
    }
    patterns.push_back(*pattern);
  }
  return patterns;
}

/// Gives `format` to every part whose modules the patterns under `key` do not mean.
void set_all_but(CheckpointFormat& result, NumberFormat format, const ConfigNode& config,
                 std::string_view key, const ModelShape& shape) {
  const auto kept = read_patterns(config, key);
  for (const auto part : kQuantisedParts) {
    const bool is_kept = is_mostly(
        shape, part, [&](const std::vector<std::string>& names) { return any_match(kept, names); });
    if (!is_kept) {
      result.weights[part] = format;
    }
  }
}

NumberFormat by_bits(const ConfigNode& config, std::string_view bits_key, std::string_view type,
                     int group_size) {
  const int bits = config.size(bits_key);
  const bool is_float = type == "float";
  if (!is_float && type != "int") {
    config.fail("type", "one of float, int");
  }
  if (bits == 16) {
    return {};
  }
  if (bits == 8) {
    return number_format(!is_float          ? NumberType::int8
                         : group_size == 32 ? NumberType::mxfp8
                                            : NumberType::fp8);
  }
  if (bits != 4) {
    config.fail(bits_key, "4, 8 or 16");
  }
  if (!is_float) {
    constexpr int kLeastGroup = 16;
    if (group_size != 0 && group_size < kLeastGroup) {
      config.fail("group_size", "16 or more weights for each scale");
    }
    return number_format(NumberType::int4, group_size > 0 ? group_size : 128);
  }
  if (group_size != 16 && group_size != 32) {
    config.fail("group_size", "16 (NVFP4) or 32 (MXFP4)");
  }
  return number_format(group_size == 16 ? NumberType::nvfp4 : NumberType::mxfp4);
}

NumberFormat read_weights(const ConfigNode& weights) {
  return by_bits(weights, "num_bits", weights.text_or("type", "int"),
                 weights.count_or("group_size", 0));
}

std::optional<NumberType> read_kv_scheme(const ConfigNode& config) {
  const auto scheme = config.optional_child("kv_cache_scheme");
  return scheme ? std::optional{read_weights(*scheme).type} : std::nullopt;
}

struct TargetGroup {
  NumberFormat format;
  bool is_of_all = false;  // "Linear"
  std::vector<ModulePattern> targets;
};

/// The groups whose targets name modules go before those of a class ("Linear").
void read_compressed_tensors(CheckpointFormat& result, const ConfigNode& config,
                             const ModelShape& shape) {
  std::vector<TargetGroup> groups;
  for (const auto& node : config.child("config_groups").children()) {
    const auto targets = node.texts("targets");
    groups.push_back({read_weights(node.child("weights")),
                      std::find(targets.begin(), targets.end(), "Linear") != targets.end(),
                      read_patterns(node, "targets")});
  }
  std::stable_sort(groups.begin(), groups.end(), [](const TargetGroup& a, const TargetGroup& b) {
    return !a.is_of_all && b.is_of_all;
  });
  const auto ignored = read_patterns(config, "ignore");
  for (const auto part : kQuantisedParts) {
    for (const auto& group : groups) {
      const bool is_meant = is_mostly(shape, part, [&](const std::vector<std::string>& names) {
        return (group.is_of_all || any_match(group.targets, names)) && !any_match(ignored, names);
      });
      if (is_meant) {
        result.weights[part] = group.format;
        break;
      }
    }
  }
  result.kv_cache = read_kv_scheme(config);
}

/// quant_algo of ModelOpt, in config.json or in hf_quant_config.json.
void read_modelopt(CheckpointFormat& result, const ConfigNode& config, const ModelShape& shape) {
  const auto algorithm = config.text("quant_algo");
  NumberFormat format;
  if (algorithm == "NVFP4" || algorithm == "NVFP4_AWQ") {
    format = number_format(NumberType::nvfp4);
  } else if (algorithm == "FP8" || algorithm == "FP8_PER_CHANNEL_PER_TOKEN" ||
             algorithm == "FP8_PB_WO") {
    format = number_format(NumberType::fp8);
  } else {
    config.fail("quant_algo", "one of NVFP4, NVFP4_AWQ, FP8, FP8_PER_CHANNEL_PER_TOKEN, FP8_PB_WO");
  }
  set_all_but(result, format, config, config.has("ignore") ? "ignore" : "exclude_modules", shape);
  result.kv_cache = read_kv_scheme(config);
  if (config.has("kv_cache_quant_algo")) {
    const auto kv = config.text("kv_cache_quant_algo");
    if (kv != "FP8" && kv != "NVFP4") {
      config.fail("kv_cache_quant_algo", "one of FP8, NVFP4");
    }
    result.kv_cache = kv == "FP8" ? NumberType::fp8 : NumberType::nvfp4;
  }
}

/// AMD's Quark: one format for all but the excluded layers.
void read_quark(CheckpointFormat& result, const ConfigNode& config, const ModelShape& shape) {
  const auto weight = config.child("global_quant_config").child("weight");
  const auto type = weight.text("dtype");
  NumberFormat format;
  if (type == "fp8_e4m3") {
    format = number_format(NumberType::fp8);
  } else if (type == "fp4") {
    format = number_format(NumberType::mxfp4);
  } else if (type == "int8") {
    format = number_format(NumberType::int8);
  } else {
    weight.fail("dtype", "one of fp8_e4m3, fp4, int8");
  }
  set_all_but(result, format, config, "exclude", shape);
}

std::string_view kept_key(const ConfigNode& config) {
  return config.has("ignored_layers") ? "ignored_layers" : "modules_to_not_convert";
}

CheckpointFormat read_method(const ConfigNode& config, const ModelShape& shape) {
  CheckpointFormat result;
  result.method = config.text("quant_method");
  const auto& method = result.method;
  if (method == "fp8" || method == "fbgemm_fp8") {
    if (const auto fmt = config.text_or("fmt", "e4m3"); fmt != "e4m3" && fmt != "float8_e4m3fn") {
      config.fail("fmt", "e4m3");
    }
    set_all_but(result, number_format(NumberType::fp8), config, kept_key(config), shape);
  } else if (method == "mxfp8") {
    set_all_but(result, number_format(NumberType::mxfp8), config, kept_key(config), shape);
  } else if (method == "mxfp4") {
    // The method converts experts only, whatever it leaves out beside them.
    set_all_but(result, number_format(NumberType::mxfp4), config, kept_key(config), shape);
    for (const auto part :
         {ModelPart::attention, ModelPart::dense_ffn, ModelPart::shared_experts}) {
      result.weights[part] = {};
    }
  } else if (method == "modelopt" || method == "modelopt_fp4") {
    read_modelopt(result, config, shape);
  } else if (method == "compressed-tensors") {
    read_compressed_tensors(result, config, shape);
  } else if (method == "gptq" || method == "awq") {
    set_all_but(result, by_bits(config, "bits", "int", config.count_or("group_size", 0)), config,
                kept_key(config), shape);
  } else if (method == "quark") {
    read_quark(result, config, shape);
  } else {
    config.refuse("quantization '" + printable(method) + "' is not supported", kSupported);
  }
  return result;
}

void demand_16_bit_or_more(const ConfigNode& config) {
  for (const char* key : {"torch_dtype", "dtype"}) {
    const auto type = config.text_or(key, "bfloat16");
    if (type != "bfloat16" && type != "float16" && type != "float32") {
      config.fail(key, "one of bfloat16, float16, float32");
    }
  }
}

/// DeepSeek-V4 states the format of its experts beside quantization_config.
void apply_expert_type(CheckpointFormat& result, const ConfigNode& config) {
  if (!config.has("expert_dtype") || result.method == "compressed-tensors" ||
      result.method.starts_with("modelopt")) {
    return;
  }
  const auto type = config.text("expert_dtype");
  if (type == "fp4") {
    result.weights[ModelPart::routed_experts] = number_format(NumberType::mxfp4);
  } else if (type == "fp8") {
    result.weights[ModelPart::routed_experts] = number_format(NumberType::fp8);
  } else {
    config.fail("expert_dtype", "one of fp4, fp8");
  }
}

}  // namespace

CheckpointFormat read_checkpoint_format(const TextConfig& config,
                                        const ConfigNode* quantization_file,
                                        const ModelShape& shape) {
  demand_16_bit_or_more(config.text);
  demand_16_bit_or_more(config.outer);
  CheckpointFormat result;
  if (const auto own = config.text.optional_child("quantization_config")) {
    result = read_method(*own, shape);
  } else if (const auto outer = config.outer.optional_child("quantization_config")) {
    result = read_method(*outer, shape);
  } else if (quantization_file != nullptr) {
    result.method = "modelopt";
    read_modelopt(result, quantization_file->child("quantization"), shape);
  }
  apply_expert_type(result, config.text);
  return result;
}

}  // namespace perwatt::inference
