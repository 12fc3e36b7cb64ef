#include "perwatt/measure/import_results.hpp"

#include <algorithm>

#include "error_of.hpp"
#include "measurement_testing.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/file.hpp"
#include "perwatt/measure/measurement_file.hpp"

namespace perwatt::measure {
namespace {

using ::testing::HasSubstr;

ResultFile fixture(const std::string& name) {
  return {name, read_file(PERWATT_SOURCE_DIR "/tests/data/results/" + name)};
}

std::vector<ImportedRun> imported(const std::vector<std::string>& names, const Slo& slo = {}) {
  std::vector<ResultFile> files;
  for (const auto& name : names) {
    files.push_back(fixture(name));
  }
  return import_results(files, {slo, {}});
}

std::string import_error(const std::string& text) {
  const std::vector<ResultFile> files{{"result.json", text}};
  return error_of([&] { (void)import_results(files, {}); });
}

/// Within the histogram's error.
void expect_near(const std::optional<Seconds>& value, double seconds_wanted) {
  ASSERT_TRUE(value);
  EXPECT_NEAR(in_seconds(*value), seconds_wanted, 0.005 * seconds_wanted);
}

const std::string kAiperf = "aiperf/profile_export_aiperf.json";
const std::string kAiperfRequests = "aiperf/profile_export.jsonl";
const std::string kAiperfTelemetry = "aiperf/gpu_telemetry_export.jsonl";

TEST(import_aiperf, requests_give_counts_tokens_and_latencies_without_the_warm_up) {
  const auto runs = imported({kAiperfRequests});
  ASSERT_EQ(runs.size(), 1U);
  const auto& m = runs.front().measurement;
  EXPECT_EQ(m.imported_from, "AIPerf");
  EXPECT_EQ(m.requests.sent, 6);
  EXPECT_EQ(m.requests.ok, 4);
  EXPECT_EQ(m.requests.failed, 1);
  EXPECT_EQ(m.requests.cancelled, 1);
  EXPECT_EQ(m.requests.failed_by_outcome.at("http_error"), 1);
  EXPECT_EQ(m.tokens.output, 44);
  EXPECT_EQ(m.tokens.input, 2000);
  EXPECT_TRUE(m.tokens.input_known);
  EXPECT_TRUE(m.tokens.output_by_tokenizer);
  EXPECT_FALSE(m.tokens.output_by_usage);
  expect_near(m.latencies.ttft->p50, 0.2);
  expect_near(m.latencies.ttft_from_intended->p50, 0.22);  // released 20 ms before the send
  expect_near(m.latencies.ttfo->p50, 0.45);
  expect_near(m.latencies.tpot->p50, 0.1);  // AIPerf's inter_token_latency
  expect_near(m.latencies.itl->p50, 0.25);  // AIPerf's inter_chunk_latency
  EXPECT_EQ(m.latencies.itl->count, 16);
  expect_near(m.latencies.e2e->max, 1.4);
  EXPECT_NEAR(in_seconds(m.window), 5.92, 1e-6);
  EXPECT_NEAR(in_tokens_per_second(m.output_rate), 44 / 5.92, 1e-6);
  EXPECT_EQ(m.unix_start, "2025-10-09T08:53:19Z");
  EXPECT_TRUE(m.unknown.client);
  EXPECT_FALSE(m.power_valid);
  EXPECT_TRUE(has_reason(m, "no_power"));
  EXPECT_TRUE(has_reason(m, "client_not_watched"));
}

TEST(import_aiperf, goodput_is_scored_under_the_slo_of_the_reader) {
  Slo slo;
  slo.ttft = seconds(0.35);  // from the intended time 0.12, 0.22, 0.32 and 0.42
  const auto lax = imported({kAiperfRequests}, slo);
  EXPECT_EQ(lax.front().measurement.tokens.good, 33);
  EXPECT_DOUBLE_EQ(lax.front().measurement.good_request_ratio, 0.5);
  EXPECT_FALSE(lax.front().measurement.unknown.goodput);
  slo.tpot = seconds(0.09);
  const auto strict = imported({kAiperfRequests}, slo);
  EXPECT_EQ(strict.front().measurement.tokens.good, 0);
  slo.tpot = seconds(0.1001);
  slo.itl = seconds(0.251);
  EXPECT_EQ(imported({kAiperfRequests}, slo).front().measurement.tokens.good, 33);
  slo.itl = seconds(0.249);
  EXPECT_EQ(imported({kAiperfRequests}, slo).front().measurement.tokens.good, 0);
}

TEST(import_aiperf, three_files_are_one_run_with_energy_from_the_telemetry) {
  const auto runs = imported({kAiperfTelemetry, kAiperf, kAiperfRequests});
  ASSERT_EQ(runs.size(), 1U);
  const auto& m = runs.front().measurement;
  EXPECT_EQ(m.imported_from, "AIPerf 0.13.0");
  EXPECT_EQ(m.model, "meta-llama/Llama-3.3-70B-Instruct");
  EXPECT_EQ(m.concurrency, 2);
  EXPECT_EQ(m.isl_tokens, 500);
  EXPECT_EQ(m.osl_tokens, 11);
  ASSERT_EQ(m.energy.size(), 1U);
  const auto& energy = m.energy.front();
  EXPECT_EQ(energy.account.boundary, Boundary::gpu);
  EXPECT_TRUE(energy.account.valid);
  EXPECT_TRUE(m.power_valid);
  EXPECT_EQ(energy.account.meters, 2);
  EXPECT_NEAR(energy.account.energy->in_base(), 700 * 5.92, 0.1);       // not the summary's 4400 J
  EXPECT_NEAR(energy.account.by_counter->in_base(), 700 * 5.92, 0.1);   // counters are in MJ
  EXPECT_NEAR(energy.account.by_integral->in_base(), 700 * 5.92, 0.1);  // gauges in W
  EXPECT_NEAR(energy.joules_per_output_token->value, 700 * 5.92 / 44, 0.01);
  EXPECT_NEAR(energy.joules_per_total_token->value, 700 * 5.92 / 2044, 0.001);
  EXPECT_EQ(runs.front().power.size(), 2U);
  EXPECT_EQ(runs.front().power.front().readings.size(), 18U);
}

TEST(import_aiperf, partial_telemetry_is_not_valid_when_more_gpus_are_expected) {
  const std::vector<ResultFile> files{fixture(kAiperfRequests), fixture(kAiperfTelemetry)};
  ImportRules rules;
  rules.energy.expected_gpus = 4;
  const auto runs = import_results(files, rules);
  EXPECT_FALSE(runs.front().measurement.power_valid);
  EXPECT_TRUE(has_reason(runs.front().measurement, "partial_fleet"));
  EXPECT_FALSE(runs.front().measurement.energy.front().joules_per_output_token);
}

TEST(import_aiperf, summary_alone_keeps_what_it_says_and_leaves_the_rest_unknown) {
  const auto runs = imported({kAiperf});
  const auto& m = runs.front().measurement;
  EXPECT_TRUE(m.valid);
  EXPECT_DOUBLE_EQ(in_seconds(m.window), 5.0);
  EXPECT_EQ(m.tokens.output, 44);
  EXPECT_DOUBLE_EQ(in_tokens_per_second(m.output_rate), 8.8);
  EXPECT_DOUBLE_EQ(in_tokens_per_second(*m.input_rate), 400);
  EXPECT_DOUBLE_EQ(in_seconds(m.latencies.ttft->p99), 0.397);
  EXPECT_DOUBLE_EQ(in_seconds(m.latencies.tpot->mean), 0.1);
  EXPECT_FALSE(m.latencies.ttft_from_intended);
  EXPECT_TRUE(m.unknown.goodput);
  EXPECT_TRUE(has_reason(m, "summary_only"));
  EXPECT_NEAR(m.mean_concurrency, 4 * 1.25 / 5, 1e-12);
  EXPECT_DOUBLE_EQ(m.energy.front().account.energy->in_base(), 4400);
  EXPECT_DOUBLE_EQ(m.energy.front().joules_per_output_token->value, 100);
  EXPECT_EQ(m.energy.front().account.findings.front().reason, EnergyReason::stated_by_source);
}

TEST(import_aiperf, reads_the_early_format_and_its_cancelled_run) {
  const auto runs = imported({"aiperf/early_summary.json"});
  const auto& m = runs.front().measurement;
  EXPECT_DOUBLE_EQ(in_seconds(m.latencies.ttft->p50), 0.018);
  EXPECT_DOUBLE_EQ(in_tokens_per_second(m.output_rate), 1234.5);
  EXPECT_TRUE(m.unknown.window);
  EXPECT_TRUE(m.unknown.tokens);
  EXPECT_TRUE(m.unknown.requests);
  EXPECT_FALSE(m.valid);
  EXPECT_EQ(m.end, RunEnd::interrupted);
}

TEST(import_aiperf, units_are_read_and_unknown_ones_refused) {
  const auto summary = [](const std::string& unit) {
    return R"({"output_token_throughput":{"unit":"tokens/sec","avg":5},"time_to_first_token":{"unit":")" +
           unit + R"(","avg":2,"p50":2,"p99":4}})";
  };
  const auto median = [&](const std::string& unit) {
    const std::vector<ResultFile> files{{"s.json", summary(unit)}};
    return in_seconds(import_results(files, {}).front().measurement.latencies.ttft->p50);
  };
  EXPECT_DOUBLE_EQ(median("ms"), 0.002);
  EXPECT_DOUBLE_EQ(median("s"), 2);
  EXPECT_DOUBLE_EQ(median("ns"), 2e-9);
  const auto error = import_error(summary("fortnights"));
  EXPECT_THAT(error, HasSubstr("time_to_first_token: unit"));
  EXPECT_THAT(error, HasSubstr("fortnights"));
}

TEST(import_vllm, detailed_lists_are_scored_from_the_intended_send) {
  Slo slo;
  slo.ttft = seconds(0.35);  // from the intended send 0.1, 0.2 and 0.4
  const auto runs = imported({"vllm_detailed.json"}, slo);
  const auto& m = runs.front().measurement;
  EXPECT_EQ(m.imported_from, "vLLM bench serve");
  EXPECT_EQ(m.model, "Qwen/Qwen3-8B");
  EXPECT_EQ(m.requests.sent, 4);
  EXPECT_EQ(m.requests.ok, 3);
  EXPECT_EQ(m.requests.failed_by_outcome.at("server_error"), 1);
  EXPECT_EQ(m.tokens.output, 63);
  EXPECT_EQ(m.tokens.input, 300);
  EXPECT_EQ(m.tokens.good, 42);
  EXPECT_DOUBLE_EQ(m.good_request_ratio, 0.5);
  expect_near(m.latencies.ttft->max, 0.3);  // lists are in seconds, not milliseconds
  expect_near(m.latencies.ttft_from_intended->max, 0.4);
  expect_near(m.latencies.tpot->p50, 0.05);
  expect_near(m.latencies.itl->max, 0.85);
  expect_near(m.latencies.e2e->max, 2.1);
  EXPECT_DOUBLE_EQ(in_seconds(m.window), 4);
  EXPECT_EQ(m.request_rate_per_second, 2.0);
  EXPECT_EQ(m.concurrency, 2);
  EXPECT_EQ(m.unix_start, "2026-08-19");
  EXPECT_EQ(runs.front().requests.back().detail, "ClientConnectorError: refused");
  EXPECT_FALSE(has_reason(m, "count_mismatch"));
}

TEST(import_vllm, a_summary_keeps_milliseconds_apart_from_seconds) {
  const auto runs = imported({"vllm_summary.json"});
  const auto& m = runs.front().measurement;
  EXPECT_TRUE(m.valid);
  EXPECT_DOUBLE_EQ(in_seconds(m.latencies.ttft->p50), 0.2);
  EXPECT_DOUBLE_EQ(in_seconds(m.latencies.tpot->p99), 0.0892);
  EXPECT_FALSE(m.latencies.ttft->p90);
  EXPECT_EQ(m.requests.sent, 4);
  EXPECT_TRUE(m.unknown.goodput);
  EXPECT_FALSE(m.request_rate_per_second);  // "inf"
  EXPECT_DOUBLE_EQ(in_tokens_per_second(m.output_rate), 15.75);
  EXPECT_TRUE(m.energy.empty());
}

TEST(import_vllm, appended_results_are_a_run_each) {
  const auto runs = imported({"vllm_appended.json"});
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(runs[0].measurement.concurrency, 2);
  EXPECT_EQ(runs[1].measurement.concurrency, 4);
}

TEST(import_vllm, the_raw_result_of_inferencex_says_when_it_ran) {
  const auto runs = imported({"inferencex_bmk.json"});
  const auto& m = runs.front().measurement;
  EXPECT_EQ(m.imported_from, "InferenceX benchmark_serving");
  EXPECT_EQ(m.unix_start, "2026-01-01T00:00:00Z");
  EXPECT_EQ(m.requests.failed, 1);
  EXPECT_FALSE(m.latencies.ttft_from_intended);  // no queue_times
  EXPECT_TRUE(has_reason(m, "no_intended_times"));
  EXPECT_TRUE(has_reason(m, "no_start_times"));
  expect_near(m.latencies.e2e->p50, 1.2);  // ttft + the gaps
}

TEST(import_vllm, lists_of_different_lengths_are_refused) {
  const auto error = import_error(
      R"({"completed":1,"duration":1,"request_throughput":1,"total_input_tokens":1,
          "total_output_tokens":1,"ttfts":[0.1,0.2],"itls":[[]],"errors":["",""],"output_lens":[1,1]})");
  EXPECT_THAT(error, HasSubstr("result.json: itls"));
  EXPECT_THAT(error, HasSubstr("1 elements"));
}

TEST(import_inferencex, single_node_rates_power_and_layout) {
  const auto runs = imported({"inferencex_agg.json"});
  const auto& run = runs.front();
  const auto& m = run.measurement;
  EXPECT_DOUBLE_EQ(in_tokens_per_second(m.output_rate), 1600);
  EXPECT_DOUBLE_EQ(in_tokens_per_second(*m.input_rate), 1600);
  EXPECT_DOUBLE_EQ(in_seconds(m.latencies.tpot->p50), 0.02);  // seconds: no _ms in the key
  EXPECT_TRUE(m.power_valid);
  EXPECT_DOUBLE_EQ(in_seconds(m.window), 60);  // total energy over total power
  EXPECT_DOUBLE_EQ(m.energy.front().joules_per_output_token->value, 2.5);
  EXPECT_TRUE(m.unknown.tokens);
  ASSERT_TRUE(run.deployment);
  EXPECT_EQ(run.deployment->layout.num_gpus, 8);
  EXPECT_EQ(run.deployment->accelerator, "h200");
  EXPECT_EQ(run.deployment->engine, "sglang");
}

TEST(import_inferencex, decode_gpus_carry_the_output_rate_and_old_power_is_not_trusted) {
  const auto runs = imported({"inferencex_disagg.json"});
  const auto& m = runs.front().measurement;
  EXPECT_DOUBLE_EQ(in_tokens_per_second(m.output_rate), 8 * 1750);
  EXPECT_DOUBLE_EQ(in_tokens_per_second(*m.input_rate), 28 * 1000 - 8 * 1750);
  EXPECT_FALSE(m.power_valid);
  EXPECT_TRUE(has_reason(m, "power_not_validated"));
  EXPECT_FALSE(m.energy.front().joules_per_output_token);
  EXPECT_TRUE(m.unknown.window);
  EXPECT_EQ(runs.front().deployment->layout.prefill_gpus, 20);
  EXPECT_EQ(runs.front().deployment->serving, inference::Serving::disaggregated);
}

TEST(import_results, says_what_is_no_result) {
  EXPECT_THAT(import_error(""), HasSubstr("result.json: is empty"));
  EXPECT_THAT(import_error("{\"a\": 1}"), HasSubstr("is no result of AIPerf"));
  EXPECT_THAT(import_error("{\"a\": "), HasSubstr("is no JSON"));
  EXPECT_THAT(import_error("{\"hw\":\"h200\",\"tput_per_gpu\":1}"), HasSubstr("lacks 'precision'"));
  const auto two = fixture(kAiperf);
  const std::vector<ResultFile> files{two, two};
  EXPECT_THAT(error_of([&] { (void)import_results(files, {}); }), HasSubstr("second summary"));
  const std::vector<ResultFile> telemetry{fixture(kAiperfTelemetry)};
  EXPECT_THAT(error_of([&] { (void)import_results(telemetry, {}); }),
              HasSubstr("GPU telemetry alone"));
}

TEST(import_results, every_imported_measurement_survives_its_file) {
  for (const auto* name :
       {"aiperf/profile_export_aiperf.json", "aiperf/profile_export.jsonl",
        "aiperf/early_summary.json", "vllm_detailed.json", "vllm_summary.json",
        "inferencex_agg.json", "inferencex_disagg.json", "inferencex_bmk.json"}) {
    const auto text = format_measurement(imported({name}).front().measurement);
    EXPECT_EQ(format_measurement(parse_measurement(text, name)), text) << name;
  }
}

}  // namespace
}  // namespace perwatt::measure
