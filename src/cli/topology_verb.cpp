// perwatt topology: the power tree of a site, shown and checked.
#include <cstdlib>
#include <utility>

#include "output_files.hpp"
#include "topology_input.hpp"
#include "topology_json.hpp"
#include "topology_split.hpp"
#include "topology_text.hpp"
#include "verbs.hpp"
#include <fmt/format.h>
#include <unistd.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/report/topology_report.hpp"

namespace perwatt::cli {

namespace {

struct TopologyCheckOptions {
  TopologyFiles files;
  std::string tolerance = "2%";
  std::string pulse;
  std::string pulse_from;
  std::string pulse_to;
  bool downgrade = false;
  bool strict = false;
  bool json = false;
};

struct TopologyShowOptions {
  TopologyFiles files;
  std::string report;
  bool all = false;
  bool json = false;
};

/// "2%" as 0.02.
double parse_percent(const std::string& text, const std::string& flag) {
  const auto ratio = parse_percentage(text);
  if (!ratio || *ratio < 0 || *ratio > 1) {
    throw Error{ErrorCode::usage, "'" + printable(text) + "' is no percentage", flag,
                "write a number from 0% to 100%"};
  }
  return *ratio;
}

std::optional<topology::PulseQuestion> pulse_question(const TopologyCheckOptions& options) {
  if (options.pulse_from.empty() != options.pulse_to.empty() ||
      (options.pulse.empty() && !options.pulse_from.empty())) {
    throw Error{ErrorCode::usage, "the times of the pulse are not complete", "topology check",
                "give --pulse ID with both --pulse-from and --pulse-to, or with neither"};
  }
  if (options.pulse.empty()) {
    return std::nullopt;
  }
  topology::PulseQuestion question{options.pulse, std::nullopt};
  if (!options.pulse_from.empty()) {
    question.times = parse_flag([&] {
      return topology::PulseTimes{parse_seconds(options.pulse_from, "--pulse-from"),
                                  parse_seconds(options.pulse_to, "--pulse-to")};
    });
    if (question.times->to <= question.times->from) {
      throw Error{ErrorCode::usage, "the pulse ends before it begins", "--pulse-to",
                  "give a time after --pulse-from"};
    }
  }
  return question;
}

void run_topology_check(const TopologyCheckOptions& options) {
  topology::SiteQuestion question;
  question.tolerance_ratio = parse_percent(options.tolerance, "--tolerance");
  question.pulse = pulse_question(options);
  question.downgrade = options.downgrade;
  question.strict = options.strict;
  const auto input = read_topology_input(options.files);
  if (question.pulse && !input.readings) {
    throw Error{ErrorCode::usage, "a pulse without readings", "--pulse",
                "give --readings FILE.csv, with the pulse in it"};
  }
  question.readings = input.readings ? &*input.readings : nullptr;
  if (!options.files.site.empty()) {
    static_cast<void>(read_curves(options.files, input.tree));  // refuses what show would
  }
  const auto check = topology::check_site(input.tree, question);
  if (options.json) {
    fmt::print("{}\n", check_json(input, check).dump(2));
  } else {
    fmt::print("{}", check_text(input, check));
  }
}

void run_topology_show(const TopologyShowOptions& options) {
  check_outputs({{"SITE", options.files.site},
                 {"--bms", options.files.bms},
                 {"--readings", options.files.readings}},
                {{"--report", options.report}});
  const auto input = read_topology_input(options.files);
  const auto answer = split_of(options.files, input.tree);
  const auto* split = answer ? &*answer : nullptr;
  if (!options.report.empty()) {
    report::TopologyReport report;
    report.tree = &input.tree;
    report.draws = known_draws(input);
    report.has_readings = input.readings.has_value();
    report.source = options.files.bms.empty() ? options.files.site : options.files.bms;
    report.version = PERWATT_VERSION;
    if (split != nullptr) {
      report.split = &split->split;
      report.beside = split->has_figures() ? &split->beside : nullptr;
    }
    write_file(options.report, report::topology_html(report));
  }
  if (options.json) {
    fmt::print("{}\n", tree_json(input, options.all, split).dump(2));
    return;
  }
  TreeTextOptions text;
  text.all = options.all;
  text.split = split;
  text.colours = ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
  fmt::print("{}", tree_text(input, text));
}

void add_topology_check(CLI::App& topology) {
  auto options = std::make_shared<TopologyCheckOptions>();
  auto* verb = topology.add_subcommand(
      "check", "Does the tree carry its devices, a lost feed too, and do its meters agree?");
  add_topology_files(*verb, options->files);
  verb->add_option("--tolerance", options->tolerance,
                   "How far a meter may be from the sum of what it feeds")
      ->capture_default_str();
  verb->add_option("--pulse", options->pulse,
                   "The readings hold a step of this rack or device: which meters followed?")
      ->type_name("ID");
  verb->add_option("--pulse-from", options->pulse_from,
                   "When the step began, in the time of the readings, e.g. 120s");
  verb->add_option("--pulse-to", options->pulse_to, "When it ended");
  auto* downgrade =
      verb->add_flag("--downgrade", options->downgrade,
                     "When the maximum does not fit, lower the devices until it does");
  verb->add_flag("--strict", options->strict,
                 "Refuse, and change nothing, for anything amiss: feeds and meters too")
      ->excludes(downgrade);
  verb->add_flag("--json", options->json, "Print JSON");
  verb->footer(
      "Formulas and files: docs/reference/topology.md.\n"
      "Examples:\n"
      "  perwatt topology check examples/topology-dps-sdk.toml --downgrade\n"
      "  perwatt topology check examples/topology-dps-sdk.toml --strict\n"
      "  perwatt topology check examples/topology-ab-feeds.toml --json\n"
      "  perwatt topology check examples/topology-ab-feeds.toml --readings "
      "tests/data/topology/ab-pulse.csv --pulse rack-nv-1\n"
      "  perwatt topology check --bms tests/data/topology/bms.jsonl");
  verb->callback([options] { run_topology_check(*options); });
}

void add_topology_show(CLI::App& topology) {
  auto options = std::make_shared<TopologyShowOptions>();
  auto* verb =
      topology.add_subcommand("show",
                              "The tree with limits, draw and headroom of every node, and with "
                              "power curves the best split of watts and what one more is worth");
  add_topology_files(*verb, options->files);
  verb->add_flag("--all", options->all, "A line for every node and device, alike or not");
  verb->add_option("--report", options->report, "Write a self-contained HTML page")
      ->type_name("OUT.html")
      ->check(html_name_fault);
  verb->add_flag("--json", options->json, "Print JSON");
  verb->footer(
      "Examples:\n"
      "  perwatt topology show examples/topology-dps-sdk.toml\n"
      "  perwatt topology show examples/topology-curves.toml\n"
      "  perwatt topology show examples/topology-ab-feeds.toml --readings "
      "tests/data/topology/ab-pulse.csv --report tree.html\n"
      "  perwatt topology show --bms tests/data/topology/bms.jsonl --json");
  verb->callback([options] { run_topology_show(*options); });
}

}  // namespace

void add_topology_verb(CLI::App& app) {
  auto* verb = app.add_subcommand("topology", "The power tree of a site: show it, check it");
  verb->require_subcommand(1);
  add_topology_check(*verb);
  add_topology_show(*verb);
}

}  // namespace perwatt::cli
