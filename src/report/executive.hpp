// The page on top of a plan's documents: the answer in sentences with numbers.
#pragma once

#include <string>
#include <vector>

#include "perwatt/report/plan_report.hpp"

namespace perwatt::report {

struct Statement {
  std::string label;  // "Gain"
  std::string text;   // whole sentences
};

/// What the plan earns and gains, what each class of levers gives, what one more is worth, what
/// limits the site, how sure all that is, what is unknown. REQUIRES: an optimal plan.
[[nodiscard]] std::vector<Statement> executive_statements(const PlanReport& report);

}  // namespace perwatt::report
