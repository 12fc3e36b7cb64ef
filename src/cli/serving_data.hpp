// Measured rows for the serving model: read, and made into cases.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "perwatt/catalog/catalog.hpp"
#include "perwatt/inference/point_table.hpp"
#include "perwatt/inference/serving/validation.hpp"

namespace perwatt::cli {

/// Rows of files in either schema (points, or AIConfigurator's measured latencies).
[[nodiscard]] inference::PointTable read_measured_files(const std::vector<std::string>& paths,
                                                        const catalog::Catalog& catalog);

/// What the shipped calibration is fitted to: the shipped points and measured latencies.
[[nodiscard]] std::vector<inference::MeasuredPoint> shipped_serving_rows(
    const catalog::Catalog& catalog);

/// The shipped calibration's folder.
[[nodiscard]] std::filesystem::path calibration_folder();

struct ServingCases {
  std::vector<inference::serving::MeasuredCase> cases;
  std::vector<inference::serving::Unpredicted> unpredicted;

  [[nodiscard]] std::vector<const inference::serving::MeasuredCase*> pointers() const;
};

/// `points` and `shapes` must outlive the result.
[[nodiscard]] ServingCases cases_of(const std::vector<inference::MeasuredPoint>& points,
                                    const catalog::Catalog& catalog,
                                    inference::serving::ShapeLibrary& shapes);

}  // namespace perwatt::cli
