// Fitting the serving model to measured rows, and predicting with what was fitted.
// Order of fits, losses and priors: docs/model/serving.md#calibration.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/inference/serving/anchors.hpp"
#include "perwatt/inference/serving/borrowing.hpp"
#include "perwatt/inference/serving/coefficients.hpp"
#include "perwatt/inference/serving/measured_case.hpp"
#include "perwatt/inference/serving/model.hpp"

namespace perwatt::inference::serving {

/// What is predicted and compared with measurements.
enum class Metric { throughput, tpot, ttft, power };

inline constexpr std::array<Metric, 4> kMetrics = {Metric::throughput, Metric::tpot, Metric::ttft,
                                                   Metric::power};

[[nodiscard]] std::string_view to_string(Metric metric);

/// How rows are served and measured: errors differ between them.
enum class Regime { aggregated, disaggregated, task };

inline constexpr std::size_t kRegimes = 3;

[[nodiscard]] Regime regime_of(const Traits& traits);

/// What was fitted, to what.
struct Provenance {
  std::string newest_row;              // YYYY-MM-DD
  std::map<std::string, int> sources;  // rows by source
  int rows = 0;                        // that were fitted
  int families = 0;
  int screened_rows = 0;
};

/// Everything a prediction rests on.
struct Calibration {
  Coefficients coefficients;
  std::array<Borrowing, kMetrics.size()> borrowing;  // by Metric

  /// Half widths of 90 % intervals in standard deviations of ln(predicted), by Metric and Regime:
  /// what held-out families needed. docs/model/serving.md#uncertainty.
  std::array<std::array<double, kRegimes>, kMetrics.size()> bands{
      {{1.645, 1.645, 1.645},
       {1.645, 1.645, 1.645},
       {1.645, 1.645, 1.645},
       {1.645, 1.645, 1.645}}};  // of a normal law

  Provenance provenance;

  std::array<Anchors, kMetrics.size()> anchors;  // by Metric; the user's, never of a file

  [[nodiscard]] const Borrowing& of(Metric metric) const {
    return borrowing[static_cast<std::size_t>(metric)];
  }

  /// Expected ln(predicted / measured) of the physical terms, by relatives and anchors.
  [[nodiscard]] double shift(Metric metric, const Traits& traits) const {
    return of(metric).shift(traits) + anchors[static_cast<std::size_t>(metric)].shift(traits);
  }
};

/// A value with the interval that holds 90 % of measurements, and the relative that moved it most.
struct Banded {
  double value = 0;
  double low = 0;
  double high = 0;
  double log_spread = 0;  // standard deviation of ln(value); the interval is bands times as wide
  std::string nearest;    // empty: no relative
};

/// A prediction with what relatives say of it.
struct Estimated {
  double output_per_gpu = 0;  // tokens/s
  double tpot_seconds = 0;
  double ttft_seconds = 0;
  double gpu_power_watts = 0;                    // at the predicted rate
  std::optional<double> power_at_measured_rate;  // watts, where the row states its rate
  Prediction physical;                           // before any correction

  [[nodiscard]] double joules_per_output_token() const { return gpu_power_watts / output_per_gpu; }
};

[[nodiscard]] Estimated estimate(const MeasuredCase& row, const Calibration& calibration);

/// `value` of `metric`, as estimate() gave it, with its interval.
[[nodiscard]] Banded banded(double value, Metric metric, const Traits& traits,
                            const Calibration& calibration);

/// `calibration` corrected by measured rows of the deployments that will be asked about; each with
/// its rate, latencies and watts as far as it states them.
[[nodiscard]] Calibration anchored_to(Calibration calibration,
                                      std::span<const MeasuredCase* const> rows);

/// The physical terms alone.
[[nodiscard]] Prediction predict(const MeasuredCase& row, const CoefficientsOfOne& coefficients);

struct CalibrationSettings {
  int max_rounds = 15;
  bool borrows = true;
};

/// Fits to the rows that no screen names. `start`, when given, is where the fit starts (a fold of a
/// cross-validation starts from the fit to all). Deterministic. Bands stay at their defaults.
[[nodiscard]] Calibration calibrate(std::span<const MeasuredCase* const> rows,
                                    const Coefficients* start, const CalibrationSettings& settings);

}  // namespace perwatt::inference::serving
