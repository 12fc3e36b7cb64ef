// Runs the policies of a scenario side by side, over several seeds.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "perwatt/simulate/run_scenario.hpp"
#include "perwatt/simulate/scenario.hpp"

namespace perwatt::simulate {

/// One policy's runs, by seed.
using PolicyRuns = std::vector<PolicyResult>;

/// By policy, in order. The k-th seed is the scenario's plus k: every policy meets the same
/// arrivals, failures and devices. Uses as many threads as the machine has cores; the results do
/// not depend on it. Progress is told from one thread at a time. REQUIRES: seeds >= 1.
[[nodiscard]] std::vector<PolicyRuns> compare_policies(const Scenario& scenario,
                                                       std::span<const PolicyPlan> policies,
                                                       int seeds, const Progress& progress = {},
                                                       const RunMeans& means = {});

}  // namespace perwatt::simulate
