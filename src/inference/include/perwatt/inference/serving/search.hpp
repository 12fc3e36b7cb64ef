// The best layouts and loads of one model on one accelerator under limits of latency, by the
// serving model. What is tried: docs/model/serving.md#search.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/inference/serving/calibration.hpp"
#include "perwatt/inference/serving/operation.hpp"

namespace perwatt::inference::serving {

struct SearchQuery {
  Setup setup;  // its layout is what is searched for
  int max_gpus = 8;
  std::optional<Seconds> max_ttft;  // median
  std::optional<Seconds> max_tpot;
  bool tries_aggregated = true;
  bool tries_disaggregated = true;
  PowerSetting power;
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
  CoreClocks clocks;  // over those at which the boards run unlimited

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

/// One deployment and load over the clock.
struct ClockPoint {
  double clock_ratio = 1;          // locked core clock over the highest
  TokensPerSecond output_per_gpu;  // of the GPUs in use
  Seconds tpot;
  Seconds ttft;
  Watts gpu_power;
};

/// What `found` would do at falling clocks, from the highest down to 0.4 of it, its cap kept.
[[nodiscard]] std::vector<ClockPoint> power_curve(const SearchQuery& query, const Found& found,
                                                  const Calibration& calibration);

/// One deployment under a setting.
struct OperatedPoint {
  PowerSetting setting;
  double concurrency = 0;          // of one copy
  TokensPerSecond output_per_gpu;  // of the GPUs in use
  Seconds tpot;
  Seconds ttft;
  Watts gpu_power;  // mean
};

/// What `found` would do under each setting, at its own load or, where a setting is too slow for
/// the query's limits at that, at the highest lower load within them. Settings without such a load
/// are left out, as are caps that no clock keeps.
[[nodiscard]] std::vector<OperatedPoint> at_settings(const SearchQuery& query, const Found& found,
                                                     const Calibration& calibration,
                                                     std::span<const PowerSetting> settings);

/// Deterministic.
[[nodiscard]] SearchResult search(const SearchQuery& query, const Calibration& calibration);

}  // namespace perwatt::inference::serving
