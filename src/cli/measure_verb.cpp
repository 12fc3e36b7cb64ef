// perwatt measure: a load on a live endpoint, its power meters beside it, joules per token out.
#include "measure_flags.hpp"
#include "measure_options.hpp"
#include "measure_runs.hpp"
#include "measure_text.hpp"
#include <fmt/format.h>

namespace perwatt::cli {

namespace {

bool is_experiment(const MeasureOptions& options) {
  return !options.sweep.empty() || !options.find_load.empty() || options.phase_split ||
         !options.power_caps.empty();
}

void run_plainly(const MeasureOptions& options) {
  FacilityParts facility;
  const auto spec = measure_spec(options, facility);
  begin_live();
  RunStore store{options.output_dir, options.runs > 1};
  measure::Session session{spec, stop_flag()};
  for (int i = 0; i < options.runs && !stop_flag(); ++i) {
    auto result = session.run({}, store.progress());
    store.add(result);
  }
  store.write_report(std::nullopt);
  append_to_points(options, store.measurements());
  if (options.json) {
    fmt::print("{}", runs_json(store.measurements()));
  } else if (store.measurements().empty()) {
    fmt::print("interrupted before the first run\n");
  } else {
    for (const auto& m : store.measurements()) {
      fmt::print("{}", measurement_text(m));
    }
    if (store.measurements().size() > 1) {
      fmt::print("\n{}", runs_text(store.measurements()));
    }
  }
  store.throw_if_failed();
}

void run_measure(const CLI::App& verb, const MeasureOptions& options) {
  refuse_flags_without_effect(verb, options);
  if (!options.rescore.empty()) {
    run_rescore(options);
    return;
  }
  if (!options.compare.empty()) {
    run_compare(options);
    return;
  }
  if (options.url.empty()) {
    throw Error{ErrorCode::usage, "no endpoint is named", "URL",
                "give the server's root, as http://127.0.0.1:8000, or --compare A B"};
  }
  if (is_experiment(options)) {
    run_experiment(options);
  } else {
    run_plainly(options);
  }
}

}  // namespace

void add_measure_verb(CLI::App& app) {
  auto options = std::make_shared<MeasureOptions>();
  auto* verb = app.add_subcommand(
      "measure", "Joules per token and goodput of a live OpenAI-compatible endpoint");
  verb->add_option("URL", options->url, "The server's root, or its /v1");
  add_measure_options(*verb, *options);
  add_experiment_options(*verb, *options);
  add_table_options(*verb, *options);
  verb->footer(
      "Formulas and keys: docs/reference/measurement.md; power sources: "
      "docs/reference/power-sources.md.\n"
      "On a live server:\n"
      "  perwatt measure http://127.0.0.1:8000 --concurrency 16 --duration 60s --power nvml\n"
      "  perwatt measure http://127.0.0.1:8000 --request-rate 10 --isl 1024 --osl 128 --goodput "
      "\"ttft:200ms tpot:50ms\" --power dcgm:http://127.0.0.1:9400/metrics --idle 10s\n"
      "  perwatt measure http://127.0.0.1:8000 --sweep concurrency:1..64 --osl 128 --power nvml\n"
      "  perwatt measure --compare http://127.0.0.1:8000 http://127.0.0.1:8001 --power-a nvml:0 "
      "--power-b nvml:1 --concurrency 16 --duration 30s\n"
      "Examples:\n"
      "  perwatt measure --rescore tests/data/results/vllm_detailed.json --goodput "
      "\"ttft:250ms tpot:60ms\"\n"
      "  perwatt measure --compare tests/data/measure/before tests/data/measure/after");
  add_catalog_option(*verb, options->data);
  verb->callback([options, verb] { run_measure(*verb, *options); });
}

}  // namespace perwatt::cli
