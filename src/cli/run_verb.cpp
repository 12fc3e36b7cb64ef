// perwatt run: a site under control, with a live page. Without devices it is simulated.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>

#include "agents_option.hpp"
#include "descriptors.hpp"
#include "listen_options.hpp"
#include "policy_diff_output.hpp"
#include "scenario_input.hpp"
#include "verbs.hpp"
#include <fmt/format.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/control/mode.hpp"
#include "perwatt/serve/live_routes.hpp"
#include "perwatt/serve/live_simulation.hpp"
#include "perwatt/simulate/policy_diff.hpp"
#include "perwatt/simulate/scenario.hpp"
#include "perwatt/simulate/site_order.hpp"

namespace perwatt::cli {

namespace {

constexpr Seconds kDryRunAt = seconds(600);

struct RunOptions {
  std::string site;
  std::string policy;
  std::string mode;      // empty: the policy's; of a recording advise
  std::string readings;  // empty: simulated
  std::string against;   // a policy, or a file; empty: runs
  std::string at;        // of the dry run
  bool json = false;     // likewise
  std::string listen = "127.0.0.1:8600";
  double speed = 10;
  ScenarioFlags flags;
  std::string agents = "process";
  std::string journal;
  std::string token_file;
  net::HttpServerOptions server;
};

/// The one of that name; without a name the first of kind perwatt.
const simulate::PolicyPlan& run_policy(const simulate::Scenario& scenario,
                                       const std::string& name) {
  if (!name.empty()) {
    return policy_named(scenario, name, "site");
  }
  std::vector<std::string> known;
  for (const auto& policy : scenario.policies) {
    if (policy.kind == simulate::PolicyKind::perwatt) {
      return policy;
    }
    known.push_back(policy.name);
  }
  throw Error{ErrorCode::usage, "the site has no policy of kind perwatt", "--policy",
              "choose " + suggestion("", known)};
}

std::string mode_in_words(control::Mode mode) {
  return mode == control::Mode::control ? "" : ", mode " + std::string{control::to_string(mode)};
}

/// As the flags would have it.
simulate::PolicyPlan plan_to_run(const simulate::Scenario& scenario, const RunOptions& options) {
  auto plan = run_policy(scenario, options.policy);
  const bool is_recorded = !options.readings.empty();
  if (is_recorded && options.mode.empty() && plan.mode == control::Mode::control) {
    plan.mode = control::Mode::advise;
  }
  if (const auto mode = control::parse_mode(options.mode)) {
    plan.mode = *mode;
  }
  if (plan.kind != simulate::PolicyKind::perwatt &&
      (is_recorded || plan.mode != control::Mode::control)) {
    throw Error{ErrorCode::usage,
                "policy '" + printable(plan.name) + "' only writes caps: it cannot look on",
                "--policy", "choose one of kind perwatt"};
  }
  if (is_recorded && plan.mode == control::Mode::control) {
    throw Error{ErrorCode::usage, "a recording takes no caps: it cannot be controlled", "--mode",
                "write --mode observe or --mode advise"};
  }
  return plan;
}

/// The instant whose demand a dry run takes.
Seconds dry_run_instant(const simulate::Scenario& scenario, const std::string& text) {
  const Seconds whole = scenario.warm_up + scenario.duration;
  if (text.empty()) {
    return std::min(whole, kDryRunAt);
  }
  const auto at = parse_flag([&] { return parse_seconds(text, "--at"); });
  if (at < Seconds{} || at > whole) {
    throw Error{ErrorCode::usage, "'" + printable(text) + "' is not within the scenario", "--at",
                "give 0 s to " + significant(in_seconds(whole)) + " s"};
  }
  return at;
}

void dry_run(const RunOptions& options) {
  const auto scenario = read_scenario_file(options.site, options.flags);
  const auto policy = plan_to_run(scenario, options);
  const bool is_file = options.against.ends_with(".toml");
  const auto other = is_file ? read_scenario_file(options.against, options.flags) : scenario;
  const auto& change = run_policy(other, is_file ? "" : options.against);
  const auto name_of = [](const std::string& file, const simulate::PolicyPlan& plan) {
    return file + ": " + plan.name;
  };
  const auto before = name_of(options.site, policy);
  const auto after = name_of(is_file ? options.against : options.site, change);
  const auto diff = simulate::policy_diff({scenario, policy}, {other, change},
                                          dry_run_instant(scenario, options.at));
  fmt::print("{}\n", options.json ? policy_diff_json(diff, before, after).dump(2)
                                  : policy_diff_text(diff, before, after));
}

void run_run(RunOptions& options) {
  read_listen(options.listen, "8600", options.server);
  read_token(options.token_file, options.server);
  const auto scenario = read_scenario_file(options.site, options.flags);
  const auto policy = plan_to_run(scenario, options);
  if (!options.journal.empty() && policy.kind != simulate::PolicyKind::perwatt) {
    throw Error{ErrorCode::usage, "only a policy of kind perwatt has a journal", "--journal",
                "choose --policy of that kind, or leave the journal out"};
  }
  allow_many_descriptors();
  std::optional<serve::LiveRoutes> routes;  // once there is something to show
  net::HttpServer server{options.server,
                         [&](const net::HttpRequest& request, const net::HttpReply& reply) {
                           routes->handle(request, reply);
                         }};
  const serve::LiveSettings settings{scenario.seed,
                                     options.speed,
                                     PERWATT_VERSION,
                                     {agents_program(options.agents), options.journal}};
  const auto begun =
      options.readings.empty()
          ? std::make_unique<serve::LiveSimulation>(scenario, policy, settings)
          : std::make_unique<serve::LiveSimulation>(scenario, policy, settings,
                                                    read_file(options.readings), options.readings);
  auto& simulation = *begun;
  routes.emplace(simulation.site(), simulation.newest(),
                 [&](const simulate::SiteOrder& order) { simulation.order(order); });
  fmt::print("Listening on {}: {}, {} nodes, {} devices, {} at {} times the clock, policy {}{}\n",
             server.url(), printable(scenario.name), simulation.site().nodes.size(),
             simulation.site().nodes.front().devices,
             simulation.site().is_recorded ? "recorded, played" : "simulated",
             significant(options.speed), printable(policy.name), mode_in_words(policy.mode));
  std::fflush(stdout);
  std::atomic<bool> has_posted = false;
  simulation.start([&] {
    if (simulation.failure()) {
      server.stop();
    } else if (!has_posted.exchange(true)) {
      server.post([&] {
        has_posted = false;
        routes->publish(simulation.newest());
      });
    }
  });
  server.run(true);
  simulation.stop();
  if (const auto failure = simulation.failure()) {
    std::rethrow_exception(failure);
  }
  fmt::print("Stopped\n");
}

}  // namespace

void add_run_verb(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  auto* verb = app.add_subcommand(
      "run", "Control a site, with a live web page; without devices the site is simulated");
  verb->add_option("SITE", options->site, "Site: a scenario file (docs/reference/scenario.md)")
      ->required()
      ->type_name("SITE.toml");
  verb->add_option("--policy", options->policy,
                   "One of the site's policies, by name; else the first of kind perwatt")
      ->type_name("NAME");
  verb->add_option("--mode", options->mode,
                   "What it may do: observe (read and alarm), advise (decide and send nothing) or "
                   "control; else the policy's")
      ->check(CLI::IsMember({"observe", "advise", "control"}))
      ->type_name("MODE");
  verb->add_option("--readings", options->readings,
                   "A recording of the site's power instead of the simulation, to observe or "
                   "advise on (docs/reference/run.md#recordings)")
      ->type_name("FILE.csv");
  auto* against = verb->add_option(
      "--dry-run-against", options->against,
      "Runs nothing: what another of the site's policies, or that of another file, would change "
      "(docs/reference/run.md#dry-run)");
  against->type_name("NAME|SITE.toml")->excludes("--readings");
  verb->add_option("--at", options->at,
                   "Instant whose demand both get, since the work began; else 10min or the end")
      ->needs(against);
  verb->add_flag("--json", options->json, "The dry run as JSON")->needs(against);
  verb->add_option("--listen", options->listen, "Address and port")->capture_default_str();
  verb->add_option("--speed", options->speed, "Simulated seconds per second")
      ->check(CLI::Range(1.0, 1000.0))
      ->capture_default_str();
  verb->add_option("--duration", options->flags.duration, "Instead of the site's, e.g. 24h");
  verb->add_option("--seed", options->flags.seed, "Instead of the site's")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 53));
  add_agents_option(*verb, options->agents);
  verb->add_option("--journal", options->journal,
                   "Write all that the controller is told and grants (docs/model/control.md)")
      ->type_name("OUT.sqlite");
  add_caller_options(*verb, options->token_file, options->server);
  verb->footer(
      "The page, its state as JSON, its events and metrics: docs/reference/run.md. Without\n"
      "--token-file it listens on loopback addresses only. SIGINT and SIGTERM stop it.\n"
      "It runs until it is stopped:\n"
      "  perwatt run examples/site-live.toml\n"
      "  perwatt run examples/site-live.toml --policy static --speed 60 --listen 127.0.0.1:8601\n"
      "Examples:\n"
      "  perwatt run examples/site-live.toml --policy static --dry-run-against perwatt");
  verb->callback([options, verb] {
    refuse_empty(*verb);
    if (options->against.empty()) {
      run_run(*options);
    } else {
      dry_run(*options);
    }
  });
}

}  // namespace perwatt::cli
