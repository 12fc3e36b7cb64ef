// Deployments: measured points of one configuration over its load, ready to be planned with.
//
// A deployment is a model in one precision on one accelerator, engine, speculation, serving mode
// and layout, under one workload. Its points differ in concurrency and in the date of the run,
// which stands for the software version. Interpolation runs only along the load of one deployment,
// never between two (docs/model/frontier.md).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/tag.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/inference/measured_point.hpp"

namespace perwatt::inference {

/// What a service demands of a deployment.
struct Slo {
  TokensPerSecond min_interactivity;  // output tokens/s of one user
  std::optional<Seconds> max_ttft;    // median
  bool allow_unknown_ttft = false;    // take points that have no TTFT, marked
};

/// Factors around a rate that hold 90 % of repeats.
struct RateInterval {
  double low_factor = 1;
  double high_factor = 1;
};

/// What a locked core clock makes of a point: factors on its values at the highest clock.
struct ClockedRatios {
  double clock_ratio = 1;  // over the highest clock
  double rate = 1;
  double interactivity = 1;
  double ttft = 1;
  double gpu_power = 1;
};

/// One deployment at one load. Rates are per GPU, over all GPUs of the deployment.
struct OperatingPoint {
  const MeasuredPoint* point = nullptr;  // the measured row, or the one of lower concurrency
  const MeasuredPoint* other = nullptr;  // the second row when interpolated
  Tag tag = Tag::measured;
  double share_of_other = 0;  // 0..1, position between the rows
  std::optional<double> concurrency;
  std::optional<TokensPerSecond> total_per_gpu;
  TokensPerSecond output_per_gpu;
  TokensPerSecond interactivity;
  std::optional<Seconds> ttft;  // median
  double clock_ratio = 1;       // locked core clock; below 1 values are scaled along the model's
  std::optional<RateInterval> modelled_interval;  // of a point without measured rows

  /// Input tokens/s per GPU, where total is known.
  [[nodiscard]] std::optional<TokensPerSecond> input_per_gpu() const {
    return total_per_gpu ? std::optional{*total_per_gpu - output_per_gpu} : std::nullopt;
  }
};

struct Deployment {
  std::vector<const MeasuredPoint*>
      points;  // by falling interactivity; all with rate and interactivity

  [[nodiscard]] const MeasuredPoint& head() const { return *points.front(); }
};

/// The deployments of one model under one workload.
class DeploymentSet {
 public:
  /// Groups those of `points` that serve `model_id` under `workload` and have an output rate and an
  /// interactivity. `points` must outlive the set. Order does not depend on the order of `points`.
  DeploymentSet(std::span<const MeasuredPoint> points, std::string_view model_id,
                const Workload& workload);

  [[nodiscard]] std::span<const Deployment> deployments() const { return deployments_; }

  /// Every measured row that meets the SLO, and for each deployment whose own frontier crosses
  /// `min_interactivity` the point interpolated to exactly that interactivity (and, where a TTFT
  /// limit binds between two rows with TTFT, to that limit).
  [[nodiscard]] std::vector<OperatingPoint> meeting(const Slo& slo) const;

 private:
  std::vector<Deployment> deployments_;
};

/// The operating point of a measured row. REQUIRES: an output rate and an interactivity.
[[nodiscard]] OperatingPoint at_row(const MeasuredPoint& point);

/// Between two rows of one deployment at `interactivity`: rates, TTFT and concurrency log-linear in
/// interactivity. REQUIRES: `interactivity` strictly between the rows' values.
[[nodiscard]] OperatingPoint between_rows(const MeasuredPoint& high, const MeasuredPoint& low,
                                          TokensPerSecond interactivity);

/// The rows of `deployment` no other row of it beats in both interactivity and output rate, by
/// falling interactivity.
[[nodiscard]] std::vector<const MeasuredPoint*> own_frontier(const Deployment& deployment);

/// The rate frontiers are ranked by: total tokens/s per GPU, else output.
[[nodiscard]] TokensPerSecond ranking_rate(const OperatingPoint& point);

/// Indices of the points no other beats in both interactivity and ranking_rate(), by falling
/// interactivity.
[[nodiscard]] std::vector<std::size_t> non_dominated(std::span<const OperatingPoint> points);

/// `point` at a lower clock: modelled.
[[nodiscard]] OperatingPoint at_clock(OperatingPoint point, const ClockedRatios& ratios);

/// Of repeats of the same configuration over software versions; wider between two rows and at lower
/// clocks. A modelled point has its own. Sources and check: docs/model/frontier.md#uncertainty.
[[nodiscard]] RateInterval rate_interval(const OperatingPoint& point);

}  // namespace perwatt::inference
