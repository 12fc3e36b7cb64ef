#include "perwatt/measure/intervals.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace perwatt::measure {

namespace {

double two_sided_t(double confidence_ratio, double dof) {
  return student_t_quantile(0.5 + confidence_ratio / 2, dof);
}

Estimate around(double value, double half_width) {
  return {value, value - half_width, value + half_width};
}

/// How long values whose mean is 0 remember, in numbers of values.
struct Memory {
  double time = 1;      // tau = 1 + 2 sum rho_k
  double distance = 0;  // D = 4 sum k rho_k / tau: about tau when correlation decays exponentially
};

/// By Geyer's initial monotone positive sequence: pairs of neighbouring autocovariances until one
/// is not positive, none above the one before. The mean was taken from the same values, which
/// lowers each rho by tau / n on average: given back. Absent when the sequence fills the values.
std::optional<Memory> memory_of(const std::vector<double>& values) {
  const std::size_t count = values.size();
  const auto covariance = [&](std::size_t lag) {
    double total = 0;
    for (std::size_t i = lag; i < count; ++i) {
      total += values[i] * values[i - lag];
    }
    return total;
  };
  const double variance = covariance(0);
  if (variance <= 0) {
    return Memory{};
  }
  double sum = 0;
  double moment = 0;  // sum k rho_k
  double before = 2 * variance;
  std::size_t lag = 0;
  for (; lag + 1 < count; lag += 2) {
    const double even = covariance(lag);
    const double odd = covariance(lag + 1);
    if (even + odd <= 0) {
      break;
    }
    const double pair = std::min(before, even + odd);
    const auto place = static_cast<double>(lag);
    sum += pair / variance;
    moment += (place * even + (place + 1) * odd) * (pair / (even + odd)) / variance;
    before = pair;
  }
  const double raw = std::max(1.0, 2 * sum - 1);
  const double kept = 1 - (2 * static_cast<double>(lag) - 1) / static_cast<double>(count);
  if (kept <= 0.1) {
    return std::nullopt;
  }
  return Memory{raw / kept, std::max(0.0, 4 * moment / raw)};
}

}  // namespace

std::optional<Estimate> mean_interval(std::span<const double> runs, double confidence_ratio) {
  if (runs.empty()) {
    return std::nullopt;
  }
  const auto count = static_cast<double>(runs.size());
  double mean = 0;
  for (const double run : runs) {
    mean += run;
  }
  mean /= count;
  if (runs.size() == 1) {
    return Estimate{mean, std::nullopt, std::nullopt};
  }
  double squares = 0;
  for (const double run : runs) {
    squares += (run - mean) * (run - mean);
  }
  const double error = std::sqrt(squares / (count - 1) / count);
  return around(mean, two_sided_t(confidence_ratio, count - 1) * error);
}

std::optional<Estimate> ratio_of_sums_interval(std::span<const double> numerators,
                                               std::span<const double> denominators,
                                               double confidence_ratio) {
  double above = 0;
  double below = 0;
  for (std::size_t i = 0; i < numerators.size(); ++i) {
    above += numerators[i];
    below += denominators[i];
  }
  if (!(below > 0)) {
    return std::nullopt;
  }
  const double ratio = above / below;
  if (numerators.size() == 1) {
    return Estimate{ratio, std::nullopt, std::nullopt};
  }
  double squares = 0;
  for (std::size_t i = 0; i < numerators.size(); ++i) {
    const double residual = numerators[i] - ratio * denominators[i];
    squares += residual * residual;
  }
  const auto count = static_cast<double>(numerators.size());
  const double error = std::sqrt(count / (count - 1) * squares) / below;
  return around(ratio, two_sided_t(confidence_ratio, count - 1) * error);
}

std::optional<WithinRun> within_run_interval(std::span<const Slice> slices,
                                             double confidence_ratio) {
  Joules energy;
  Tokens delivered;
  for (const Slice& slice : slices) {
    energy += slice.energy;
    delivered += slice.tokens;
  }
  if (!(in_tokens(delivered) > 0)) {
    return std::nullopt;
  }
  const JoulesPerToken ratio = energy / delivered;
  std::vector<double> residuals;
  residuals.reserve(slices.size());
  for (const Slice& slice : slices) {
    residuals.push_back((slice.energy - ratio * slice.tokens).in_base());
  }
  WithinRun result;
  result.joules_per_token.value = in_joules_per_token(ratio);
  const std::optional<Memory> memory = memory_of(residuals);
  if (!memory) {
    return result;
  }
  const auto count = static_cast<double>(slices.size());
  result.autocorrelation_time = memory->time;
  result.effective_slices = count / memory->time;
  const double length = std::ceil(3 * std::max(memory->time, memory->distance));
  result.blocks = static_cast<int>(count / length);
  if (result.blocks < kFewestBlocks) {
    return result;
  }
  const auto blocks = static_cast<std::size_t>(result.blocks);
  double squares = 0;
  for (std::size_t block = 0; block < blocks; ++block) {
    double sum = 0;
    for (std::size_t i = block * slices.size() / blocks; i < (block + 1) * slices.size() / blocks;
         ++i) {
      sum += residuals[i];
    }
    squares += sum * sum;
  }
  const double number = result.blocks;
  const double still_shared = 1 + memory->distance / (2 * count / number);
  const double error =
      std::sqrt(still_shared * number / (number - 1) * squares) / in_tokens(delivered);
  result.joules_per_token =
      around(in_joules_per_token(ratio), two_sided_t(confidence_ratio, number - 1) * error);
  return result;
}

double effective_count(std::span<const double> values) {
  constexpr std::size_t kBlocks = 30;
  const std::size_t size = values.size();
  const auto count = static_cast<double>(size);
  if (size < 2 * kBlocks) {
    return count;
  }
  double mean = 0;
  for (const double value : values) {
    mean += value;
  }
  mean /= count;
  double squares = 0;
  double block_squares = 0;
  for (std::size_t block = 0; block < kBlocks; ++block) {
    double sum = 0;
    for (std::size_t i = block * size / kBlocks; i < (block + 1) * size / kBlocks; ++i) {
      squares += (values[i] - mean) * (values[i] - mean);
      sum += values[i] - mean;
    }
    block_squares += sum * sum;
  }
  // Of independent values both are estimates of n s^2.
  const double shared = block_squares * (1.0 * kBlocks / (kBlocks - 1));
  return squares < shared ? count * squares / shared : count;
}

double combine_half_widths(std::span<const double> half_widths) {
  double squares = 0;
  for (const double half_width : half_widths) {
    squares += half_width * half_width;
  }
  return std::sqrt(squares);
}

Estimate widen(const Estimate& estimate, double half_width) {
  Estimate result = estimate;
  if (result.low) {
    result.low = result.value - std::hypot(result.value - *result.low, half_width);
  }
  if (result.high) {
    result.high = result.value + std::hypot(*result.high - result.value, half_width);
  }
  return result;
}

}  // namespace perwatt::measure
