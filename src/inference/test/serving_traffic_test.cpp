#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "serving_cases.hpp"
#include "serving_modelled.hpp"
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/inference/point_table.hpp"
#include "perwatt/inference/serving/kernel_times.hpp"
#include "perwatt/inference/serving/open_load.hpp"
#include "perwatt/inference/serving/request_simulation.hpp"

namespace perwatt::inference::serving {
namespace {

Traffic closed_loop(int concurrency, int requests) {
  Traffic traffic;
  traffic.arrivals.pattern = ArrivalPattern::closed_loop;
  traffic.arrivals.count = requests;
  traffic.arrivals.seed = 7;
  traffic.concurrency = concurrency;
  return traffic;
}

Traffic open_loop(ArrivalPattern pattern, double rate, int requests) {
  Traffic traffic;
  traffic.arrivals.pattern = pattern;
  traffic.arrivals.rate_per_second = rate;
  traffic.arrivals.count = requests;
  traffic.arrivals.seed = 7;
  return traffic;
}

double quantile(std::vector<double>& values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

/// Waiting time of M/D/1 that the share `p` of customers does not exceed, in service times
/// (Erlang, 1909): P(W <= t) = (1 - rho) sum over k <= t of (rho (k - t))^k / k! exp(rho (t - k)).
double waiting_of_md1(double rho, double p) {
  const auto cdf = [&](double t) {
    double sum = 0;
    for (int k = 0; k <= static_cast<int>(t); ++k) {
      double term = std::exp(rho * (t - k));
      for (int i = 1; i <= k; ++i) {
        term *= rho * (k - t) / i;
      }
      sum += term;
    }
    return (1 - rho) * sum;
  };
  double low = 0;
  double high = 20;  // the alternating sum keeps its digits up to here
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (cdf(middle) < p ? low : high) = middle;
  }
  return high;
}

TEST(RequestSimulation, OfPromptsThatFillAChunkIsAQueueWithOneServer) {
  auto setup = setup_of("llama-3.1-70b", "fp8", "h200", 4);
  setup.input_tokens = kPrefillChunkTokens;
  setup.output_tokens = 1;
  const Modelled one{setup};
  const double service = one.model.steps().prefill().seconds();
  for (const double rho : {0.3, 0.6, 0.8}) {
    const auto result = simulate_requests(
        setup, one.model, open_loop(ArrivalPattern::poisson, rho / service, 200000));
    const auto waited = [&](Seconds ttft) { return in_seconds(ttft) / service - 1; };
    EXPECT_NEAR(waited(result.ttft.p50), waiting_of_md1(rho, 0.5), 0.05) << rho;
    EXPECT_NEAR(waited(result.ttft.p90), waiting_of_md1(rho, 0.9), 0.1) << rho;
    EXPECT_NEAR(waited(result.ttft.p99) / waiting_of_md1(rho, 0.99), 1, 0.06) << rho;
  }
}

TEST(RequestSimulation, AloneARequestTakesItsStepsAndNothingElse) {
  auto setup = setup_of("llama-3.1-70b", "fp8", "h200", 4);
  const Modelled one{setup};
  const auto result = simulate_requests(setup, one.model, closed_loop(1, 20));
  EXPECT_NEAR(result.ttft.p99 / seconds(one.model.steps().prefill().seconds()), 1, 1e-9);
  EXPECT_NEAR(result.tpot.p50 / seconds(one.model.steps().decode(1).seconds), 1, 1e-9);
  EXPECT_DOUBLE_EQ(result.mean_sequences, 1);
}

TEST(RequestSimulation, SplitsPoolsAndSendsTheCache) {
  auto setup = with_pools(setup_of("llama-3.1-70b", "fp8", "h200", 4), 2, 1, 4);
  const Modelled one{setup};
  // 80 layers x 2 x 8 heads x 128, 1024 tokens of one byte; 4 GPUs at 0.7 of 50 GB/s.
  EXPECT_DOUBLE_EQ(one.work.kv_transfer_bytes, 80.0 * 2 * 8 * 128 * 1024);
  EXPECT_NEAR(one.work.kv_transfer_seconds, one.work.kv_transfer_bytes / (4 * 0.7 * 50e9), 1e-9);
  const auto result = simulate_requests(setup, one.model, closed_loop(1, 20));
  EXPECT_NEAR(result.ttft.p50 /
                  seconds(one.model.steps().prefill().seconds() + one.work.kv_transfer_seconds),
              1, 1e-9);
}

TEST(RequestSimulation, ALargerPrefillPoolShortensTheQueueInFront) {
  auto setup = with_pools(setup_of("llama-3.1-70b", "fp8", "h200", 4), 1, 4, 4);
  setup.input_tokens = 8000;
  setup.output_tokens = 100;
  const Modelled scarce{setup};
  setup.layout.prefill.instances = 4;
  const Modelled ample{setup};
  const auto few = simulate_requests(scarce.setup, scarce.model, closed_loop(64, 2000));
  const auto many = simulate_requests(ample.setup, ample.model, closed_loop(64, 2000));
  EXPECT_LT(many.ttft.p50, 0.5 * few.ttft.p50);
  EXPECT_GT(many.requests_per_second, 2 * few.requests_per_second);
}

// The closed form is a mean-field one: far off where a prompt takes as long as an answer.
TEST(RequestSimulation, AgreesWithTheClosedForm) {
  std::vector<double> tpot;
  std::vector<double> rate;
  for (const auto& choice : kModels) {
    for (const auto* accelerator : kAccelerators) {
      for (const int concurrency : {4, 16, 64}) {
        auto setup = setup_of(choice.model, choice.precision, accelerator, 8);
        const Modelled one{setup};
        if (!one.model.fits()) {
          continue;
        }
        auto traffic = closed_loop(concurrency, 40 * concurrency);
        traffic.input = kBenchmarkLengths;
        traffic.output = kBenchmarkLengths;
        const auto simulated = simulate_requests(setup, one.model, traffic);
        const auto closed = one.model.closed_loop(concurrency);
        tpot.push_back(std::abs(simulated.tpot.p50 / closed.tpot - 1));
        // The closed form holds the client's start and end, the simulation sees them.
        rate.push_back(std::abs(simulated.requests_per_second / closed.requests_per_second - 1));
      }
    }
  }
  ASSERT_GT(tpot.size(), 100U);
  EXPECT_LT(quantile(tpot, 1), 0.01);
  EXPECT_LT(quantile(rate, 1), 0.05);
  std::printf("simulated beside closed form: TPOT %.3f / %.3f, rate %.3f / %.3f (median / most)\n",
              quantile(tpot, 0.5), quantile(tpot, 1), quantile(rate, 0.5), quantile(rate, 1));
}

RC_GTEST_PROP(RequestSimulation, ServesEveryRequestWithinItsMemoryAndIsRepeatable, ()) {
  auto setup = *any_setup();
  setup.output_tokens = *rc::gen::inRange(1, 500);
  const bool is_staged = setup.layout.num_gpus % 2 == 0 && *rc::gen::arbitrary<bool>();
  if (is_staged) {
    setup.layout.decode.instance.pipeline_stages = 2;
    setup.layout.prefill = setup.layout.decode;
  }
  setup.layout = !is_staged && *rc::gen::arbitrary<bool>()
                     ? with_pools(setup, *rc::gen::inRange(1, 4), *rc::gen::inRange(1, 4),
                                  setup.layout.num_gpus)
                           .layout
                     : setup.layout;
  const Modelled one{setup};
  RC_PRE(one.model.fits());
  const double most = sustained_requests_per_second(setup, one.model);
  auto traffic = open_loop(
      *rc::gen::element(ArrivalPattern::poisson, ArrivalPattern::constant, ArrivalPattern::bursts),
      most * *rc::gen::inRange(1, 150) / 100, 300);
  traffic.arrivals.burst_size = *rc::gen::inRange(1, 50);
  traffic.input = {LengthLaw::Kind::lognormal, 1.0};
  traffic.output = {LengthLaw::Kind::lognormal, 1.0};
  const auto result = simulate_requests(setup, one.model, traffic);
  RC_ASSERT(result.requests == 270U);
  RC_ASSERT(static_cast<double>(result.peak_sequences) <= one.model.most_sequences());
  RC_ASSERT(result.mean_sequences <= static_cast<double>(result.peak_sequences));
  RC_ASSERT(result.ttft.p50 > Seconds{});
  RC_ASSERT(result.tpot.p50 >= Seconds{});
  RC_ASSERT(result.request.p50 >= result.ttft.p50);
  RC_ASSERT(result.ttft.p99 >= result.ttft.p90);
  RC_ASSERT(result.ttft.p90 >= result.ttft.p50);
  const auto again = simulate_requests(setup, one.model, traffic);
  RC_ASSERT(again.ttft.p99 == result.ttft.p99);
  RC_ASSERT(again.request.p50 == result.request.p50);
}

TEST(RequestSimulation, BurstsWaitLongerThanRegularArrivals) {
  auto setup = setup_of("llama-3.1-70b", "fp8", "h200", 4);
  setup.output_tokens = 200;
  const Modelled one{setup};
  const double rate = 0.5 * one.model.at_batch(64).requests_per_second;
  auto traffic = open_loop(ArrivalPattern::constant, rate, 4000);
  const auto regular = simulate_requests(setup, one.model, traffic);
  traffic.arrivals.pattern = ArrivalPattern::poisson;
  const auto poisson = simulate_requests(setup, one.model, traffic);
  traffic.arrivals.pattern = ArrivalPattern::gamma;
  traffic.arrivals.burstiness = 0.2;
  const auto bursty = simulate_requests(setup, one.model, traffic);
  EXPECT_LT(regular.ttft.p99, poisson.ttft.p99);
  EXPECT_LT(poisson.ttft.p99, bursty.ttft.p99);
}

// Source: InferenceX (data/points/README.md), median and 99th percentile of TPOT of each row, whose
// client the simulation reproduces; nothing was fitted to percentiles.
TEST(RequestSimulation, SpreadsTpotAsMeasuredClientsSawIt) {
  ShapeLibrary shapes{PERWATT_TEST_DATA_DIR "/models"};
  std::vector<double> errors;
  std::vector<double> of_pools;
  std::vector<double> first_tokens;
  for (const auto& point : load_points({PERWATT_TEST_DATA_DIR "/points"}, shipped_catalog())) {
    if (point.source != "inferencex" || !point.tpot_p99 || !point.tpot_median) {
      continue;
    }
    const auto row = case_of(point, shipped_catalog(), shapes);
    if (!row || !row.value().screen.empty() || row.value().concurrency() > 4000) {
      continue;
    }
    const auto& setup = row.value().setup;
    const auto coefficients = coefficients_of(setup);
    const ServingModel model{setup, row.value().work, coefficients};
    const int concurrency = static_cast<int>(row.value().concurrency());
    auto traffic = closed_loop(concurrency, 10 * concurrency);
    traffic.input = kBenchmarkLengths;
    traffic.output = kBenchmarkLengths;
    const auto result = simulate_requests(setup, model, traffic);
    const bool has_pools = row.value().traits.is_disaggregated;
    (has_pools ? of_pools : errors)
        .push_back(std::abs(
            (result.tpot.p99 / result.tpot.p50) / (*point.tpot_p99 / *point.tpot_median) - 1));
    if (!has_pools && point.ttft_p99) {
      first_tokens.push_back(std::abs(result.ttft.p99 / *point.ttft_p99 - 1));
    }
  }
  ASSERT_GT(errors.size(), 1000U);
  ASSERT_GT(of_pools.size(), 300U);
  std::printf("p99 / p50 of TPOT, aggregated: %zu rows, error median %.3f p90 %.3f\n",
              errors.size(), quantile(errors, 0.5), quantile(errors, 0.9));
  std::printf("p99 / p50 of TPOT, pools: %zu rows, error median %.3f p90 %.3f\n", of_pools.size(),
              quantile(of_pools, 0.5), quantile(of_pools, 0.9));
  std::printf("p99 of TTFT, aggregated: %zu rows, error median %.3f\n", first_tokens.size(),
              quantile(first_tokens, 0.5));
  EXPECT_LT(quantile(errors, 0.5), 0.04);
  EXPECT_LT(quantile(errors, 0.9), 0.25);
  EXPECT_LT(quantile(of_pools, 0.5), 0.09);
}

TEST(RequestSimulation, BelowWhatItSustainsQueuesStayAndAboveTheyGrow) {
  const auto base = setup_of("llama-3.1-70b", "fp8", "h200", 4);
  auto prefill_bound = with_pools(base, 1, 4, 4);
  prefill_bound.input_tokens = 4000;
  prefill_bound.output_tokens = 50;
  auto decode_bound = with_pools(base, 4, 1, 4);
  decode_bound.input_tokens = 4000;
  decode_bound.output_tokens = 2000;
  auto mixed = base;
  mixed.input_tokens = 20000;
  mixed.output_tokens = 300;
  for (const auto& setup : {prefill_bound, decode_bound, mixed}) {
    const Modelled one{setup};
    const double sustained = sustained_requests_per_second(setup, one.model);
    const auto waits = [&](double share, int requests) {
      const auto traffic = open_loop(ArrivalPattern::constant, share * sustained, requests);
      return in_seconds(simulate_requests(setup, one.model, traffic).request.p90);
    };
    EXPECT_LT(waits(0.9, 32000), 1.2 * waits(0.9, 8000));
    EXPECT_GT(waits(1.1, 32000), 1.5 * waits(1.1, 8000));
  }
}

TEST(RequestSimulation, OfShortAnswersHasWholeTokens) {
  auto setup = setup_of("llama-3.1-70b", "fp8", "h200", 8);
  setup.output_tokens = 1.4;
  const Modelled one{setup};
  auto traffic = open_loop(ArrivalPattern::poisson,
                           0.2 * sustained_requests_per_second(setup, one.model), 2000);
  traffic.output = {LengthLaw::Kind::lognormal, 1.0};
  const auto result = simulate_requests(setup, one.model, traffic);
  EXPECT_LT(in_seconds(result.tpot.p99), 100 * one.model.steps().decode(1).seconds);
}

TEST(KernelTimes, OfADenseModelSumItsMeasuredKernels) {
  const auto setup = setup_of("llama-3.1-70b", "bf16", "h200", 8);
  const auto operators = OperatorTable::load(PERWATT_TEST_DATA_DIR "/ops", shipped_catalog());
  const auto collectives = CollectiveTable::load(PERWATT_TEST_DATA_DIR "/ops", shipped_catalog());
  const auto step = kernels_of_step(setup, 64, 1, operators, collectives);
  const auto& dense = step.groups[static_cast<std::size_t>(OperatorGroup::dense_ffn)];
  // Two GEMMs a layer: gate and up together, then down.
  const auto gemm = [&](double n, double k) {
    return operators
        .estimate("h200", "vllm", Operator::gemm, {"bf16", "", 0, ""}, GemmShape{64, n, k})
        .value()
        .latency;
  };
  EXPECT_EQ(dense.kernels, 160);
  EXPECT_NEAR(dense.total / ((gemm(2 * 28672.0 / 8, 8192) + gemm(8192, 28672.0 / 8)) * 80), 1,
              1e-12);
  EXPECT_TRUE(dense.misses.empty());
  EXPECT_EQ(step.collectives.kernels, 160);
  // Of the order of the calibrated step.
  const Modelled one{setup};
  const auto calibrated = one.model.steps().explain_decode(64);
  for (const auto group : {OperatorGroup::projections, OperatorGroup::attention_core,
                           OperatorGroup::dense_ffn, OperatorGroup::lm_head}) {
    const auto at = static_cast<std::size_t>(group);
    EXPECT_GT(in_seconds(step.groups[at].total), 0.5 * calibrated.operators[at]);
    EXPECT_LT(in_seconds(step.groups[at].total), 3 * calibrated.operators[at]);
  }
}

TEST(KernelTimes, NameWhatWasNotMeasured) {
  const auto operators = OperatorTable::load(PERWATT_TEST_DATA_DIR "/ops", shipped_catalog());
  const auto collectives = CollectiveTable::load(PERWATT_TEST_DATA_DIR "/ops", shipped_catalog());
  const auto none =
      kernels_of_step(setup_of("llama-3.1-70b", "fp8", "mi355x", 8), 64, 1, operators, collectives);
  for (const auto group : {OperatorGroup::projections, OperatorGroup::attention_core}) {
    const auto& times = none.groups[static_cast<std::size_t>(group)];
    EXPECT_EQ(times.kernels, 0);
    ASSERT_EQ(times.misses.size(), 1U);
    EXPECT_NE(times.misses.front().find("mi355x"), std::string::npos);
  }
  const auto hybrid =
      kernels_of_step(setup_of("gpt-oss-120b", "mxfp4", "b200", 2), 64, 1, operators, collectives);
  const auto& core = hybrid.groups[static_cast<std::size_t>(OperatorGroup::attention_core)].misses;
  ASSERT_EQ(core.size(), 1U);
  EXPECT_EQ(core.front(), "sliding window attention: only full attention was measured");
}

struct OpenCase {
  SearchQuery query;
  SearchResult found;
};

OpenCase open_case() {
  OpenCase result;
  result.query.setup = setup_of("llama-3.1-70b", "fp8", "h200", 4);
  result.query.setup.input_tokens = 3600;
  result.query.setup.output_tokens = 450;
  result.query.max_gpus = 8;
  result.query.max_ttft = seconds(2);
  result.query.max_tpot = seconds(0.04);
  result.found = search(result.query, shipped());
  return result;
}

TEST(OpenLoad, TheMostKeepsTheLimitsAndALittleMoreDoesNot) {
  const auto asked = open_case();
  ASSERT_TRUE(asked.found.best_aggregated);
  OpenLoad load;
  load.requests_per_second = 1;
  const auto answer = under_open_load(asked.query, *asked.found.best_aggregated, shipped(), load);
  ASSERT_TRUE(answer.most);
  EXPECT_LE(answer.most->tpot.p99, *asked.query.max_tpot);
  EXPECT_LE(answer.most->ttft.p99, *asked.query.max_ttft);
  load.requests_per_second = 1.03 * answer.most->requests_per_second;
  const auto more = under_open_load(asked.query, *asked.found.best_aggregated, shipped(), load);
  ASSERT_TRUE(more.asked);
  EXPECT_TRUE(more.asked->tpot.p99 > *asked.query.max_tpot ||
              more.asked->ttft.p99 > *asked.query.max_ttft);
  load.requests_per_second = answer.capacity_requests_per_second;
  EXPECT_FALSE(under_open_load(asked.query, *asked.found.best_aggregated, shipped(), load).asked);
}

TEST(OpenLoad, LimitsOfTheMedianAllowMoreThanThoseOfTheTail) {
  const auto asked = open_case();
  ASSERT_TRUE(asked.found.best_aggregated);
  OpenLoad load;
  const auto tail = under_open_load(asked.query, *asked.found.best_aggregated, shipped(), load);
  load.limited = Percentile::p50;
  const auto median = under_open_load(asked.query, *asked.found.best_aggregated, shipped(), load);
  ASSERT_TRUE(tail.most && median.most);
  EXPECT_GT(median.most->requests_per_second, tail.most->requests_per_second);
  // Latencies rise with the load.
  for (std::size_t i = 1; i < tail.points.size(); ++i) {
    EXPECT_GE(tail.points[i].tpot.p50, tail.points[i - 1].tpot.p50);
  }
}

TEST(OpenLoad, IsWithoutAnAnswerWhereOneRequestIsTooSlow) {
  auto asked = open_case();
  ASSERT_TRUE(asked.found.best_aggregated);
  asked.query.max_tpot = seconds(1e-4);
  const auto answer = under_open_load(asked.query, *asked.found.best_aggregated, shipped(), {});
  EXPECT_FALSE(answer.most);
  EXPECT_EQ(answer.points.size(), 10U);
}

}  // namespace
}  // namespace perwatt::inference::serving
