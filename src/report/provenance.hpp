// Every input of a plan with its source.
#pragma once

#include <vector>

#include "table.hpp"

#include "perwatt/report/plan_report.hpp"

namespace perwatt::report {

/// Site inputs, catalog figures, prices, supply curves, measured points, sources, assumptions.
[[nodiscard]] std::vector<Table> provenance_tables(const PlanReport& report);

}  // namespace perwatt::report
