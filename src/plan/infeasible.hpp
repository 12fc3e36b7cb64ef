// Why a site has no plan and what would give it one.
#pragma once

#include <optional>
#include <vector>

#include "perwatt/plan/candidate.hpp"
#include "perwatt/plan/plan.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

/// True when no service of the site has a column: nothing can be planned.
[[nodiscard]] bool nothing_can_serve(const Site& site, const CandidateSet& set);

/// By service: what stands in the way of one that has no column.
[[nodiscard]] std::vector<std::optional<Remedy>> explain_unserved(const Site& site,
                                                                  const CandidateSet& set);

/// Fills in infeasible_because and remedies. REQUIRES: plan.unserved is filled in.
void explain_infeasible(const Site& site, const CandidateSet& set, Plan& plan);

}  // namespace perwatt::plan
