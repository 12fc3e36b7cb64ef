// The number formats that quantization_config states, in the ways published checkpoints do.
#include "perwatt/inference/checkpoint_format.hpp"

#include <string>

#include "error_of.hpp"
#include <gtest/gtest.h>

#include "perwatt/inference/model_config.hpp"

namespace perwatt::inference {
namespace {

constexpr const char* kMoe = R"("model_type": "deepseek_v3", "hidden_size": 64,
  "intermediate_size": 128, "moe_intermediate_size": 32, "num_hidden_layers": 6,
  "num_attention_heads": 8, "q_lora_rank": 24, "kv_lora_rank": 16, "qk_nope_head_dim": 8,
  "qk_rope_head_dim": 4, "v_head_dim": 8, "n_routed_experts": 4, "n_shared_experts": 1,
  "num_experts_per_tok": 2, "first_k_dense_replace": 1, "vocab_size": 1000)";

std::string config(const std::string& quantization) {
  return std::string{"{"} + kMoe + R"(, "quantization_config": )" + quantization + "}";
}

CheckpointFormat format_of(const std::string& quantization) {
  return parse_model_config(config(quantization), "c.json").checkpoint;
}

/// Types of attention, dense, routed and shared parts.
std::string types_of(const CheckpointFormat& format) {
  std::string types;
  for (const auto part : {ModelPart::attention, ModelPart::dense_ffn, ModelPart::routed_experts,
                          ModelPart::shared_experts}) {
    types +=
        std::string{types.empty() ? "" : " "} + std::string{to_string(format.weights[part].type)};
  }
  for (const auto part :
       {ModelPart::router, ModelPart::embedding, ModelPart::lm_head, ModelPart::small}) {
    EXPECT_EQ(format.weights[part], NumberFormat{});
  }
  return types;
}

std::string refusal_of(const std::string& quantization) {
  return error_of([&] { static_cast<void>(format_of(quantization)); });
}

TEST(CheckpointFormat, IsSixteenBitsWithoutQuantization) {
  const auto format = parse_model_config(std::string{"{"} + kMoe + "}", "c.json").checkpoint;
  EXPECT_EQ(types_of(format), "bf16 bf16 bf16 bf16");
  EXPECT_FALSE(format.kv_cache);
}

TEST(CheckpointFormat, OfDeepSeekIsFp8InAllLinearLayers) {
  EXPECT_EQ(types_of(format_of(
                R"({"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]})")),
            "fp8 fp8 fp8 fp8");
}

TEST(CheckpointFormat, ListsOfKeptModulesAreFollowed) {
  // MiniMax-M2: "gate" is the router, not gate_proj.
  EXPECT_EQ(types_of(format_of(
                R"({"quant_method": "fp8", "modules_to_not_convert": ["gate", "lm_head"]})")),
            "fp8 fp8 fp8 fp8");
  EXPECT_EQ(types_of(format_of(R"({"quant_method": "fp8", "ignored_layers": ["self_attn"]})")),
            "bf16 fp8 fp8 fp8");
  // One layer of six is not most of them.
  EXPECT_EQ(types_of(format_of(
                R"({"quant_method": "fp8", "ignored_layers": ["model.layers.0.self_attn"]})")),
            "fp8 fp8 fp8 fp8");
  EXPECT_EQ(types_of(format_of(R"({"quant_method": "mxfp8", "ignored_layers":
                                   ["language_model.model.layers.*.mlp.shared_experts"]})")),
            "mxfp8 mxfp8 mxfp8 bf16");
}

TEST(CheckpointFormat, OfModelOptIsNvfp4ButForWhatItExcludes) {
  const auto format = format_of(R"({"quant_method": "modelopt", "quant_algo": "NVFP4",
      "kv_cache_scheme": {"num_bits": 8, "type": "float"},
      "ignore": ["lm_head", "model.layers.0.self_attn*", "model.layers.1.self_attn*",
                 "model.layers.2.self_attn*", "model.layers.3.self_attn*",
                 "model.layers.4.self_attn*", "model.layers.5.self_attn*"]})");
  EXPECT_EQ(types_of(format), "bf16 nvfp4 nvfp4 nvfp4");
  EXPECT_EQ(format.kv_cache, NumberType::fp8);
  EXPECT_EQ(format.precision(true), "fp4");
  EXPECT_EQ(format.weights[ModelPart::routed_experts].bytes_per_parameter, 0.5625);
  EXPECT_EQ(types_of(format_of(R"({"quant_method": "modelopt", "quant_algo": "FP8"})")),
            "fp8 fp8 fp8 fp8");
}

TEST(CheckpointFormat, OfGptOssIsMxfp4InTheExpertsOnly) {
  const auto format = format_of(R"({"quant_method": "mxfp4", "modules_to_not_convert":
      ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]})");
  EXPECT_EQ(types_of(format), "bf16 bf16 mxfp4 bf16");
  EXPECT_EQ(format.precision(true), "mxfp4");
}

// Kimi-K2.5 as published: routed experts in INT4 with a scale for 32 weights.
TEST(CheckpointFormat, OfKimiIsInt4InTheRoutedExperts) {
  const auto format = format_of(R"({"quant_method": "compressed-tensors", "config_groups": {
      "group_0": {"targets": ["Linear"],
                  "weights": {"num_bits": 4, "type": "int", "group_size": 32}}},
      "ignore": ["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*",
                 "re:.*mlp\\.(gate|up|gate_up|down)_proj.*"], "kv_cache_scheme": null})");
  EXPECT_EQ(types_of(format), "bf16 bf16 int4 bf16");
  EXPECT_EQ(format.weights[ModelPart::routed_experts].bytes_per_parameter, 0.5625);
  EXPECT_EQ(format.precision(true), "int4");
  EXPECT_FALSE(format.kv_cache);
}

TEST(CheckpointFormat, GroupsOfNamedModulesGoBeforeThoseOfAllLinearLayers) {
  const auto format = format_of(R"({"quant_method": "compressed-tensors", "config_groups": {
      "group_0": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float"}},
      "group_1": {"targets": ["re:.*\\.experts\\..*_proj$"],
                  "weights": {"num_bits": 4, "type": "float", "group_size": 16}}},
      "kv_cache_scheme": {"num_bits": 8, "type": "float"}})");
  EXPECT_EQ(types_of(format), "fp8 fp8 nvfp4 fp8");
  EXPECT_EQ(format.kv_cache, NumberType::fp8);
}

TEST(CheckpointFormat, OtherMethodsOfFourAndEightBits) {
  EXPECT_EQ(types_of(format_of(R"({"quant_method": "awq", "bits": 4, "group_size": 128})")),
            "int4 int4 int4 int4");
  EXPECT_EQ(types_of(format_of(R"({"quant_method": "gptq", "bits": 8})")), "int8 int8 int8 int8");
  EXPECT_EQ(types_of(format_of(R"({"quant_method": "quark", "exclude": ["*self_attn*", "lm_head"],
                "global_quant_config": {"weight": {"dtype": "fp4"}}})")),
            "bf16 mxfp4 mxfp4 mxfp4");
  EXPECT_EQ(types_of(format_of(R"({"quant_method": "fbgemm_fp8"})")), "fp8 fp8 fp8 fp8");
}

TEST(CheckpointFormat, WhatIsNotKnownIsNamed) {
  EXPECT_NE(
      refusal_of(R"({"quant_method": "bitsandbytes"})")
          .find(
              "quantization_config: quantization 'bitsandbytes' is not supported; supported: fp8"),
      std::string::npos);
  EXPECT_NE(refusal_of(R"({"bits": 4})").find("quantization_config: lacks 'quant_method'"),
            std::string::npos);
  EXPECT_NE(refusal_of(R"({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"})")
                .find("quant_algo: \"MIXED_PRECISION\" is not one of NVFP4"),
            std::string::npos);
  EXPECT_NE(refusal_of(R"({"quant_method": "gptq", "bits": 3})").find("bits: 3 is not 4, 8 or 16"),
            std::string::npos);
  EXPECT_NE(refusal_of(R"({"quant_method": "fp8", "fmt": "e5m2"})").find("fmt"), std::string::npos);
  EXPECT_NE(refusal_of(R"({"quant_method": "fp8", "ignored_layers": ["re:(a{1000}){1000}"]})")
                .find("is no pattern of modules that is supported"),
            std::string::npos);
  EXPECT_NE(refusal_of(R"({"quant_method": "fp8", "ignored_layers": ["re:("]})")
                .find("is no pattern of modules that is supported"),
            std::string::npos);
  EXPECT_NE(refusal_of(R"({"quant_method": "quark",
                           "global_quant_config": {"weight": {"dtype": "fp6"}}})")
                .find("dtype: \"fp6\" is not one of fp8_e4m3"),
            std::string::npos);
}

// A pattern that takes exponential time in a backtracking engine.
TEST(CheckpointFormat, APatternCannotStallTheReader) {
  EXPECT_EQ(types_of(format_of(
                R"({"quant_method": "fp8", "ignored_layers": ["re:(([a-z_.0-9]*)*)*#"]})")),
            "fp8 fp8 fp8 fp8");
}

}  // namespace
}  // namespace perwatt::inference
