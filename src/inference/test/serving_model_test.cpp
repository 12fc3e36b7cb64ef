#include <algorithm>
#include <cmath>
#include <numeric>

#include "serving_modelled.hpp"
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/inference/serving/calibration_file.hpp"
#include "perwatt/inference/serving/measured_case.hpp"
#include "perwatt/inference/serving/model.hpp"
#include "perwatt/inference/serving/search.hpp"

namespace perwatt::inference::serving {
namespace {

TEST(ServingWork, OfLlamaIsCountedByHand) {
  const auto setup = setup_of("llama-3.1-70b", "bf16", "h200", 4);
  const auto work = count_work(setup);
  // 80 layers, hidden 8192, 64 query and 8 key-value heads of 128, feed-forward 28672.
  const double projections = 80.0 * 8192 * (2 * 64 * 128 + 2 * 8 * 128);
  const double dense = 80.0 * 3 * 8192 * 28672;
  EXPECT_DOUBLE_EQ(work.decode.projection_flops, 2 * projections / 4);
  EXPECT_DOUBLE_EQ(work.decode.projection_bytes, 2 * projections / 4);
  EXPECT_DOUBLE_EQ(work.decode.dense_bytes, 2 * dense / 4);
  EXPECT_DOUBLE_EQ(work.decode.head_flops, 2.0 * 8192 * 128256 / 4);
  EXPECT_DOUBLE_EQ(work.core_bytes_per_sequence, 80.0 * 2 * 8 * 128 * 2 * 1536 / 4);
  EXPECT_DOUBLE_EQ(work.decode.collectives, 160);
  EXPECT_DOUBLE_EQ(work.decode.exchange_bytes_per_token, 160.0 * 8192 * 2);
  EXPECT_EQ(work.decode.experts, 0);
}

TEST(ServingWork, DataParallelAttentionCopiesProjectionsAndSplitsSequences) {
  auto setup = setup_of("deepseek-r1", "fp8", "h200", 8);
  const auto tensor = count_work(setup);
  setup.layout.decode.instance = {8, 8, 8};
  setup.layout.prefill = setup.layout.decode;
  const auto data = count_work(setup);
  EXPECT_DOUBLE_EQ(data.decode.projection_bytes, 8 * tensor.decode.projection_bytes);
  EXPECT_DOUBLE_EQ(data.decode.projection_flops, tensor.decode.projection_flops);
  // Latent caches are copied under tensor parallelism, split under data parallelism.
  EXPECT_NEAR(data.core_bytes_per_sequence, tensor.core_bytes_per_sequence / 8, 1e-6);
}

RC_GTEST_PROP(ServingWork, TouchedExpertsLieBetweenOneTokensAndAll, ()) {
  const double experts = *rc::gen::inRange(2, 600);
  const double chosen = *rc::gen::inRange(1, static_cast<int>(experts));
  const double tokens = *rc::gen::inRange(1, 100000);
  const int ranks = 1 << *rc::gen::inRange(0, 5);
  const double touched = touched_experts(experts, chosen, tokens, ranks, 0.6, 1.2);
  RC_ASSERT(touched >= chosen);
  RC_ASSERT(touched <= experts * (1 + 1e-12));
  RC_ASSERT(touched_experts(experts, chosen, tokens + 1, 1, 0.6, 1.2) >=
            touched_experts(experts, chosen, tokens, 1, 0.6, 1.2));
  RC_ASSERT(touched >= touched_experts(experts, chosen, tokens, 1, 0.6, 1.2) * (1 - 1e-12));
}

RC_GTEST_PROP(ServingStep, NeverBeatsTheSpeedOfLight, ()) {
  const Modelled one{*any_setup()};
  const auto& work = one.work;
  const double sequences = *rc::gen::inRange(1, 4000);
  const auto step = one.model.steps().decode(sequences);
  const auto& hardware = one.setup.hardware;
  const double fastest = std::max({hardware.bf16_flops, hardware.fp8_flops, hardware.fp4_flops});
  const auto& decode = work.decode;
  const double tokens = sequences * one.model.steps().verified_tokens();
  const double flops =
      tokens * (decode.projection_flops + decode.dense_flops + decode.expert_flops +
                decode.head_flops + work.core_flops_per_token);
  const double touched =
      decode.experts > 0 ? decode.routed_expert_bytes * decode.experts_per_token / decode.experts
                         : 0;
  const double bytes = decode.projection_bytes + decode.dense_bytes + decode.shared_expert_bytes +
                       decode.head_bytes + touched + sequences * work.core_bytes_per_sequence;
  RC_ASSERT(step.seconds > flops / fastest);
  RC_ASSERT(step.seconds > bytes / hardware.memory_bytes_per_second);
  const double prompt_flops =
      work.prompt_tokens *
          (work.prefill.projection_flops + work.prefill.dense_flops + work.prefill.expert_flops) +
      work.prompt_core_flops;
  RC_ASSERT(one.model.steps().prefill().own > prompt_flops / fastest);
}

RC_GTEST_PROP(ServingStep, TakesLongerForMoreSequencesAndIsTheSumOfItsParts, ()) {
  const Modelled one{*any_setup()};
  const double sequences = *rc::gen::inRange(1, 4000);
  const auto& steps = one.model.steps();
  RC_ASSERT(steps.decode(sequences + 1).seconds > steps.decode(sequences).seconds);
  const auto parts = steps.explain_decode(sequences);
  const double sum = std::accumulate(parts.operators.begin(), parts.operators.end(), 0.0) +
                     parts.layers + parts.collectives + parts.host + parts.draft;
  RC_ASSERT(std::abs(sum / steps.decode(sequences).seconds - 1) < 1e-9);
  for (std::size_t i = 0; i < parts.operators.size(); ++i) {
    RC_ASSERT(parts.operators[i] >= std::max(parts.compute[i], parts.memory[i]) * (1 - 1e-12));
    RC_ASSERT(parts.operators[i] <= (parts.compute[i] + parts.memory[i]) * (1 + 1e-12));
  }
}

TEST(ServingStep, OnOneGpuCommunicatesNothing) {
  const Modelled one{setup_of("llama-3.1-8b", "bf16", "h100", 1)};
  EXPECT_EQ(one.model.steps().explain_decode(64).collectives, 0);
  const Modelled two{setup_of("llama-3.1-8b", "bf16", "h100", 2)};
  EXPECT_GT(two.model.steps().explain_decode(64).collectives, 0);
}

TEST(ServingStep, BeyondTheScaleUpDomainCollectivesTakeLonger) {
  const Modelled inside{setup_of("llama-3.1-405b", "fp8", "h200", 8)};
  const Modelled beyond{setup_of("llama-3.1-405b", "fp8", "h200", 16)};
  EXPECT_GT(beyond.model.steps().explain_decode(64).collectives,
            5 * inside.model.steps().explain_decode(64).collectives);
}

Setup pipelined(const char* model, int gpus, int stages) {
  auto setup = setup_of(model, "fp8", "h200", gpus);
  setup.layout.decode.instance.pipeline_stages = stages;
  setup.layout.prefill = setup.layout.decode;
  return setup;
}

TEST(Pipeline, SplitsWeightsAndCachesLikeTensorParallelism) {
  const Modelled tensor{setup_of("llama-3.1-405b", "fp8", "h200", 16)};
  const Modelled pipeline{pipelined("llama-3.1-405b", 16, 2)};
  EXPECT_DOUBLE_EQ(pipeline.work.decode.weight_memory_bytes,
                   tensor.work.decode.weight_memory_bytes);
  // 8 key-value heads cannot be split over 16 GPUs, but over 8 GPUs of two stages each.
  EXPECT_NEAR(pipeline.work.cache_memory_bytes_per_sequence,
              tensor.work.cache_memory_bytes_per_sequence / 2, 1e-3);
  EXPECT_TRUE(pipeline.work.decode.is_within_scale_up);
  EXPECT_FALSE(tensor.work.decode.is_within_scale_up);
}

TEST(Pipeline, AStageReadsItsWeightsForEachBatchUnderWay) {
  const Modelled one{setup_of("llama-3.1-70b", "fp8", "h200", 4)};
  const Modelled two{pipelined("llama-3.1-70b", 8, 2)};
  const auto alone = one.model.steps().explain_decode(32);
  const auto staged = two.model.steps().explain_decode(64);
  // Two stages of four GPUs, each with 32 sequences: the time of one stage of four with all layers.
  for (std::size_t i = 0; i < alone.operators.size(); ++i) {
    EXPECT_NEAR(staged.operators[i], alone.operators[i], 1e-12 + 1e-9 * alone.operators[i]);
  }
  EXPECT_GT(staged.collectives, alone.collectives);  // from stage to stage
  EXPECT_GT(two.model.steps().prefill().pipeline_fill, 0);
  EXPECT_EQ(one.model.steps().prefill().pipeline_fill, 0);
}

TEST(Pipeline, NamesWhatDoesNotDivide) {
  const auto setup = pipelined("llama-3.1-70b", 8, 3);
  EXPECT_NE(layout_problem(setup.layout.decode.instance, *setup.model, setup.hardware), "");
  const auto deep = pipelined("llama-3.1-70b", 128, 128);
  EXPECT_NE(layout_problem(deep.layout.decode.instance, *deep.model, deep.hardware)
                .find("128 pipeline stages for 80 layers"),
            std::string::npos);
}

TEST(Pipeline, ServesWhatOneDomainCannotHold) {
  SearchQuery query;
  query.setup = setup_of("kimi-k2", "fp8", "h100", 8);
  query.max_gpus = 16;
  query.tries_disaggregated = false;
  const auto result = search(query, shipped());
  ASSERT_TRUE(result.best_aggregated);
  EXPECT_EQ(result.best_aggregated->layout.num_gpus, 16);
  EXPECT_TRUE(std::any_of(result.frontier.begin(), result.frontier.end(), [](const Found& found) {
    return found.layout.decode.instance.pipeline_stages == 2;
  }));
}

RC_GTEST_PROP(ClosedLoop, KeepsItsRequestsAndItsMemory, ()) {
  const Modelled one{*any_setup()};
  const double concurrency = *rc::gen::inRange(1, 5000);
  const auto prediction = one.model.closed_loop(concurrency);
  RC_ASSERT(prediction.sequences > 0);
  RC_ASSERT(prediction.sequences <= prediction.most_sequences * (1 + 1e-9));
  RC_ASSERT(prediction.sequences <= concurrency * (1 + 1e-9));
  RC_ASSERT(in_seconds(prediction.tpot) > 0);
  RC_ASSERT(in_seconds(prediction.ttft) > 0);
  // No more prompts than it has time for, no more tokens than its sequences can make.
  RC_ASSERT(prediction.requests_per_second * in_seconds(prediction.prompt) <= 1 + 1e-9);
  RC_ASSERT(in_tokens_per_second(prediction.output_per_gpu) * one.setup.layout.num_gpus <=
            prediction.sequences / in_seconds(prediction.tpot) * (1 + 1e-9));
}

RC_GTEST_PROP(ClosedLoop, MoreRequestsNeverGiveFewerTokensOrFasterOnes, ()) {
  const Modelled one{*any_setup()};
  const double concurrency = *rc::gen::inRange(1, 3000);
  const auto less = one.model.closed_loop(concurrency);
  const auto more = one.model.closed_loop(concurrency * 1.5);
  RC_ASSERT(more.requests_per_second >= less.requests_per_second * (1 - 1e-7));
  RC_ASSERT(more.tpot.in_base() >= less.tpot.in_base() * (1 - 1e-7));
}

TEST(ClosedLoop, SplitsItsRequestsOverInstances) {
  auto setup = setup_of("llama-3.1-70b", "fp8", "h200", 4);
  const Modelled one{with_pools(setup, 4, 1, 4)};
  const Modelled two{with_pools(setup, 8, 2, 4)};
  const auto single = one.model.closed_loop(32);
  const auto twice = two.model.closed_loop(64);
  EXPECT_NEAR(single.tpot.in_base(), twice.tpot.in_base(), 1e-12);
  EXPECT_NEAR(2 * single.requests_per_second, twice.requests_per_second, 1e-6);
}

TEST(ClosedLoop, AFullPrefillPoolBoundsTheRate) {
  auto setup = setup_of("llama-3.1-70b", "fp8", "h200", 4);
  setup.input_tokens = 16000;
  setup.output_tokens = 100;
  const Modelled scarce{with_pools(setup, 1, 8, 4)};
  const auto loaded = scarce.model.closed_loop(2000);
  const double capacity = 1 / scarce.model.steps().prefill().own;
  EXPECT_LT(loaded.requests_per_second, 2.5 * capacity);
  const Modelled ample{with_pools(setup, 8, 8, 4)};
  EXPECT_GT(ample.model.closed_loop(2000).requests_per_second, 4 * loaded.requests_per_second);
}

TEST(ServingModel, APrefixCacheSavesPrefillOnly) {
  auto setup = setup_of("llama-3.1-70b", "fp8", "h200", 4);
  setup.input_tokens = 16000;
  const Modelled cold{setup};
  setup.cached_input_ratio = 0.9;
  const Modelled warm{setup};
  EXPECT_LT(warm.model.steps().prefill().own, 0.2 * cold.model.steps().prefill().own);
  EXPECT_EQ(warm.model.steps().decode(10).seconds, cold.model.steps().decode(10).seconds);
}

TEST(ServingModel, SaysWhatDoesNotFit) {
  EXPECT_FALSE(Modelled{setup_of("llama-3.1-70b", "bf16", "h100", 1)}.model.fits());
  EXPECT_TRUE(Modelled{setup_of("llama-3.1-70b", "fp8", "h200", 1)}.model.fits());
}

// Figures of examples/catalog: no measured row knows it.
TEST(OwnAccelerator, IsPredictedWithAWiderIntervalThanAMeasuredOne) {
  const auto own = catalog::Catalog::load(
      {PERWATT_TEST_DATA_DIR "/catalog", PERWATT_SOURCE_DIR "/examples/catalog"});
  SearchQuery query;
  query.setup = setup_of("qwen3-32b", "fp8", "h200", 1);
  const auto known = search(query, shipped());
  query.setup.hardware = hardware_of(own.accelerator("own-accelerator", "test"));
  const auto unknown = search(query, shipped());
  ASSERT_TRUE(known.best_aggregated && unknown.best_aggregated);
  const auto spread = [&](const char* accelerator, const Found& found) {
    auto setup = query.setup;
    setup.hardware.accelerator = accelerator;
    setup.layout = found.layout;
    const auto traits = traits_of(setup, "fp8", found.concurrency);
    return banded(1, Metric::throughput, traits, shipped()).log_spread;
  };
  EXPECT_GT(spread("own-accelerator", *unknown.best_aggregated),
            1.02 * spread("h200", *known.best_aggregated));
  // 0.83 of the bandwidth of an H200, 0.91 of its fp8 rate.
  const double ratio =
      unknown.best_aggregated->output_per_gpu / known.best_aggregated->output_per_gpu;
  EXPECT_GT(ratio, 0.5);
  EXPECT_LT(ratio, 1.2);
}

// Instances are alike, so that which of them is named first changes nothing; neither does a copy.
TEST(Search, GpusAreInterchangeable) {
  SearchQuery query;
  query.setup = setup_of("qwen3-32b", "fp8", "h200", 1);
  query.max_gpus = 8;
  const auto eight = search(query, shipped());
  query.max_gpus = 16;
  query.setup.hardware.scale_up_gpus = 8;
  const auto sixteen = search(query, shipped());
  ASSERT_TRUE(eight.best_aggregated && sixteen.best_aggregated);
  // Twice the GPUs hold at least two copies of what eight hold.
  EXPECT_GE(sixteen.best_aggregated->output_per_gpu,
            eight.best_aggregated->output_per_gpu * (1 - 1e-12));
}

RC_GTEST_PROP(GpuPower, RisesWithUseAndStaysBelowTheBoardLimit, ()) {
  const Modelled one{*any_setup()};
  const auto prediction = one.model.closed_loop(*rc::gen::inRange(1, 4000));
  const auto power = [&](double share) {
    return in_watts(
        gpu_power(one.model.use(prediction, share * prediction.requests_per_second), one.board));
  };
  const double tdp = in_watts(one.setup.hardware.tdp);
  RC_ASSERT(power(1) <= tdp);
  RC_ASSERT(power(1) > 0.04 * tdp);
  RC_ASSERT(power(0.5) < power(1));
}

// The sum over GPUs of their pool's power, idle prefill GPUs included; not a mean over requests,
// which spend nearly all their time in decode (AIConfigurator: 257 W for 8 + 24 GPUs of B200).
TEST(GpuPower, OfPoolsIsWeightedWithTheirGpus) {
  auto setup = setup_of("llama-3.1-70b", "fp8", "b200", 4);
  setup.input_tokens = 8000;
  const Modelled pools{with_pools(setup, 2, 6, 4)};
  const auto prediction = pools.model.closed_loop(500);
  const auto use = pools.model.use(prediction, prediction.requests_per_second);
  const double prefill = in_watts(pools.board.at_own_limit(use.prefill));
  const double decode = in_watts(pools.board.at_own_limit(use.decode));
  EXPECT_GT(prefill, decode);
  EXPECT_NEAR(in_watts(gpu_power(use, pools.board)), (8 * prefill + 24 * decode) / 32, 1e-9);
  // The same requests over ten times the prefill GPUs: those are nearly idle.
  const Modelled many{with_pools(setup, 20, 6, 4)};
  const auto spread = many.model.use(prediction, prediction.requests_per_second);
  EXPECT_NEAR(spread.prefill.bf16_ratio * 80, use.prefill.bf16_ratio * 8, 1e-9);
  EXPECT_LT(in_watts(many.board.at_own_limit(spread.prefill)), 0.6 * prefill);
}

}  // namespace
}  // namespace perwatt::inference::serving
