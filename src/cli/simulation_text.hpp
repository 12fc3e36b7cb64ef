// Results of a simulation for people.
#pragma once

#include <string>
#include <vector>

#include "perwatt/simulate/compare_policies.hpp"
#include "perwatt/simulate/scenario.hpp"

namespace perwatt::cli {

[[nodiscard]] std::string simulation_text(const simulate::Scenario& scenario,
                                          const std::vector<simulate::PolicyRuns>& runs);

}  // namespace perwatt::cli
