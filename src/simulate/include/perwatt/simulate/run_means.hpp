// How a run of a scenario is carried out.
#pragma once

#include <filesystem>
#include <optional>

#include "perwatt/agent/agent_link.hpp"

namespace perwatt::simulate {

struct RunMeans {
  /// perwatt's, as a child process; nothing: in this one. What comes of the run does not hang on
  /// it.
  std::optional<agent::AgentProgram> agents;

  /// Of perwatt's controller (control::JournaledController): a file that is not there yet. Empty:
  /// none, and grants alone are remembered for a restart of the controller.
  std::filesystem::path journal = {};
};

}  // namespace perwatt::simulate
