// A plan as documents: self-contained HTML that opens offline, Markdown and CSV tables.
//
// Pure functions from results to text; nothing is computed here that is not shown. Same input, same
// bytes. Every figure carries its unit, tag and source.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "perwatt/catalog/catalog.hpp"
#include "perwatt/inference/frontier.hpp"
#include "perwatt/plan/attribution.hpp"
#include "perwatt/plan/plan.hpp"
#include "perwatt/plan/sensitivity.hpp"
#include "perwatt/report/claims.hpp"

namespace perwatt::report {

/// What a plan report shows.
struct PlanReport {
  plan::SolvedSite solved;
  std::optional<plan::SolvedSite> baseline;
  const catalog::Catalog* catalog = nullptr;
  std::vector<inference::Frontier> frontiers;  // by service: its model and workload, no SLO
  std::string version;                         // of perwatt

  // What is absent leaves its charts, tables and sentences out.
  std::optional<plan::Attribution> attribution;      // of the plan against `baseline`
  std::optional<plan::Sensitivities> sensitivities;  // of the plan
  std::span<const inference::MeasuredPoint> points;  // for ratios of accelerators; outlive it
  std::vector<ClaimResult> claims;                   // published claims on the same data
};

[[nodiscard]] std::string plan_html(const PlanReport& report);
[[nodiscard]] std::string plan_markdown(const PlanReport& report);

/// The deployments of the plan with all their figures, one CSV row each.
[[nodiscard]] std::string plan_csv(const PlanReport& report);

}  // namespace perwatt::report
