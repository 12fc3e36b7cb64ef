// Why a site has no plan and what would give it one.
#pragma once

#include <optional>
#include <vector>

#include "managed_draw.hpp"

#include "perwatt/plan/candidate.hpp"
#include "perwatt/plan/plan.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

/// True when no service and no training job has a column: nothing can be planned.
[[nodiscard]] bool nothing_can_run(const CandidateSet& set);

/// By service: what stands in the way of one that has no column.
[[nodiscard]] std::vector<std::optional<Remedy>> explain_unserved(const Site& site,
                                                                  const CandidateSet& set);

/// By training job: the same.
[[nodiscard]] std::vector<std::optional<Remedy>> explain_untrained(const Site& site,
                                                                   const CandidateSet& set);

/// Fills in infeasible_because and remedies. REQUIRES: plan.unserved and plan.untrained are filled
/// in, and `managed` is not refused.
void explain_infeasible(const Site& site, const CandidateSet& set, const ManagedDraw& managed,
                        Plan& plan);

/// The same for an excursion probability that the measured samples cannot support.
void refuse_provisioning(const Site& site, const ManagedDraw& managed, Plan& plan);

}  // namespace perwatt::plan
