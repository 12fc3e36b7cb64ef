#include "perwatt/inference/serving/baselines.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace perwatt::inference::serving {

namespace {

constexpr std::array<Quantity, 4> kOfNeighbours{Quantity::throughput, Quantity::tpot,
                                                Quantity::ttft, Quantity::power};

/// Where a row lies: logarithms to base 2 of what sets its speed, and names that cost a distance
/// where they differ.
struct Position {
  std::array<double, 8> logs{};
  std::array<int, 5> names{};
};

constexpr std::array<double, 5> kCostOfNames{1.0, 1.0, 0.5, 0.5, 0.5};

class Positions {
 public:
  [[nodiscard]] Position of(const MeasuredCase& row) {
    const Setup& setup = row.setup;
    const Traits& traits = row.traits;
    const auto log = [](double value) { return std::log2(std::max(value, 1e-9)); };
    return {{log(row.concurrency() / setup.layout.num_gpus), traits.log2_input_tokens,
             traits.log2_output_tokens, log(setup.model->active_parameters()),
             log(setup.model->total_parameters()), traits.log2_instance_gpus,
             log(setup.hardware.memory_bytes_per_second), log(setup.hardware.bf16_flops)},
            {number(traits.precision), number(traits.is_disaggregated ? "pools" : "one"),
             number(traits.engine), number(traits.spec_decode), number(traits.accelerator)}};
  }

  static double distance(const Position& a, const Position& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.logs.size(); ++i) {
      sum += (a.logs[i] - b.logs[i]) * (a.logs[i] - b.logs[i]);
    }
    for (std::size_t i = 0; i < a.names.size(); ++i) {
      sum += a.names[i] == b.names[i] ? 0 : kCostOfNames[i];
    }
    return sum;
  }

 private:
  int number(const std::string& name) {
    return numbers_.emplace(name, static_cast<int>(numbers_.size())).first->second;
  }

  std::map<std::string, int> numbers_;
};

bool is_usable(const MeasuredCase& row, Quantity quantity) {
  return row.screen.empty() && (quantity != Quantity::power || row.power_screen.empty()) &&
         measured(row, quantity);
}

void put(Scored& scored, Quantity quantity, double value) {
  auto& estimated = scored.estimated;
  switch (quantity) {
    case Quantity::throughput:
      estimated.output_per_gpu = value;
      break;
    case Quantity::tpot:
      estimated.tpot_seconds = value;
      break;
    case Quantity::ttft:
      estimated.ttft_seconds = value;
      break;
    case Quantity::power:
    case Quantity::power_at_measured_rate:
    case Quantity::energy:
      estimated.gpu_power_watts = value;
      estimated.power_at_measured_rate = value;
      break;
  }
}

std::vector<Scored> by_neighbour(std::span<const MeasuredCase* const> asked,
                                 std::span<const MeasuredCase* const> rows, HoldOut hold_out) {
  struct Candidate {
    const MeasuredCase* row;
    Position position;
    std::string key;
  };

  Positions positions;
  std::vector<Candidate> candidates;
  candidates.reserve(rows.size());
  for (const auto* row : rows) {
    candidates.push_back({row, positions.of(*row), held_out_key(*row, hold_out)});
  }
  std::vector<Scored> result;
  for (const auto* row : asked) {
    const Position here = positions.of(*row);
    const std::string key = held_out_key(*row, hold_out);
    std::array<double, kOfNeighbours.size()> least{};
    least.fill(std::numeric_limits<double>::infinity());
    std::array<const MeasuredCase*, kOfNeighbours.size()> nearest{};
    for (const auto& candidate : candidates) {
      const double distance = Positions::distance(here, candidate.position);
      if (distance >= *std::max_element(least.begin(), least.end()) || candidate.key == key) {
        continue;
      }
      for (std::size_t q = 0; q < kOfNeighbours.size(); ++q) {
        if (distance < least[q] && is_usable(*candidate.row, kOfNeighbours[q])) {
          least[q] = distance;
          nearest[q] = candidate.row;
        }
      }
    }
    Scored scored{row, {}, {}};
    for (std::size_t q = 0; q < kOfNeighbours.size(); ++q) {
      if (nearest[q] != nullptr) {
        put(scored, kOfNeighbours[q], *measured(*nearest[q], kOfNeighbours[q]));
      }
    }
    result.push_back(scored);
  }
  return result;
}

// ---- watts ------------------------------------------------------------------------------------

struct PowerSample {
  double log2_concurrency = 0;
  double share_of_tdp = 0;
};

double mean_share(const std::vector<PowerSample>& samples, double /*log2_concurrency*/) {
  double sum = 0;
  for (const auto& sample : samples) {
    sum += sample.share_of_tdp;
  }
  return sum / static_cast<double>(samples.size());
}

/// Least squares over a grid of middles and widths; the ends of the curve are linear.
double logistic_share(const std::vector<PowerSample>& samples, double log2_concurrency) {
  double least = std::numeric_limits<double>::infinity();
  double share = mean_share(samples, log2_concurrency);
  const auto count = static_cast<double>(samples.size());
  for (int middle = 0; middle <= 12; ++middle) {
    for (const double width : {0.5, 1.0, 1.5, 2.0, 3.0}) {
      const auto curve = [&](double x) { return 1 / (1 + std::exp(-(x - middle) / width)); };
      double sx = 0;
      double sy = 0;
      double sxx = 0;
      double sxy = 0;
      double syy = 0;
      for (const auto& [log2_c, y] : samples) {
        const double x = curve(log2_c);
        sx += x;
        sy += y;
        sxx += x * x;
        sxy += x * y;
        syy += y * y;
      }
      const double spread = sxx - sx * sx / count;
      if (spread <= 1e-9) {
        continue;
      }
      const double slope = std::max(0.0, (sxy - sx * sy / count) / spread);
      const double level = (sy - slope * sx) / count;
      const double loss = syy - level * sy - slope * sxy;
      if (loss < least) {
        least = loss;
        share = level + slope * curve(log2_concurrency);
      }
    }
  }
  return share;
}

std::vector<Scored> by_share(std::span<const MeasuredCase* const> asked,
                             std::span<const MeasuredCase* const> rows, HoldOut hold_out,
                             double (*share_at)(const std::vector<PowerSample>&, double)) {
  std::map<std::string, std::vector<const MeasuredCase*>> of_accelerator;
  for (const auto* row : rows) {
    if (is_usable(*row, Quantity::power)) {
      of_accelerator[row->traits.accelerator].push_back(row);
    }
  }
  // Samples are the same for all rows that are left out together.
  std::map<std::pair<std::string, std::string>, std::vector<PowerSample>> samples;
  std::vector<Scored> result;
  for (const auto* row : asked) {
    const std::string key = held_out_key(*row, hold_out);
    const auto& accelerator = row->traits.accelerator;
    const auto [found, is_new] = samples.try_emplace({accelerator, key});
    if (is_new) {
      for (const auto* other : of_accelerator[accelerator]) {
        if (held_out_key(*other, hold_out) != key) {
          found->second.push_back({std::log2(std::max(1.0, other->concurrency())),
                                   *other->gpu_power_watts / in_watts(other->setup.hardware.tdp)});
        }
      }
    }
    if (!found->second.empty() && row->gpu_power_watts) {
      Scored scored{row, {}, {}};
      put(scored, Quantity::power,
          share_at(found->second, std::log2(std::max(1.0, row->concurrency()))) *
              in_watts(row->setup.hardware.tdp));
      result.push_back(scored);
    }
  }
  return result;
}

}  // namespace

std::string_view to_string(Baseline baseline) {
  switch (baseline) {
    case Baseline::nearest_neighbour:
      return "nearest_neighbour";
    case Baseline::tdp_share:
      return "tdp_share";
    case Baseline::logistic:
      break;
  }
  return "logistic";
}

bool predicts(Baseline baseline, Quantity quantity) {
  return baseline == Baseline::nearest_neighbour || quantity == Quantity::power;
}

std::vector<Scored> predict_by(Baseline baseline, std::span<const MeasuredCase* const> asked,
                               std::span<const MeasuredCase* const> rows, HoldOut hold_out) {
  switch (baseline) {
    case Baseline::nearest_neighbour:
      return by_neighbour(asked, rows, hold_out);
    case Baseline::tdp_share:
      return by_share(asked, rows, hold_out, mean_share);
    case Baseline::logistic:
      break;
  }
  return by_share(asked, rows, hold_out, logistic_share);
}

}  // namespace perwatt::inference::serving
