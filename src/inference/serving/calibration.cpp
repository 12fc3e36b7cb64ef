#include "perwatt/inference/serving/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <tuple>
#include <utility>

#include "../import_common.hpp"
#include "robust_fit.hpp"
#include "speed_terms.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::inference::serving {

namespace {

using Rows = std::vector<const MeasuredCase*>;

constexpr double kLoadOctavesOfRelative = 4;

// Borrowing of first tokens and of watts is as wide as their own residuals.
BorrowingWidths widths_of(Metric metric) {
  BorrowingWidths widths;
  if (metric == Metric::ttft) {
    widths.term = 0.2;
    widths.concurrency_share = 0.5;
    widths.noise = 0.2;
    widths.noise_of_row = 0.25;
    widths.largest_residual = 1.0;
  } else if (metric == Metric::power) {
    widths.term = 0.06;
    widths.concurrency_share = 0.62;
    widths.concurrency_octaves = 2;
    widths.noise = 0.05;
    widths.noise_of_row = 0.08;
  }
  return widths;
}

template <std::size_t Count>
void append(std::vector<FitParameter>& parameters,
            const std::array<CoefficientInfo, Count>& table) {
  for (const auto& info : table) {
    parameters.push_back(
        {std::log(info.start), info.log_spread, std::log(info.low), std::log(info.high)});
  }
}

template <class V>
void append_logs(std::vector<double>& values, const V& terms) {
  for (const double term : terms.all()) {
    values.push_back(std::log(term));
  }
}

template <class V>
V exp_of(std::span<const double> logs) {
  V values;
  for (std::size_t i = 0; i < values.all().size(); ++i) {
    values.all()[i] = std::exp(logs[i]);
  }
  return values;
}

double log_ratio(double predicted, const std::optional<double>& measured) {
  return measured ? std::log(predicted / *measured) : 0.0;
}

CoefficientsOfOne of_row(const Coefficients& coefficients, const MeasuredCase& row) {
  return coefficients.of(row.traits.accelerator, row.setup.hardware.vendor);
}

/// Rows that fit, with a weight each: a family counts as the root of its rows.
class WeightedRows {
 public:
  explicit WeightedRows(Rows rows) : rows_{std::move(rows)} {
    std::map<std::string_view, int> sizes;
    for (const auto* row : rows_) {
      ++sizes[row->family];
    }
    double sum = 0;
    for (const auto* row : rows_) {
      weights_.push_back(1 / std::sqrt(static_cast<double>(sizes[row->family])));
      sum += weights_.back();
    }
    for (double& weight : weights_) {
      weight *= static_cast<double>(rows_.size()) / sum;
    }
  }

  [[nodiscard]] std::size_t size() const { return rows_.size(); }

  [[nodiscard]] double weight(std::size_t i) const { return weights_[i]; }

  [[nodiscard]] const MeasuredCase& row(std::size_t i) const { return *rows_[i]; }

 private:
  Rows rows_;
  std::vector<double> weights_;
};

/// Vendors by accelerator.
using Accelerators = std::map<std::string, std::string>;

Accelerators accelerators_of(const WeightedRows& rows) {
  Accelerators result;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    result[rows.row(i).traits.accelerator] = rows.row(i).setup.hardware.vendor;
  }
  return result;
}

/// Shared parameters first, then those of each accelerator.
class AcceleratorBlocks {
 public:
  AcceleratorBlocks(const WeightedRows& rows, std::size_t shared, std::size_t own)
      : ids_{accelerators_of(rows)}, shared_{shared}, own_{own} {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto at = ids_.find(rows.row(i).traits.accelerator);
      of_row_.push_back(begin(static_cast<std::size_t>(std::distance(ids_.begin(), at))));
    }
  }

  [[nodiscard]] const Accelerators& ids() const { return ids_; }

  /// Where the block of row `i` begins.
  [[nodiscard]] std::size_t of_row(std::size_t i) const { return of_row_[i]; }

  [[nodiscard]] std::size_t begin(std::size_t accelerator) const {
    return shared_ + own_ * accelerator;
  }

  /// Shared parameters for which `matters` holds, and all of the row's block.
  template <class Matters>
  [[nodiscard]] std::vector<std::uint32_t> parameters(std::size_t i, Matters matters) const {
    std::vector<std::uint32_t> active;
    for (std::size_t j = 0; j < shared_; ++j) {
      if (matters(j)) {
        active.push_back(static_cast<std::uint32_t>(j));
      }
    }
    for (std::size_t j = 0; j < own_; ++j) {
      active.push_back(static_cast<std::uint32_t>(of_row_[i] + j));
    }
    return active;
  }

 private:
  Accelerators ids_;
  std::size_t shared_;
  std::size_t own_;
  std::vector<std::size_t> of_row_;
};

/// Rows for the fit of times per token and rates.
class SpeedRows : public WeightedRows {
 public:
  explicit SpeedRows(Rows rows)
      : WeightedRows{std::move(rows)},
        blocks_{*this, kSpeedTerms.size(), kAcceleratorTerms.size()} {
    for (std::size_t i = 0; i < size(); ++i) {
      active_.push_back(blocks_.parameters(
          i, [&](std::size_t term) { return matters(static_cast<SpeedTerm>(term), row(i)); }));
    }
  }

  [[nodiscard]] std::span<const std::uint32_t> parameters(std::size_t i) const {
    return active_[i];
  }

  [[nodiscard]] Residuals residuals(std::size_t i, std::span<const double> at) const {
    CoefficientsOfOne coefficients;
    coefficients.speed = exp_of<SpeedValues>(at);
    coefficients.accelerator = exp_of<AcceleratorValues>(at.subspan(blocks_.of_row(i)));
    const auto predicted = predict(row(i), coefficients);
    return {log_ratio(in_seconds(predicted.tpot), row(i).tpot_seconds),
            log_ratio(in_tokens_per_second(predicted.output_per_gpu), row(i).output_per_gpu)};
  }

  [[nodiscard]] const AcceleratorBlocks& blocks() const { return blocks_; }

 private:
  AcceleratorBlocks blocks_;
  std::vector<std::vector<std::uint32_t>> active_;
};

/// Rows for the fit of board power, their use of the GPU at the measured rate.
class PowerRows : public WeightedRows {
 public:
  PowerRows(Rows rows, const Coefficients& coefficients)
      : WeightedRows{std::move(rows)},
        blocks_{*this, kPowerTerms.size(), kAcceleratorPowerTerms.size()} {
    for (std::size_t i = 0; i < size(); ++i) {
      active_.push_back(blocks_.parameters(i, [](std::size_t) { return true; }));
      const auto of_one = of_row(coefficients, row(i));
      uses_.push_back(use_at_measured_rate(row(i), of_one, predict(row(i), of_one)));
    }
  }

  [[nodiscard]] std::span<const std::uint32_t> parameters(std::size_t i) const {
    return active_[i];
  }

  [[nodiscard]] Residuals residuals(std::size_t i, std::span<const double> at) const {
    const BoardPower board{row(i).setup.hardware,
                           exp_of<AcceleratorPowerValues>(at.subspan(blocks_.of_row(i))),
                           exp_of<PowerValues>(at)};
    const auto watts = gpu_power(uses_[i], board);
    return {log_ratio(in_watts(watts), row(i).gpu_power_watts), 0.0};
  }

  [[nodiscard]] const AcceleratorBlocks& blocks() const { return blocks_; }

  static DeploymentUse use_at_measured_rate(const MeasuredCase& row,
                                            const CoefficientsOfOne& coefficients,
                                            const Prediction& predicted) {
    const ServingModel model{row.setup, row.work, coefficients};
    return model.use(predicted,
                     *row.output_per_gpu * row.setup.layout.num_gpus / row.setup.output_tokens);
  }

 private:
  AcceleratorBlocks blocks_;
  std::vector<std::vector<std::uint32_t>> active_;
  std::vector<DeploymentUse> uses_;
};

/// Rows for the fit of first tokens, with steps and rates as predicted.
class FirstTokenRows : public WeightedRows {
 public:
  FirstTokenRows(Rows rows, const Coefficients& coefficients) : WeightedRows{std::move(rows)} {
    for (std::size_t i = 0; i < size(); ++i) {
      coefficients_.push_back(of_row(coefficients, row(i)));
      predictions_.push_back(predict(row(i), coefficients_.back()));
    }
    for (std::uint32_t j = 0; j < kFirstTokenTerms.size(); ++j) {
      (j < static_cast<std::uint32_t>(FirstTokenTerm::pools_amd) ? of_one_ : of_pools_)
          .push_back(j);
    }
  }

  [[nodiscard]] std::span<const std::uint32_t> parameters(std::size_t i) const {
    return row(i).setup.layout.mode == Serving::disaggregated ? of_pools_ : of_one_;
  }

  [[nodiscard]] Residuals residuals(std::size_t i, std::span<const double> at) const {
    CoefficientsOfOne coefficients = coefficients_[i];
    coefficients.first_token = exp_of<FirstTokenValues>(at);
    const ServingModel model{row(i).setup, row(i).work, coefficients};
    return {log_ratio(in_seconds(model.first_token(predictions_[i], row(i).concurrency())),
                      row(i).ttft_seconds),
            0.0};
  }

 private:
  std::vector<CoefficientsOfOne> coefficients_;
  std::vector<Prediction> predictions_;
  std::vector<std::uint32_t> of_one_;
  std::vector<std::uint32_t> of_pools_;
};

template <class Keep>
Rows selected(const Rows& rows, Keep keep) {
  Rows result;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(result),
               [&](const MeasuredCase* row) { return keep(*row); });
  return result;
}

void fit_speed(const Rows& rows, const Coefficients& start, int max_rounds,
               Coefficients& coefficients) {
  const SpeedRows data{selected(
      rows, [](const MeasuredCase& row) { return row.tpot_seconds || row.output_per_gpu; })};
  std::vector<FitParameter> parameters;
  std::vector<double> values;
  append(parameters, kSpeedTerms);
  append_logs(values, start.speed);
  const auto& ids = data.blocks().ids();
  for (const auto& [id, vendor] : ids) {
    append(parameters, kAcceleratorTerms);
    append_logs(values, start.of(id, vendor).accelerator);
  }
  robust_fit(data, parameters, FitSettings{0.25, 1.0, max_rounds}, values);
  const std::span<const double> logs{values};
  coefficients.speed = exp_of<SpeedValues>(logs);
  coefficients.accelerators.clear();
  std::size_t block = 0;
  for (const auto& [id, vendor] : ids) {
    auto& of_one = coefficients.accelerators[id];
    of_one.vendor = vendor;
    of_one.times = exp_of<AcceleratorValues>(logs.subspan(data.blocks().begin(block++)));
  }
}

void fit_power(const Rows& rows, const Coefficients& start, int max_rounds,
               Coefficients& coefficients) {
  const PowerRows data{
      selected(rows,
               [](const MeasuredCase& row) { return row.gpu_power_watts && row.output_per_gpu; }),
      coefficients};
  std::vector<FitParameter> parameters;
  std::vector<double> values;
  append(parameters, kPowerTerms);
  append_logs(values, start.power);
  const auto& ids = data.blocks().ids();
  for (const auto& [id, vendor] : ids) {
    append(parameters, kAcceleratorPowerTerms);
    append_logs(values, start.of(id, vendor).accelerator_power);
  }
  robust_fit(data, parameters, FitSettings{0.25, 0.2, max_rounds}, values);
  const std::span<const double> logs{values};
  coefficients.power = exp_of<PowerValues>(logs);
  std::size_t block = 0;
  for (const auto& [id, vendor] : ids) {
    auto& of_one = coefficients.accelerators[id];
    of_one.vendor = vendor;
    of_one.power = exp_of<AcceleratorPowerValues>(logs.subspan(data.blocks().begin(block++)));
  }
}

void fit_first_token(const Rows& rows, const Coefficients& start, int max_rounds,
                     Coefficients& coefficients) {
  const FirstTokenRows data{
      selected(rows, [](const MeasuredCase& row) { return row.ttft_seconds.has_value(); }),
      coefficients};
  std::vector<FitParameter> parameters;
  std::vector<double> values;
  append(parameters, kFirstTokenTerms);
  append_logs(values, start.first_token);
  robust_fit(data, parameters, FitSettings{0.5, 0.4, max_rounds}, values);
  coefficients.first_token = exp_of<FirstTokenValues>(values);
}

/// What the physical terms say of one row, before relatives.
struct PhysicalTerms {
  CoefficientsOfOne coefficients;
  Prediction predicted;
};

/// ln(predicted / measured) of the physical terms, or nothing where the row does not say.
std::optional<double> residual(const MeasuredCase& row, Metric metric, const PhysicalTerms& terms) {
  const auto& [coefficients, predicted] = terms;
  switch (metric) {
    case Metric::throughput:
      if (row.output_per_gpu) {
        return log_ratio(in_tokens_per_second(predicted.output_per_gpu), row.output_per_gpu);
      }
      break;
    case Metric::tpot:
      if (row.tpot_seconds) {
        return log_ratio(in_seconds(predicted.tpot), row.tpot_seconds);
      }
      break;
    case Metric::ttft:
      if (row.ttft_seconds) {
        return log_ratio(in_seconds(predicted.ttft), row.ttft_seconds);
      }
      break;
    case Metric::power:
      if (row.gpu_power_watts && row.output_per_gpu) {
        const BoardPower board{row.setup.hardware, coefficients.accelerator_power,
                               coefficients.power};
        const auto watts =
            gpu_power(PowerRows::use_at_measured_rate(row, coefficients, predicted), board);
        return log_ratio(in_watts(watts), row.gpu_power_watts);
      }
      break;
  }
  return std::nullopt;
}

/// One relative per family, speculation and four octaves of load.
std::vector<Relative> relatives_of(const Rows& rows, Metric metric,
                                   const std::vector<PhysicalTerms>& terms) {
  struct Group {
    std::vector<const MeasuredCase*> rows;
    std::vector<double> residuals;
  };

  std::map<std::tuple<std::string_view, std::string_view, std::string_view, int>, Group> groups;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto* row = rows[i];
    if (const auto off = residual(*row, metric, terms[i])) {
      const int octaves = static_cast<int>(row->traits.log2_concurrency / kLoadOctavesOfRelative);
      auto& group = groups[{row->family, row->traits.spec_decode, row->traits.source, octaves}];
      group.rows.push_back(row);
      group.residuals.push_back(*off);
    }
  }
  std::vector<Relative> relatives;
  for (auto& entry : groups) {
    auto& group = entry.second;
    Relative relative;
    relative.traits = group.rows.front()->traits;
    const auto mean = [&](double Traits::*trait) {
      double sum = 0;
      for (const auto* row : group.rows) {
        sum += row->traits.*trait;
      }
      return sum / static_cast<double>(group.rows.size());
    };
    relative.traits.log2_concurrency = mean(&Traits::log2_concurrency);
    relative.traits.log2_instance_gpus = mean(&Traits::log2_instance_gpus);
    relative.traits.age_quarters = mean(&Traits::age_quarters);
    relative.rows = static_cast<int>(group.rows.size());
    relative.residual = *median(std::move(group.residuals));
    relative.label = std::string{std::get<0>(entry.first)};
    relatives.push_back(std::move(relative));
  }
  return relatives;
}

}  // namespace

std::string_view to_string(Metric metric) {
  switch (metric) {
    case Metric::throughput:
      return "output_tokens_per_s_per_gpu";
    case Metric::tpot:
      return "tpot_median_s";
    case Metric::ttft:
      return "ttft_median_s";
    case Metric::power:
      break;
  }
  return "gpu_power_watts";
}

Prediction predict(const MeasuredCase& row, const CoefficientsOfOne& coefficients) {
  return ServingModel{row.setup, row.work, coefficients}.under(row.load);
}

Estimated estimate(const MeasuredCase& row, const Calibration& calibration) {
  const auto of_one = of_row(calibration.coefficients, row);
  const ServingModel model{row.setup, row.work, of_one};
  const BoardPower board{row.setup.hardware, of_one.accelerator_power, of_one.power};
  Estimated result;
  result.physical = predict(row, of_one);
  const auto corrected = [&](double value, Metric metric) {
    return value * std::exp(-calibration.shift(metric, row.traits));
  };
  result.output_per_gpu =
      corrected(in_tokens_per_second(result.physical.output_per_gpu), Metric::throughput);
  result.tpot_seconds = corrected(in_seconds(result.physical.tpot), Metric::tpot);
  result.ttft_seconds = corrected(in_seconds(result.physical.ttft), Metric::ttft);
  const auto watts_at = [&](double output_per_gpu) {
    const auto use = model.use(
        result.physical, output_per_gpu * row.setup.layout.num_gpus / row.setup.output_tokens);
    return corrected(in_watts(gpu_power(use, board)), Metric::power);
  };
  result.gpu_power_watts = watts_at(result.output_per_gpu);
  if (row.output_per_gpu) {
    result.power_at_measured_rate = watts_at(*row.output_per_gpu);
  }
  return result;
}

Regime regime_of(const Traits& traits) {
  if (traits.is_task) {
    return Regime::task;
  }
  return traits.is_disaggregated ? Regime::disaggregated : Regime::aggregated;
}

namespace {

/// Standard deviation of ln(predicted) that coefficients of other accelerators add to a prediction:
/// what accelerators left out needed beyond families left out.
double spread_of_other_coefficients(Metric metric, std::string_view accelerator,
                                    const Coefficients& coefficients) {
  constexpr double kTimes = 0.1;
  constexpr double kPower = 0.17;
  const auto own = coefficients.accelerators.find(accelerator);
  if (metric == Metric::power) {
    return own == coefficients.accelerators.end() || !own->second.power ? kPower : 0.0;
  }
  return own == coefficients.accelerators.end() || !own->second.times ? kTimes : 0.0;
}

}  // namespace

Banded banded(double value, Metric metric, const Traits& traits, const Calibration& calibration) {
  const auto& borrowing = calibration.of(metric);
  const Borrowed borrowed = borrowing.borrow(traits);
  const double row = borrowing.widths().noise + borrowing.widths().noise_of_row;
  Banded result;
  result.value = value;
  const double model = std::hypot(
      borrowed.spread,
      spread_of_other_coefficients(metric, traits.accelerator, calibration.coefficients));
  result.log_spread = std::hypot(
      model * calibration.anchors[static_cast<std::size_t>(metric)].remaining_spread_ratio(traits),
      row);
  const double band =
      calibration
          .bands[static_cast<std::size_t>(metric)][static_cast<std::size_t>(regime_of(traits))];
  result.low = value * std::exp(-band * result.log_spread);
  result.high = value * std::exp(band * result.log_spread);
  result.nearest = borrowed.nearest;
  return result;
}

Calibration anchored_to(Calibration calibration, std::span<const MeasuredCase* const> rows) {
  std::array<std::vector<Anchor>, kMetrics.size()> anchors;
  for (const auto* row : rows) {
    const Estimated estimated = estimate(*row, calibration);
    const auto add = [&](Metric metric, double predicted, const std::optional<double>& measured) {
      if (measured) {
        anchors[static_cast<std::size_t>(metric)].push_back(
            {row->traits, std::log(predicted / *measured)});
      }
    };
    add(Metric::throughput, estimated.output_per_gpu, row->output_per_gpu);
    add(Metric::tpot, estimated.tpot_seconds, row->tpot_seconds);
    add(Metric::ttft, estimated.ttft_seconds, row->ttft_seconds);
    add(Metric::power, estimated.power_at_measured_rate.value_or(estimated.gpu_power_watts),
        row->gpu_power_watts);
  }
  for (std::size_t i = 0; i < anchors.size(); ++i) {
    calibration.anchors[i] = Anchors{std::move(anchors[i])};
  }
  return calibration;
}

Provenance provenance_of(std::span<const MeasuredCase* const> rows) {
  Provenance result;
  std::vector<std::string_view> families;
  for (const auto* row : rows) {
    if (!row->screen.empty()) {
      ++result.screened_rows;
      continue;
    }
    ++result.rows;
    ++result.sources[row->traits.source];
    families.push_back(row->family);
    result.newest_row = std::max(result.newest_row, row->date);
  }
  std::sort(families.begin(), families.end());
  result.families =
      static_cast<int>(std::unique(families.begin(), families.end()) - families.begin());
  return result;
}

Calibration calibrate(std::span<const MeasuredCase* const> rows, const Coefficients* start,
                      const CalibrationSettings& settings) {
  Rows usable;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(usable),
               [](const MeasuredCase* row) { return row->screen.empty(); });
  const Coefficients from = start != nullptr ? *start : starting_coefficients();
  Calibration result;
  result.provenance = provenance_of(rows);
  auto& coefficients = result.coefficients;
  coefficients = from;
  fit_speed(usable, from, settings.max_rounds, coefficients);
  fit_power(usable, from, settings.max_rounds, coefficients);
  fit_first_token(usable, from, settings.max_rounds, coefficients);
  if (settings.borrows) {
    std::vector<PhysicalTerms> terms;
    terms.reserve(usable.size());
    for (const auto* row : usable) {
      const auto of_one = of_row(coefficients, *row);
      terms.push_back({of_one, predict(*row, of_one)});
    }
    for (const Metric metric : kMetrics) {
      auto relatives = relatives_of(usable, metric, terms);
      weigh(relatives, widths_of(metric));
      result.borrowing[static_cast<std::size_t>(metric)] =
          Borrowing{std::move(relatives), widths_of(metric)};
    }
  }
  return result;
}

}  // namespace perwatt::inference::serving
