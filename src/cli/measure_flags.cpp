#include "measure_flags.hpp"

#include <algorithm>
#include <span>

#include "measure_runs.hpp"

namespace perwatt::cli {

namespace {

/// A flag, whether what it speaks of is there, and what to do when it is not.
struct Need {
  const char* flag;
  bool is_met;
  const char* remedy;
};

/// By its longest name.
std::vector<std::string> given_flags(const CLI::App& verb) {
  const auto is_given = [](const CLI::Option* option) { return option->count() > 0; };
  std::vector<std::string> flags;
  for (const auto* option : verb.get_options(is_given)) {
    flags.push_back(option->get_name());
  }
  for (const auto* group : verb.get_subcommands([](const CLI::App*) { return true; })) {
    for (const auto* option : group->get_options(is_given)) {
      flags.push_back(option->get_name());
    }
  }
  return flags;
}

void refuse_all_but(std::span<const char* const> allowed, const CLI::App& verb, const char* mode) {
  for (const auto& flag : given_flags(verb)) {
    if (std::find(allowed.begin(), allowed.end(), flag) == allowed.end()) {
      throw Error{ErrorCode::usage, std::string{"it has no effect with "} + mode, flag,
                  "leave one of the two out"};
    }
  }
}

bool starts_with(const std::string& text, const char* start) {
  return text.rfind(start, 0) == 0;
}

constexpr const char* kForRescore[] = {
    "--rescore",     "--goodput", "--append-points", "--accelerator", "--precision", "--engine",
    "--spec-decode", "--tp",      "--gpus",          "--json",        "--catalog",   "URL"};
constexpr const char* kForSaved[] = {"--compare", "--smallest-effect", "--meter-gain", "--json",
                                     "--scorer",  "--quality-margin",  "URL"};

}  // namespace

void refuse_flags_without_effect(const CLI::App& verb, const MeasureOptions& o) {
  if (!o.rescore.empty()) {
    refuse_all_but(kForRescore, verb, "--rescore");
    return;
  }
  if (compares_saved_results(o)) {
    refuse_all_but(kForSaved, verb, "--compare of saved results");
    return;
  }
  const bool is_compare = !o.compare.empty();
  const bool varies_rate = starts_with(o.sweep, "rate") || starts_with(o.find_load, "rate");
  const bool varies_users =
      starts_with(o.sweep, "concurrency") || starts_with(o.find_load, "concurrency");
  const bool has_trace = !o.trace_file.empty();
  const bool is_synthetic = !has_trace && o.prompts_file.empty();
  const bool has_rate = varies_rate || !o.request_rate.empty();
  const bool is_closed_loop = !has_rate && !has_trace;
  const bool has_stddev = o.isl_stddev > 0 || o.osl_stddev > 0;
  const bool is_gamma = o.pattern == "gamma" || o.pattern == "poisson";
  const bool has_meter = !o.power.empty() || !o.power_a.empty() || !o.power_b.empty();
  const bool repeats = !is_compare && o.sweep.empty() && o.find_load.empty();
  const bool has_table = !o.append_points.empty();
  const Need needs[] = {
      {"--request-rate", !varies_rate, "each run has a rate of its own"},
      {"--arrival-pattern", has_rate, "add --request-rate"},
      {"--burstiness", has_rate && is_gamma, "add --request-rate and --arrival-pattern gamma"},
      {"--burst-size", has_rate && o.pattern == "burst",
       "add --request-rate and --arrival-pattern burst"},
      {"--rate-ramp", has_rate, "add --request-rate"},
      {"--concurrency", !varies_users, "each run has users of its own"},
      {"--concurrency-ramp", is_closed_loop, "leave it out: only a closed loop starts its users"},
      {"--isl", is_synthetic, "leave it out: --prompts and --trace bring their lengths"},
      {"--isl-stddev", is_synthetic, "leave it out: --prompts and --trace bring their lengths"},
      {"--osl", !has_trace, "leave it out: --trace brings its lengths"},
      {"--osl-stddev", o.osl > 0, "add --osl"},
      {"--length-range", (is_synthetic || o.osl > 0) && !has_trace && !has_stddev,
       "leave it out, or --isl-stddev and --osl-stddev: a length has one law"},
      {"--turns", is_synthetic, "leave it out: write conversations into the file as messages"},
      {"--turn-delay", o.turns > 1, "add --turns"},
      {"--tenant", is_synthetic, "leave it out: a file of prompts names tenants itself"},
      {"--trace-speed", has_trace, "add --trace"},
      {"--scorer", !o.prompts_file.empty(), "add --prompts with expected answers"},
      {"--power-period", has_meter, "add --power"},
      {"--idle", has_meter, "add --power"},
      {"--sysfs-root", has_meter, "add --power rapl or --power hwmon"},
      {"--system", has_meter, "add --power"},
      {"--gpus", has_meter || has_table, "add --power, or --append-points"},
      {"--chunk-times", !o.output_dir.empty(), "add --output"},
      {"--runs", repeats, "leave it out: this experiment has a plan of its own"},
      {"--power-a", is_compare, "use --power, or add --compare"},
      {"--power-b", is_compare, "use --power, or add --compare"},
      {"--smallest-effect", is_compare, "add --compare"},
      {"--meter-gain", is_compare, "add --compare"},
      {"--quality-margin", is_compare, "add --compare"},
      {"--max-pairs", is_compare, "add --compare"},
      {"--attainment", !o.find_load.empty(), "add --find-load"},
      {"--allow-power-control", !o.power_caps.empty(), "add --power-caps"},
      {"--append-points", !is_compare, "measure A and B apart"},
      {"--accelerator", has_table, "add --append-points"},
      {"--precision", has_table, "add --append-points"},
      {"--engine", has_table, "add --append-points"},
      {"--spec-decode", has_table, "add --append-points"},
      {"--tp", has_table, "add --append-points"},
  };
  for (const auto& need : needs) {
    if (!need.is_met && verb.count(need.flag) > 0) {
      throw Error{ErrorCode::usage, "it would have no effect here", need.flag, need.remedy};
    }
  }
}

}  // namespace perwatt::cli
