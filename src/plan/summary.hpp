// From the solver's columns to what they mean for the site.
#pragma once

#include "plan_model.hpp"

#include "perwatt/plan/candidate.hpp"
#include "perwatt/plan/plan.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

/// Fills in assignments, training, racks, hours, halls, served, trained, totals, flow and
/// excursion. `whole_racks`: the solution is integer.
void take_answer(const Site& site, const CandidateSet& set, const ManagedDraw& managed,
                 const PlanModel& model, const LinearProgram::Solution& solution, bool whole_racks,
                 Plan& plan);

}  // namespace perwatt::plan
