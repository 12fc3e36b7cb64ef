// How a run of a scenario is carried out. What comes of it does not hang on that.
#pragma once

#include <optional>

#include "perwatt/agent/agent_link.hpp"

namespace perwatt::simulate {

struct RunMeans {
  std::optional<agent::AgentProgram> agents;  // perwatt's, as a child process; else in this one
};

}  // namespace perwatt::simulate
