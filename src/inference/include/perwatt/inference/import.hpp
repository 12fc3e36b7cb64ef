// Public benchmark dumps turned into the tidy schema. Formats: docs/reference/import.md.
#pragma once

#include <filesystem>
#include <string_view>

#include "perwatt/catalog/catalog.hpp"
#include "perwatt/inference/point_table.hpp"
#include "perwatt/inference/progress.hpp"

namespace perwatt::inference {

/// An InferenceX database export: `configs_csv` and `results_csv` are the texts of configs.csv and
/// benchmark_results_raw.csv, the names stand for the files in messages. Repeats of one
/// configuration and date are reduced to the median per metric. Rows that cannot be used are
/// returned as rejected. Throws Error(bad_input) for a broken file.
[[nodiscard]] PointTable import_inferencex(
    std::string_view configs_csv, const std::string& configs_name, std::string_view results_csv,
    const std::string& results_name, const catalog::Catalog& catalog, const ProgressSink& progress);

/// The folder of an InferenceX export, holding configs.csv and benchmark_results_raw.csv.
[[nodiscard]] PointTable import_inferencex_folder(const std::filesystem::path& folder,
                                                  const catalog::Catalog& catalog,
                                                  const ProgressSink& progress);

/// An ML.ENERGY v3 task file (JSON with "task" and "configurations") or a v2 point file (JSON with
/// "Energy/req (J)"; its task is taken from `name`, the path).
[[nodiscard]] PointTable import_mlenergy(std::string_view json, const std::string& name,
                                         const catalog::Catalog& catalog);

/// Whether a CSV text has the columns of AIConfigurator's table of measured latencies.
[[nodiscard]] bool is_serving_latency(std::string_view text);

/// That table (TTFT and TPOT of single deployments). The load is its batch size times
/// attention data parallelism, else the "silicon_concurrency" it names; rows have no rate and no
/// power, so they serve calibration and validation only.
[[nodiscard]] PointTable import_serving_latency(std::string_view csv, const std::string& name,
                                                const catalog::Catalog& catalog);

}  // namespace perwatt::inference
