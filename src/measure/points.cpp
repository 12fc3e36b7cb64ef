#include "perwatt/measure/points.hpp"

#include <cmath>
#include <filesystem>
#include <system_error>
#include <utility>

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/inference/point_table.hpp"

namespace perwatt::measure {

namespace {

using inference::MeasuredPoint;

std::string quoted(const std::string& text) {
  return "'" + printable(text) + "'";
}

template <class Entry>
std::string suggestion_among(const std::string& wrong, const std::vector<Entry>& entries) {
  std::vector<std::string> ids;
  ids.reserve(entries.size());
  for (const auto& entry : entries) {
    ids.push_back(entry.id);
  }
  return suggestion(wrong, ids);
}

void set_names(const Measurement& m, const DeploymentStatement& deployment,
               const catalog::Catalog& catalog, MeasuredPoint& point) {
  const auto* accelerator = catalog.find_accelerator(deployment.accelerator);
  if (accelerator == nullptr) {
    throw_bad_input("the accelerator " + quoted(deployment.accelerator) + " is not in the catalog",
                    "",
                    suggestion_among(deployment.accelerator, catalog.accelerators()) +
                        "; or add it to a catalog folder and pass --catalog");
  }
  const auto& name = deployment.model.empty() ? m.model : deployment.model;
  const auto* model = catalog.find_model(name);
  if (model == nullptr) {
    throw_bad_input("the model " + quoted(name) + " is not in the catalog", "",
                    suggestion_among(name, catalog.models()) +
                        "; or add it to a catalog folder and pass --catalog");
  }
  if (!catalog::is_precision(deployment.precision)) {
    throw_bad_input("the precision of the weights is " + quoted(deployment.precision), "",
                    "state bf16, fp8, fp4 or mxfp4");
  }
  if (deployment.engine.empty()) {
    throw_bad_input("the engine is not stated", "", "state it, as 'vllm' or 'sglang'");
  }
  point.source = deployment.source;
  point.accelerator = accelerator->id;
  point.model = model->id;
  point.precision = deployment.precision;
  point.engine = deployment.engine;
  point.spec_decode = deployment.spec_decode;
}

void require_valid(const Measurement& m, const DeploymentStatement& deployment) {
  if (m.valid || deployment.take_invalid) {
    return;
  }
  throw_bad_input(
      "the run is not valid" + (m.reasons.empty() ? std::string{} : " (" + m.reasons.front() + ")"),
      "", "measure again, or insist to take it as it is");
}

void set_workload(const Measurement& m, const DeploymentStatement& deployment,
                  MeasuredPoint& point) {
  if (!deployment.task.empty()) {
    point.workload.task = deployment.task;
    if (!m.unknown.requests && m.requests.ok > 0 && !m.unknown.tokens) {
      point.mean_output_tokens =
          static_cast<double>(m.tokens.output) / static_cast<double>(m.requests.ok);
    }
  } else if (m.isl_tokens && m.osl_tokens) {
    point.workload.isl_tokens = m.isl_tokens;
    point.workload.osl_tokens = m.osl_tokens;
  } else {
    throw_bad_input("the measurement has no nominal input and output lengths", "",
                    "name the task that its prompts are of");
  }
}

/// Closed loop: the users. Open loop: `concurrency` is a cap that nothing need have reached.
std::optional<int> concurrency_of(const Measurement& m) {
  if (m.concurrency && !m.request_rate_per_second) {
    return m.concurrency;
  }
  if (m.unknown.mean_concurrency || m.mean_concurrency > inference::kLargestCount) {
    return std::nullopt;
  }
  return std::max(1, static_cast<int>(std::lround(m.mean_concurrency)));
}

void set_latencies(const Latencies& latencies, MeasuredPoint& point) {
  if (latencies.ttft) {
    point.ttft_median = latencies.ttft->p50;
    point.ttft_p99 = latencies.ttft->p99;
  }
  if (latencies.tpot) {
    point.tpot_median = latencies.tpot->p50;
    point.tpot_p99 = latencies.tpot->p99;
  }
  if (latencies.e2e) {
    point.e2e_median = latencies.e2e->p50;
  }
}

const EnergyResult* gpu_energy(const Measurement& m) {
  for (const auto& energy : m.energy) {
    if (energy.account.boundary == Boundary::gpu && energy.tag <= Tag::derived) {
      return &energy;
    }
  }
  return nullptr;
}

void require_meters_of(const EnergyResult& energy, int gpus) {
  const int meters = energy.account.meters;
  if (meters != 0 && meters != gpus) {
    throw_bad_input(std::to_string(meters) + " GPUs were metered, but the deployment has " +
                        std::to_string(gpus),
                    "",
                    "state the number of GPUs that were metered and served, and meter no other");
  }
}

void set_power(const Measurement& m, const DeploymentStatement& deployment, MeasuredPoint& point) {
  const auto* energy = gpu_energy(m);
  if (energy == nullptr) {
    return;
  }
  if (!energy->account.valid) {
    if (!deployment.take_invalid) {
      throw_bad_input("the GPU power of the run is not valid", "",
                      "measure again, or insist to take the run without its power");
    }
    return;
  }
  require_meters_of(*energy, deployment.layout.num_gpus);
  if (energy->account.energy && !m.unknown.window && m.window > Seconds{}) {
    point.gpu_power = *energy->account.energy / m.window / deployment.layout.num_gpus;
  }
  if (energy->joules_per_output_token) {
    point.joules_per_output_token = joules_per_token(energy->joules_per_output_token->value);
  }
  if (energy->joules_per_total_token) {
    point.joules_per_total_token = joules_per_token(energy->joules_per_total_token->value);
  }
}

void set_date(const Measurement& m, const DeploymentStatement& deployment, MeasuredPoint& point) {
  constexpr std::size_t kDateLength = 10;
  const auto date = deployment.date.empty() ? m.unix_start.substr(0, kDateLength) : deployment.date;
  if (!deployment.date.empty() && !is_iso_date(date)) {
    throw_bad_input("the date is " + quoted(date), "", "write YYYY-MM-DD");
  }
  point.date = is_iso_date(date) ? date : "";
}

}  // namespace

MeasuredPoint to_point(const Measurement& m, const DeploymentStatement& deployment,
                       const catalog::Catalog& catalog) {
  MeasuredPoint point;
  set_names(m, deployment, catalog, point);
  if (deployment.layout.num_gpus < 1) {
    throw_bad_input("the number of GPUs of the deployment is not stated", "", "state it");
  }
  require_valid(m, deployment);
  point.serving = deployment.serving;
  point.layout = deployment.layout;
  set_workload(m, deployment, point);
  point.concurrency = concurrency_of(m);
  point.output_per_gpu = m.output_rate / deployment.layout.num_gpus;
  if (m.input_rate) {
    point.total_per_gpu = (m.output_rate + *m.input_rate) / deployment.layout.num_gpus;
  }
  set_latencies(m.latencies, point);
  set_power(m, deployment, point);
  set_date(m, deployment, point);
  point.url = deployment.url;
  // One row through the table's own reader: what plan and frontier would refuse is refused here.
  const auto table = inference::parse_points(inference::format_points({point}), "point", catalog);
  if (!table.rejected.empty()) {
    throw_bad_input(table.rejected.front().reason, table.rejected.front().where, "");
  }
  return table.points.front();
}

AppendedPoints append_points(const std::filesystem::path& file,
                             const std::vector<MeasuredPoint>& points,
                             const catalog::Catalog& catalog) {
  std::vector<MeasuredPoint> existing;
  std::error_code status;
  if (std::filesystem::exists(file, status)) {
    existing = inference::load_points({file}, catalog);
  }
  AppendedPoints appended;
  const auto before = existing.size();
  const auto merged = inference::merge_points(std::move(existing), points, appended.replaced);
  appended.added = merged.size() - before;
  write_file(file, inference::format_points(merged));
  return appended;
}

}  // namespace perwatt::measure
