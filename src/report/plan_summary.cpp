#include "plan_summary.hpp"

#include <algorithm>

#include "text.hpp"

namespace perwatt::report {

namespace {

std::string baseline_text(const plan::SolvedSite& baseline) {
  const auto& racks = baseline.site->racks;
  const bool may_buy = std::any_of(racks.begin(), racks.end(),
                                   [](const plan::RackStock& rack) { return rack.max_buy > 0; });
  const auto name = "Baseline: " + baseline.site->name + " (" + baseline.site->file + ")" +
                    (may_buy ? "" : ", without purchases");
  return baseline.plan->status == plan::PlanStatus::optimal
             ? name + "."
             : name + ", infeasible: " + baseline.plan->infeasible_because + ".";
}

}  // namespace

std::string title_text(const PlanReport& report) {
  return report.solved.site->name + ": plan";
}

std::vector<std::string> lead_texts(const PlanReport& report) {
  const auto& site = *report.solved.site;
  const auto& plan = *report.solved.plan;
  std::vector<std::string> texts;
  if (plan.status == plan::PlanStatus::optimal) {
    texts.push_back(
        "What runs where, in which configuration and at which power, to earn the most "
        "inside an envelope of " +
        power_text(site.envelope) + " at the meter. Racks are whole; profit is within " +
        percent_text(plan.rack_gap_ratio, 2) + " of the relaxation, and the search is proven to " +
        percent_text(plan.proven_gap_ratio, 2) + ".");
  } else {
    texts.push_back("No plan keeps all limits inside an envelope of " + power_text(site.envelope) +
                    " at the meter.");
  }
  if (report.baseline) {
    texts.push_back(baseline_text(*report.baseline));
  }
  return texts;
}

}  // namespace perwatt::report
