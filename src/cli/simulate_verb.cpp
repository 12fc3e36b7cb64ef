// perwatt simulate: what happens to power, tokens and latency under a policy, with faults.
#include <algorithm>
#include <filesystem>
#include <utility>

#include "agents_option.hpp"
#include "output_files.hpp"
#include "progress.hpp"
#include "scenario_input.hpp"
#include "simulation_json.hpp"
#include "simulation_text.hpp"
#include "verbs.hpp"
#include <fmt/format.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/report/simulation_report.hpp"
#include "perwatt/simulate/compare_policies.hpp"
#include "perwatt/simulate/scenario.hpp"
#include "perwatt/simulate/scenario_run.hpp"

namespace perwatt::cli {

namespace {

struct SimulateOptions {
  std::string scenario;
  std::vector<std::string> policies;
  ScenarioFlags flags;
  int seeds = 1;
  std::string agents = "inside";
  std::string journal;
  std::string replay;
  std::string report;
  bool json = false;
};

/// Those of the scenario by name, else by kind; all of the scenario's without a name.
std::vector<simulate::PolicyPlan> chosen_policies(const simulate::Scenario& scenario,
                                                  const std::vector<std::string>& names) {
  if (names.empty()) {
    return scenario.policies;
  }
  std::vector<simulate::PolicyPlan> chosen;
  for (const auto& name : names) {
    chosen.push_back(policy_named(scenario, name, "scenario"));
  }
  return chosen;
}

/// The one policy that is run: a journal is of one controller.
const simulate::PolicyPlan& journalled_policy(const std::vector<simulate::PolicyPlan>& policies,
                                              const SimulateOptions& options, const char* flag) {
  const bool is_one = policies.size() == 1 && options.seeds == 1 &&
                      policies.front().kind == simulate::PolicyKind::perwatt;
  if (!is_one) {
    throw Error{ErrorCode::usage, "a journal is of one run of one policy of kind perwatt", flag,
                "add --policy with its name, without --seeds"};
  }
  return policies.front();
}

void print_replay(const simulate::Scenario& scenario, const simulate::PolicyPlan& policy,
                  const std::string& journal) {
  const auto found = simulate::replay_journal(scenario, policy, journal);
  if (found.difference) {
    throw_bad_input(*found.difference, journal,
                    "give the scenario, the policy and the program that it was written with");
  }
  fmt::print("{}: {} starts, {} ticks, {} grants and {} states come again, to the bit\n",
             printable(journal), found.starts, found.ticks, found.grants, found.checkpoints);
  if (found.skipped_ticks > 0) {
    fmt::print("{} ticks before the first state that is left are not played\n",
               found.skipped_ticks);
  }
}

void run_simulate(const SimulateOptions& options) {
  check_outputs({{"SCENARIO", options.scenario}},
                {{"--report", options.report}, {"--journal", options.journal}});
  const auto scenario = read_scenario_file(options.scenario, options.flags);
  const auto policies = chosen_policies(scenario, options.policies);
  if (!options.replay.empty()) {
    print_replay(scenario, journalled_policy(policies, options, "--replay"), options.replay);
    return;
  }
  if (!options.journal.empty()) {
    static_cast<void>(journalled_policy(policies, options, "--journal"));
  }
  ProgressBar bar{"simulating"};
  const auto runs = simulate::compare_policies(scenario, policies, options.seeds,
                                               [&](double done) { bar.update(done); },
                                               {agents_program(options.agents), options.journal});
  if (!options.report.empty()) {
    write_file(options.report,
               report::simulation_html({&scenario, &runs, options.scenario, PERWATT_VERSION}));
  }
  if (options.json) {
    fmt::print("{}\n", simulation_json(scenario, runs).dump(2));
    return;
  }
  fmt::print("{}", simulation_text(scenario, runs));
}

}  // namespace

void add_simulate_verb(CLI::App& app) {
  auto options = std::make_shared<SimulateOptions>();
  auto* verb = app.add_subcommand(
      "simulate", "What happens to power, tokens and latency, second by second, under a policy");
  verb->add_option("SCENARIO", options->scenario, "Scenario file (docs/reference/scenario.md)")
      ->required();
  verb->add_option("--policy", options->policies, "Only these of the scenario's policies, by name")
      ->type_name("NAME");
  verb->add_option("--duration", options->flags.duration, "Instead of the scenario's, e.g. 24h");
  verb->add_option("--seed", options->flags.seed, "Instead of the scenario's")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 53));
  verb->add_option("--seeds", options->seeds,
                   "Run with so many seeds, from the first on, for confidence intervals")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  add_agents_option(*verb, options->agents);
  auto* journal =
      verb->add_option("--journal", options->journal,
                       "Write all that the controller is told and grants (docs/model/control.md)")
          ->type_name("OUT.sqlite");
  verb->add_option("--replay", options->replay,
                   "Run nothing: play the journal of a run of this scenario and policy again, and\n"
                   "compare every grant to the bit")
      ->type_name("JOURNAL")
      ->excludes(journal);
  verb->add_option("--report", options->report, "Write a self-contained HTML page")
      ->type_name("OUT.html")
      ->check(html_name_fault);
  verb->add_flag("--json", options->json, "Print JSON");
  verb->footer(
      "Examples:\n"
      "  perwatt simulate examples/scenario-nscale.toml\n"
      "  perwatt simulate examples/scenario-nscale.toml --policy static --policy perwatt "
      "--duration 10min --json\n"
      "  perwatt simulate examples/scenario-nscale.toml --policy static --policy perwatt "
      "--duration 5min --report simulation.html\n"
      "  perwatt simulate examples/scenario-maxlps.toml --policy uniform --policy perwatt "
      "--duration 2min --seeds 3");
  verb->callback([options] { run_simulate(*options); });
}

}  // namespace perwatt::cli
