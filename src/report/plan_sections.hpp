// The order of a plan's documents: what belongs together, charts before their tables.
#pragma once

#include <vector>

#include "charts.hpp"
#include "table.hpp"

#include "perwatt/report/plan_report.hpp"

namespace perwatt::report {

struct Section {
  std::vector<Chart> charts;  // HTML only; each has its figures in the tables
  std::vector<Table> tables;
};

/// All results in order; empty sections are left out. An infeasible plan has its reasons first and
/// no figures.
[[nodiscard]] std::vector<Section> plan_sections(const PlanReport& report);

}  // namespace perwatt::report
