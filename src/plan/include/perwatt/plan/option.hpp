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
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

struct Option {
  std::size_t service = 0;  // index into Site::services
  inference::OperatingPoint point;
  bool ttft_known = true;  // false only where the SLO has a TTFT limit and the row has no TTFT
  std::optional<inference::GpuPower> gpu_power;  // not looked for where the TTFT rules it out
};

struct OptionSet {
  std::vector<Option> options;
  /// By service: every measured row of its models and workload, whatever the SLO.
  std::vector<std::vector<const inference::MeasuredPoint*>> measured;
};

/// The options of `services` on `accelerators` (catalog ids). `points` must outlive the result.
[[nodiscard]] OptionSet find_options(std::span<const Service> services,
                                     const std::set<std::string>& accelerators,
                                     std::span<const inference::MeasuredPoint> points,
                                     const inference::GpuPowerEstimator& estimator);

/// The accelerators of the site's racks.
[[nodiscard]] std::set<std::string> accelerators_of(const Site& site,
                                                    const catalog::Catalog& catalog);

}  // namespace perwatt::plan
