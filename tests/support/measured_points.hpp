// Points that tests of several modules use.
#pragma once

#include <vector>

#include "shipped_catalog.hpp"

#include "perwatt/inference/point_table.hpp"

namespace perwatt {

inline const std::vector<inference::MeasuredPoint>& shipped_points() {
  static const auto kPoints =
      inference::load_points({PERWATT_TEST_DATA_DIR "/points"}, shipped_catalog());
  return kPoints;
}

/// One aggregated 8-GPU row on H200 with measured power.
inline inference::MeasuredPoint row(double output_per_gpu, double interactivity, double gpu_watts) {
  inference::MeasuredPoint point;
  point.source = "test";
  point.accelerator = "h200";
  point.model = "deepseek-r1";
  point.precision = "fp8";
  point.engine = "sglang";
  point.spec_decode = "none";
  point.layout.num_gpus = 8;
  point.workload.isl_tokens = 1024;
  point.workload.osl_tokens = 1024;
  point.concurrency = 16;
  point.output_per_gpu = tokens_per_second(output_per_gpu);
  point.total_per_gpu = tokens_per_second(2 * output_per_gpu);
  point.interactivity = tokens_per_second(interactivity);
  point.gpu_power = watts(gpu_watts);
  return point;
}

}  // namespace perwatt
