#include "perwatt/inference/model_shape.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "error_of.hpp"
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/inference/model_config.hpp"

namespace perwatt::inference {
namespace {

ModelShape built_in(const std::string& id) {
  return load_built_in_shape(PERWATT_TEST_DATA_DIR "/models", id);
}

double sum(const ByPart<double>& values) {
  double total = 0;
  for (const auto part : kAllModelParts) {
    total += values[part];
  }
  return total;
}

TEST(KvCache, OfGroupedHeadsIsTwoVectorsForEachKeyValueHead) {
  const auto llama = built_in("llama-3.1-70b");
  EXPECT_EQ(llama.kv_bytes(1, 2), 80 * 2 * 8 * 128 * 2);
  EXPECT_EQ(llama.kv_bytes(1000, 1), 80 * 2 * 8 * 128 * 1000.0);
  EXPECT_EQ(llama.state_bytes(), 0);
  const auto& attention = llama.layers.front().attention;
  EXPECT_EQ(cache_shards(attention, 4), 4);
  EXPECT_EQ(cache_shards(attention, 16), 8);
}

// 576 elements per token and layer, DeepSeek-V3 technical report, section 2.1.1.
TEST(KvCache, OfLatentAttentionIsOneLatentAndOnePositionWhateverTheTensorParallelism) {
  const auto deepseek = built_in("deepseek-v3");
  EXPECT_EQ(deepseek.kv_bytes(1, 1), 61 * 576);
  EXPECT_EQ(cache_shards(deepseek.layers.front().attention, 8), 1);
  const auto glm = built_in("glm-5");
  EXPECT_EQ(glm.kv_bytes(1, 1), 78 * (576 + 132)) << "an index key of 128 bytes and its scale";
}

TEST(KvCache, OfSlidingLayersEndsAtTheWindow) {
  const auto oss = built_in("gpt-oss-120b");
  const double per_token_and_layer = 2 * 8 * 64;
  EXPECT_EQ(oss.kv_bytes(128, 1), 36 * per_token_and_layer * 128);
  EXPECT_EQ(oss.kv_bytes(1128, 1), per_token_and_layer * (18 * 128 + 18 * 1128));
  const auto gemma = built_in("gemma-3-27b");
  EXPECT_EQ(gemma.kv_bytes(10'000, 1), 2 * 16 * 128 * (52 * 1024 + 10 * 10'000.0));
}

TEST(KvCache, OfCompressedLayersIsTheWindowAndAShareOfWhatIsBeforeIt) {
  const auto deepseek = built_in("deepseek-v4-pro");
  const double context = 128'000;
  const double window = 61 * 128 * 512;
  const double sparse = 30 * context / 4 * (512 + 132);
  const double heavy = 31 * context / 128 * 512;
  EXPECT_DOUBLE_EQ(deepseek.kv_bytes(context, 1), window + sparse + heavy);
}

TEST(KvCache, OfLayersWithAStateDoesNotGrow) {
  const auto qwen = built_in("qwen3.5-397b-a17b");
  EXPECT_EQ(qwen.kv_bytes(1, 2), 15 * 2 * 2 * 256 * 2);
  // 64 heads of 128 x 128 in 32 bit, and 3 inputs of 16 bit of 2 x 16 x 128 + 64 x 128 channels.
  EXPECT_EQ(qwen.state_bytes(), 45 * (64 * 128 * 128 * 4 + 3 * 12'288 * 2));
  const auto nemotron = built_in("nemotron-nano-9b-v2");
  EXPECT_EQ(nemotron.kv_bytes(1, 2), 4 * 2 * 8 * 128 * 2);
  EXPECT_EQ(nemotron.state_bytes(), 27 * (10'240 * 128 * 4 + 3 * 12'288 * 2));
}

TEST(KvCache, OfBlockSparseLayersIsKeptButNotRead) {
  const auto phi = built_in("phi-3-small");
  const auto& sparse = phi.layers.front().attention;
  EXPECT_EQ(kind_name(sparse), "block sparse");
  EXPECT_EQ(kv_bytes(sparse, 5024, 1), 5024 * 2 * 8 * 128);
  EXPECT_EQ(attended_entries(sparse, 5024), 1024 + 4000 / 8);
  EXPECT_EQ(kv_read_bytes(sparse, 5024, 1), 1524 * 2 * 8 * 128);
}

TEST(Attention, WithAnIndexerReadsTheChosenEntriesAndAllIndexKeys) {
  const auto glm = built_in("glm-5");
  const auto& attention = glm.layers.front().attention;
  EXPECT_EQ(kind_name(attention), "latent, indexed");
  EXPECT_EQ(attended_entries(attention, 1000), 1000);
  EXPECT_EQ(attended_entries(attention, 100'000), 2048);
  EXPECT_EQ(kv_read_bytes(attention, 100'000, 1), 2048 * 576 + 100'000 * 132.0);
  const auto minimax = built_in("minimax-m3");
  EXPECT_EQ(attended_entries(minimax.layers.front().attention, 100'000), 100'000);
  EXPECT_EQ(attended_entries(minimax.layers.back().attention, 100'000), 2048);
}

TEST(Attention, CountsTheOperationsOfScoresAndSums) {
  const auto llama = built_in("llama-3.1-8b");
  EXPECT_EQ(core_flops(llama.layers[0].attention, 1000, Phase::decode), 4.0 * 32 * 128 * 1000);
  EXPECT_EQ(core_flops(llama.layers[0].attention, 1000, Phase::prefill), 4.0 * 32 * 128 * 1000);
  const auto deepseek = built_in("deepseek-v3");
  EXPECT_EQ(core_flops(deepseek.layers[0].attention, 1000, Phase::decode),
            2.0 * 128 * (576 + 512) * 1000);
  EXPECT_EQ(core_flops(deepseek.layers[0].attention, 1000, Phase::prefill),
            2.0 * 128 * (192 + 128) * 1000);
}

TEST(Attention, HeadsMustDivideAmongGpus) {
  const auto maverick = built_in("llama-4-maverick");
  EXPECT_TRUE(can_shard(maverick.layers[0].attention, 8));
  EXPECT_FALSE(can_shard(maverick.layers[0].attention, 16)) << "40 heads";
  const auto phi = built_in("phi-3-medium");
  EXPECT_FALSE(can_shard(phi.layers[0].attention, 4)) << "10 key-value heads";
  EXPECT_TRUE(can_shard(built_in("deepseek-v3").layers[0].attention, 128));
  EXPECT_TRUE(can_shard(Attention{}, 3));
}

TEST(ModelShape, AnOutputGateIsAsWideAsTheOutput) {
  const auto qwen = built_in("qwen3.5-397b-a17b");
  for (const auto& group : qwen.layers) {
    if (kind_name(group.attention) == "full") {
      EXPECT_EQ(projection_parameters(group.attention, qwen.hidden_size),
                4096.0 * (3 * 32 * 256 + 2 * 2 * 256));
    }
  }
}

TEST(ModelShape, FlopsAreTwiceTheActiveMatrices) {
  const auto llama = built_in("llama-3.1-8b");
  const double matrices = 8'030'261'248.0 - 128'256.0 * 4096 - (2 * 32 + 1) * 4096;
  EXPECT_EQ(llama.linear_flops_per_token(), 2 * matrices);
  const auto gemma = built_in("gemma-2-2b");  // tied: the table is multiplied all the same
  EXPECT_EQ(gemma.linear_flops_per_token(),
            2 * (gemma.active_parameters() - gemma.parameters()[ModelPart::small]));
}

TEST(ModelShape, BytesFollowTheFormatOfEachPart) {
  const auto oss = built_in("gpt-oss-120b");
  const auto bytes = oss.weight_bytes(oss.checkpoint);
  const auto parameters = oss.parameters();
  EXPECT_EQ(bytes[ModelPart::routed_experts], parameters[ModelPart::routed_experts] * 0.53125);
  EXPECT_EQ(bytes[ModelPart::attention], parameters[ModelPart::attention] * 2);
  // The published checkpoint is 60.8 GiB (OpenAI's model card, table 1).
  EXPECT_NEAR(sum(bytes) / std::pow(2, 30), 60.8, 0.3);
  EXPECT_NEAR(sum(built_in("gpt-oss-20b").weight_bytes(built_in("gpt-oss-20b").checkpoint)) /
                  std::pow(2, 30),
              12.8, 0.1);
}

TEST(ModelShape, AtAPrecisionOfItsOwnKeepsTheCheckpointsFormat) {
  const auto deepseek = built_in("deepseek-v3");
  EXPECT_EQ(deepseek.checkpoint.precision(true), "fp8");
  EXPECT_EQ(deepseek.format("fp8").method, "fp8");
  EXPECT_EQ(deepseek.format("fp4").weights[ModelPart::attention].type, NumberType::bf16);
  EXPECT_EQ(deepseek.format("fp4").weights[ModelPart::shared_experts].type, NumberType::nvfp4);
  EXPECT_EQ(deepseek.format("bf16").weights[ModelPart::routed_experts].type, NumberType::bf16);
  const auto v4 = built_in("deepseek-v4-pro");
  EXPECT_EQ(v4.format("fp4").weights[ModelPart::attention].type, NumberType::fp8);
  EXPECT_EQ(v4.format("fp4").weights[ModelPart::routed_experts].type, NumberType::mxfp4);
  const auto llama = built_in("llama-3.1-70b");
  EXPECT_EQ(llama.format("fp4").weights[ModelPart::attention].type, NumberType::nvfp4);
  EXPECT_EQ(llama.format("fp4").weights[ModelPart::lm_head].type, NumberType::bf16);
  EXPECT_EQ(llama.format("mxfp4").weights[ModelPart::dense_ffn].type, NumberType::mxfp4);
  EXPECT_EQ(error_of([&] { static_cast<void>(llama.format("fp5")); }),
            "llama-3.1-70b: 'fp5' is no precision of weights; one of bf16, fp8, fp4, mxfp4");
}

// Any attention, made of any sizes.
Attention any_attention() {
  const auto size = [](int least, int most) { return *rc::gen::inRange(least, most + 1); };
  std::optional<Indexer> indexer;
  if (*rc::gen::arbitrary<bool>()) {
    indexer = Indexer{size(1, 64), size(1, 128), size(1, 4096), *rc::gen::arbitrary<bool>(),
                      static_cast<double>(size(1, 256))};
  }
  switch (size(0, 4)) {
    case 0: {
      const auto kind = static_cast<Reach::Kind>(size(0, 3));
      const int kv_heads = size(1, 8);
      return HeadAttention{kv_heads * size(1, 8),
                           kv_heads,
                           size(1, 256),
                           size(1, 256),
                           {kind, size(1, 5000), size(1, 16)},
                           *rc::gen::arbitrary<bool>(),
                           indexer};
    }
    case 1:
      return LatentAttention{size(1, 128), size(0, 2048), size(1, 512), size(1, 192),
                             size(1, 64),  size(1, 256),  indexer};
    case 2:
      return CompressedAttention{
          size(1, 64),   size(1, 512), size(1, 2048), size(1, 16),
          size(1, 1024), size(1, 256), size(0, 128),  *rc::gen::arbitrary<bool>(),
          indexer};
    case 3:
      return LinearAttention{size(1, 16), size(1, 64), size(1, 128), size(1, 128), size(1, 4), 4};
    default:
      return Mamba2{size(1, 128), size(1, 64), size(1, 8), size(1, 128), size(1, 4), 4};
  }
}

RC_GTEST_PROP(AttentionProperty, CacheGrowsWithTheContextAndReadsAreOfWhatIsKept, ()) {
  const auto attention = any_attention();
  const double shorter = *rc::gen::inRange(1, 100'000);
  const double longer = shorter + *rc::gen::inRange(0, 100'000);
  RC_ASSERT(kv_bytes(attention, longer, 1) >= kv_bytes(attention, shorter, 1));
  RC_ASSERT(attended_entries(attention, longer) >= attended_entries(attention, shorter));
  RC_ASSERT(core_flops(attention, longer, Phase::decode) >=
            core_flops(attention, shorter, Phase::decode));
  RC_ASSERT(kv_bytes(attention, shorter, 2) >= kv_bytes(attention, shorter, 1));
  RC_ASSERT(kv_read_bytes(attention, longer, 2) <=
            kv_bytes(attention, longer, 2) * (1 + 1e-12) + state_bytes(attention));
  RC_ASSERT(kv_bytes(attention, shorter, 1) + state_bytes(attention) > 0);
  RC_ASSERT((kv_bytes(attention, shorter, 1) > 0) == (state_bytes(attention) == 0));
  const int tensor_parallel = *rc::gen::inRange(1, 17);
  const int shards = cache_shards(attention, tensor_parallel);
  RC_ASSERT(shards >= 1 && shards <= tensor_parallel);
  RC_ASSERT(convolution_parameters(attention) <= projection_parameters(attention, 64));
}

FeedForward any_feed_forward() {
  const int experts = *rc::gen::inRange(1, 256);
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      return {};
    case 1:
      return DenseFeedForward{*rc::gen::inRange(1, 20'000), *rc::gen::arbitrary<bool>()};
    default:
      return ExpertFeedForward{experts,
                               *rc::gen::inRange(1, experts + 1),
                               *rc::gen::inRange(1, 4096),
                               *rc::gen::inRange(0, 4096),
                               *rc::gen::arbitrary<bool>(),
                               *rc::gen::arbitrary<bool>()};
  }
}

RC_GTEST_PROP(ModelShapeProperty, PartsAddUpAndGroupingChangesNothing, ()) {
  ModelShape shape;
  shape.hidden_size = *rc::gen::inRange(1, 8192);
  shape.vocabulary_size = *rc::gen::inRange(1, 300'000);
  shape.has_tied_embeddings = *rc::gen::arbitrary<bool>();
  const std::vector<LayerGroup> kinds{{1, any_attention(), any_feed_forward(), 3},
                                      {1, any_attention(), any_feed_forward(), 5}};
  const int layers = *rc::gen::inRange(1, 20);
  for (int layer = 0; layer < layers; ++layer) {
    auto group = kinds[*rc::gen::inRange<std::size_t>(0, kinds.size())];
    group.count = *rc::gen::inRange(1, 4);
    shape.layers.push_back(group);
  }
  auto distinct = shape;
  distinct.layers = shape.distinct_layers();
  RC_ASSERT(distinct.layers.size() <= kinds.size());
  RC_ASSERT(distinct.layer_count() == shape.layer_count());
  RC_ASSERT(distinct.parameters() == shape.parameters());
  const double bytes = shape.kv_bytes(1000, 2);
  RC_ASSERT(std::abs(distinct.kv_bytes(1000, 2) - bytes) <= 1e-12 * bytes);
  RC_ASSERT(sum(shape.parameters()) == shape.total_parameters());
  RC_ASSERT(shape.active_parameters() <= shape.total_parameters());
  RC_ASSERT(shape.linear_flops_per_token() <= 2 * shape.active_parameters());
  RC_ASSERT(sum(shape.weight_bytes(CheckpointFormat{})) == 2 * shape.total_parameters());
  const auto fp8 = sum(shape.weight_bytes(format_at_precision("fp8", shape.has_experts(), "")));
  RC_ASSERT(fp8 <= 2 * shape.total_parameters() && fp8 >= shape.total_parameters());
}

}  // namespace
}  // namespace perwatt::inference
