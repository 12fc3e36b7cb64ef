#include "agents_option.hpp"

namespace perwatt::cli {

namespace {

constexpr const char* kInside = "inside";
constexpr const char* kProcess = "process";

}  // namespace

void add_agents_option(CLI::App& verb, std::string& where) {
  verb.add_option("--agents", where,
                  "Where perwatt's agents run: inside this process, or in a process of their own")
      ->type_name("inside|process")
      ->check(CLI::IsMember({kInside, kProcess}))
      ->capture_default_str();
}

std::optional<agent::AgentProgram> agents_program(const std::string& where) {
  if (where != kProcess) {
    return std::nullopt;
  }
  agent::AgentProgram program;
  program.file = "/proc/self/exe";
  program.verb = "agent";
  return program;
}

}  // namespace perwatt::cli
