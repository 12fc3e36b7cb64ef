// Why a site has no plan and what would give it one.
#pragma once

#include "perwatt/plan/candidate.hpp"
#include "perwatt/plan/plan.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

/// True when no service of the site has a column: nothing can be planned.
[[nodiscard]] bool nothing_can_serve(const Site& site, const CandidateSet& set);

/// Fills in infeasible_because and remedies.
void explain_infeasible(const Site& site, const CandidateSet& set, Plan& plan);

}  // namespace perwatt::plan
