// What a change of one input is worth, by solving the plan again with everything else as it is.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/inference/gpu_power.hpp"
#include "perwatt/inference/serving/modelled_serving.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

/// Changes of the relaxation's optimum (racks not whole, so that a change smaller than a rack
/// shows).
struct Sensitivity {
  std::string input;   // "service[chat].min_interactivity", "prices.energy", …
  std::string change;  // "+10 %", "+1 rack", …
  bool feasible = true;
  std::string unavailable_because;  // not empty: the change cannot be made here
  UsdPerSecond profit;
  TokensPerSecond output;
  Watts meter;
};

struct Sensitivities {
  std::vector<Sensitivity> changes;
  /// Profit of one percent more tokens from every joule, all deployments alike.
  UsdPerSecond per_percent_tokens_per_joule;
};

/// REQUIRES: the site has a plan.
[[nodiscard]] Sensitivities find_sensitivities(
    const Site& site, const catalog::Catalog& catalog,
    std::span<const inference::MeasuredPoint> points, const inference::GpuPowerEstimator& estimator,
    inference::serving::ModelledServing* modelled = nullptr);

}  // namespace perwatt::plan
