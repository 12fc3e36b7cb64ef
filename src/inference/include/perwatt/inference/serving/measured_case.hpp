// Measured rows as the serving model sees them: what was run, under which load, and what came out.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "perwatt/base/result.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/inference/measured_point.hpp"
#include "perwatt/inference/model_shape.hpp"
#include "perwatt/inference/serving/borrowing.hpp"
#include "perwatt/inference/serving/setup.hpp"
#include "perwatt/inference/serving/work.hpp"

namespace perwatt::inference::serving {

/// The built-in descriptions, each read once.
class ShapeLibrary {
 public:
  /// `folder` is data/models.
  explicit ShapeLibrary(std::filesystem::path folder) : folder_{std::move(folder)} {}

  /// Throws as load_built_in_shape(). The reference stays valid.
  [[nodiscard]] const ModelShape& shape(const std::string& catalog_id);

 private:
  std::filesystem::path folder_;
  std::map<std::string, std::unique_ptr<ModelShape>> shapes_;
};

/// Equal for models that differ in their weights' values only.
[[nodiscard]] std::string architecture_key(const ModelShape& shape);

/// Traits of a deployment of `setup` at `concurrency`; its source is not known.
[[nodiscard]] Traits traits_of(const Setup& setup, std::string_view precision, double concurrency);

/// One row, ready to be predicted.
struct MeasuredCase {
  Setup setup;
  ServingWork work;
  Load load;
  Traits traits;
  std::string family;  // rows that are left out together: everything but load, date and layout
  std::string screen;  // why the row is not used for fitting; empty: it is
  std::string power_screen;  // the same for its power
  std::string model;         // catalog id
  std::string date;          // YYYY-MM-DD of the row; empty: not stated

  // What was measured; absent where the row does not say.
  std::optional<double> output_per_gpu;  // tokens/s
  std::optional<double> tpot_seconds;    // median
  std::optional<double> ttft_seconds;    // median
  std::optional<double> gpu_power_watts;
  std::optional<double> joules_per_output_token;

  [[nodiscard]] double concurrency() const;
};

/// What a row without a date is taken to be: the median of the dated ones.
inline constexpr double kTypicalAgeQuarters = 2.0;

/// A failure says what the row lacks. `shapes` must outlive the result.
[[nodiscard]] Result<MeasuredCase> case_of(const MeasuredPoint& point,
                                           const catalog::Catalog& catalog, ShapeLibrary& shapes);

}  // namespace perwatt::inference::serving
