// How far the serving model is from measurements, on rows it was not fitted to.
// Definitions of the scores: docs/model/serving.md#validation.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "perwatt/inference/progress.hpp"
#include "perwatt/inference/serving/calibration.hpp"

namespace perwatt::inference::serving {

/// What is left out together, all of it, when a row is predicted.
enum class HoldOut { family, model, accelerator, engine };

/// Equal for rows that are left out together.
[[nodiscard]] const std::string& held_out_key(const MeasuredCase& row, HoldOut hold_out);

/// What is scored.
enum class Quantity { throughput, tpot, ttft, power, power_at_measured_rate, energy };

inline constexpr std::array<Quantity, 6> kQuantities = {Quantity::throughput,
                                                        Quantity::tpot,
                                                        Quantity::ttft,
                                                        Quantity::power,
                                                        Quantity::power_at_measured_rate,
                                                        Quantity::energy};

[[nodiscard]] std::string_view to_string(Quantity quantity);

/// A row with what was predicted for it.
struct Scored {
  const MeasuredCase* row = nullptr;
  Estimated estimated;
  std::array<Banded, kMetrics.size()> banded;  // by Metric; values of absent ones are predictions
};

/// Each of `asked` from one calibration. Nothing is looked up: a row's own measurements play no
/// part unless the calibration holds them.
[[nodiscard]] std::vector<Scored> score(std::span<const MeasuredCase* const> asked,
                                        const Calibration& calibration,
                                        const ProgressSink& progress);

/// Each of `asked` from a calibration to `rows` without its own family, model, accelerator or
/// engine: at most twelve folds of whole ones, each fitted from `start`. `rows` holds `asked`.
[[nodiscard]] std::vector<Scored> score_held_out(std::span<const MeasuredCase* const> asked,
                                                 std::span<const MeasuredCase* const> rows,
                                                 HoldOut hold_out, const Calibration& start,
                                                 const ProgressSink& progress);

/// Corrects a deployment's predictions by its rows of lowest and of highest load, log-linear in
/// concurrency; those two are not scored any more. Deployments of fewer than three loads are left
/// out.
[[nodiscard]] std::vector<Scored> anchored(const std::vector<Scored>& scored);

/// The bands that make 90 % of these rows lie inside.
void set_bands(const std::vector<Scored>& scored, Calibration& calibration);

struct Score {
  std::string group;  // "all", "accelerator:h200", …
  Quantity quantity = Quantity::throughput;
  std::size_t rows = 0;         // that state the quantity and were predicted
  double predicted_ratio = 0;   // of the rows that state it, screened ones left out
  double median_ape_ratio = 0;  // |predicted / measured - 1|
  double p90_ape_ratio = 0;
  double bias_ratio = 0;     // median of predicted / measured, less 1
  double covered_ratio = 0;  // share inside the 90 % interval; throughput, TPOT, TTFT and power
};

/// What a row states, for rows that could not be predicted.
struct Unpredicted {
  const MeasuredPoint* point = nullptr;
  std::string reason;
};

/// "all" first, then by serving mode, accelerator, model, precision, engine and source. Rows with a
/// screen are in no score.
[[nodiscard]] std::vector<Score> scores_of(const std::vector<Scored>& scored,
                                           const std::vector<Unpredicted>& unpredicted);

/// Measured value of a quantity in a row, or nothing.
[[nodiscard]] std::optional<double> measured(const MeasuredCase& row, Quantity quantity);

}  // namespace perwatt::inference::serving
