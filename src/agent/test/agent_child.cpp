// An agent that tests may kill.
#include <exception>

#include <unistd.h>

#include "perwatt/agent/agent_link.hpp"

int main() {
  try {
    perwatt::agent::serve_agent(STDIN_FILENO, STDOUT_FILENO);
    return 0;
  } catch (const std::exception&) {
    return 3;
  }
}
