// perwatt validate: how far the serving model is from measured rows.
#include <algorithm>
#include <map>
#include <optional>

#include "progress.hpp"
#include "serving_data.hpp"
#include "table.hpp"
#include "verbs.hpp"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/inference/serving/baselines.hpp"
#include "perwatt/inference/serving/calibration_file.hpp"

namespace perwatt::cli {

namespace {

namespace serving = inference::serving;
using nlohmann::ordered_json;

struct ValidateOptions {
  DataOptions data;
  std::vector<std::string> files;
  std::string calibration;
  std::string hold_out;
  int anchors = 0;
  bool baselines = false;
  bool json = false;
};

std::optional<serving::HoldOut> hold_out_of(const std::string& name) {
  static const std::map<std::string, serving::HoldOut> kNames = {
      {"family", serving::HoldOut::family},
      {"model", serving::HoldOut::model},
      {"accelerator", serving::HoldOut::accelerator},
      {"engine", serving::HoldOut::engine}};
  const auto found = kNames.find(name);
  return found == kNames.end() ? std::nullopt : std::optional{found->second};
}

/// Rows that are in no score, by reason.
struct Aside {
  std::size_t rows = 0;
  std::string first;
};

using Asides = std::map<std::string, Aside>;

void put_aside(Asides& asides, const std::string& reason, const std::string& where) {
  auto& aside = asides[reason];
  if (aside.rows++ == 0) {
    aside.first = where;
  }
}

struct Validation {
  std::vector<serving::Score> scores;
  std::map<serving::Baseline, std::vector<serving::Score>> baselines;
  std::size_t rows = 0;
  Asides unpredicted;
  Asides screened;
};

Validation validate(const ValidateOptions& options) {
  const auto catalog = load_catalog(options.data);
  const auto table = read_measured_files(options.files, catalog);
  serving::ShapeLibrary shapes{data_dir() / "models"};
  const auto asked = cases_of(table.points, catalog, shapes);
  Validation result;
  result.rows = table.points.size() + table.rejected.size();
  for (const auto& row : table.rejected) {
    const auto column = row.where.rfind(": ");
    put_aside(result.unpredicted,
              (column == std::string::npos ? "" : row.where.substr(column + 2) + " ") + row.reason,
              row.where);
  }
  for (const auto& row : asked.unpredicted) {
    put_aside(result.unpredicted, row.reason, row.point->read_at);
  }
  for (const auto& row : asked.cases) {
    if (!row.screen.empty()) {
      put_aside(result.screened, row.screen, row.family);
    } else if (!row.power_screen.empty()) {
      put_aside(result.screened, row.power_screen, row.family);
    }
  }
  ProgressBar bar{"predicting"};
  const auto progress = [&](double share) { bar.update(share); };
  const auto calibration = serving::load_calibration(
      options.calibration.empty() ? calibration_folder()
                                  : std::filesystem::path{options.calibration});
  std::vector<serving::Scored> scored;
  if (const auto hold_out = hold_out_of(options.hold_out)) {
    // The rows asked for take the place of equal ones among those that are fitted.
    std::size_t replaced = 0;
    const auto others =
        inference::merge_points(shipped_serving_rows(catalog), table.points, replaced);
    std::map<std::string, bool> is_asked;
    for (const auto& point : table.points) {
      is_asked[inference::identity(point)] = true;
    }
    std::vector<inference::MeasuredPoint> rest;
    for (const auto& point : others) {
      if (!is_asked.contains(inference::identity(point))) {
        rest.push_back(point);
      }
    }
    const auto more = cases_of(rest, catalog, shapes);
    auto rows = asked.pointers();
    const auto of_rest = more.pointers();
    rows.insert(rows.end(), of_rest.begin(), of_rest.end());
    scored = serving::score_held_out(asked.pointers(), rows, *hold_out, calibration, progress);
    if (options.baselines) {
      for (const auto baseline : serving::kBaselines) {
        auto scores = serving::scores_of(
            serving::predict_by(baseline, asked.pointers(), rows, *hold_out), {});
        std::erase_if(scores, [&](const serving::Score& score) {
          return !serving::predicts(baseline, score.quantity);
        });
        result.baselines[baseline] = std::move(scores);
      }
    }
  } else {
    scored = serving::score(asked.pointers(), calibration, progress);
  }
  if (options.anchors > 0) {
    scored = serving::anchored(scored);
  }
  result.scores = serving::scores_of(scored, asked.unpredicted);
  return result;
}

ordered_json asides_json(const Asides& asides) {
  auto list = ordered_json::array();
  for (const auto& [reason, aside] : asides) {
    list.push_back({{"reason", reason}, {"rows", aside.rows}, {"first", aside.first}});
  }
  return list;
}

ordered_json scores_json(const std::vector<serving::Score>& scores) {
  auto json = ordered_json::array();
  for (const auto& score : scores) {
    ordered_json one{{"group", score.group},
                     {"metric", serving::to_string(score.quantity)},
                     {"n", score.rows},
                     {"predicted_ratio", score.predicted_ratio}};
    if (score.rows > 0) {
      one["median_ape_ratio"] = score.median_ape_ratio;
      one["p90_ape_ratio"] = score.p90_ape_ratio;
      one["bias_ratio"] = score.bias_ratio;
      one["covered_ratio"] = score.covered_ratio;
    }
    json.push_back(std::move(one));
  }
  return json;
}

void print_json(const Validation& validation) {
  ordered_json json{{"rows", validation.rows}};
  json["groups"] = scores_json(validation.scores);
  for (const auto& [baseline, scores] : validation.baselines) {
    json["baselines"][std::string{to_string(baseline)}] = scores_json(scores);
  }
  json["unpredicted"] = asides_json(validation.unpredicted);
  json["screened"] = asides_json(validation.screened);
  fmt::print("{}\n", json.dump(2));
}

void print_asides(const char* title, const Asides& asides) {
  if (asides.empty()) {
    return;
  }
  fmt::print("\n{}\n", title);
  for (const auto& [reason, aside] : asides) {
    fmt::print("  {} rows: {} (first: {})\n", aside.rows, reason, aside.first);
  }
}

/// Each baseline beside the model, over all rows, by serving mode and by accelerator.
void print_baselines(const Validation& validation) {
  TextTable table{{"group", "quantity", "model", "nearest neighbour", "share of TDP", "logistic"},
                  {0, 1}};
  for (const auto& score : validation.scores) {
    const bool is_shown = score.group == "all" || score.group.starts_with("serving:") ||
                          score.group.starts_with("accelerator:");
    if (!is_shown || score.rows == 0) {
      continue;
    }
    const auto errors = [](const serving::Score& one) {
      return percent(one.median_ape_ratio, 1) + " / " + percent(one.p90_ape_ratio);
    };
    std::vector<std::string> cells{score.group, std::string{serving::to_string(score.quantity)},
                                   errors(score)};
    for (const auto& [baseline, scores] : validation.baselines) {
      const auto found = std::find_if(scores.begin(), scores.end(), [&](const serving::Score& one) {
        return one.group == score.group && one.quantity == score.quantity && one.rows > 0;
      });
      cells.push_back(found == scores.end() ? "-" : errors(*found));
    }
    table.add(std::move(cells));
  }
  fmt::print("\nBeside what needs no model, the same rows left out (median / p90 APE)\n{}",
             table.text());
}

void print_text(const Validation& validation) {
  TextTable table{
      {"group", "quantity", "rows", "predicted", "median APE", "p90 APE", "bias", "in 90 % band"},
      {0, 1}};
  for (const auto& score : validation.scores) {
    const bool has_rows = score.rows > 0;
    table.add({score.group, std::string{serving::to_string(score.quantity)},
               std::to_string(score.rows), percent(score.predicted_ratio),
               has_rows ? percent(score.median_ape_ratio, 1) : "-",
               has_rows ? percent(score.p90_ape_ratio) : "-",
               has_rows ? fmt::format("{:+.1f} %", score.bias_ratio * 100) : "-",
               has_rows && score.covered_ratio > 0 ? percent(score.covered_ratio) : "-"});
  }
  fmt::print("{} rows\n{}", validation.rows, table.text());
  if (!validation.baselines.empty()) {
    print_baselines(validation);
  }
  print_asides("Not predicted:", validation.unpredicted);
  print_asides("Screened, in no score:", validation.screened);
}

}  // namespace

void add_validate_verb(CLI::App& app) {
  auto options = std::make_shared<ValidateOptions>();
  auto* verb = app.add_subcommand("validate", "How far the serving model is from measured rows");
  verb->add_option("FILE", options->files,
                   "CSV of measured points, or of AIConfigurator's measured latencies; several may "
                   "be given")
      ->required()
      ->type_name("FILE.csv");
  verb->add_option("--hold-out", options->hold_out,
                   "Fit again without each row's family, model, accelerator or engine before it is "
                   "predicted")
      ->check(CLI::IsMember({"family", "model", "accelerator", "engine"}));
  verb->add_option(
          "--anchors", options->anchors,
          "2: correct each deployment by its rows of lowest and of highest load, and score "
          "the rest")
      ->check(CLI::IsMember({0, 2}));
  verb->add_flag("--baselines", options->baselines,
                 "Score what needs no model too: the nearest measured row, and of watts a share of "
                 "TDP and a logistic curve in the concurrency");
  verb->add_option("--calibration", options->calibration,
                   "Folder that 'perwatt calibrate' wrote; the shipped one by default")
      ->type_name("DIR");
  verb->add_flag("--json", options->json, "Print JSON");
  add_catalog_option(*verb, options->data);
  verb->footer(
      "APE is the absolute percentage error, |predicted / measured - 1|. A measured value is "
      "never\n"
      "looked up: every row is predicted. Scores and hold-outs: docs/model/serving.md.\n"
      "On rows the calibration has not seen (half a minute):\n"
      "  perwatt validate data/points/inferencex.csv --hold-out family\n"
      "Examples:\n"
      "  perwatt validate tests/data/serving/points.csv\n"
      "  perwatt validate tests/data/serving/points.csv --json");
  verb->callback([options] {
    if (options->baselines && options->hold_out.empty()) {
      throw Error{ErrorCode::usage, "rows would predict themselves", "--baselines",
                  "add --hold-out family"};
    }
    const auto validation = validate(*options);
    if (options->json) {
      print_json(validation);
    } else {
      print_text(validation);
    }
  });
}

}  // namespace perwatt::cli
