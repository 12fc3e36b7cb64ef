// What could serve: operating points that meet a service's SLO, with their GPU power. Nothing here
// depends on racks, prices or plants, so that many sites can be priced from one search.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/inference/deployment.hpp"
#include "perwatt/inference/gpu_power.hpp"
#include "perwatt/inference/serving/modelled_serving.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

struct Option {
  std::size_t service = 0;  // index into Site::services
  inference::OperatingPoint point;
  bool ttft_known = true;  // false only where the SLO has a TTFT limit and the row has no TTFT
  std::optional<inference::GpuPower> gpu_power;  // not looked for where the TTFT rules it out
  std::vector<inference::ClockedRatios> clocks;  // by falling clock; empty: not modelled
};

/// An accelerator on which a model of a service was not measured and cannot be modelled.
struct Unmodelled {
  std::string model;
  std::string accelerator;
  std::string reason;
};

struct OptionSet {
  std::vector<Option> options;
  /// By service: every row of its models and workload, whatever the SLO.
  std::vector<std::vector<const inference::MeasuredPoint*>> rows;
  std::vector<std::vector<Unmodelled>> unmodelled;  // by service
};

/// The options of `services` on `accelerators` (catalog ids): measured ones, and with `modelled`
/// those of models that were not measured on an accelerator, and each at lower clocks. `points` and
/// `modelled` must outlive the result.
[[nodiscard]] OptionSet find_options(std::span<const Service> services,
                                     const std::set<std::string>& accelerators,
                                     std::span<const inference::MeasuredPoint> points,
                                     const inference::GpuPowerEstimator& estimator,
                                     inference::serving::ModelledServing* modelled = nullptr);

/// The accelerators of the site's racks.
[[nodiscard]] std::set<std::string> accelerators_of(const Site& site,
                                                    const catalog::Catalog& catalog);

}  // namespace perwatt::plan
