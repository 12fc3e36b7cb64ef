#include "perwatt/inference/serving/measured_case.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/inference/model_config.hpp"

namespace perwatt::inference::serving {

namespace {

// Little's law: concurrency = requests/s x time in the system. A row that keeps less than this of
// its requests in decode was limited by something else (admission, a broken run).
constexpr double kLeastLittle = 0.45;

struct Task {
  std::string_view name;
  double input_tokens;
};

// Effective prompt lengths of the data sets ML.ENERGY uses, encoders included; it publishes none.
// Fitted, see facts in docs/model/serving.md#lengths.
constexpr Task kTasks[] = {{"lm-arena-chat", 730},
                           {"gpqa", 2600},
                           {"image-chat", 2200},
                           {"video-chat", 2350},
                           {"sourcegraph-fim", 1250},
                           {"llm_text_generation/chat", 730},
                           {"llm_text_generation/code", 200},
                           {"mllm_text_generation/chat", 1000}};

// The second ML.ENERGY leaderboard ran vLLM of 2024; its rows carry no date.
constexpr std::string_view kMlenergyV2 = "mlenergy-v2";
constexpr std::string_view kMlenergyV2Date = "2024-09-01";

// Rows of this table that span more than a node are labelled wrong.
constexpr std::string_view kServingLatency = "serving-latency";
constexpr int kMostLatencyGpus = 8;

template <class Quantity>
std::optional<double> positive(const std::optional<Quantity>& value) {
  return value && value->in_base() > 0 ? std::optional{value->in_base()} : std::nullopt;
}

/// Rows of fixed lengths hold KV in 8 bit with quantised weights; ML.ENERGY keeps 16 bit.
double kv_element_bytes(const MeasuredPoint& point) {
  return point.precision == "bf16" || !point.workload.task.empty() ? 2.0 : 1.0;
}

}  // namespace

const ModelShape& ShapeLibrary::shape(const std::string& catalog_id) {
  auto& entry = shapes_[catalog_id];
  if (!entry) {
    entry = std::make_unique<ModelShape>(load_built_in_shape(folder_, catalog_id));
  }
  return *entry;
}

Traits traits_of(const Setup& setup, std::string_view precision, double concurrency) {
  Traits traits;
  traits.accelerator = setup.hardware.accelerator;
  traits.engine = to_string(setup.engine.family);
  traits.architecture = architecture_key(*setup.model);
  traits.precision = precision == "mxfp4" ? "fp4" : precision;
  traits.spec_decode = setup.has_mtp ? "mtp" : "none";
  traits.is_disaggregated = setup.layout.mode == Serving::disaggregated;
  traits.is_task = setup.tpot_kind == TpotKind::median_gap;
  traits.log2_concurrency = std::log2(
      std::max(1.0, concurrency / setup.layout.decode.gpus * setup.layout.decode.instance.gpus));
  traits.log2_input_tokens = std::log2(setup.input_tokens);
  traits.log2_output_tokens = std::log2(setup.output_tokens);
  traits.log2_instance_gpus = std::log2(setup.layout.decode.instance.gpus);
  traits.age_quarters = setup.software_age_quarters;
  return traits;
}

std::string architecture_key(const ModelShape& shape) {
  return std::to_string(shape.hidden_size) + "x" + std::to_string(shape.layer_count()) + "/" +
         shortest(std::round(shape.total_parameters() / 1e6)) + "M";
}

double MeasuredCase::concurrency() const {
  if (const auto* loop = std::get_if<ClosedLoop>(&load)) {
    return loop->concurrency;
  }
  return std::get<FixedBatch>(load).sequences * setup.layout.decode.instances;
}

Result<MeasuredCase> case_of(const MeasuredPoint& point, const catalog::Catalog& catalog,
                             ShapeLibrary& shapes) {
  MeasuredCase result;
  const auto* accelerator = catalog.find_accelerator(point.accelerator);
  if (accelerator == nullptr) {
    return Failure{"accelerator '" + point.accelerator + "' is not in the catalog"};
  }
  Setup& setup = result.setup;
  try {
    setup.hardware = hardware_of(*accelerator);
    setup.model = &shapes.shape(point.model);
    setup.format = setup.model->format(point.precision);
  } catch (const Error& error) {
    return Failure{error.what()};
  }
  auto layout = layout_of(point.layout, point.serving);
  if (!layout) {
    return Failure{layout.reason()};
  }
  setup.layout = std::move(layout).value();
  setup.kv_element_bytes = kv_element_bytes(point);
  const std::string date =
      point.date.empty() && point.source == kMlenergyV2 ? std::string{kMlenergyV2Date} : point.date;
  setup.engine = engine_of(point.engine, date);
  setup.has_mtp = point.spec_decode != "none" && !point.spec_decode.empty();
  result.model = point.model;
  result.date = point.date;
  setup.software_age_quarters =
      point.date.empty() ? kTypicalAgeQuarters : software_age_quarters(point.date);

  if (point.workload.task.empty()) {
    if (!point.workload.isl_tokens || !point.workload.osl_tokens) {
      return Failure{"no isl_tokens and osl_tokens"};
    }
    setup.input_tokens = kMeanOfNominal * *point.workload.isl_tokens;
    setup.output_tokens = std::max(1.0, kMeanOfNominal * *point.workload.osl_tokens);
  } else {
    const auto* task = std::find_if(std::begin(kTasks), std::end(kTasks), [&](const Task& known) {
      return known.name == point.workload.task;
    });
    if (task == std::end(kTasks)) {
      return Failure{"task '" + printable(point.workload.task) + "' has no known prompt length"};
    }
    if (!point.mean_output_tokens) {
      return Failure{"a task without the mean length of its answers (osl_tokens)"};
    }
    setup.input_tokens = task->input_tokens;
    setup.output_tokens = std::max(1.0, *point.mean_output_tokens);
    setup.tpot_kind = TpotKind::median_gap;
  }
  if (point.mean_batch_size && *point.mean_batch_size > 0) {
    result.load = FixedBatch{*point.mean_batch_size / setup.layout.decode.instances};
  } else if (point.concurrency && *point.concurrency > 0) {
    result.load = ClosedLoop{static_cast<double>(*point.concurrency)};
  } else {
    return Failure{"neither concurrency nor mean_batch_size"};
  }
  result.work = count_work(setup);

  result.output_per_gpu = positive(point.output_per_gpu);
  result.tpot_seconds = positive(point.tpot_median);
  if (!result.tpot_seconds && point.interactivity && point.interactivity->in_base() > 0) {
    result.tpot_seconds = 1 / point.interactivity->in_base();
  }
  result.ttft_seconds = positive(point.ttft_median);
  result.gpu_power_watts = positive(point.gpu_power);
  result.joules_per_output_token = positive(point.joules_per_output_token);
  if (!result.joules_per_output_token && result.gpu_power_watts && result.output_per_gpu) {
    result.joules_per_output_token = *result.gpu_power_watts / *result.output_per_gpu;
  }

  result.traits = traits_of(setup, point.precision, result.concurrency());
  result.traits.source = point.source;
  const Traits& traits = result.traits;
  result.family = traits.accelerator + " " + traits.architecture + " " + traits.precision + " " +
                  traits.engine + (traits.is_disaggregated ? " disaggregated " : " aggregated ") +
                  to_string(point.workload);

  if (point.source == kServingLatency && !traits.is_disaggregated &&
      setup.layout.num_gpus > kMostLatencyGpus) {
    result.screen = "called aggregated over more than 8 GPUs; such rows read like decode pools";
  }
  if (point.source == kMlenergyV2) {
    result.power_screen = "power from energy per token and median latencies, which overstate rates";
  }
  const bool is_loop = std::holds_alternative<ClosedLoop>(result.load);
  if (is_loop && !traits.is_disaggregated && result.output_per_gpu && result.tpot_seconds) {
    const double little = *result.output_per_gpu * setup.layout.num_gpus * *result.tpot_seconds /
                          result.concurrency();
    if (little < kLeastLittle) {
      result.screen = "breaks Little's law: less than 0.45 of its concurrency is in decode";
    }
  }
  return result;
}

}  // namespace perwatt::inference::serving
