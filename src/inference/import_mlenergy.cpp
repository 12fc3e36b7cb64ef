#include "import_common.hpp"
#include <nlohmann/json.hpp>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/inference/import.hpp"

namespace perwatt::inference {

namespace {

constexpr const char* kEnergyPerRequest = "Energy/req (J)";
constexpr const char* kFileRemedy =
    "give an ML.ENERGY v3 task file (public/data/tasks/<task>.json) or a v2 point file";

MeasuredPoint vllm_point(const char* source, const std::string& task, const std::string& read_at) {
  MeasuredPoint point;
  point.source = source;
  point.engine = "vllm";
  point.spec_decode = "none";
  point.workload.task = task;
  point.read_at = read_at;
  return point;
}

/// Throughput and power of the file are those of the whole deployment.
void read_v3_measurements(JsonFields& row, MeasuredPoint& point) {
  const double gpus = point.layout.num_gpus;
  constexpr Range kMsRange = kTimeRange.times(1 / kSecondsPerMs);
  point.output_per_gpu = TokensPerSecond::from_base(
      row.required_number("output_throughput_tokens_per_sec", kRateRange.times(gpus)) / gpus);
  point.joules_per_output_token =
      JoulesPerToken::from_base(row.required_number("energy_per_token_joules", kEnergyRange));
  point.gpu_power =
      quantity<Watts>(row.number("avg_power_watts", kPowerRange.times(gpus)), 1 / gpus);
  point.tpot_median = quantity<Seconds>(row.number("median_itl_ms", kMsRange), kSecondsPerMs);
  point.tpot_p99 = quantity<Seconds>(row.number("p99_itl_ms", kMsRange), kSecondsPerMs);
}

std::optional<CheckFailure> read_v3_row(const nlohmann::json& object,
                                        const catalog::Catalog& catalog, MeasuredPoint& point) {
  if (!object.is_object()) {
    return CheckFailure{"configurations", "holds a value that is no object; export it again"};
  }
  JsonFields row{object};
  const auto precision = row.required_text("weight_precision");
  const SourceName accelerator{"gpu_model", row.required_text("gpu_model")};
  const SourceName model{"model_id", row.required_text("model_id")};
  point.layout.num_gpus = row.required_count("num_gpus");
  point.layout.decode_tp = row.count("tensor_parallel");
  point.layout.decode_ep = row.count("expert_parallel");
  point.concurrency = row.count("max_num_seqs");
  point.mean_batch_size = row.number("avg_batch_size", kMeanRange);
  point.mean_output_tokens = row.number("avg_output_len", kMeanRange);
  read_v3_measurements(row, point);
  if (row.failure()) {
    return row.failure();
  }
  return set_names(point, catalog, accelerator, model,
                   {"weight_precision", precision == "bfloat16" ? "bf16" : precision});
}

PointTable import_v3(const nlohmann::json& file, const std::string& name,
                     const catalog::Catalog& catalog) {
  const auto& configurations = file.at("configurations");
  if (file.contains("model_id")) {
    throw_bad_input("the file is a per-model file, whose runs are also in the task file", name,
                    kFileRemedy);
  }
  const auto task = file.find("task");
  if (!configurations.is_array() || task == file.end() || !task->is_string() ||
      task->get_ref<const std::string&>().empty()) {
    throw_bad_input("'task' is no text or 'configurations' is no array", name, kFileRemedy);
  }
  PointSink sink{catalog};
  for (std::size_t i = 0; i < configurations.size(); ++i) {
    const auto place = name + ": configurations[" + std::to_string(i) + "]";
    auto point = vllm_point("mlenergy-v3", task->get_ref<const std::string&>(), place);
    if (const auto failure = read_v3_row(configurations[i], catalog, point)) {
      sink.reject(place + ": " + failure->column, failure->reason);
    } else {
      sink.add(std::move(point));
    }
  }
  return sink.take();
}

/// "llm_text_generation/chat" of ".../llm_text_generation/chat/<GPU>/<org>/<model>/x.json".
std::string task_of_path(const std::string& path) {
  const auto parts = split(path, '/');
  for (std::size_t i = 0; i + 2 < parts.size(); ++i) {
    if (parts[i] == "llm_text_generation" || parts[i] == "mllm_text_generation") {
      return parts[i] + "/" + parts[i + 1];
    }
  }
  return "";
}

/// The name that the driver reports, as the catalog may know it. The short name alone would also
/// match the PCIe boards, which draw less.
std::string accelerator_of_driver_name(const std::string& name) {
  constexpr std::string_view kVendor = "NVIDIA ";
  if (name == "NVIDIA H100 80GB HBM3") {
    return "h100";
  }
  return name.starts_with(kVendor) ? name.substr(kVendor.size()) : name;
}

PointTable import_v2(const nlohmann::json& file, const std::string& name,
                     const catalog::Catalog& catalog) {
  PointSink sink{catalog};
  const auto task = task_of_path(name);
  if (task.empty()) {
    sink.reject(name,
                "the path does not say the task; give it with its folders, "
                "llm_text_generation/<task>/… or mllm_text_generation/<task>/…");
    return sink.take();
  }
  auto point = vllm_point("mlenergy-v2", task, name);
  JsonFields row{file};
  const SourceName accelerator{"GPU", accelerator_of_driver_name(row.required_text("GPU"))};
  const SourceName model{"Model", row.required_text("Model")};
  const int tensor_parallel = row.required_count("TP");
  const double gpus = static_cast<double>(tensor_parallel) * row.required_count("PP");
  if (gpus > kLargestCount) {
    row.reject("PP", "gives " + shortest(gpus) + " GPUs with TP");
  }
  point.layout.num_gpus = static_cast<int>(std::min(gpus, kLargestCount));
  point.layout.decode_tp = tensor_parallel;
  point.concurrency = row.count("Max BS (reqs)");
  point.mean_batch_size = row.number("Avg BS (reqs)", kMeanRange);
  const double output_tokens = row.required_number("Avg Output Tokens", {1, kLargestCount});
  point.mean_output_tokens = output_tokens;
  point.output_per_gpu = TokensPerSecond::from_base(
      row.required_number("Token tput (tok/s)", kRateRange.times(gpus)) / gpus);
  point.joules_per_output_token = JoulesPerToken::from_base(
      row.required_number(kEnergyPerRequest, kEnergyRange.times(output_tokens)) / output_tokens);
  point.tpot_median = quantity<Seconds>(row.number("Avg TPOT (s)", kTimeRange));
  auto failure = row.failure();
  if (!failure) {
    failure = set_names(point, catalog, accelerator, model, {"weights_precision", "bf16"});
  }
  if (failure) {
    sink.reject(name + ": " + failure->column, failure->reason);
  } else {
    sink.add(std::move(point));
  }
  return sink.take();
}

}  // namespace

PointTable import_mlenergy(std::string_view json_text, const std::string& name,
                           const catalog::Catalog& catalog) {
  JsonFault fault;
  const auto file = parse_json(json_text, fault);
  if (!file) {
    throw_bad_input("byte " + std::to_string(fault.byte) + " is no JSON: " + fault.reason, name,
                    kFileRemedy);
  }
  if (file->is_object() && file->contains("configurations")) {
    return import_v3(*file, name, catalog);
  }
  if (file->is_object() && file->contains(kEnergyPerRequest)) {
    return import_v2(*file, name, catalog);
  }
  throw_bad_input("the file is JSON but holds neither 'configurations' nor 'Energy/req (J)'", name,
                  kFileRemedy);
}

}  // namespace perwatt::inference
