// What a plan says, as tables.
#pragma once

#include <vector>

#include "figures.hpp"
#include "table.hpp"

#include "perwatt/report/plan_report.hpp"

namespace perwatt::report {

/// All tables of results in the order of the document. An infeasible plan has the services and what
/// would make it feasible, no figures.
[[nodiscard]] std::vector<Table> result_tables(const PlanReport& report);

}  // namespace perwatt::report
