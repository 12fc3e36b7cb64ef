// How many times the tokens of one accelerator another yields at equal interactivity, read off the
// pooled lines of docs/model/frontier.md#pooled-line. For documents only: a plan never uses it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "charts.hpp"
#include "table.hpp"

#include "perwatt/inference/rate_line.hpp"
#include "perwatt/plan/candidate.hpp"
#include "perwatt/report/plan_report.hpp"

namespace perwatt::report {

/// How far curves of a ratio are drawn, in tokens/s per user.
inline constexpr double kMostInteractivity = 2000;

/// One rack kind of the site with what its accelerator was measured to do for a service.
struct RatedRack {
  std::size_t rack = 0;  // index into the rack kinds
  std::string name;      // of RackNames
  inference::RateLine line;
  Watts provisioned;  // at the meter per GPU: at its cap, in the warmest hour
};

/// Rack kinds side by side for one service.
struct ServiceRatios {
  std::size_t service = 0;
  std::vector<RatedRack> racks;         // measured, one of each name; the first is the divisor
  std::vector<std::string> unmeasured;  // names of rack kinds without rows
};

/// Total tokens/s per GPU at `at` over the divisor's; the lines' values beside it.
struct Ratio {
  double per_gpu = 0;
  double per_provisioned_mw = 0;
  Tag tag = Tag::measured;
  bool is_between_deployments = false;  // either side lies between two deployments
};

/// Nothing where either accelerator was not measured at such an interactivity.
[[nodiscard]] std::optional<Ratio> ratio_at(const RatedRack& rack, const RatedRack& divisor,
                                            TokensPerSecond at);

/// By service. The divisor is the first measured rack kind with owned racks, else the first
/// measured one; further rack kinds of its accelerator are left out. The lines point into
/// `report.points`.
[[nodiscard]] std::vector<ServiceRatios> service_ratios(const PlanReport& report,
                                                        const RackNames& names);

/// Ratios at the services' bounds and at round interactivities; none without two accelerators.
[[nodiscard]] std::vector<Table> ratio_tables(const PlanReport& report);

}  // namespace perwatt::report
