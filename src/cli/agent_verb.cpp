// perwatt agent: the leases of a site's devices, as a process that others begin and speak to.
#include "verbs.hpp"
#include <unistd.h>

#include "perwatt/agent/agent_link.hpp"

namespace perwatt::cli {

void add_agent_verb(CLI::App& app) {
  auto* verb = app.add_subcommand(
      "agent", "The agents of a site, as a process that simulate and run begin and speak to");
  verb->footer(
      "Reads requests on standard input and answers them on standard output, in the bytes of\n"
      "docs/model/control.md#agents; it ends with its input. What is no request ends it, exit 3.\n"
      "Examples:\n"
      "  perwatt simulate examples/scenario-maxlps.toml --policy perwatt --duration 2min "
      "--agents process");
  verb->callback([] { agent::serve_agent(STDIN_FILENO, STDOUT_FILENO); });
}

}  // namespace perwatt::cli
