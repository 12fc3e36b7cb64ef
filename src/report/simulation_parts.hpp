// Private to the report of a simulation: its tables and charts.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "charts.hpp"
#include "table.hpp"

#include "perwatt/report/simulation_report.hpp"
#include "perwatt/report/simulation_score.hpp"

namespace perwatt::report {

/// Rows of a table of services, jobs or faults, and bands of a chart.
inline constexpr std::size_t kMostSimulationRows = 1000;
inline constexpr std::size_t kMostFaultBands = 200;

/// The policies as they are shown, all different: one that was asked for twice gets a number.
[[nodiscard]] std::vector<std::string> policy_names(const SimulationReport& report);

/// "cap-late: node 3 of rack"; without a node where the fault is of none.
[[nodiscard]] std::string fault_name(const simulate::Scenario& scenario,
                                     const simulate::Fault& fault);

/// All figures, a column for each policy.
[[nodiscard]] Table scores_table(const SimulationReport& report);

/// Against fixed caps; nothing without a policy that gives them, or with no other.
[[nodiscard]] std::vector<Table> gain_tables(const SimulationReport& report);

/// What every service and every training job did under each policy; nothing without any.
[[nodiscard]] std::vector<Table> job_tables(const SimulationReport& report);

/// Faults, policies, and what was assumed of plant, devices, sensors and work.
[[nodiscard]] std::vector<Table> assumption_tables(const SimulationReport& report);

/// Power and good tokens over time; tokens only where some were made.
[[nodiscard]] std::vector<Chart> timeline_charts(const SimulationReport& report);

/// Where the limit of the root went; nothing without one.
[[nodiscard]] std::vector<Chart> watts_charts(const SimulationReport& report);

}  // namespace perwatt::report
