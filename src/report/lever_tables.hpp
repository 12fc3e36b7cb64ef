// What each lever earned, as tables (docs/reference/plan-report.md).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "table.hpp"

#include "perwatt/plan/attribution.hpp"
#include "perwatt/report/plan_report.hpp"

namespace perwatt::report {

/// "speculative decoding".
[[nodiscard]] std::string lever_name(plan::Lever lever);

/// "not available" and the like of a part that its figures do not say; empty: nothing to say.
[[nodiscard]] std::string lever_remark(const plan::Attribution& attribution,
                                       const plan::LeverPart& part);

/// The sums of the parts of one class.
struct ClassPart {
  plan::LeverClass lever_class = plan::LeverClass::operations;
  std::vector<const plan::LeverPart*> levers;  // those that differ, largest profit first
  plan::Worth part;
  Usd outlay;
  Usd net_present_value;
};

/// The classes with any lever that differs, in the order of the enumeration. The parts point into
/// `attribution`.
[[nodiscard]] std::vector<ClassPart> class_parts(const plan::Attribution& attribution);

/// Whether there are parts to show.
[[nodiscard]] bool has_parts(const PlanReport& report);

/// Parts of the levers by class and the largest interactions; none without parts.
[[nodiscard]] std::vector<Table> lever_tables(const PlanReport& report);

}  // namespace perwatt::report
