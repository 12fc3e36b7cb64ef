// What keeps a plan from earning more, in sentences.
#pragma once

#include <string>
#include <vector>

#include "perwatt/report/plan_report.hpp"

namespace perwatt::report {

/// Share of the year and names of hour classes.
struct HoursText {
  double year_ratio = 0;
  std::size_t classes = 0;
  std::vector<std::string> names;
};

/// Hour classes in which all demand of a service is served. REQUIRES: an optimal plan.
[[nodiscard]] HoursText hours_with_demand_met(const plan::SolvedSite& solved, std::size_t service);

/// The hour class with the least headroom below the envelope. REQUIRES: an optimal plan.
[[nodiscard]] std::size_t tightest_hour(const plan::SolvedSite& solved);

/// One sentence for each limit: envelope, demand of every service, racks, halls, capital; those
/// that are not tight only where that tells where to look. REQUIRES: an optimal plan.
[[nodiscard]] std::vector<std::string> limit_texts(const plan::SolvedSite& solved);

}  // namespace perwatt::report
