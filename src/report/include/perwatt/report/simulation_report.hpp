// A simulated scenario under its policies as a page: self-contained HTML that opens offline.
//
// A pure function from results to text, same input, same bytes. Figures are those of
// simulation_score.hpp, over all seeds; lines over time are of the first seed. Long lists are cut
// and the page says so.
#pragma once

#include <string>
#include <vector>

#include "perwatt/simulate/compare_policies.hpp"
#include "perwatt/simulate/scenario.hpp"

namespace perwatt::report {

/// Both outlive the report.
struct SimulationReport {
  const simulate::Scenario* scenario = nullptr;
  const std::vector<simulate::PolicyRuns>* runs = nullptr;  // of it; at least one policy
  std::string source;                                       // the file
  std::string version;                                      // of perwatt
};

[[nodiscard]] std::string simulation_html(const SimulationReport& report);

}  // namespace perwatt::report
