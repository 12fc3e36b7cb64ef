// The verbs of the command line, one file each. A verb adds its subcommand and, when it is chosen,
// runs in its callback. Only this module prints.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "perwatt/base/error.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/inference/gpu_power.hpp"
#include "perwatt/inference/measured_point.hpp"

namespace perwatt::cli {

void add_agent_verb(CLI::App& app);
void add_allocate_verb(CLI::App& app);
void add_plan_verb(CLI::App& app);
void add_frontier_verb(CLI::App& app);
void add_catalog_verb(CLI::App& app);
void add_import_verb(CLI::App& app);
void add_measure_verb(CLI::App& app);
void add_report_verb(CLI::App& app);
void add_run_verb(CLI::App& app);
void add_simulate_verb(CLI::App& app);
void add_topology_verb(CLI::App& app);
void add_train_verb(CLI::App& app);
void add_validate_verb(CLI::App& app);
void add_calibrate_verb(CLI::App& app);

/// import weather: under the import verb.
void add_import_weather(CLI::App& import_verb);

/// train profile: under the train verb.
void add_train_profile(CLI::App& train);

/// train serve: under the train verb.
void add_train_serve(CLI::App& train);

/// Runs a parser of a flag's value: what is wrong with the command line is a usage error.
template <class Parse>
auto parse_flag(Parse parse) {
  try {
    return parse();
  } catch (const Error& error) {
    throw Error{ErrorCode::usage, error.what(), "", ""};
  }
}

/// What is wrong with the name of an HTML report, for CLI::Option::check; empty when nothing is.
inline std::string html_name_fault(const std::string& file) {
  return std::filesystem::path{file}.extension() == ".html" ? "" : "the name must end in .html";
}

/// --catalog and --points, shared by all verbs that read data.
struct DataOptions {
  std::vector<std::string> catalog_folders;
  std::vector<std::string> points_paths;
};

void add_catalog_option(CLI::App& verb, DataOptions& options);
void add_points_option(CLI::App& verb, DataOptions& options);

/// The shipped catalog and climates with the user's folders on top.
[[nodiscard]] catalog::Catalog load_catalog(const DataOptions& options);

/// The shipped points with the user's on top.
[[nodiscard]] std::vector<inference::MeasuredPoint> load_points(const DataOptions& options,
                                                                const catalog::Catalog& catalog);

/// The shipped claim cases: beside the data when installed, in examples/ in the source tree;
/// nothing beside a data folder of the user's own without any.
[[nodiscard]] std::optional<std::filesystem::path> shipped_claims_folder();

}  // namespace perwatt::cli
