#include "perwatt/inference/import.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "shipped_catalog.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"

namespace perwatt::inference {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const std::string kImportData = PERWATT_SOURCE_DIR "/tests/data/import";
const std::string kV2File = kImportData +
                            "/mlenergy/llm_text_generation/chat/A100-SXM4-40GB/google/"
                            "gemma-2-2b-it/bs128+tp1+pp1.json";

constexpr const char* kConfigHeader =
    "id,hardware,framework,model,precision,spec_method,disagg,is_multinode,prefill_tp,prefill_ep,"
    "prefill_dp_attention,prefill_num_workers,decode_tp,decode_ep,decode_dp_attention,"
    "decode_num_workers,num_prefill_gpu,num_decode_gpu\n";
constexpr const char* kAggregated = "7,b200,sglang,dsr1,fp4,none,f,f,4,4,f,0,4,4,f,0,16,16\n";
constexpr const char* kDisaggregated = "7,b200,dynamo-trt,dsr1,fp4,mtp,t,t,4,4,t,1,8,8,f,2,4,16\n";

/// One line of benchmark_results_raw.csv.
struct BenchmarkRun {
  std::string id = "1";
  std::string metrics = R"({"tput_per_gpu": 80})";
  std::string date = "2026-06-11";
  std::string config_id = "7";
  std::string type = "single_turn";
  std::string isl = "1024";
  std::string osl = "1024";
  std::string concurrency = "4";
  std::string error;
  std::string offload_mode = "off";
};

PointTable import_runs(const std::vector<BenchmarkRun>& runs,
                       const std::string& config = kAggregated) {
  std::string results =
      "id,config_id,benchmark_type,date,isl,osl,conc,metrics,error,offload_mode,new_column\n";
  for (const auto& run : runs) {
    results += csv_line({run.id, run.config_id, run.type, run.date, run.isl, run.osl,
                         run.concurrency, run.metrics, run.error, run.offload_mode, "x"});
  }
  return import_inferencex(kConfigHeader + config, "configs.csv", results, "results.csv",
                           shipped_catalog(), {});
}

PointTable import_metrics(const std::string& metrics, const std::string& config = kAggregated) {
  BenchmarkRun run;
  run.metrics = metrics;
  return import_runs({run}, config);
}

/// The only rejected row as "where: reason"; empty if there are points or more rejected rows.
std::string only_rejection(const PointTable& table) {
  if (!table.points.empty() || table.rejected.size() != 1) {
    return "";
  }
  return table.rejected[0].where + ": " + table.rejected[0].reason;
}

PointTable import_folder() {
  return import_inferencex_folder(kImportData + "/inferencex", shipped_catalog(), {});
}

const MeasuredPoint& point_read_at(const PointTable& table, const std::string& place) {
  for (const auto& point : table.points) {
    if (point.read_at.ends_with(place)) {
      return point;
    }
  }
  throw Error{ErrorCode::internal_error, "no point was read at " + place, "", ""};
}

std::string bad_input_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "no error";
}

TEST(ImportInferencex, aggregated_run_has_the_gpus_of_tensor_parallelism) {
  const auto point = point_read_at(import_folder(), "raw.csv:2");
  EXPECT_EQ(point.source, "inferencex-dump");
  EXPECT_EQ(point.accelerator, "b200");
  EXPECT_EQ(point.model, "deepseek-r1");
  EXPECT_EQ(point.engine, "sglang");
  EXPECT_EQ(point.serving, Serving::aggregated);
  EXPECT_EQ(point.layout.num_gpus, 4);
  EXPECT_EQ(point.layout.prefill_gpus, std::nullopt);
  EXPECT_EQ(point.layout.prefill_ep, 4);
  EXPECT_EQ(point.layout.decode_dp_attention, false);
  EXPECT_EQ(to_string(point.workload), "1024/1024");
  EXPECT_EQ(point.concurrency, 1);
  EXPECT_EQ(point.date, "2026-06-11");
  EXPECT_EQ(point.total_per_gpu, tokens_per_second(79.58033287588));
  EXPECT_EQ(point.output_per_gpu, tokens_per_second(39.81));
  EXPECT_FALSE(point.output_is_derived);
  EXPECT_EQ(point.gpu_power, watts(491.7));
  EXPECT_EQ(point.joules_per_output_token, joules_per_token(12.3546));
  EXPECT_EQ(point.joules_per_total_token, joules_per_token(6.18));
  EXPECT_EQ(point.ttft_median, seconds(0.0911));
  EXPECT_EQ(point.ttft_p99, seconds(0.2));
  EXPECT_EQ(point.tpot_median, seconds(0.00610028));
}

TEST(ImportInferencex, disaggregated_output_is_renormalised_to_all_gpus) {
  const auto point = point_read_at(import_folder(), "raw.csv:6");
  EXPECT_EQ(point.engine, "dynamo-trtllm");
  EXPECT_EQ(point.serving, Serving::disaggregated);
  EXPECT_EQ(point.layout.num_gpus, 14);
  EXPECT_EQ(point.layout.prefill_gpus, 6);
  EXPECT_EQ(point.layout.decode_gpus, 8);
  EXPECT_EQ(point.layout.prefill_dp_attention, true);
  EXPECT_EQ(point.total_per_gpu, tokens_per_second(14773.406591974772));
  EXPECT_DOUBLE_EQ(in_tokens_per_second(*point.output_per_gpu), 12950.0 * 8 / 14);
  EXPECT_EQ(point.e2e_median, seconds(52.25));
  EXPECT_EQ(point.prefill_gpu_power, watts(812.25));
  EXPECT_EQ(point.decode_gpu_power, watts(741.5));
}

TEST(ImportInferencex, run_without_output_rate_leaves_it_derived) {
  const auto point = point_read_at(import_folder(), "raw.csv:7");
  EXPECT_EQ(point.engine, "trtllm");
  EXPECT_EQ(point.model, "llama-3.3-70b");
  EXPECT_EQ(point.layout.num_gpus, 2);
  EXPECT_TRUE(point.output_is_derived);
}

TEST(ImportInferencex, aggregated_run_over_nodes_does_not_count_gpus_twice) {
  const auto point = point_read_at(import_folder(), "raw.csv:8");
  EXPECT_EQ(point.serving, Serving::aggregated);
  EXPECT_EQ(point.layout.num_gpus, 16);
  EXPECT_EQ(point.layout.prefill_tp, 16);
  EXPECT_EQ(point.layout.decode_tp, std::nullopt);
  EXPECT_EQ(point.layout.decode_dp_attention, std::nullopt);
  EXPECT_EQ(point.output_per_gpu, tokens_per_second(246.1));
}

TEST(ImportInferencex, rows_that_cannot_be_used_are_rejected_with_place_and_reason) {
  const auto table = import_folder();
  EXPECT_EQ(table.points.size(), 4U);
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"raw.csv:3: error", "the run failed: 'timeout: said \"no\", line1\\x0aline2'"},
      {"raw.csv:5: benchmark_type", "'agentic_traces'"},
      {"raw.csv:9: config_id", "configs.csv:4: disagg"},
      {"raw.csv:10: config_id", "'frontier-9000' is no model of the catalog; add it to a catalog"},
      {"raw.csv:11: config_id", "configs.csv:8: precision: is 'int4'"},
      {"raw.csv:12: config_id", "'999', which no row of configs.csv has"}};
  ASSERT_EQ(table.rejected.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_THAT(table.rejected[i].where, HasSubstr(expected[i].first));
    EXPECT_THAT(table.rejected[i].reason, HasSubstr(expected[i].second));
  }
}

TEST(ImportInferencex, what_is_imported_reads_back) {
  const auto imported = import_folder().points;
  const auto again = parse_points(format_points(imported), "again.csv", shipped_catalog());
  EXPECT_TRUE(again.rejected.empty());
  ASSERT_EQ(again.points.size(), imported.size());
  for (std::size_t i = 0; i < imported.size(); ++i) {
    EXPECT_EQ(identity(again.points[i]), identity(imported[i]));
  }
}

TEST(ImportInferencex, second_import_adds_no_duplicates) {
  const auto first = import_folder().points;
  std::size_t replaced = 0;
  const auto merged = merge_points(first, import_folder().points, replaced);
  EXPECT_EQ(merged.size(), first.size());
  EXPECT_EQ(replaced, first.size());
}

TEST(ImportInferencex, null_length_is_rejected_and_not_zero) {
  BenchmarkRun run;
  run.isl = "";
  EXPECT_THAT(only_rejection(import_runs({run})), HasSubstr("results.csv:2: isl: is ''"));
}

TEST(ImportInferencex, repeats_of_one_date_become_their_median) {
  std::vector<BenchmarkRun> runs;
  for (const char* rate : {"70", "100", "80", "90"}) {
    BenchmarkRun run;
    run.id = std::to_string(runs.size() + 1);
    run.metrics = std::string{R"({"median_tpot": 0.01, "tput_per_gpu": )"} + rate + "}";
    runs.push_back(run);
  }
  runs.back().date = "2026-06-12";
  const auto table = import_runs(runs);
  ASSERT_EQ(table.points.size(), 2U);
  EXPECT_EQ(table.points[0].total_per_gpu, tokens_per_second(80));
  EXPECT_EQ(table.points[0].date, "2026-06-11");
  EXPECT_EQ(table.points[0].read_at, "results.csv:2");
  EXPECT_EQ(table.points[1].total_per_gpu, tokens_per_second(90));
}

TEST(ImportInferencex, runs_without_energy_do_not_shift_the_rate_of_those_with) {
  BenchmarkRun measured;
  measured.metrics =
      R"({"avg_power_w": 500, "tput_per_gpu": 100, "output_tput_per_gpu": 50,
          "joules_per_output_token": 10})";
  BenchmarkRun unmeasured;
  unmeasured.id = "2";
  unmeasured.metrics = R"({"tput_per_gpu": 200, "output_tput_per_gpu": 100})";
  const auto table = import_runs({measured, unmeasured});
  ASSERT_EQ(table.points.size(), 1U);
  EXPECT_EQ(table.points[0].total_per_gpu, tokens_per_second(100));
  EXPECT_EQ(table.points[0].gpu_power, watts(500));
}

TEST(ImportInferencex, refused_power_is_dropped_and_the_rates_stay) {
  const auto table = import_metrics(
      R"({"power_valid": 0, "avg_power_w": 500, "tput_per_gpu": 100, "output_tput_per_gpu": 50,
          "joules_per_output_token": 10, "joules_per_total_token": 5, "prefill_avg_power_w": 1,
          "decode_avg_power_w": 2})");
  ASSERT_EQ(table.points.size(), 1U);
  EXPECT_EQ(table.points[0].total_per_gpu, tokens_per_second(100));
  EXPECT_EQ(table.points[0].gpu_power, std::nullopt);
  EXPECT_EQ(table.points[0].joules_per_output_token, std::nullopt);
  EXPECT_EQ(table.points[0].joules_per_total_token, std::nullopt);
  EXPECT_EQ(table.points[0].prefill_gpu_power, std::nullopt);
  EXPECT_EQ(table.points[0].decode_gpu_power, std::nullopt);
}

TEST(ImportInferencex, disaggregated_energy_needs_schema_version_2) {
  const std::string energy =
      R"("tput_per_gpu": 100, "output_tput_per_gpu": 62.5, "avg_power_w": 500,
         "joules_per_output_token": 10, "decode_avg_power_w": 480})";
  const auto early = import_metrics("{" + energy, kDisaggregated);
  ASSERT_EQ(early.points.size(), 1U);
  EXPECT_EQ(early.points[0].gpu_power, std::nullopt);
  EXPECT_EQ(early.points[0].joules_per_output_token, std::nullopt);
  EXPECT_EQ(early.points[0].decode_gpu_power, watts(480));

  const auto whole = import_metrics(
      R"({"power_valid": 1, "power_metric_schema_version": 2, )" + energy, kDisaggregated);
  ASSERT_EQ(whole.points.size(), 1U);
  EXPECT_EQ(whole.points[0].gpu_power, watts(500));
  EXPECT_EQ(whole.points[0].output_per_gpu, tokens_per_second(50));
}

TEST(ImportInferencex, pipeline_and_context_parallelism_multiply_the_gpus) {
  const auto table = import_metrics(R"({"pp": 2, "pcp_size": 3, "tput_per_gpu": 80})");
  ASSERT_EQ(table.points.size(), 1U);
  EXPECT_EQ(table.points[0].layout.num_gpus, 24);
}

TEST(ImportInferencex, zero_and_null_readings_are_missing) {
  const auto table = import_metrics(
      R"({"tput_per_gpu": 80, "avg_power_w": 0, "median_ttft": null, "p99_tpot": 0})");
  ASSERT_EQ(table.points.size(), 1U);
  EXPECT_EQ(table.points[0].gpu_power, std::nullopt);
  EXPECT_EQ(table.points[0].ttft_median, std::nullopt);
  EXPECT_EQ(table.points[0].tpot_p99, std::nullopt);
}

TEST(ImportInferencex, faulty_metrics_reject_the_row) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"tput_per_gpu": "NaN"})", "tput_per_gpu is 'NaN'; it must be a number"},
      {R"({"tput_per_gpu": -1})", "tput_per_gpu is '-1'"},
      {R"({"tput_per_gpu": 0})", "tput_per_gpu is missing or 0"},
      {R"({"tput_per_gpu": 1000000000000000000000})", "tput_per_gpu is '1e+21'"},
      {R"({"tput_per_gpu": 1e999})", "byte 22 is no JSON"},
      {R"({"tput_per_gpu": [80]})", "tput_per_gpu is of type array"},
      {R"({"tput_per_gpu": 80, "avg_power_w": -5})", "avg_power_w is '-5'"},
      {R"({"tput_per_gpu": 80, "avg_power_w": 1200000})", "avg_power_w is '1200000'"},
      {R"({"tput_per_gpu": 80, "pp": 1.5})", "pp is '1.5'; it must be a whole number"},
      {R"({"tput_per_gpu": 80, "pp": 10000000})", "pp gives 40000000 GPUs"},
      {R"({"tput_per_gpu": 80, "power_valid": "yes"})", "power_valid is 'yes'"},
      {R"([1])", "is '[1]'; it must be a JSON object"},
      {R"({"tput_per_gpu": 80)", "byte 20 is no JSON"},
      {"", "byte 1 is no JSON"}};
  for (const auto& [metrics, reason] : cases) {
    const auto rejection = only_rejection(import_metrics(metrics));
    EXPECT_THAT(rejection, HasSubstr("results.csv:2: metrics: "));
    EXPECT_THAT(rejection, HasSubstr(reason));
  }
}

TEST(ImportInferencex, checks_of_the_schema_hold) {
  EXPECT_THAT(only_rejection(import_metrics(
                  R"({"avg_power_w": 500, "tput_per_gpu": 100, "output_tput_per_gpu": 50,
                      "joules_per_output_token": 5})")),
              HasSubstr("results.csv:2: joules_per_output_token: "));
  EXPECT_THAT(only_rejection(import_metrics(R"({"avg_power_w": 8000, "tput_per_gpu": 100})")),
              HasSubstr("results.csv:2: gpu_power_watts: is 8000 W per GPU, more than 1.5 x"));
}

TEST(ImportInferencex, faulty_fields_reject_the_row) {
  const auto rejection = [](auto&& change) {
    BenchmarkRun run;
    change(run);
    return only_rejection(import_runs({run}));
  };
  EXPECT_THAT(rejection([](BenchmarkRun& r) { r.concurrency = "0"; }), HasSubstr("conc: is '0'"));
  EXPECT_THAT(rejection([](BenchmarkRun& r) { r.concurrency = "99999999999999999999"; }),
              HasSubstr("conc: is '99999999999999999999'"));
  EXPECT_THAT(rejection([](BenchmarkRun& r) { r.osl = "-1"; }), HasSubstr("osl: is '-1'"));
  EXPECT_THAT(rejection([](BenchmarkRun& r) { r.date = "11.06.2026"; }),
              HasSubstr("date: is '11.06.2026'"));
  EXPECT_THAT(rejection([](BenchmarkRun& r) { r.date = "2026-13-01"; }), HasSubstr("date: is"));
  EXPECT_THAT(rejection([](BenchmarkRun& r) { r.id = "x"; }), HasSubstr("id: is 'x'"));
  EXPECT_THAT(rejection([](BenchmarkRun& r) { r.config_id = ""; }), HasSubstr("config_id: is ''"));
  EXPECT_THAT(rejection([](BenchmarkRun& r) { r.offload_mode = "on"; }),
              HasSubstr("offload_mode: is 'on'"));
}

TEST(ImportInferencex, takes_whole_numbers_and_flags_as_data_frames_write_them) {
  BenchmarkRun run;
  run.isl = "1024.0";
  run.config_id = "7.0";
  const auto table =
      import_runs({run}, "7,b200,sglang,dsr1,fp4,none,False,False,4,4,True,0,4.0,4,true,0,16,16\n");
  ASSERT_EQ(table.points.size(), 1U);
  EXPECT_EQ(table.points[0].workload.isl_tokens, 1024);
  EXPECT_EQ(table.points[0].layout.decode_dp_attention, true);
}

TEST(ImportInferencex, repeated_row_id_is_rejected) {
  const auto table = import_runs({BenchmarkRun{}, BenchmarkRun{}});
  EXPECT_EQ(table.points.size(), 1U);
  ASSERT_EQ(table.rejected.size(), 1U);
  EXPECT_EQ(table.rejected[0].where, "results.csv:3: id");
}

TEST(ImportInferencex, configurations_with_one_identity_do_not_replace_each_other) {
  BenchmarkRun other;
  other.id = "2";
  other.config_id = "8";
  const auto table = import_runs(
      {BenchmarkRun{}, other},
      std::string{kAggregated} + "8,b200,sglang,dsr1,fp4,none,f,f,4,4,f,0,4,4,f,0,4,4\n");
  EXPECT_EQ(table.points.size(), 1U);
  ASSERT_EQ(table.rejected.size(), 1U);
  EXPECT_THAT(table.rejected[0].reason, HasSubstr("as results.csv:2, which was taken"));
}

TEST(ImportInferencex, configuration_faults_name_their_place) {
  const auto rejection = [](const std::string& config) {
    return only_rejection(import_runs({BenchmarkRun{}}, config));
  };
  EXPECT_THAT(rejection("7,h100x,vllm,dsr1,fp8,none,f,f,8,1,f,0,8,1,f,0,8,8\n"),
              HasSubstr("configs.csv:2: hardware: 'h100x' is no accelerator of the catalog"));
  EXPECT_THAT(rejection("7,b200,vllm,dsr1,fp8,none,maybe,f,8,1,f,0,8,1,f,0,8,8\n"),
              HasSubstr("configs.csv:2: disagg: is 'maybe'; it must be t or f"));
  EXPECT_THAT(rejection("7,b200,vllm,dsr1,fp8,none,f,f,-8,1,f,0,8,1,f,0,8,8\n"),
              HasSubstr("configs.csv:2: prefill_tp: is '-8'"));
  EXPECT_THAT(rejection("7,b200,vllm,dsr1,fp8,none,f,f,0,1,f,0,0,1,f,0,8,8\n"),
              HasSubstr("configs.csv:2: decode_tp: is 0"));
  EXPECT_THAT(rejection("7,b200,vllm,dsr1,fp8,none,f,t,8,1,f,0,8,1,f,0,0,8\n"),
              HasSubstr("configs.csv:2: num_prefill_gpu: is '0'"));
  EXPECT_THAT(rejection("7,b200,,dsr1,fp8,none,f,f,8,1,f,0,8,1,f,0,8,8\n"),
              HasSubstr("configs.csv:2: framework: is missing"));
}

TEST(ImportInferencex, broken_files_are_errors) {
  const auto error_of = [](const std::string& configs, const std::string& results) {
    return bad_input_of([&] {
      static_cast<void>(
          import_inferencex(configs, "configs.csv", results, "results.csv", shipped_catalog(), {}));
    });
  };
  const std::string configs = std::string{kConfigHeader} + kAggregated;
  EXPECT_THAT(error_of("id,hardware\n1,b200\n", ""), HasSubstr("configs.csv:1: the column"));
  EXPECT_THAT(error_of(configs + kAggregated, ""), HasSubstr("configs.csv:3: the id 7 is there"));
  EXPECT_THAT(error_of(std::string{kConfigHeader} + "x" + kAggregated, ""),
              HasSubstr("configs.csv:2: id: is 'x7'"));
  EXPECT_THAT(error_of(configs, "id,config_id\n"), HasSubstr("'benchmark_type' is missing"));
  EXPECT_THAT(error_of(configs, "id,hardware,metrics_tput_per_gpu\n"), HasSubstr("flattened"));
  EXPECT_THAT(error_of(configs, "PGDMP\x01\x0e"), HasSubstr("PostgreSQL dump"));
  EXPECT_THAT(error_of(configs, "\x28\xB5\x2F\xFD x"), HasSubstr("zstd-compressed"));
  EXPECT_THAT(error_of(configs, "PK\x03\x04zip"), HasSubstr("ZIP archive"));
  EXPECT_THAT(error_of(configs, "[\n{\"id\": 1}\n]\n"), HasSubstr("JSON table"));
  EXPECT_THAT(error_of("[]", ""), HasSubstr("configs.csv: the file is a JSON table, not CSV"));
}

TEST(ImportInferencex, folder_faults_say_what_was_found) {
  const auto error_of = [](const fs::path& folder) {
    return bad_input_of(
        [&] { static_cast<void>(import_inferencex_folder(folder, shipped_catalog(), {})); });
  };
  const fs::path folder = fs::path{testing::TempDir()} / "perwatt_import_test";
  fs::remove_all(folder);
  EXPECT_THAT(error_of(folder), HasSubstr("no such folder"));
  fs::create_directory(folder);
  EXPECT_THAT(error_of(folder), HasSubstr("the folder has no configs.csv; export the tables"));
  const auto part = folder / "inferencex-2026-07-20.dump.zst.part00";
  std::ofstream{part} << "\x28\xB5\x2F\xFD and more";
  EXPECT_THAT(error_of(folder), HasSubstr("part00' in it is zstd-compressed"));
  EXPECT_THAT(error_of(part), HasSubstr("zstd-compressed"));
  fs::remove_all(folder);
}

TEST(ImportInferencex, progress_rises_to_one_in_steps_of_a_hundredth) {
  std::vector<BenchmarkRun> runs(1000);
  std::string results = "id,config_id,benchmark_type,date,isl,osl,conc,metrics,error\n";
  for (std::size_t i = 0; i < runs.size(); ++i) {
    results += csv_line({std::to_string(i), "7", "single_turn", "2026-06-11", "1024", "1024",
                         std::to_string(i + 1), runs[i].metrics, ""});
  }
  std::vector<double> shares;
  const auto table = import_inferencex(std::string{kConfigHeader} + kAggregated, "c", results, "r",
                                       shipped_catalog(), [&](double s) { shares.push_back(s); });
  EXPECT_EQ(table.points.size(), runs.size());
  ASSERT_EQ(shares.size(), 101U);
  EXPECT_EQ(shares.front(), 0.0);
  EXPECT_EQ(shares.back(), 1.0);
  EXPECT_TRUE(std::is_sorted(shares.begin(), shares.end()));
}

PointTable import_v3_file() {
  return import_mlenergy(read_file(kImportData + "/mlenergy/v3_task.json"), "v3_task.json",
                         shipped_catalog());
}

std::string v3_file(const std::string& row) {
  return R"({"configurations": [)" + row + R"(], "task": "gpqa"})";
}

constexpr const char* kV3Row =
    R"({"gpu_model": "H100", "model_id": "Qwen/Qwen3-14B", "weight_precision": "bfloat16",
        "num_gpus": 1, "tensor_parallel": 1, "data_parallel": 2, "max_num_seqs": 16,
        "avg_output_len": 100.5, "output_throughput_tokens_per_sec": 1000,
        "avg_power_watts": 500, "energy_per_token_joules": 0.5, "median_itl_ms": 20})";

std::string changed(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

TEST(ImportMlenergy, v3_row_of_one_gpu) {
  const auto table = import_v3_file();
  EXPECT_TRUE(table.rejected.empty());
  ASSERT_EQ(table.points.size(), 2U);
  const auto& point = table.points[0];
  EXPECT_EQ(point.source, "mlenergy-v3");
  EXPECT_EQ(point.accelerator, "h100");
  EXPECT_EQ(point.model, "qwen3-14b");
  EXPECT_EQ(point.precision, "bf16");
  EXPECT_EQ(point.engine, "vllm");
  EXPECT_EQ(point.workload.task, "gpqa");
  EXPECT_EQ(point.workload.osl_tokens, std::nullopt);
  EXPECT_EQ(point.mean_output_tokens, 7432.025252525253);
  EXPECT_EQ(point.concurrency, 16);
  EXPECT_EQ(point.tpot_median, seconds(17.340729013085365e-3));
  EXPECT_EQ(point.layout.decode_dp_attention, std::nullopt);
}

TEST(ImportMlenergy, v3_rates_and_power_are_divided_by_the_gpus) {
  const auto point = import_v3_file().points.at(1);
  EXPECT_EQ(point.precision, "mxfp4");
  EXPECT_EQ(point.layout.num_gpus, 2);
  EXPECT_EQ(point.layout.decode_tp, 2);
  EXPECT_NEAR(in_watts(*point.gpu_power), 569.476, 1e-3);
  EXPECT_NEAR(in_tokens_per_second(*point.output_per_gpu), 5969.34, 1e-2);
  EXPECT_EQ(point.joules_per_output_token, joules_per_token(0.0954002));
  EXPECT_NEAR(in_seconds(*point.tpot_p99), 0.114618, 1e-9);
}

TEST(ImportMlenergy, v2_point_takes_its_task_from_the_path) {
  const auto table = import_mlenergy(read_file(kV2File), kV2File, shipped_catalog());
  EXPECT_TRUE(table.rejected.empty());
  ASSERT_EQ(table.points.size(), 1U);
  const auto& point = table.points[0];
  EXPECT_EQ(point.source, "mlenergy-v2");
  EXPECT_EQ(point.accelerator, "a100-40gb");
  EXPECT_EQ(point.model, "gemma-2-2b");
  EXPECT_EQ(point.precision, "bf16");
  EXPECT_EQ(point.workload.task, "llm_text_generation/chat");
  EXPECT_EQ(point.concurrency, 128);
  EXPECT_EQ(point.tpot_median, seconds(0.06883843431885941));
  EXPECT_NEAR(in_tokens_per_second(*point.output_per_gpu), 1761.89, 0.01);
  EXPECT_NEAR(in_joules_per_token(*point.joules_per_output_token), 0.09011, 1e-6);
  EXPECT_TRUE(point.power_is_derived);
}

TEST(ImportMlenergy, v2_gpus_are_tensor_times_pipeline_parallelism) {
  auto text = read_file(kV2File);
  text = changed(text, R"("TP": 1)", R"("TP": 8)");
  text = changed(text, R"("PP": 1)", R"("PP": 2)");
  text = changed(text, "NVIDIA A100-SXM4-40GB", "NVIDIA H100 80GB HBM3");
  const auto table = import_mlenergy(text, kV2File, shipped_catalog());
  ASSERT_EQ(table.points.size(), 1U);
  EXPECT_EQ(table.points[0].accelerator, "h100");
  EXPECT_EQ(table.points[0].layout.num_gpus, 16);
  EXPECT_EQ(table.points[0].layout.decode_tp, 8);
  EXPECT_NEAR(in_tokens_per_second(*table.points[0].output_per_gpu), 1761.8863 / 16, 1e-3);
}

TEST(ImportMlenergy, v2_without_task_in_the_path_is_rejected) {
  EXPECT_THAT(only_rejection(import_mlenergy(read_file(kV2File), "bs128.json", shipped_catalog())),
              HasSubstr("bs128.json: the path does not say the task"));
}

TEST(ImportMlenergy, v2_faults_name_the_key) {
  const auto rejection = [](const std::string& from, const std::string& to) {
    return only_rejection(
        import_mlenergy(changed(read_file(kV2File), from, to), kV2File, shipped_catalog()));
  };
  EXPECT_THAT(rejection(R"("TP": 1)", R"("TP": 0)"), HasSubstr(".json: TP: is '0'"));
  EXPECT_THAT(rejection(R"("PP": 1)", R"("PP": null)"), HasSubstr(".json: PP: is missing"));
  EXPECT_THAT(rejection("A100-SXM4-40GB", "A100 80GB PCIe"),
              HasSubstr("GPU: 'A100 80GB PCIe' is no accelerator"));
  EXPECT_THAT(rejection("484.5048", "0"), HasSubstr("Avg Output Tokens: is '0'"));
}

TEST(ImportMlenergy, v3_faults_name_row_and_key) {
  const auto rejection = [](const std::string& from, const std::string& to) {
    return only_rejection(
        import_mlenergy(v3_file(changed(kV3Row, from, to)), "t.json", shipped_catalog()));
  };
  EXPECT_THAT(rejection("energy_per_token_joules", "energy_per_image_joules"),
              HasSubstr("t.json: configurations[0]: energy_per_token_joules: is missing"));
  EXPECT_THAT(rejection(R"("H100")", R"("X1")"), HasSubstr("gpu_model: 'X1' is no accelerator"));
  EXPECT_THAT(rejection("bfloat16", "int4"), HasSubstr("weight_precision: is 'int4'"));
  EXPECT_THAT(rejection("1000", "\"NaN\""), HasSubstr("tokens_per_sec: is 'NaN'"));
  EXPECT_THAT(rejection("1000", "1000000000000000000000"), HasSubstr("is '1e+21'"));
  EXPECT_THAT(rejection("500", "-500"), HasSubstr("avg_power_watts: is '-500'"));
  EXPECT_THAT(rejection("500", "400"), HasSubstr("joules_per_output_token: "));
  EXPECT_THAT(rejection(": 16,", ": 16.5,"), HasSubstr("max_num_seqs: is '16.5'"));
  EXPECT_THAT(rejection("\"num_gpus\": 1", "\"num_gpus\": true"), HasSubstr("is of type boolean"));
  EXPECT_THAT(only_rejection(import_mlenergy(v3_file("7"), "t.json", shipped_catalog())),
              HasSubstr("holds a value that is no object"));
}

TEST(ImportMlenergy, v3_data_parallelism_is_not_attention_parallelism) {
  const auto table = import_mlenergy(v3_file(kV3Row), "t.json", shipped_catalog());
  ASSERT_EQ(table.points.size(), 1U);
  EXPECT_EQ(table.points[0].layout.decode_dp_attention, std::nullopt);
}

TEST(ImportMlenergy, v3_repeated_row_is_taken_once) {
  const auto table =
      import_mlenergy(v3_file(std::string{kV3Row} + "," + kV3Row), "t.json", shipped_catalog());
  EXPECT_EQ(table.points.size(), 1U);
  ASSERT_EQ(table.rejected.size(), 1U);
  EXPECT_THAT(table.rejected[0].where, HasSubstr("configurations[1]"));
}

TEST(ImportMlenergy, second_import_adds_no_duplicates) {
  const auto first = import_v3_file().points;
  std::size_t replaced = 0;
  EXPECT_EQ(merge_points(first, import_v3_file().points, replaced).size(), first.size());
  EXPECT_EQ(replaced, first.size());
}

TEST(ImportMlenergy, what_is_imported_reads_back) {
  auto points = import_v3_file().points;
  points.push_back(import_mlenergy(read_file(kV2File), kV2File, shipped_catalog()).points.at(0));
  const auto again = parse_points(format_points(points), "again.csv", shipped_catalog());
  EXPECT_TRUE(again.rejected.empty());
  EXPECT_EQ(again.points.size(), points.size());
}

TEST(ImportMlenergy, broken_files_are_errors) {
  const auto error_of = [](const std::string& text) {
    return bad_input_of(
        [&] { static_cast<void>(import_mlenergy(text, "t.json", shipped_catalog())); });
  };
  EXPECT_THAT(error_of(""), HasSubstr("t.json: byte 1 is no JSON"));
  EXPECT_THAT(error_of(R"({"task": )"), HasSubstr("byte 10 is no JSON"));
  EXPECT_THAT(error_of("{\"task\": \"\xFF\"}"), HasSubstr("is no JSON"));
  EXPECT_THAT(error_of(R"({"task": 1e999})"), HasSubstr("is no JSON"));
  EXPECT_THAT(error_of(std::string(200000, '[')), HasSubstr("is no JSON"));
  EXPECT_THAT(error_of("[]"), HasSubstr("neither 'configurations' nor 'Energy/req (J)'"));
  EXPECT_THAT(error_of(R"({"tasks": {}})"), HasSubstr("neither"));
  EXPECT_THAT(error_of(R"({"configurations": {}, "task": "gpqa"})"), HasSubstr("is no array"));
  EXPECT_THAT(error_of(R"({"configurations": []})"), HasSubstr("'task' is no text"));
  EXPECT_THAT(error_of(R"({"configurations": [], "task": "gpqa", "model_id": "m"})"),
              HasSubstr("per-model file"));
}

}  // namespace
}  // namespace perwatt::inference
