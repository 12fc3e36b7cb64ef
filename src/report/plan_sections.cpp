#include "plan_sections.hpp"

#include <utility>

#include "claims/claims_tables.hpp"
#include "lever_tables.hpp"
#include "plan_tables.hpp"
#include "plan_training_tables.hpp"
#include "ratio_curves.hpp"

namespace perwatt::report {

namespace {

std::vector<Chart> joined(std::vector<Chart> first, std::vector<Chart> second) {
  for (auto& chart : second) {
    first.push_back(std::move(chart));
  }
  return first;
}

std::vector<Table> claim_tables(const PlanReport& report) {
  return report.claims.empty() ? std::vector<Table>{}
                               : std::vector{short_claims_table(report.claims)};
}

Section accelerators(const PlanReport& report, const RackNames& racks) {
  return {ratio_charts(report, racks), ratio_tables(report)};
}

Section curves(const PlanReport& report, const RackNames& racks) {
  return {joined(frontier_charts(report, racks), power_curve_charts(report, racks)), {}};
}

}  // namespace

std::vector<Section> plan_sections(const PlanReport& report) {
  const auto& solved = report.solved;
  const RackNames racks{*solved.set};
  std::vector<Section> sections;
  const auto add = [&](Section section) {
    if (!section.charts.empty() || !section.tables.empty()) {
      sections.push_back(std::move(section));
    }
  };
  if (solved.plan->status != plan::PlanStatus::optimal) {
    add({{}, infeasible_tables(solved)});
    add(curves(report, racks));
    add(accelerators(report, racks));
    add({{}, claim_tables(report)});
    return sections;
  }
  add({{}, {headline_table(report)}});
  add({lever_charts(report), lever_tables(report)});
  add({sensitivity_charts(report), sensitivity_tables(report)});
  add({{}, {duals_table(solved)}});
  add({cost_charts(report), {}});
  add({hour_charts(report), hour_tables(report)});
  add({power_flow_charts(report), {flow_table(solved)}});
  add(curves(report, racks));
  add({{}, deployment_tables(solved)});
  add({{}, training_tables(solved)});
  add(accelerators(report, racks));
  add({{}, claim_tables(report)});
  return sections;
}

}  // namespace perwatt::report
