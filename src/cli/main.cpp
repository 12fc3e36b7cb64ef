#include <cstdio>
#include <exception>
#include <string>
#include <system_error>
#include <vector>

#include "verbs.hpp"
#include <CLI/CLI.hpp>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace {

/// CLI11 says of a misspelt verb only that one is missing; this names it.
void refuse_unknown_verb(const CLI::App& app, int argc, char** argv) {
  const CLI::App* level = &app;
  for (int i = 1; i < argc && argv[i][0] != '-'; ++i) {
    const auto verbs = level->get_subcommands([](const CLI::App* entry) {
      return !entry->get_name().empty();  // option groups have none
    });
    if (verbs.empty()) {
      return;
    }
    std::vector<std::string> names;
    const CLI::App* chosen = nullptr;
    for (const auto* verb : verbs) {
      names.push_back(verb->get_name());
      if (verb->get_name() == argv[i]) {
        chosen = verb;
      }
    }
    if (chosen == nullptr &&
        !level->get_options([](const CLI::Option* option) { return option->get_positional(); })
             .empty()) {
      return;  // a file, not a verb
    }
    if (chosen == nullptr) {
      throw perwatt::Error{
          perwatt::ErrorCode::usage,
          "'" + perwatt::printable(argv[i]) + "' is no verb of " + level->get_name(), "",
          perwatt::suggestion(argv[i], names)};
    }
    level = chosen;
  }
}

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
    perwatt::cli::add_validate_verb(app);
    perwatt::cli::add_calibrate_verb(app);
    perwatt::cli::add_train_verb(app);
    perwatt::cli::add_allocate_verb(app);
    perwatt::cli::add_topology_verb(app);
    perwatt::cli::add_simulate_verb(app);
    perwatt::cli::add_run_verb(app);
    perwatt::cli::add_agent_verb(app);
    perwatt::cli::add_measure_verb(app);
    perwatt::cli::add_catalog_verb(app);
    perwatt::cli::add_import_verb(app);
    perwatt::cli::add_report_verb(app);
    refuse_unknown_verb(app, argc, argv);
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
  } catch (const std::system_error& error) {  // a full disk or a closed pipe behind standard output
    return complain(error.what(), perwatt::ErrorCode::peer_failed);
  } catch (const std::exception& error) {
    return complain(error.what(), perwatt::ErrorCode::internal_error);
  }
}
