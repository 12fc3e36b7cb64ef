// The sentences on top of a plan's documents.
#pragma once

#include <string>
#include <vector>

#include "perwatt/report/plan_report.hpp"

namespace perwatt::report {

/// "100 MW, mixed: plan".
[[nodiscard]] std::string title_text(const PlanReport& report);

/// Status, envelope, how near to the optimum; the baseline where there is one.
[[nodiscard]] std::vector<std::string> lead_texts(const PlanReport& report);

}  // namespace perwatt::report
