#include "perwatt/inference/serving/modelled_serving.hpp"

#include <array>
#include <utility>

#include "perwatt/base/error.hpp"
#include "perwatt/inference/serving/search.hpp"

namespace perwatt::inference::serving {

namespace {

constexpr std::array<double, 6> kClocks{0.9, 0.8, 0.7, 0.6, 0.5, 0.4};

/// The released precision, and narrower ones that the accelerator has units for.
std::vector<std::string> precisions_of(const ModelShape& shape, const Hardware& hardware) {
  std::vector<std::string> precisions{std::string{shape.checkpoint.precision(shape.has_experts())}};
  if (precisions.front() == "bf16" && hardware.fp8_flops > 0) {
    precisions.emplace_back("fp8");
  }
  if ((precisions.front() == "bf16" || precisions.front() == "fp8") && hardware.fp4_flops > 0) {
    precisions.emplace_back("fp4");
  }
  return precisions;
}

void describe_pool(const Pool& pool, std::optional<int>& tp, std::optional<int>& ep,
                   std::optional<bool>& dp_attention) {
  tp = pool.instance.gpus;
  ep = pool.instance.expert_parallel;
  dp_attention = pool.instance.attention_dp > 1;
}

Layout layout_of_found(const ServingLayout& layout) {
  Layout described;
  described.num_gpus = layout.num_gpus;
  describe_pool(layout.prefill, described.prefill_tp, described.prefill_ep,
                described.prefill_dp_attention);
  describe_pool(layout.decode, described.decode_tp, described.decode_ep,
                described.decode_dp_attention);
  if (layout.mode == Serving::disaggregated) {
    described.prefill_gpus = layout.prefill.gpus;
    described.decode_gpus = layout.decode.gpus;
  }
  return described;
}

}  // namespace

ModelledServing::ModelledServing(const catalog::Catalog& catalog, std::filesystem::path models,
                                 const Calibration& calibration)
    : catalog_{catalog}, calibration_{calibration}, shapes_{std::move(models)} {}

const ModelledDeployments& ModelledServing::deployments(const std::string& model,
                                                        const Workload& workload,
                                                        const std::string& accelerator) {
  const auto [entry, is_new] =
      asked_.try_emplace(std::tuple{model, workload, accelerator}, ModelledDeployments{});
  auto& found = entry->second;
  if (!is_new) {
    return found;
  }
  if (!workload.isl_tokens || !workload.osl_tokens) {
    found.missing_because = "the workload is a task, whose lengths are not known";
    return found;
  }
  try {
    const auto& board = catalog_.accelerator(accelerator, "accelerator");
    for (const auto& precision : precisions_of(shapes_.shape(model), hardware_of(board))) {
      search_precision(model, workload, board, precision, found);
    }
  } catch (const Error& error) {
    found.missing_because = error.what();
  }
  if (found.points.empty() && found.missing_because.empty()) {
    found.missing_because = "no layout fits within a scale-up domain";
  }
  return found;
}

void ModelledServing::search_precision(const std::string& model, const Workload& workload,
                                       const catalog::Accelerator& accelerator,
                                       const std::string& precision, ModelledDeployments& found) {
  const ModelShape& shape = shapes_.shape(model);
  SearchQuery query;
  Setup& setup = query.setup;
  setup.hardware = hardware_of(accelerator);
  setup.model = &shape;
  setup.format = shape.format(precision);
  setup.kv_element_bytes = precision == "bf16" ? 2 : 1;
  setup.engine = {EngineFamily::vllm, Router::none};
  setup.input_tokens = kMeanOfNominal * *workload.isl_tokens;
  setup.output_tokens = std::max(1.0, kMeanOfNominal * *workload.osl_tokens);
  query.max_gpus = setup.hardware.scale_up_gpus;
  for (const auto mode : {Serving::aggregated, Serving::disaggregated}) {
    query.tries_aggregated = mode == Serving::aggregated;
    query.tries_disaggregated = mode == Serving::disaggregated;
    for (const auto& one : search(query, calibration_).frontier) {
      Setup of_one = setup;
      of_one.layout = one.layout;
      const Traits traits = traits_of(of_one, precision, one.concurrency);
      const TokensPerSecond rate =
          one.output_per_gpu * (static_cast<double>(query.max_gpus) / one.gpus());
      const auto band = banded(1, Metric::throughput, traits, calibration_);
      const auto watts_band = banded(in_watts(one.gpu_power), Metric::power, traits, calibration_);

      auto& row = rows_.emplace_back();
      row.source = kModelSource;
      row.accelerator = accelerator.id;
      row.model = model;
      row.precision = precision;
      row.engine = to_string(setup.engine.family);
      row.spec_decode = "none";
      row.serving = mode;
      row.layout = layout_of_found(one.layout);
      row.workload = workload;
      row.concurrency = static_cast<int>(one.concurrency);
      row.output_per_gpu = rate;
      row.total_per_gpu = rate * (1.0 + static_cast<double>(*workload.isl_tokens) /
                                            static_cast<double>(*workload.osl_tokens));
      row.interactivity = tokens_per_second(1 / in_seconds(one.tpot));
      row.ttft_median = one.ttft;
      row.tpot_median = one.tpot;
      row.date = kSoftwareEpoch;

      OperatingPoint point = at_row(row);
      point.tag = Tag::modelled;
      point.modelled_interval = RateInterval{band.low, band.high};
      const Watts tdp = setup.hardware.tdp;
      found.points.push_back(
          {point,
           GpuPower{one.gpu_power, watts(watts_band.low), std::min(tdp, watts(watts_band.high)),
                    Tag::modelled,
                    watts_band.nearest.empty() ? "serving model"
                                               : "serving model; nearest " + watts_band.nearest}});
    }
  }
}

std::vector<ClockedRatios> ModelledServing::clocks(const OperatingPoint& point,
                                                   const GpuPower& power) {
  auto described = case_of(*point.point, catalog_, shapes_);
  if (!described) {
    return {};
  }
  MeasuredCase one = std::move(described).value();
  if (auto* loop = std::get_if<ClosedLoop>(&one.load); loop != nullptr && point.concurrency) {
    loop->concurrency = *point.concurrency;
  }
  const auto coefficients =
      calibration_.coefficients.of(point.point->accelerator, one.setup.hardware.vendor);
  const OperatedDeployment deployment{one.setup, one.work, coefficients};
  Correction correction;
  const auto predicted = deployment.at(one.load, {});
  correction.rate = point.output_per_gpu / predicted.prediction.output_per_gpu;
  correction.power = power.mean / deployment.at(one.load, {}, correction).gpu_power;
  std::vector<ClockedRatios> curve;
  curve.reserve(kClocks.size());
  for (const double clock : kClocks) {
    const auto slower = deployment.at(one.load, {{}, clock}, correction);
    curve.push_back({clock, slower.prediction.output_per_gpu / predicted.prediction.output_per_gpu,
                     predicted.prediction.tpot / slower.prediction.tpot,
                     slower.prediction.ttft / predicted.prediction.ttft,
                     slower.gpu_power / power.mean});
  }
  return curve;
}

}  // namespace perwatt::inference::serving
