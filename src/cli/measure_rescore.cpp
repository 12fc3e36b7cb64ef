// perwatt measure --rescore FILE…: results of other tools under an SLO; and --append-points.
#include "measure_runs.hpp"
#include "measure_text.hpp"
#include <fmt/format.h>

#include "perwatt/base/file.hpp"
#include "perwatt/measure/import_results.hpp"
#include "perwatt/measure/points.hpp"

namespace perwatt::cli {

namespace {

/// What the flags say of the deployment; a flag wins over the file.
measure::DeploymentStatement statement_of(
    const MeasureOptions& options, const std::optional<measure::DeploymentStatement>& of_file) {
  auto statement = of_file.value_or(measure::DeploymentStatement{});
  if (!options.accelerator.empty()) {
    statement.accelerator = options.accelerator;
  }
  if (!options.precision.empty()) {
    statement.precision = options.precision;
  }
  if (!options.engine.empty()) {
    statement.engine = options.engine;
  }
  if (!of_file || options.spec_decode != "none") {
    statement.spec_decode = options.spec_decode;
  }
  if (options.gpus > 0) {
    statement.layout.num_gpus = options.gpus;
  }
  if (options.tensor_parallel > 0) {
    statement.layout.decode_tp = options.tensor_parallel;
  }
  return statement;
}

void append(const MeasureOptions& options, const std::vector<measure::ImportedRun>& runs) {
  if (options.append_points.empty()) {
    return;
  }
  const auto catalog = load_catalog(options.data);
  std::vector<inference::MeasuredPoint> points;
  points.reserve(runs.size());
  for (const auto& run : runs) {
    points.push_back(
        measure::to_point(run.measurement, statement_of(options, run.deployment), catalog));
  }
  const auto appended = measure::append_points(options.append_points, points, catalog);
  fmt::print(stderr, "{}: {} points added, {} replaced\n", options.append_points, appended.added,
             appended.replaced);
}

}  // namespace

void append_to_points(const MeasureOptions& options,
                      const std::vector<measure::Measurement>& runs) {
  std::vector<measure::ImportedRun> as_imported;
  as_imported.reserve(runs.size());
  for (const auto& m : runs) {
    as_imported.push_back({m, {}, {}, {}, std::nullopt});
  }
  append(options, as_imported);
}

void run_rescore(const MeasureOptions& options) {
  if (!options.url.empty()) {
    throw Error{ErrorCode::usage, "results are read, not measured again", "URL",
                "leave the URL out, or --rescore"};
  }
  measure::ImportRules rules;
  rules.slo = slo_of(options);
  if (options.gpus > 0) {
    rules.energy.expected_gpus = options.gpus;
  }
  std::vector<measure::ResultFile> files;
  files.reserve(options.rescore.size());
  for (const auto& file : options.rescore) {
    files.push_back({file, read_file(file)});
  }
  const auto runs = measure::import_results(files, rules);
  std::vector<measure::Measurement> measurements;
  measurements.reserve(runs.size());
  for (const auto& run : runs) {
    measurements.push_back(run.measurement);
  }
  append(options, runs);
  if (options.json) {
    fmt::print("{}", runs_json(measurements));
    return;
  }
  for (const auto& m : measurements) {
    fmt::print("{}\n", measurement_text(m));
  }
}

}  // namespace perwatt::cli
