// InferenceX's aggregated results, agg_*.json (SemiAnalysisAI/InferenceX
// infx/results/fixed_sequence.py, before 2026 utils/process_result.py; power:
// infx/results/power/single_node.py).
//
// Units: latencies are seconds, under the names of vLLM's keys without _ms. Rates are per GPU, the
// output rate of a disaggregated deployment per decode GPU. avg_power_w is per GPU board.
#include <cmath>

#include "import_formats.hpp"
#include <fmt/format.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::measure {

namespace {

constexpr double kLeastFigure = 1e-9;  // W, J/token: below it nothing was measured
constexpr int kMostGpus = 1'000'000;

/// Written as text by the benchmark's scripts, as a boolean by others.
std::optional<bool> loose_flag(const JsonNode& root, const char* key) {
  const auto* value = root.find(key);
  if (value == nullptr) {
    return std::nullopt;
  }
  if (value->is_string()) {
    return lower_case(root.text(key)) == "true";
  }
  return root.flag(key);
}

std::optional<int> gpu_count(const JsonNode& root, const char* key) {
  const auto count = root.optional_int(key);
  if (count && *count > kMostGpus) {
    root.fail(key, "a number of GPUs");
  }
  return count;
}

/// A pool of GPUs that is not there has tp 0.
std::optional<int> from_one(std::optional<int> count) {
  return count && *count > 0 ? count : std::nullopt;
}

void read_one_pool(const JsonNode& root, inference::Layout& layout) {
  const auto factor = [&](const char* key) { return gpu_count(root, key).value_or(1); };
  // ep and dcp share the GPUs of tp; pp and pcp have their own.
  const double gpus = static_cast<double>(factor("tp")) * factor("pp") * factor("pcp_size");
  if (gpus < 1 || gpus > kMostGpus) {
    root.fail("tp", "a number of GPUs");
  }
  layout.num_gpus = static_cast<int>(gpus);
  layout.decode_tp = from_one(gpu_count(root, "tp"));
  layout.decode_ep = gpu_count(root, "ep");
  layout.decode_dp_attention = loose_flag(root, "dp_attention");
}

void read_two_pools(const JsonNode& root, bool disaggregated, inference::Layout& layout) {
  const int prefill = gpu_count(root, "num_prefill_gpu").value_or(0);
  const int decode = gpu_count(root, "num_decode_gpu").value_or(0);
  layout.num_gpus = prefill + decode;
  if (layout.num_gpus < 1) {
    root.fail("num_prefill_gpu", "a number of GPUs");
  }
  if (disaggregated) {
    layout.prefill_gpus = prefill;
    layout.decode_gpus = decode;
  }
  layout.prefill_tp = from_one(gpu_count(root, "prefill_tp"));
  layout.prefill_ep = gpu_count(root, "prefill_ep");
  layout.prefill_dp_attention = loose_flag(root, "prefill_dp_attention");
  layout.decode_tp = from_one(gpu_count(root, "decode_tp"));
  layout.decode_ep = gpu_count(root, "decode_ep");
  layout.decode_dp_attention = loose_flag(root, "decode_dp_attention");
}

DeploymentStatement deployment_of(const JsonNode& root) {
  DeploymentStatement deployment;
  deployment.source = "inferencex";
  deployment.accelerator = root.text("hw");
  deployment.precision = root.text("precision");
  deployment.engine = root.text("framework");
  if (const auto method = root.optional_text("spec_decoding"); !method.empty()) {
    deployment.spec_decode = method;
  } else if (const auto mtp = root.optional_text("mtp"); !mtp.empty()) {
    deployment.spec_decode = "mtp";
  }
  const bool disaggregated = loose_flag(root, "disagg").value_or(false);
  deployment.serving =
      disaggregated ? inference::Serving::disaggregated : inference::Serving::aggregated;
  if (loose_flag(root, "is_multinode").value_or(false)) {
    read_two_pools(root, disaggregated, deployment.layout);
  } else {
    read_one_pool(root, deployment.layout);
  }
  return deployment;
}

void add_rates(const JsonNode& root, const inference::Layout& layout, Measurement& m) {
  const double gpus = layout.num_gpus;
  const double output_gpus =
      layout.decode_gpus && *layout.decode_gpus > 0 ? *layout.decode_gpus : gpus;
  const double total = root.not_negative("tput_per_gpu") * gpus;
  if (!root.has("output_tput_per_gpu")) {
    throw_bad_input("lacks 'output_tput_per_gpu'; the share of output tokens is not known",
                    root.where(), kImportRemedy);
  }
  m.output_rate = tokens_per_second(root.not_negative("output_tput_per_gpu") * output_gpus);
  m.input_rate = tokens_per_second(std::max(total - in_tokens_per_second(m.output_rate), 0.0));
}

/// Whole-deployment energy; without the run's length only per token.
void add_power(const JsonNode& root, const inference::Layout& layout, Measurement& m) {
  const auto per_output = root.optional_not_negative("joules_per_output_token");
  const auto power = root.optional_not_negative("avg_power_w");
  if (!per_output && !power) {
    m.reasons.emplace_back("no_power: the file holds no power");
    return;
  }
  const auto total = root.optional_not_negative("total_gpu_energy_j");
  const auto total_power = root.optional_not_negative("avg_total_gpu_power_w");
  EnergyResult energy;
  auto& account = energy.account;
  account = stated_energy(Joules{}, EnergyMethod::power_integral, layout.num_gpus,
                          "InferenceX integrated nvidia-smi or amd-smi samples over the run");
  account.energy = total ? std::optional{Joules::from_base(*total)} : std::nullopt;
  account.by_integral = account.energy;
  const auto* stated_valid = root.find("power_valid");
  account.valid = stated_valid != nullptr && root.optional_int("power_valid").value_or(0) == 1;
  if (total && total_power && *total > 0 && *total_power > kLeastFigure) {
    m.window = Joules::from_base(*total) / watts(*total_power);
    m.whole = m.window;
    m.unknown.window = false;
  }
  if (account.valid && per_output) {
    energy.joules_per_output_token = Estimate{*per_output, std::nullopt, std::nullopt};
    if (*per_output > kLeastFigure) {
      energy.output_tokens_per_joule = 1 / *per_output;
    }
  }
  if (const auto per_total = root.optional_not_negative("joules_per_total_token");
      account.valid && per_total) {
    energy.joules_per_total_token = Estimate{*per_total, std::nullopt, std::nullopt};
  }
  m.power_valid = account.valid;
  if (!account.valid) {
    m.reasons.emplace_back(stated_valid == nullptr
                               ? "power_not_validated: the file is of before InferenceX checked "
                                 "its power (no 'power_valid'): what its joules stand for is open"
                               : "power_invalid: InferenceX itself found its power not valid");
  }
  m.energy.push_back(std::move(energy));
}

void add_requests(const JsonNode& root, Measurement& m) {
  m.unknown.requests = true;
  m.valid = true;
  if (!root.has("benchmark_outcome")) {
    return;
  }
  const auto outcome = root.node("benchmark_outcome");
  m.requests.sent = outcome.count("requested");
  m.requests.ok = outcome.count("completed");
  if (m.requests.ok > m.requests.sent) {
    outcome.fail("completed", "at most 'requested'");
  }
  m.requests.failed = m.requests.sent - m.requests.ok;
  m.unknown.requests = false;
  m.valid = m.requests.ok > 0 && m.requests.failed <= m.requests.ok;
  if (m.requests.failed > 0) {
    m.reasons.push_back(
        fmt::format("failed_requests: {} of {} failed", m.requests.failed, m.requests.sent));
  }
}

}  // namespace

bool is_inferencex_result(const Json& json) {
  return json.is_object() && json.contains("hw") && json.contains("tput_per_gpu");
}

ImportedRun import_inferencex(const PlacedJson& result, const ImportRules&) {
  const JsonNode root{result.json, result.where, kImportRemedy};
  ImportedRun run;
  run.deployment = deployment_of(root);
  const auto& layout = run.deployment->layout;
  auto& m = run.measurement;
  m.imported_from = "InferenceX";
  m.model = root.text("model");
  m.label = fmt::format("{} {} {}", run.deployment->accelerator, run.deployment->precision,
                        run.deployment->engine);
  m.concurrency = root.optional_int("conc");
  m.isl_tokens = root.optional_int("isl");
  m.osl_tokens = root.optional_int("osl");
  m.load = m.concurrency ? "closed loop, concurrency " + std::to_string(*m.concurrency) : "";
  m.unknown.window = true;
  m.unknown.tokens = true;
  m.unknown.goodput = true;
  m.unknown.mean_concurrency = true;
  m.unknown.client = true;
  add_requests(root, m);
  add_rates(root, layout, m);
  m.latencies.ttft = stated_quantiles(root, "ttft", "", 1.0);
  m.latencies.tpot = stated_quantiles(root, "tpot", "", 1.0);
  m.latencies.itl = stated_quantiles(root, "itl", "", 1.0);
  m.latencies.e2e = stated_quantiles(root, "e2el", "", 1.0);
  m.reasons.emplace_back(
      "summary_only: an aggregated result of InferenceX has no single requests and no token "
      "counts; goodput under an SLO and latencies from the intended send cannot be known");
  add_power(root, layout, m);
  return run;
}

}  // namespace perwatt::measure
