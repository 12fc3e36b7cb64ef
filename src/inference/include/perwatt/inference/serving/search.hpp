// The best layouts and loads of one model on one accelerator under limits of latency, by the
// serving model. What is tried: docs/model/serving.md#search.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/inference/serving/calibration.hpp"

namespace perwatt::inference::serving {

struct SearchQuery {
  Setup setup;  // its layout is what is searched for
  int max_gpus = 8;
  std::optional<Seconds> max_ttft;  // median
  std::optional<Seconds> max_tpot;
  bool tries_aggregated = true;
  bool tries_disaggregated = true;
};

/// One deployment at one load, copied as often as the GPUs allow. Values as measured relatives
/// correct them.
struct Found {
  ServingLayout layout;  // of one copy
  int copies = 1;
  double concurrency = 0;          // of one copy
  TokensPerSecond output_per_gpu;  // over all `max_gpus`, idle ones included
  Seconds tpot;
  Seconds ttft;
  Watts gpu_power;  // mean of the GPUs in use
  Prediction physical;

  [[nodiscard]] int gpus() const { return copies * layout.num_gpus; }
};

struct SearchResult {
  std::optional<Found> best_aggregated;     // highest rate within the limits
  std::optional<Found> best_disaggregated;  // the same
  std::vector<Found> frontier;  // whatever the limits: no other is better in TPOT and rate; by TPOT
  std::size_t layouts = 0;      // tried
  std::size_t points = 0;       // of layouts and loads
  std::map<std::string, int> refused;  // instances by the reason they cannot run
};

/// Deterministic.
[[nodiscard]] SearchResult search(const SearchQuery& query, const Calibration& calibration);

}  // namespace perwatt::inference::serving
