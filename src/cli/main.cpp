#include <cstdio>
#include <exception>

#include "verbs.hpp"
#include <CLI/CLI.hpp>

#include "perwatt/base/error.hpp"

namespace {

int complain(const char* message, perwatt::ErrorCode code) {
  std::fprintf(stderr, "perwatt: %s\n", message);
  return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    CLI::App app{
        "perwatt: the most tokens per watt from a power-limited GPU site.\n"
        "Exit codes: 0 done (infeasible is an answer), 2 usage, 3 bad input, 4 a peer or file\n"
        "system failed, 5 internal error."};
    app.name("perwatt");
    app.set_version_flag("--version", PERWATT_VERSION);
    app.require_subcommand(1);
    perwatt::cli::add_plan_verb(app);
    perwatt::cli::add_frontier_verb(app);
    perwatt::cli::add_catalog_verb(app);
    perwatt::cli::add_import_verb(app);
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& problem) {
      const int status = app.exit(problem);
      return status == 0 ? 0 : static_cast<int>(perwatt::ErrorCode::usage);
    }
    if (std::fflush(stdout) != 0) {
      return complain("writing to standard output failed", perwatt::ErrorCode::peer_failed);
    }
    return 0;
  } catch (const perwatt::Error& error) {
    return complain(error.what(), error.code());
  } catch (const std::exception& error) {
    return complain(error.what(), perwatt::ErrorCode::internal_error);
  }
}
