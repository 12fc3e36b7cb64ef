// A found deployment under requests that arrive by themselves: latencies by load, and the most it
// takes within limits. Method: docs/model/serving.md#arrivals.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "perwatt/base/arrivals.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/inference/serving/calibration.hpp"
#include "perwatt/inference/serving/request_simulation.hpp"
#include "perwatt/inference/serving/search.hpp"

namespace perwatt::inference::serving {

enum class Percentile { p50, p90, p99 };

[[nodiscard]] Seconds at(const Quantiles& quantiles, Percentile percentile);

struct OpenLoad {
  ArrivalPattern pattern = ArrivalPattern::poisson;  // not closed_loop; at every copy
  double burstiness = 1;                             // gamma only
  std::int64_t burst_size = 1;                       // bursts only
  LengthLaw lengths = kBenchmarkLengths;             // of inputs and of outputs
  Percentile limited = Percentile::p99;              // that the limits of the query hold for
  std::optional<double> requests_per_second;         // over all copies: to be shown
  std::uint64_t seed = 1;
};

/// Values as measured relatives correct them; rates over all copies.
struct OpenLoadPoint {
  double requests_per_second = 0;
  double load_ratio = 0;           // of the capacity
  TokensPerSecond output_per_gpu;  // over all `max_gpus`
  Quantiles ttft;
  Quantiles tpot;
  Quantiles request;
};

struct OpenLoadAnswer {
  double capacity_requests_per_second = 0;  // more would queue without end
  Seconds outside_engine;                   // part of every TTFT that no load changes
  std::vector<OpenLoadPoint> points;        // at rising shares of the capacity
  std::optional<OpenLoadPoint> most;        // the highest rate within the limits
  std::optional<OpenLoadPoint> asked;       // absent at or above the capacity
};

/// Deterministic. REQUIRES: `found` answers `query` by `calibration`. Throws as ArrivalProcess.
[[nodiscard]] OpenLoadAnswer under_open_load(const SearchQuery& query, const Found& found,
                                             const Calibration& calibration, const OpenLoad& load);

}  // namespace perwatt::inference::serving
