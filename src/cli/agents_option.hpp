// --agents: where the agents of a simulated site run.
#pragma once

#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "perwatt/agent/agent_link.hpp"

namespace perwatt::cli {

/// `where` has the default.
void add_agents_option(CLI::App& verb, std::string& where);

/// This program's own agent, for "process"; nothing for "inside".
[[nodiscard]] std::optional<agent::AgentProgram> agents_program(const std::string& where);

}  // namespace perwatt::cli
