// How many operating points of the serving model one core evaluates in a second: by batch (a
// sweep's inner loop), and by concurrency (with the closed loop solved). And the CPU time of five
// sweeps, calibration and model read anew for each, beside AIConfigurator's recorded times without
// its start (docs/model/serving.md#beside-aiconfigurator); bench/frontier_questions.py has whole
// processes and the answers.
#include <chrono>
#include <cstdio>
#include <ctime>

#include "perwatt/inference/model_config.hpp"
#include "perwatt/inference/serving/calibration_file.hpp"
#include "perwatt/inference/serving/search.hpp"

namespace {

using namespace perwatt::inference::serving;

constexpr double kGoalPerSecond = 1e6;
constexpr int kPoints = 200000;

template <class Evaluate>
void report(const char* name, Evaluate evaluate) {
  double sum = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kPoints; ++i) {
    sum += in_seconds(evaluate(1 + i % 512).tpot);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const double rate = kPoints / took.count();
  std::printf("%-28s %10.0f points/s, %5.2f of the goal of 1e6 (mean TPOT %.2f ms)\n", name, rate,
              rate / kGoalPerSecond, 1e3 * sum / kPoints);
}

struct Sweep {
  const char* model;
  const char* precision;
  const char* accelerator;
  EngineFamily engine;
  double peer_seconds;
};

constexpr Sweep kSweeps[] = {
    {"qwen3-32b", "fp8", "h200", EngineFamily::tensorrt_llm, 13.9},
    {"llama-3.1-70b", "fp8", "h200", EngineFamily::tensorrt_llm, 46.8},
    {"deepseek-v3", "fp8", "h200", EngineFamily::tensorrt_llm, 14.1},
    {"deepseek-v3.1", "fp4", "gb200", EngineFamily::tensorrt_llm, 121.9},
    {"qwen3-32b", "fp8", "b200", EngineFamily::vllm, 14.4},
};

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void report_sweep(const Sweep& sweep) {
  const double start = cpu_seconds();
  const auto catalog = perwatt::catalog::Catalog::load({PERWATT_SOURCE_DIR "/data/catalog"});
  const auto calibration = load_calibration(PERWATT_SOURCE_DIR "/data/serving");
  const auto shape =
      perwatt::inference::load_built_in_shape(PERWATT_SOURCE_DIR "/data/models", sweep.model);
  SearchQuery query;
  query.setup.hardware = hardware_of(catalog.accelerator(sweep.accelerator, "bench"));
  query.setup.model = &shape;
  query.setup.format = shape.format(sweep.precision);
  query.setup.kv_element_bytes = 1;
  query.setup.engine.family = sweep.engine;
  query.setup.input_tokens = kMeanOfNominal * 4000;
  query.setup.output_tokens = kMeanOfNominal * 1000;
  query.max_gpus = 32;
  query.max_ttft = perwatt::seconds(1);
  query.max_tpot = perwatt::seconds(0.02);
  const auto read = cpu_seconds();
  const auto result = search(query, calibration);
  const double all = cpu_seconds() - start;
  std::printf(
      "%-14s %s %-6s %5.1f ms CPU (%.1f reading, %zu points), %5.0fx less than %.1f s; goal 200x\n",
      sweep.model, sweep.precision, sweep.accelerator, 1e3 * all, 1e3 * (read - start),
      result.points, sweep.peer_seconds / all, sweep.peer_seconds);
}

}  // namespace

int main() {
  const auto catalog = perwatt::catalog::Catalog::load({PERWATT_SOURCE_DIR "/data/catalog"});
  const auto calibration = load_calibration(PERWATT_SOURCE_DIR "/data/serving");
  const auto shape =
      perwatt::inference::load_built_in_shape(PERWATT_SOURCE_DIR "/data/models", "deepseek-v3");
  Setup setup;
  setup.hardware = hardware_of(catalog.accelerator("h200", "bench"));
  setup.model = &shape;
  setup.format = shape.format("fp8");
  setup.kv_element_bytes = 1;
  setup.layout = tensor_parallel_layout(8);
  setup.input_tokens = 4000;
  setup.output_tokens = 1000;
  const auto work = count_work(setup);
  const auto coefficients = calibration.coefficients.of("h200", "NVIDIA");
  const ServingModel model{setup, work, coefficients};
  report("by batch", [&](double load) { return model.at_batch(load); });
  report("by concurrency", [&](double load) { return model.closed_loop(load); });
  for (const auto& sweep : kSweeps) {
    report_sweep(sweep);
  }
  return 0;
}
