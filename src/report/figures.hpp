// The headline figures of a plan, each with unit, tag, 90 % interval and what it means.
//
// Intervals: the deployments' rate intervals and the boards' power intervals taken at the same end
// for all deployments at once, as the plan's totals do. Where rates and power both enter, the two
// are combined as independent: the relative (for profit: absolute) deviations by root sum of
// squares.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "perwatt/plan/plan.hpp"
#include "perwatt/report/plan_report.hpp"

namespace perwatt::report {

struct Interval {
  double low = 0;
  double high = 0;
};

struct Figure {
  std::string key;    // stable name inside this module
  std::string group;  // "Tokens", "Power", …
  std::string name;
  std::string unit;
  std::optional<double> value;
  std::optional<Interval> interval;  // 90 %; nothing where none is known
  std::string tag;
  std::string remark;  // basis, or why the value is unknown
};

/// Always the same keys in the same order, so that plans can be laid side by side. REQUIRES: an
/// optimal plan.
[[nodiscard]] std::vector<Figure> headline_figures(const plan::SolvedSite& solved,
                                                   const catalog::Catalog& catalog);

/// "19,234,000" to `digits` significant digits, or "unknown".
[[nodiscard]] std::string value_text(const Figure& figure, int digits = 5);

/// "17,100,000 to 21,400,000", or "" without an interval.
[[nodiscard]] std::string interval_text(const Figure& figure);

/// Output and energy per token of one deployment of the plan, over all its GPUs.
struct DeploymentFigures {
  TokensPerSecond output;
  TokensPerSecond output_low;
  TokensPerSecond output_high;
  std::optional<TokensPerSecond> input;
  JoulesPerToken facility_per_output;  // idle share of availability included
};

[[nodiscard]] DeploymentFigures deployment_figures(const plan::SolvedSite& solved,
                                                   const plan::Assignment& assignment);

}  // namespace perwatt::report
