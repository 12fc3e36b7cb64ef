// Operating points that nobody measured, for planners: whole deployments of a model on an
// accelerator, and what a known point would do at lower core clocks.
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "perwatt/catalog/catalog.hpp"
#include "perwatt/inference/deployment.hpp"
#include "perwatt/inference/gpu_power.hpp"
#include "perwatt/inference/serving/calibration.hpp"

namespace perwatt::inference::serving {

/// MeasuredPoint::source of rows that describe modelled deployments.
inline constexpr std::string_view kModelSource = "serving-model";

struct ModelledPoint {
  OperatingPoint point;  // tag modelled; its row describes the deployment, not a measurement
  GpuPower gpu_power;
};

struct ModelledDeployments {
  std::vector<ModelledPoint> points;  // per precision and serving mode what no other beats
  std::string missing_because;        // why there are none; empty otherwise
};

/// Asks the serving model, once for each question. Not safe to use from several threads.
class ModelledServing {
 public:
  /// `models` is the folder of built-in descriptions. `catalog` and `calibration` must outlive it,
  /// and it must outlive the points it gives.
  ModelledServing(const catalog::Catalog& catalog, std::filesystem::path models,
                  const Calibration& calibration);

  /// Deployments within one scale-up domain, in the released precision and narrower ones that the
  /// accelerator multiplies, without speculation. REQUIRES: catalog ids.
  [[nodiscard]] const ModelledDeployments& deployments(const std::string& model,
                                                       const Workload& workload,
                                                       const std::string& accelerator);

  /// The curve of a point over falling clocks, its level anchored at `power` and at the point's own
  /// rate; empty where the row does not state enough to be modelled.
  [[nodiscard]] std::vector<ClockedRatios> clocks(const OperatingPoint& point,
                                                  const GpuPower& power);

 private:
  void search_precision(const std::string& model, const Workload& workload,
                        const catalog::Accelerator& accelerator, const std::string& precision,
                        ModelledDeployments& found);

  const catalog::Catalog& catalog_;
  const Calibration& calibration_;
  ShapeLibrary shapes_;
  std::deque<MeasuredPoint> rows_;
  std::map<std::tuple<std::string, Workload, std::string>, ModelledDeployments> asked_;
};

}  // namespace perwatt::inference::serving
