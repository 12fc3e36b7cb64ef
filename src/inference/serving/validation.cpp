#include "perwatt/inference/serving/validation.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "perwatt/base/random.hpp"

namespace perwatt::inference::serving {

namespace {

constexpr std::size_t kMostFolds = 12;
constexpr double kCoverage = 0.9;

/// Which fold each key belongs to: shuffled alike in every run.
std::map<std::string, std::size_t> folds_of(std::span<const MeasuredCase* const> rows,
                                            HoldOut hold_out) {
  std::set<std::string> distinct;
  for (const auto* row : rows) {
    distinct.insert(held_out_key(*row, hold_out));
  }
  std::vector<std::string> keys{distinct.begin(), distinct.end()};
  std::mt19937_64 generator{1};
  shuffle(std::span<std::string>{keys}, generator);
  std::map<std::string, std::size_t> folds;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    folds[keys[i]] = i % kMostFolds;
  }
  return folds;
}

double predicted(const Scored& scored, Quantity quantity) {
  const auto& estimated = scored.estimated;
  switch (quantity) {
    case Quantity::throughput:
      return estimated.output_per_gpu;
    case Quantity::tpot:
      return estimated.tpot_seconds;
    case Quantity::ttft:
      return estimated.ttft_seconds;
    case Quantity::power:
      return estimated.gpu_power_watts;
    case Quantity::power_at_measured_rate:
      return estimated.power_at_measured_rate.value_or(0);
    case Quantity::energy:
      break;
  }
  return estimated.joules_per_output_token();
}

/// The metric whose interval belongs to a quantity, or nothing.
std::optional<Metric> metric_of(Quantity quantity) {
  switch (quantity) {
    case Quantity::throughput:
      return Metric::throughput;
    case Quantity::tpot:
      return Metric::tpot;
    case Quantity::ttft:
      return Metric::ttft;
    case Quantity::power:
      return Metric::power;
    case Quantity::power_at_measured_rate:
    case Quantity::energy:
      break;
  }
  return std::nullopt;
}

double value_of(const Estimated& estimated, Metric metric) {
  switch (metric) {
    case Metric::throughput:
      return estimated.output_per_gpu;
    case Metric::tpot:
      return estimated.tpot_seconds;
    case Metric::ttft:
      return estimated.ttft_seconds;
    case Metric::power:
      break;
  }
  return estimated.gpu_power_watts;
}

Scored scored_of(const MeasuredCase& row, const Calibration& calibration) {
  Scored result{&row, estimate(row, calibration), {}};
  for (const Metric metric : kMetrics) {
    result.banded[static_cast<std::size_t>(metric)] =
        banded(value_of(result.estimated, metric), metric, row.traits, calibration);
  }
  return result;
}

/// The value below which `share` of `values` lie: the nearest rank.
double quantile(std::vector<double>& values, double share) {
  const auto rank = std::min(values.size() - 1,
                             static_cast<std::size_t>(share * static_cast<double>(values.size())));
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(rank);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

bool is_power(Quantity quantity) {
  return quantity == Quantity::power || quantity == Quantity::power_at_measured_rate ||
         quantity == Quantity::energy;
}

bool counts(const MeasuredCase& row, Quantity quantity) {
  return row.screen.empty() && (!is_power(quantity) || row.power_screen.empty());
}

std::vector<std::string> groups_of(const MeasuredCase& row) {
  const Traits& t = row.traits;
  return {"all",
          t.is_task
              ? "serving:aggregated, task lengths"
              : std::string{"serving:"} + (t.is_disaggregated ? "disaggregated" : "aggregated"),
          "accelerator:" + t.accelerator,
          "model:" + row.model,
          "precision:" + t.precision,
          "engine:" + t.engine,
          "source:" + t.source};
}

struct Errors {
  std::vector<double> ape;
  std::vector<double> ratio;
  std::size_t inside = 0;
  std::size_t stated = 0;
};

std::optional<double> stated(const MeasuredPoint& point, Quantity quantity) {
  const auto base = [](const auto& value) {
    return value ? std::optional{value->in_base()} : std::nullopt;
  };
  switch (quantity) {
    case Quantity::throughput:
      return base(point.output_per_gpu);
    case Quantity::tpot:
      return point.tpot_median ? base(point.tpot_median) : base(point.interactivity);
    case Quantity::ttft:
      return base(point.ttft_median);
    case Quantity::power:
    case Quantity::power_at_measured_rate:
      return base(point.gpu_power);
    case Quantity::energy:
      break;
  }
  return base(point.joules_per_output_token);
}

/// What rows of one deployment on one day have in common: all but the load.
std::string deployment_key(const MeasuredCase& row) {
  const auto instance = [](const Pool& pool) {
    return std::to_string(pool.gpus) + "/" + std::to_string(pool.instance.gpus) + "/" +
           std::to_string(pool.instance.attention_dp) + "/" +
           std::to_string(pool.instance.expert_parallel);
  };
  return row.family + "|" + row.traits.spec_decode + "|" + row.traits.source + "|" + row.date +
         "|" + instance(row.setup.layout.prefill) + "|" + instance(row.setup.layout.decode);
}

/// ln(predicted / measured) of two anchors, log-linear in load between them.
double shift_between(const Scored& low, const Scored& high, const Scored& at, Quantity quantity) {
  const auto off = [&](const Scored& scored) -> std::optional<double> {
    const auto value = measured(*scored.row, quantity);
    return value ? std::optional{std::log(predicted(scored, quantity) / *value)} : std::nullopt;
  };
  const auto of_low = off(low);
  const auto of_high = off(high);
  if (!of_low || !of_high) {
    return of_low.value_or(of_high.value_or(0));
  }
  const double from = std::log(low.row->concurrency());
  const double to = std::log(high.row->concurrency());
  const double share = (std::log(at.row->concurrency()) - from) / (to - from);
  return *of_low + share * (*of_high - *of_low);
}

Scored corrected(const Scored& low, const Scored& high, const Scored& at) {
  Scored result = at;
  auto& estimated = result.estimated;
  const auto factor = [&](Quantity quantity) {
    return std::exp(-shift_between(low, high, at, quantity));
  };
  estimated.output_per_gpu *= factor(Quantity::throughput);
  estimated.tpot_seconds *= factor(Quantity::tpot);
  estimated.ttft_seconds *= factor(Quantity::ttft);
  estimated.gpu_power_watts *= factor(Quantity::power);
  if (estimated.power_at_measured_rate) {
    *estimated.power_at_measured_rate *= factor(Quantity::power_at_measured_rate);
  }
  for (const Metric metric : kMetrics) {
    auto& band = result.banded[static_cast<std::size_t>(metric)];
    const double value = value_of(estimated, metric);
    band.low *= value / band.value;
    band.high *= value / band.value;
    band.value = value;
  }
  return result;
}

}  // namespace

const std::string& held_out_key(const MeasuredCase& row, HoldOut hold_out) {
  switch (hold_out) {
    case HoldOut::model:
      return row.traits.architecture;
    case HoldOut::accelerator:
      return row.traits.accelerator;
    case HoldOut::engine:
      return row.traits.engine;
    case HoldOut::family:
      break;
  }
  return row.family;
}

std::string_view to_string(Quantity quantity) {
  switch (quantity) {
    case Quantity::throughput:
      return "output_tokens_per_s_per_gpu";
    case Quantity::tpot:
      return "tpot_median_s";
    case Quantity::ttft:
      return "ttft_median_s";
    case Quantity::power:
      return "gpu_power_watts";
    case Quantity::power_at_measured_rate:
      return "gpu_power_watts_at_measured_rate";
    case Quantity::energy:
      break;
  }
  return "joules_per_output_token";
}

std::optional<double> measured(const MeasuredCase& row, Quantity quantity) {
  switch (quantity) {
    case Quantity::throughput:
      return row.output_per_gpu;
    case Quantity::tpot:
      return row.tpot_seconds;
    case Quantity::ttft:
      return row.ttft_seconds;
    case Quantity::power:
      return row.gpu_power_watts;
    case Quantity::power_at_measured_rate:
      return row.output_per_gpu ? row.gpu_power_watts : std::nullopt;
    case Quantity::energy:
      break;
  }
  return row.joules_per_output_token;
}

std::vector<Scored> score(std::span<const MeasuredCase* const> asked,
                          const Calibration& calibration, const ProgressSink& progress) {
  std::vector<Scored> result;
  for (const auto* row : asked) {
    result.push_back(scored_of(*row, calibration));
    if (progress) {
      progress(static_cast<double>(result.size()) / static_cast<double>(asked.size()));
    }
  }
  return result;
}

std::vector<Scored> score_held_out(std::span<const MeasuredCase* const> asked,
                                   std::span<const MeasuredCase* const> rows, HoldOut hold_out,
                                   const Calibration& start, const ProgressSink& progress) {
  const auto folds = folds_of(rows, hold_out);
  std::vector<std::optional<Scored>> by_row(asked.size());
  for (std::size_t fold = 0; fold < kMostFolds; ++fold) {
    std::vector<const MeasuredCase*> kept;
    for (const auto* row : rows) {
      if (folds.at(held_out_key(*row, hold_out)) != fold) {
        kept.push_back(row);
      }
    }
    const auto is_asked = [&](const MeasuredCase* row) {
      return folds.at(held_out_key(*row, hold_out)) == fold;
    };
    if (std::any_of(asked.begin(), asked.end(), is_asked)) {
      constexpr int kRoundsFromNear = 5;
      Calibration calibration =
          calibrate(kept, &start.coefficients, CalibrationSettings{kRoundsFromNear, true});
      calibration.bands = start.bands;
      for (std::size_t i = 0; i < asked.size(); ++i) {
        if (is_asked(asked[i])) {
          by_row[i] = scored_of(*asked[i], calibration);
        }
      }
    }
    if (progress) {
      progress(static_cast<double>(fold + 1) / kMostFolds);
    }
  }
  std::vector<Scored> result;
  result.reserve(by_row.size());
  for (auto& row : by_row) {
    result.push_back(std::move(*row));
  }
  return result;
}

std::vector<Scored> anchored(const std::vector<Scored>& scored) {
  std::map<std::string, std::vector<const Scored*>> deployments;
  for (const auto& one : scored) {
    if (one.row->screen.empty()) {
      deployments[deployment_key(*one.row)].push_back(&one);
    }
  }
  std::vector<Scored> result;
  for (auto& [key, rows] : deployments) {
    std::stable_sort(rows.begin(), rows.end(), [](const Scored* a, const Scored* b) {
      return a->row->concurrency() < b->row->concurrency();
    });
    const Scored& low = *rows.front();
    const Scored& high = *rows.back();
    for (const auto* at : rows) {
      if (at->row->concurrency() > low.row->concurrency() &&
          at->row->concurrency() < high.row->concurrency()) {
        result.push_back(corrected(low, high, *at));
      }
    }
  }
  return result;
}

void set_bands(const std::vector<Scored>& scored, Calibration& calibration) {
  constexpr std::size_t kLeastRows = 20;
  for (const Metric metric : kMetrics) {
    const auto index = static_cast<std::size_t>(metric);
    const auto quantity = static_cast<Quantity>(index);
    std::array<std::vector<double>, kRegimes> needed;
    std::vector<double> by_all;
    for (const auto& one : scored) {
      const auto value = measured(*one.row, quantity);
      if (value && counts(*one.row, quantity)) {
        const double off =
            std::abs(std::log(predicted(one, quantity) / *value)) / one.banded[index].log_spread;
        needed[static_cast<std::size_t>(regime_of(one.row->traits))].push_back(off);
        by_all.push_back(off);
      }
    }
    for (std::size_t r = 0; r < kRegimes; ++r) {
      auto& of_regime = needed[r].size() < kLeastRows ? by_all : needed[r];
      if (!of_regime.empty()) {
        calibration.bands[index][r] = quantile(of_regime, kCoverage);
      }
    }
  }
}

std::vector<Score> scores_of(const std::vector<Scored>& scored,
                             const std::vector<Unpredicted>& unpredicted) {
  std::map<std::pair<std::string, Quantity>, Errors> errors;
  for (const auto& one : scored) {
    for (const Quantity quantity : kQuantities) {
      const auto value = measured(*one.row, quantity);
      if (!value || !counts(*one.row, quantity)) {
        continue;
      }
      const double ratio = predicted(one, quantity) / *value;
      const auto metric = metric_of(quantity);
      const Banded* band = metric ? &one.banded[static_cast<std::size_t>(*metric)] : nullptr;
      const bool is_inside = band != nullptr && *value >= band->low && *value <= band->high;
      for (const auto& group : groups_of(*one.row)) {
        auto& sums = errors[{group, quantity}];
        sums.ape.push_back(std::abs(ratio - 1));
        sums.ratio.push_back(ratio - 1);
        sums.inside += is_inside ? 1 : 0;
        ++sums.stated;
      }
    }
  }
  for (const auto& row : unpredicted) {
    for (const Quantity quantity : kQuantities) {
      if (row.point != nullptr && stated(*row.point, quantity)) {
        ++errors[{"all", quantity}].stated;
        ++errors[{"accelerator:" + row.point->accelerator, quantity}].stated;
        ++errors[{"model:" + row.point->model, quantity}].stated;
        ++errors[{"source:" + row.point->source, quantity}].stated;
      }
    }
  }
  std::vector<Score> result;
  for (auto& [key, sums] : errors) {
    Score one;
    one.group = key.first;
    one.quantity = key.second;
    one.rows = sums.ape.size();
    one.predicted_ratio = static_cast<double>(one.rows) / static_cast<double>(sums.stated);
    if (one.rows > 0) {
      one.covered_ratio = static_cast<double>(sums.inside) / static_cast<double>(one.rows);
      one.median_ape_ratio = quantile(sums.ape, 0.5);
      one.p90_ape_ratio = quantile(sums.ape, 0.9);
      one.bias_ratio = quantile(sums.ratio, 0.5);
    }
    result.push_back(std::move(one));
  }
  std::stable_partition(result.begin(), result.end(),
                        [](const Score& one) { return one.group == "all"; });
  return result;
}

}  // namespace perwatt::inference::serving
