// One measured serving point: a deployment at one load, as a public benchmark or the user measured
// it.
#pragma once

#include <compare>
#include <optional>
#include <string>

#include "perwatt/base/tag.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::inference {

/// How a deployment lays a model over GPUs. Absent: the source does not say.
struct Layout {
  int num_gpus = 0;  // all GPUs of the deployment
  std::optional<int> prefill_gpus;
  std::optional<int> decode_gpus;
  std::optional<int> prefill_tp;
  std::optional<int> prefill_ep;
  std::optional<bool> prefill_dp_attention;
  std::optional<int> decode_tp;
  std::optional<int> decode_ep;
  std::optional<bool> decode_dp_attention;

  auto operator<=>(const Layout&) const = default;
};

/// What is asked of the deployment: nominal token lengths, or a named data set.
struct Workload {
  std::optional<int> isl_tokens;  // input tokens per request, nominal
  std::optional<int> osl_tokens;  // output tokens per request, nominal; absent with a task
  std::string task;               // empty when lengths are given

  auto operator<=>(const Workload&) const = default;
};

/// "8192/1024" or the task's name.
[[nodiscard]] std::string to_string(const Workload& workload);

enum class Serving { aggregated, disaggregated };

[[nodiscard]] const char* to_string(Serving serving);

struct MeasuredPoint {
  std::string source;       // "inferencex", "mlenergy-v3", …
  std::string accelerator;  // catalog id
  std::string model;        // catalog id
  std::string precision;    // of the weights: bf16, fp8, fp4, mxfp4
  std::string engine;
  std::string spec_decode;  // "none" or the method
  Serving serving = Serving::aggregated;
  Layout layout;
  Workload workload;
  std::optional<double> mean_output_tokens;  // measured mean of a task's answers
  std::optional<int> concurrency;
  std::optional<double> mean_batch_size;

  // Rates are over all GPUs of the deployment.
  std::optional<TokensPerSecond> total_per_gpu;
  std::optional<TokensPerSecond> output_per_gpu;
  std::optional<TokensPerSecond> interactivity;  // output tokens/s of one user = 1/TPOT (median)
  std::optional<Seconds> ttft_median;
  std::optional<Seconds> ttft_p99;
  std::optional<Seconds> tpot_median;
  std::optional<Seconds> tpot_p99;
  std::optional<Seconds> e2e_median;

  // GPU boards, mean over the whole deployment, prefill included.
  std::optional<Watts> gpu_power;
  std::optional<JoulesPerToken> joules_per_output_token;
  std::optional<JoulesPerToken> joules_per_total_token;
  std::optional<Watts> prefill_gpu_power;
  std::optional<Watts> decode_gpu_power;

  std::string date;  // YYYY-MM-DD of the run, empty when unknown: stands for the software version
  std::string url;
  std::string read_at;  // file name:line

  // Which of the above were computed from the others when the row was read.
  bool output_is_derived = false;
  bool power_is_derived = false;
  bool interactivity_is_derived = false;
};

}  // namespace perwatt::inference
