#include "serving_setup.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/inference/serving/layout.hpp"

namespace perwatt::inference::serving {
namespace {

using ::testing::HasSubstr;

TEST(ServingLayout, OfAnAggregatedRowIsOneInstance) {
  Layout row;
  row.num_gpus = 8;
  row.decode_ep = 8;
  row.decode_dp_attention = true;
  const auto layout = layout_of(row, Serving::aggregated).value();
  EXPECT_EQ(layout.decode, (Pool{{8, 8, 8}, 1, 8}));
  EXPECT_EQ(layout.prefill, layout.decode);
  EXPECT_EQ(layout.decode.instance.attention_tp(), 1);
}

TEST(ServingLayout, OfPoolsHasInstancesOfTheLargerDegree) {
  Layout row;
  row.num_gpus = 48;
  row.prefill_gpus = 16;
  row.decode_gpus = 32;
  row.prefill_tp = 4;
  row.decode_tp = 8;
  row.decode_ep = 16;
  row.decode_dp_attention = true;
  const auto layout = layout_of(row, Serving::disaggregated).value();
  EXPECT_EQ(layout.prefill, (Pool{{4, 1, 1}, 4, 16}));
  EXPECT_EQ(layout.decode, (Pool{{16, 16, 16}, 2, 32}));
}

TEST(ServingLayout, OfDataParallelAttentionWithoutDegreesSpansThePool) {
  Layout row;
  row.num_gpus = 20;
  row.prefill_gpus = 4;
  row.decode_gpus = 16;
  row.decode_dp_attention = true;
  const auto layout = layout_of(row, Serving::disaggregated).value();
  EXPECT_EQ(layout.prefill, (Pool{{1, 1, 1}, 4, 4}));
  EXPECT_EQ(layout.decode, (Pool{{16, 16, 1}, 1, 16}));
}

TEST(ServingLayout, NamesWhatARowLacks) {
  Layout row;
  EXPECT_THAT(layout_of(row, Serving::aggregated).reason(), HasSubstr("number of GPUs"));
  row.num_gpus = 8;
  EXPECT_THAT(layout_of(row, Serving::disaggregated).reason(), HasSubstr("prefill and decode"));
}

TEST(ServingLayout, ImpossibleDegreesAreNamed) {
  const auto hardware = shipped_hardware("h200");
  const auto& llama = shipped_shape("llama-3.1-70b");
  const auto& mixtral = shipped_shape("mixtral-8x7b");
  EXPECT_EQ(layout_problem({8, 1, 1}, llama, hardware), "");
  EXPECT_THAT(layout_problem({5, 1, 1}, llama, hardware), HasSubstr("tensor parallelism 5"));
  EXPECT_THAT(layout_problem({8, 3, 1}, llama, hardware), HasSubstr("data parallelism 3"));
  EXPECT_THAT(layout_problem({16, 16, 16}, mixtral, hardware), HasSubstr("its 8 experts"));
  EXPECT_THAT(layout_problem({8, 1, 3}, mixtral, hardware), HasSubstr("expert parallelism 3"));
  EXPECT_EQ(layout_problem({16, 2, 1}, llama, hardware), "");
  EXPECT_THAT(
      layout_problem({128, 2, 1}, shipped_shape("llama-3.1-405b"), shipped_hardware("gb200")),
      HasSubstr("scale_out_gbit_per_s is not known"));
}

TEST(ServingEngine, IsTakenFromItsNameAndDate) {
  EXPECT_EQ(engine_of("dynamo-trtllm", ""), (Engine{EngineFamily::tensorrt_llm, Router::dynamo}));
  EXPECT_EQ(engine_of("mori-sglang", ""), (Engine{EngineFamily::sglang, Router::mori}));
  EXPECT_EQ(engine_of("vLLM", "2025-06-01"), (Engine{EngineFamily::vllm, Router::none}));
  EXPECT_EQ(engine_of("vllm", "2024-09-01"), (Engine{EngineFamily::vllm_v0, Router::none}));
  EXPECT_EQ(engine_of("atom-disagg", ""), (Engine{EngineFamily::atom, Router::none}));
  EXPECT_EQ(engine_of("my-engine", ""), (Engine{EngineFamily::other, Router::none}));
}

TEST(ServingEngine, AgeCountsInQuartersBeforeTheEpoch) {
  EXPECT_DOUBLE_EQ(software_age_quarters(kSoftwareEpoch), 0);
  EXPECT_DOUBLE_EQ(software_age_quarters("2026-01-01"), 2);
  EXPECT_DOUBLE_EQ(software_age_quarters("2026-10-01"), -1);
}

TEST(ServingHardware, MultipliesInTheNarrowestUnitThatFits) {
  const auto h200 = shipped_hardware("h200");
  const auto b200 = shipped_hardware("b200");
  const auto a100 = shipped_hardware("a100");
  EXPECT_EQ(multiplication(NumberType::fp8, a100).unit, MathUnit::bf16);
  EXPECT_EQ(multiplication(NumberType::mxfp4, h200).unit, MathUnit::bf16);
  EXPECT_TRUE(multiplication(NumberType::mxfp4, h200).is_dequantised);
  EXPECT_EQ(multiplication(NumberType::nvfp4, b200).unit, MathUnit::fp4);
  EXPECT_FALSE(multiplication(NumberType::nvfp4, b200).is_dequantised);
}

TEST(ServingHardware, NamesTheFigureAnEntryLacks) {
  catalog::Accelerator entry;
  entry.id = "mine";
  entry.dense_bf16_flops = 1e15;
  entry.memory_bytes_per_second = 1e12;
  try {
    static_cast<void>(hardware_of(entry));
    FAIL();
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), HasSubstr("memory_gb"));
  }
}

}  // namespace
}  // namespace perwatt::inference::serving
