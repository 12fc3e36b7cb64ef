// GPU power of operating points: measured where it is, else estimated from measured relatives.
// Method, error and coverage on held-out families: docs/model/gpu_power.md.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "perwatt/base/tag.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/inference/deployment.hpp"
#include "perwatt/inference/measured_point.hpp"

namespace perwatt::inference {

/// Mean power of one GPU board over the whole deployment, with a 90 % interval.
struct GpuPower {
  Watts mean;
  Watts low;
  Watts high;
  Tag tag = Tag::measured;
  std::string basis;  // what it rests on, for people
};

/// Where a point stands physically: logarithms of the share of peak FLOP/s it uses, of the decode
/// batch per GPU, and of the share of memory bandwidth that streaming the active weights takes.
struct PowerFeatures {
  double log_compute_ratio = 0;
  double log_batch_per_gpu = 0;
  double log_weight_bandwidth_ratio = 0;
};

class GpuPowerEstimator {
 public:
  /// Whether `relative` may not be used for `row`; null: none is excluded.
  using Excluded = bool (*)(const MeasuredPoint& relative, const MeasuredPoint& row);

  /// Keeps the points with measured power as relatives. `points` and `catalog` must outlive it.
  GpuPowerEstimator(std::span<const MeasuredPoint> points, const catalog::Catalog& catalog);

  /// Measured or derived power of the row; between two such rows linear; else the weighted mean of
  /// the nearest relatives as a share of TDP. Nothing when the catalog lacks the model's active
  /// parameters or the accelerator's rates, or when no relative is known.
  [[nodiscard]] std::optional<GpuPower> power_of(const OperatingPoint& point) const;

  /// The estimate for a row as if its own power were unknown, from relatives that are not
  /// `excluded`.
  [[nodiscard]] std::optional<GpuPower> estimate(const OperatingPoint& point,
                                                 Excluded excluded) const;

 private:
  struct Relative {
    double log_share_of_tdp;
    const MeasuredPoint* point;
    const catalog::Accelerator* accelerator;
    int precision;
    int engine_family;
  };

  struct Query {
    PowerFeatures features;
    const catalog::Accelerator* accelerator;
    int precision;
    int engine_family;
  };

  struct Neighbour {
    double distance = 0;
    const Relative* relative = nullptr;
  };

  [[nodiscard]] std::vector<Neighbour> nearest(const Query& query, const OperatingPoint& point,
                                               Excluded excluded) const;
  [[nodiscard]] std::optional<Query> query_of(const OperatingPoint& point) const;

  const catalog::Catalog* catalog_;
  std::vector<std::string> precisions_;
  std::vector<std::string> engine_families_;
  std::vector<Relative> relatives_;

  /// Their features, column by column.
  struct Columns {
    std::vector<double> log_compute_ratio;
    std::vector<double> log_batch_per_gpu;
    std::vector<double> log_weight_bandwidth_ratio;
  };

  Columns columns_;
};

}  // namespace perwatt::inference
