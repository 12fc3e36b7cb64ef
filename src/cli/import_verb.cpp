// perwatt import inferencex|mlenergy: public benchmark dumps into tables of measured points. import
// weather has a file of its own.
#include <system_error>

#include "progress.hpp"
#include "verbs.hpp"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/inference/import.hpp"
#include "perwatt/inference/point_table.hpp"

namespace perwatt::cli {

namespace {

constexpr std::size_t kMostRejectedShown = 10;

struct ImportOptions {
  DataOptions data;
  std::string input;
  std::string output;
  bool json = false;
  bool show_all_rejected = false;
};

/// Merges into the output file, so that importing again adds nothing twice.
void finish(const ImportOptions& options, const catalog::Catalog& catalog,
            const inference::PointTable& table) {
  std::vector<inference::MeasuredPoint> existing;
  std::error_code ignored;
  if (std::filesystem::exists(options.output, ignored)) {
    existing = inference::load_points({options.output}, catalog);
  }
  const auto before = existing.size();
  std::size_t replaced = 0;
  const auto merged = inference::merge_points(std::move(existing), table.points, replaced);
  write_file(options.output, inference::format_points(merged));
  if (options.json) {
    nlohmann::ordered_json json{{"output", options.output},
                                {"points_read", table.points.size()},
                                {"points_added", merged.size() - before},
                                {"points_replaced", replaced},
                                {"rows_rejected", table.rejected.size()}};
    json["rejected"] = nlohmann::ordered_json::array();
    for (const auto& row : table.rejected) {
      json["rejected"].push_back({{"where", row.where}, {"reason", row.reason}});
    }
    fmt::print("{}\n", json.dump(2));
    return;
  }
  fmt::print("{}: {} points read, {} added, {} replaced, {} rows rejected\n", options.output,
             table.points.size(), merged.size() - before, replaced, table.rejected.size());
  std::size_t shown = 0;
  for (const auto& row : table.rejected) {
    if (shown++ == kMostRejectedShown && !options.show_all_rejected) {
      fmt::print("  … and {} more (--show-rejected prints all)\n",
                 table.rejected.size() - kMostRejectedShown);
      break;
    }
    fmt::print("  {}: {}\n", row.where, row.reason);
  }
}

CLI::App* add_kind(CLI::App& verb, const std::shared_ptr<ImportOptions>& options, const char* name,
                   const char* what, const char* input_name, const char* input_help) {
  auto* kind = verb.add_subcommand(name, what);
  kind->add_option(input_name, options->input, input_help)->required();
  kind->add_option("-o,--output", options->output,
                   "CSV table to write; when it exists, new points are merged into it")
      ->required()
      ->type_name("FILE.csv");
  kind->add_flag("--json", options->json, "Print JSON");
  kind->add_flag("--show-rejected", options->show_all_rejected, "Print every rejected row");
  add_catalog_option(*kind, options->data);
  return kind;
}

}  // namespace

void add_import_verb(CLI::App& app) {
  auto options = std::make_shared<ImportOptions>();
  auto* verb = app.add_subcommand(
      "import", "Turn benchmark dumps into measured points, weather into a climate");
  verb->require_subcommand(1);
  verb->footer(
      "Use the table with --points FILE.csv. Formats: docs/reference/import.md.\n"
      "Examples:\n"
      "  perwatt import inferencex tests/data/import/inferencex --output /tmp/points.csv\n"
      "  perwatt import mlenergy tests/data/import/mlenergy/v3_task.json --output /tmp/ml.csv\n"
      "  perwatt import weather tests/data/import/weather/year.csv --id my-site --name \"My site\" "
      "--output /tmp/my-site.csv");
  auto* inferencex = add_kind(*verb, options, "inferencex", "CSV export of the InferenceX database",
                              "DIR", "Folder with configs.csv and benchmark_results_raw.csv");
  inferencex->callback([options] {
    const auto catalog = load_catalog(options->data);
    inference::PointTable table;
    {
      ProgressBar bar{"importing"};
      table = inference::import_inferencex_folder(options->input, catalog,
                                                  [&](double share) { bar.update(share); });
    }
    finish(*options, catalog, table);
  });
  auto* mlenergy = add_kind(*verb, options, "mlenergy", "ML.ENERGY leaderboard file (v3 or v2)",
                            "FILE", "JSON file of a task (v3) or of one point (v2)");
  mlenergy->callback([options] {
    const auto catalog = load_catalog(options->data);
    finish(*options, catalog,
           inference::import_mlenergy(read_file(options->input), options->input, catalog));
  });
  add_import_weather(*verb);
}

}  // namespace perwatt::cli
