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

namespace perwatt::cli {

namespace {

struct SimulateOptions {
  std::string scenario;
  std::vector<std::string> policies;
  ScenarioFlags flags;
  int seeds = 1;
  std::string agents = "inside";
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

void run_simulate(const SimulateOptions& options) {
  check_outputs({{"SCENARIO", options.scenario}}, {{"--report", options.report}});
  const auto scenario = read_scenario_file(options.scenario, options.flags);
  const auto policies = chosen_policies(scenario, options.policies);
  ProgressBar bar{"simulating"};
  const auto runs = simulate::compare_policies(scenario, policies, options.seeds,
                                               [&](double done) { bar.update(done); },
                                               {agents_program(options.agents)});
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
