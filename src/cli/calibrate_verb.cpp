// perwatt calibrate: fits the serving model to measured rows and writes what was fitted.
#include "progress.hpp"
#include "serving_data.hpp"
#include "table.hpp"
#include "verbs.hpp"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/inference/serving/calibration_file.hpp"

namespace perwatt::cli {

namespace {

namespace serving = inference::serving;

struct CalibrateOptions {
  DataOptions data;
  std::vector<std::string> files;
  std::string output;
  bool only_these = false;
  bool json = false;
};

struct Outcome {
  serving::Calibration calibration;
  std::vector<serving::Score> scores;  // held out by family
  std::size_t unpredicted = 0;
};

std::vector<inference::MeasuredPoint> rows_to_fit(const CalibrateOptions& options,
                                                  const catalog::Catalog& catalog) {
  const auto table = read_measured_files(options.files, catalog);
  if (!table.rejected.empty()) {
    const auto& first = table.rejected.front();
    throw_bad_input(first.reason, first.where, "mend the row, or leave it out");
  }
  if (options.only_these) {
    return table.points;
  }
  std::size_t replaced = 0;
  return inference::merge_points(shipped_serving_rows(catalog), table.points, replaced);
}

Outcome calibrate(const CalibrateOptions& options) {
  const auto catalog = load_catalog(options.data);
  const auto points = rows_to_fit(options, catalog);
  serving::ShapeLibrary shapes{data_dir() / "models"};
  const auto cases = cases_of(points, catalog, shapes);
  constexpr std::size_t kLeastRows = 50;
  if (cases.cases.size() < kLeastRows) {
    throw_bad_input(std::to_string(cases.cases.size()) + " rows that can be predicted", "",
                    "give at least 50, or leave out --only: anchors suit a few rows better");
  }
  ProgressBar bar{"calibrating"};
  Outcome outcome;
  outcome.unpredicted = cases.unpredicted.size();
  outcome.calibration = serving::calibrate(cases.pointers(), nullptr, {});
  constexpr double kShareOfFit = 0.2;
  bar.update(kShareOfFit);
  auto held_out = serving::score_held_out(
      cases.pointers(), cases.pointers(), serving::HoldOut::family, outcome.calibration,
      [&](double share) { bar.update(kShareOfFit + (1 - kShareOfFit) * share); });
  serving::set_bands(held_out, outcome.calibration);
  outcome.scores = serving::scores_of(held_out, cases.unpredicted);
  serving::write_calibration(outcome.calibration, options.output);
  return outcome;
}

void print_text(const Outcome& outcome, const std::string& output) {
  const auto& from = outcome.calibration.provenance;
  fmt::print(
      "{}: {} coefficients from {} rows of {} families; {} rows screened, {} not "
      "predictable\nNewest row: {}. Leave-one-family-out:\n",
      output, outcome.calibration.coefficients.count(), from.rows, from.families,
      from.screened_rows, outcome.unpredicted, from.newest_row);
  TextTable table{{"group", "quantity", "rows", "median APE", "p90 APE"}, {0, 1}};
  for (const auto& score : outcome.scores) {
    if (score.rows > 0 && (score.group == "all" || score.group.starts_with("serving:"))) {
      table.add({score.group, std::string{serving::to_string(score.quantity)},
                 std::to_string(score.rows), fmt::format("{:.1f} %", score.median_ape_ratio * 100),
                 fmt::format("{:.0f} %", score.p90_ape_ratio * 100)});
    }
  }
  fmt::print("{}", table.text());
}

void print_json(const Outcome& outcome, const std::string& output) {
  const auto& from = outcome.calibration.provenance;
  nlohmann::ordered_json json{{"output", output},
                              {"coefficients", outcome.calibration.coefficients.count()},
                              {"rows", from.rows},
                              {"families", from.families},
                              {"screened_rows", from.screened_rows},
                              {"unpredicted_rows", outcome.unpredicted},
                              {"newest_row", from.newest_row}};
  json["held_out"] = nlohmann::ordered_json::array();
  for (const auto& score : outcome.scores) {
    if (score.rows > 0) {
      json["held_out"].push_back({{"group", score.group},
                                  {"metric", serving::to_string(score.quantity)},
                                  {"n", score.rows},
                                  {"median_ape_ratio", score.median_ape_ratio},
                                  {"p90_ape_ratio", score.p90_ape_ratio}});
    }
  }
  fmt::print("{}\n", json.dump(2));
}

}  // namespace

void add_calibrate_verb(CLI::App& app) {
  auto options = std::make_shared<CalibrateOptions>();
  auto* verb = app.add_subcommand("calibrate", "Fit the serving model to measured rows");
  verb->add_option("FILE", options->files,
                   "CSV of measured points or of AIConfigurator's measured latencies, beside the "
                   "shipped rows; several may be given")
      ->type_name("FILE.csv");
  verb->add_option("-o,--output", options->output, "Folder to write the calibration to")
      ->required()
      ->type_name("DIR");
  verb->add_flag("--only", options->only_these, "Fit to the given files alone");
  verb->add_flag("--json", options->json, "Print JSON");
  add_catalog_option(*verb, options->data);
  verb->footer(
      "Use the folder with --calibration. Coefficients and files: docs/reference/calibration.md.\n"
      "To the shipped rows and your own (half a minute: a fit to all, and twelve without a "
      "twelfth\n"
      "of the families):\n"
      "  perwatt calibrate my-points.csv --output my-calibration\n"
      "Examples:\n"
      "  perwatt calibrate tests/data/serving/points.csv --only --output /tmp/calibration");
  verb->callback([options] {
    const auto outcome = calibrate(*options);
    if (options->json) {
      print_json(outcome, options->output);
    } else {
      print_text(outcome, options->output);
    }
  });
}

}  // namespace perwatt::cli
