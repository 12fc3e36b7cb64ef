// Training jobs of a plan, as tables.
#pragma once

#include <vector>

#include "table.hpp"

#include "perwatt/plan/plan.hpp"

namespace perwatt::report {

/// Jobs and the plans they run; none without training jobs. REQUIRES: an optimal plan.
[[nodiscard]] std::vector<Table> training_tables(const plan::SolvedSite& solved);

}  // namespace perwatt::report
