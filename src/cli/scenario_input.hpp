// The scenario that a verb runs, with what its flags say instead of the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "perwatt/simulate/scenario.hpp"

namespace perwatt::cli {

/// --duration and --seed; empty or absent: the file's.
struct ScenarioFlags {
  std::string duration;
  std::optional<std::uint64_t> seed;
};

/// Throws Error(bad_input) as read_scenario, and Error(usage) for a duration that does not do.
[[nodiscard]] simulate::Scenario read_scenario_file(const std::string& file,
                                                    const ScenarioFlags& flags);

/// Throws Error(usage), with the nearest name, where no policy is called so; `whose` says of what
/// in the message.
[[nodiscard]] const simulate::PolicyPlan& policy_named(const simulate::Scenario& scenario,
                                                       const std::string& name, const char* whose);

}  // namespace perwatt::cli
