// Results of a simulation as JSON: docs/reference/scenario.md.
#pragma once

#include <vector>

#include <nlohmann/json.hpp>

#include "perwatt/simulate/compare_policies.hpp"
#include "perwatt/simulate/scenario.hpp"

namespace perwatt::cli {

[[nodiscard]] nlohmann::ordered_json simulation_json(const simulate::Scenario& scenario,
                                                     const std::vector<simulate::PolicyRuns>& runs);

}  // namespace perwatt::cli
