// What a change of policy would do, for people and for programs.
#pragma once

#include <string>

#include "perwatt/base/json_node.hpp"
#include "perwatt/simulate/policy_diff.hpp"

namespace perwatt::cli {

/// Nodes above the hosts, and the devices that change most.
[[nodiscard]] std::string policy_diff_text(const simulate::PolicyDiff& diff,
                                           const std::string& before, const std::string& after);

/// docs/reference/run.md#dry-run
[[nodiscard]] Json policy_diff_json(const simulate::PolicyDiff& diff, const std::string& before,
                                    const std::string& after);

}  // namespace perwatt::cli
