// How many operating points of the serving model one core evaluates in a second: by batch (a
// sweep's inner loop), and by concurrency (with the closed loop solved).
#include <chrono>
#include <cstdio>

#include "perwatt/inference/model_config.hpp"
#include "perwatt/inference/serving/calibration_file.hpp"

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
  return 0;
}
