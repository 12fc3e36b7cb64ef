// The plan of a site whose megawatts and racks arrive in steps (docs/model/plan.md#deliveries).
#pragma once

#include <vector>

#include "perwatt/catalog/catalog.hpp"
#include "perwatt/plan/option.hpp"
#include "perwatt/plan/plan.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

/// What runs from one delivery to the next.
struct Phase {
  double after_months = 0;
  Watts envelope;
  PlanStatus status = PlanStatus::infeasible;
  std::string infeasible_because;
  std::vector<RackUse> racks;
  Totals totals;
};

/// One plan for each delivery, in order. What is bought in one phase stays; each phase earns the
/// most it can without looking at what arrives later. Empty without deliveries. `options` as in
/// build_candidates().
[[nodiscard]] std::vector<Phase> plan_phases(const Site& site, const catalog::Catalog& catalog,
                                             const OptionSet& options);

}  // namespace perwatt::plan
