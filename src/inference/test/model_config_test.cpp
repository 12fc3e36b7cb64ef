#include "perwatt/inference/model_config.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "error_of.hpp"
#include <gtest/gtest.h>

namespace perwatt::inference {
namespace {

constexpr const char* kLlama = R"({
  "architectures": ["LlamaForCausalLM"], "model_type": "llama",
  "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4,
  "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 1000,
  "max_position_embeddings": 2048, "torch_dtype": "bfloat16"})";

/// `text` with the value of `key` (up to the next comma or brace) put in its place, or "" for none.
std::string with(std::string text, const std::string& key, const std::string& value) {
  const auto start = text.find("\"" + key + "\":");
  EXPECT_NE(start, std::string::npos) << key;
  const auto end = text.find_first_of(",}", start);
  return text.replace(start, end - start, "\"" + key + "\": " + value);
}

std::string added(std::string text, const std::string& member) {
  return text.insert(text.find('{') + 1, member + ", ");
}

std::string message_of(const std::string& text) {
  return error_of([&] { static_cast<void>(parse_model_config(text, "c.json")); });
}

const HeadAttention& heads_of(const ModelShape& shape, std::size_t group = 0) {
  return std::get<HeadAttention>(shape.layers.at(group).attention);
}

TEST(ModelConfig, ReadsALlama) {
  const auto shape = parse_model_config(kLlama, "c.json");
  EXPECT_EQ(shape.family, "llama");
  EXPECT_EQ(shape.layer_count(), 4);
  EXPECT_EQ(shape.layers.size(), 1U);
  EXPECT_EQ(shape.max_context_tokens, 2048);
  EXPECT_FALSE(shape.has_tied_embeddings);
  EXPECT_EQ(heads_of(shape).head_dim, 8);
  EXPECT_EQ(heads_of(shape).kv_heads, 2);
  const double layer = 64 * (64 + 16 + 16 + 64) + 3 * 64 * 128 + 2 * 64;
  EXPECT_EQ(shape.total_parameters(), 4 * layer + 2 * 1000 * 64 + 64);
  EXPECT_EQ(shape.checkpoint.precision(false), "bf16");
}

TEST(ModelConfig, ATypeIsFoundByTheArchitectureWhenTheFileHasNoModelType) {
  const auto text = with(kLlama, "model_type", "null");
  EXPECT_EQ(parse_model_config(text, "c.json").family, "llama");
  EXPECT_NE(message_of(R"({"architectures": ["FooForCausalLM"]})")
                .find("c.json: lacks 'model_type' and names no supported architecture"),
            std::string::npos);
}

TEST(ModelConfig, BiasesOfLlamaCount) {
  const double without = parse_model_config(kLlama, "c.json").total_parameters();
  const auto text = added(added(kLlama, R"("attention_bias": true)"), R"("mlp_bias": true)");
  const double biases = 4 * (64 + 16 + 16 + 64 + 2 * 128 + 64);
  EXPECT_EQ(parse_model_config(text, "c.json").total_parameters(), without + biases);
}

TEST(ModelConfig, NamesWhatItDoesNotKnow) {
  EXPECT_NE(
      message_of(with(kLlama, "model_type", "\"rwkv7\""))
          .find("c.json: model_type 'rwkv7' is not supported; supported: NemotronH_Nano_VL_V2, "
                "chameleon, cohere2, deepseek_v2"),
      std::string::npos);
  const auto layers = R"("layer_types": ["full_attention", "full_attention", "ssm", "ssm"])";
  EXPECT_NE(message_of(added(kLlama, layers)).find("c.json: layer type 'ssm' is not supported"),
            std::string::npos);
}

TEST(ModelConfig, RefusesWhatContradictsItselfWithThePlace) {
  EXPECT_EQ(message_of("[]").substr(0, 26), "c.json: is no JSON object;");
  EXPECT_EQ(message_of("{").substr(0, 19), "c.json: is no JSON ");
  EXPECT_EQ(
      message_of(with(kLlama, "hidden_size", "null")),
      "c.json: lacks 'hidden_size'; give the config.json of the checkpoint as it was published");
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"hidden_size", "0"},         {"hidden_size", "-64"},        {"hidden_size", "64.5"},
      {"hidden_size", "\"64\""},    {"hidden_size", "true"},       {"vocab_size", "99999999"},
      {"num_hidden_layers", "0"},   {"num_hidden_layers", "2000"}, {"num_key_value_heads", "3"},
      {"num_attention_heads", "6"}, {"torch_dtype", "\"float7\""}, {"torch_dtype", "8"}};
  for (const auto& [key, value] : wrong) {
    const auto message = message_of(with(kLlama, key, value));
    const auto named = key == "num_attention_heads" ? "num_attention_heads" : key;
    EXPECT_NE(message.find("c.json"), std::string::npos) << message;
    EXPECT_NE(message.find(named), std::string::npos) << message;
  }
  EXPECT_EQ(message_of(added(kLlama, R"("layer_types": ["full_attention"])")),
            "c.json: layer_types: array is not one value for each of 4 layers (it has 1); give the "
            "config.json of the checkpoint as it was published");
  const auto huge = with(with(kLlama, "hidden_size", "16777216"), "intermediate_size", "16777216");
  EXPECT_NE(message_of(huge).find("its sizes make "), std::string::npos) << message_of(huge);
}

TEST(ModelConfig, WindowsFollowTheRuleOfTheFamily) {
  auto text = with(added(kLlama, R"("sliding_window": 512)"), "model_type", "\"mistral\"");
  EXPECT_EQ(heads_of(parse_model_config(text, "c.json")).reach, (Reach{Reach::Kind::sliding, 512}));
  EXPECT_EQ(heads_of(parse_model_config(with(text, "sliding_window", "null"), "c.json")).reach,
            Reach{});
  text = with(text, "model_type", "\"gemma2\"");
  EXPECT_EQ(parse_model_config(text, "c.json").kv_bytes(1000, 1), 32 * (2 * 512 + 2 * 1000));
  text = added(with(text, "model_type", "\"qwen2\""), R"("max_window_layers": 3)");
  EXPECT_EQ(parse_model_config(text, "c.json").kv_bytes(1000, 1), 32 * 4 * 1000);
  text = added(text, R"("use_sliding_window": true)");
  EXPECT_EQ(parse_model_config(text, "c.json").kv_bytes(1000, 1), 32 * (512 + 3 * 1000));
  text = with(added(kLlama, R"("sliding_window": 512)"), "model_type", "\"cohere2\"");
  EXPECT_EQ(parse_model_config(text, "c.json").kv_bytes(1000, 1), 32 * (3 * 512 + 1000));
}

TEST(ModelConfig, NestedConfigsStandForTheDefaultsOfTheirClassAndOthersDoNot) {
  const auto llava = parse_model_config(
      R"({"model_type": "llava", "text_config": {"model_type": "llama", "vocab_size": 32064}})",
      "c.json");
  EXPECT_EQ(llava.hidden_size, 4096);
  EXPECT_EQ(heads_of(llava).kv_heads, 32);
  EXPECT_EQ(message_of(R"({"model_type": "llama", "vocab_size": 32064})").substr(0, 27),
            "c.json: lacks 'hidden_size'");
  EXPECT_EQ(message_of(R"({"model_type": "llava"})").substr(0, 27), "c.json: lacks 'text_config'");
  EXPECT_EQ(
      message_of(R"({"model_type": "qwen3_vl", "text_config": {"hidden_size": 0}})").substr(0, 40),
      "c.json: text_config: hidden_size: 0 is n");
}

TEST(ModelConfig, ExpertsCannotBeFewerThanATokenTakes) {
  const std::string text = added(with(kLlama, "model_type", "\"mixtral\""),
                                 R"("num_local_experts": 4, "num_experts_per_tok": 8)");
  EXPECT_NE(
      message_of(text).find("c.json: num_experts_per_tok: 8 is not a number of experts up to 4"),
      std::string::npos);
  const auto shape = parse_model_config(with(text, "num_experts_per_tok", "2"), "c.json");
  EXPECT_TRUE(shape.has_experts());
  EXPECT_EQ(shape.parameters()[ModelPart::routed_experts], 4 * 4 * 3 * 64 * 128);
  EXPECT_EQ(shape.active_parameters_by_part()[ModelPart::routed_experts], 4 * 2 * 3 * 64 * 128);
}

TEST(ModelConfig, QwenMoeHasDenseLayersWhereItSays) {
  const auto text =
      added(with(kLlama, "model_type", "\"qwen3_moe\""),
            R"("num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
                             "decoder_sparse_step": 2, "mlp_only_layers": [3])");
  const auto shape = parse_model_config(text, "c.json");
  ASSERT_EQ(shape.layers.size(), 3U);
  EXPECT_TRUE(std::holds_alternative<ExpertFeedForward>(shape.layers[1].feed_forward));
  EXPECT_EQ(shape.layers[2].count, 2);
}

constexpr const char* kNemotron = R"({"model_type": "nemotron_h", "hidden_size": 64,
  "intermediate_size": 128, "num_hidden_layers": 5, "num_attention_heads": 8,
  "num_key_value_heads": 2, "vocab_size": 1000, "hybrid_override_pattern": "M-*ME",
  "mamba_num_heads": 8, "mamba_head_dim": 16, "n_groups": 2, "ssm_state_size": 32,
  "conv_kernel": 4, "n_routed_experts": 4, "num_experts_per_tok": 2,
  "moe_intermediate_size": 32, "n_shared_experts": 1,
  "moe_shared_expert_intermediate_size": 48})";

TEST(ModelConfig, NemotronLayersHaveOneHalfEach) {
  const auto shape = parse_model_config(kNemotron, "c.json");
  ASSERT_EQ(shape.layers.size(), 5U);
  EXPECT_EQ(kind_name(shape.layers[0].attention), "mamba2");
  EXPECT_TRUE(std::holds_alternative<std::monostate>(shape.layers[0].feed_forward));
  EXPECT_EQ(kind_name(shape.layers[1].attention), "none");
  EXPECT_EQ(shape.layer_parameters(shape.layers[1])[ModelPart::dense_ffn], 2 * 64 * 128);
  EXPECT_EQ(kind_name(shape.layers[2].attention), "full");
  const auto experts = shape.layer_parameters(shape.layers[4]);
  EXPECT_EQ(experts[ModelPart::routed_experts], 4 * 2 * 64 * 32);
  EXPECT_EQ(experts[ModelPart::shared_experts], 2 * 64 * 48);
  const auto listed =
      with(kNemotron, "hybrid_override_pattern",
           R"(null, "layers_block_type": ["mamba", "mlp", "attention", "mamba", "moe"])");
  EXPECT_EQ(parse_model_config(listed, "c.json").total_parameters(), shape.total_parameters());

  EXPECT_NE(message_of(with(kNemotron, "hybrid_override_pattern", "\"M-*MX\""))
                .find("layer 'X' of hybrid_override_pattern is not supported"),
            std::string::npos);
  EXPECT_NE(message_of(with(kNemotron, "hybrid_override_pattern", "\"M-\"")).find("(it has 2)"),
            std::string::npos);
  EXPECT_NE(message_of(added(kNemotron, R"("moe_latent_size": 16)")).find("moe_latent_size"),
            std::string::npos);
  EXPECT_NE(message_of(added(kNemotron, R"("mamba_ssm_cache_dtype": "int8")"))
                .find("mamba_ssm_cache_dtype: \"int8\" is not one of float32"),
            std::string::npos);
}

constexpr const char* kGlm = R"({"model_type": "glm_moe_dsa", "hidden_size": 64,
  "intermediate_size": 128, "moe_intermediate_size": 32, "num_hidden_layers": 6,
  "num_attention_heads": 8, "q_lora_rank": 24, "kv_lora_rank": 16, "qk_nope_head_dim": 8,
  "qk_rope_head_dim": 4, "v_head_dim": 8, "n_routed_experts": 4, "n_shared_experts": 1,
  "num_experts_per_tok": 2, "first_k_dense_replace": 1, "vocab_size": 1000})";

TEST(ModelConfig, SharedIndexersHaveNoWeightsAndNoKeys) {
  const auto own = parse_model_config(kGlm, "c.json");
  const auto& latent = std::get<LatentAttention>(own.layers[0].attention);
  ASSERT_TRUE(latent.indexer);
  EXPECT_EQ(latent.indexer->top_k, 2048) << "the default of the class";
  const auto shared = parse_model_config(added(kGlm, R"("index_topk_freq": 4)"), "c.json");
  const double index_weights = 24 * 32 * 128 + 64 * 128 + 64 * 32 + 2 * 128;
  // Layers 0, 1 and 5 choose, 2 to 4 reuse.
  EXPECT_EQ(own.total_parameters() - shared.total_parameters(), 3 * index_weights);
  EXPECT_EQ(own.kv_bytes(10, 1) - shared.kv_bytes(10, 1), 3 * 10 * 132);
  const auto types = R"("indexer_types": ["full", "full", "shared", "shared", "shared", "full"])";
  EXPECT_EQ(parse_model_config(added(kGlm, types), "c.json").total_parameters(),
            shared.total_parameters());
  EXPECT_NE(message_of(added(kGlm, R"("indexer_types": ["half"])")).find("indexer_types"),
            std::string::npos);
}

TEST(ModelConfig, LayersWithExpertsMayBeListed) {
  const auto by_number = parse_model_config(kGlm, "c.json");
  const auto listed = added(
      kGlm, R"("mlp_layer_types": ["dense", "sparse", "sparse", "sparse", "sparse", "sparse"])");
  EXPECT_EQ(parse_model_config(listed, "c.json").total_parameters(), by_number.total_parameters());
  EXPECT_NE(message_of(added(kGlm, R"("mlp_layer_types": ["dense"])")).find("(it has 1)"),
            std::string::npos);
}

TEST(ModelConfig, AFolderHoldsAConfigAndPerhapsItsQuantization) {
  const auto folder =
      std::filesystem::path{testing::TempDir()} / "perwatt_model_config_test_folder";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  EXPECT_NE(
      error_of([&] { static_cast<void>(load_model_shape(folder)); }).find("has no config.json"),
      std::string::npos);
  std::ofstream{folder / "config.json"} << kLlama;
  EXPECT_EQ(load_model_shape(folder).checkpoint.precision(false), "bf16");
  EXPECT_EQ(load_model_shape(folder / "config.json").layer_count(), 4);
  std::ofstream{folder / "hf_quant_config.json"}
      << R"({"quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8",
             "exclude_modules": ["lm_head"]}})";
  const auto shape = load_model_shape(folder);
  EXPECT_EQ(shape.checkpoint.precision(false), "fp4");
  EXPECT_EQ(shape.checkpoint.kv_cache, NumberType::fp8);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace perwatt::inference
