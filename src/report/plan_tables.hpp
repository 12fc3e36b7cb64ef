// What a plan says, as tables.
#pragma once

#include <vector>

#include "figures.hpp"
#include "table.hpp"

#include "perwatt/report/plan_report.hpp"

namespace perwatt::report {

/// Headline figures, beside the baseline's. REQUIRES: an optimal plan, as do the others but for the
/// last two.
[[nodiscard]] Table headline_table(const PlanReport& report);

/// Services, deployments, racks.
[[nodiscard]] std::vector<Table> deployment_tables(const plan::SolvedSite& solved);

/// What one more is worth.
[[nodiscard]] Table duals_table(const plan::SolvedSite& solved);

[[nodiscard]] Table flow_table(const plan::SolvedSite& solved);

/// Profit, tokens and power by a change of one input; none without sensitivities.
[[nodiscard]] std::vector<Table> sensitivity_tables(const PlanReport& report);

/// Hour classes and halls; none with one hour class and constant PUEs.
[[nodiscard]] std::vector<Table> hour_tables(const PlanReport& report);

/// What would make an infeasible plan feasible (none where nothing is known), and its services.
[[nodiscard]] std::vector<Table> infeasible_tables(const plan::SolvedSite& solved);

}  // namespace perwatt::report
