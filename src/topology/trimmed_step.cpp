#include "trimmed_step.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "perwatt/base/normal_law.hpp"

namespace perwatt::topology {

namespace {

constexpr double kTrimRatio = 0.2;
constexpr double kMostCorrelation = 0.95;

/// One level: its trimmed mean and the variance of that mean.
struct TrimmedLevel {
  double mean = 0;
  double variance = 0;
  double freedom = 0;
};

TrimmedLevel trimmed_level(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto size = values.size();
  const auto cut = static_cast<std::size_t>(kTrimRatio * static_cast<double>(size));
  const double kept = static_cast<double>(size - 2 * cut);
  TrimmedLevel level;
  level.mean = std::accumulate(values.begin() + static_cast<long>(cut),
                               values.end() - static_cast<long>(cut), 0.0) /
               kept;
  std::fill_n(values.begin(), cut, values[cut]);
  std::fill_n(values.rbegin(), cut, values[size - 1 - cut]);
  const double mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(size);
  double squares = 0;
  for (const double value : values) {
    squares += (value - mean) * (value - mean);
  }
  level.freedom = kept - 1;
  level.variance = squares / (kept * (kept - 1));
  return level;
}

/// Of neighbours of one kind, about the level of the kind; 0 when it is negative.
double lag_one_correlation(const OnOffSamples& samples, double on, double off) {
  double products = 0;
  double squares = 0;
  double before = 0;
  bool has_before = false;
  char kind = 0;
  for (std::size_t i = 0; i < samples.values.size(); ++i) {
    const double rest = samples.values[i] - (samples.is_on[i] ? on : off);
    if (has_before && kind == samples.is_on[i]) {
      products += before * rest;
    }
    squares += rest * rest;
    before = rest;
    kind = samples.is_on[i];
    has_before = true;
  }
  return squares > 0 ? std::clamp(products / squares, 0.0, kMostCorrelation) : 0;
}

}  // namespace

TrimmedStep trimmed_step(const OnOffSamples& samples) {
  std::vector<double> on;
  std::vector<double> off;
  for (std::size_t i = 0; i < samples.values.size(); ++i) {
    (samples.is_on[i] ? on : off).push_back(samples.values[i]);
  }
  TrimmedStep step;
  step.on = on.size();
  step.off = off.size();
  const auto high = trimmed_level(std::move(on));
  const auto low = trimmed_level(std::move(off));
  const double rho = lag_one_correlation(samples, high.mean, low.mean);
  const double sum = high.variance + low.variance;
  step.step = high.mean - low.mean;
  step.standard_error = std::sqrt(sum * (1 + rho) / (1 - rho));
  step.freedom = sum > 0 ? sum * sum /
                               (high.variance * high.variance / high.freedom +
                                low.variance * low.variance / low.freedom)
                         : std::numeric_limits<double>::max();
  return step;
}

double student_quantile(double probability, double freedom) {
  const double z = normal_quantile(probability);
  const double z2 = z * z;
  const double first = z * (z2 + 1) / 4;
  const double second = z * ((5 * z2 + 16) * z2 + 3) / 96;
  const double third = z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384;
  const double fourth = z * ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / 92160;
  return z + (first + (second + (third + fourth / freedom) / freedom) / freedom) / freedom;
}

double two_level_threshold(std::span<const double> values) {
  std::vector<double> sorted{values.begin(), values.end()};
  std::sort(sorted.begin(), sorted.end());
  const double total = std::accumulate(sorted.begin(), sorted.end(), 0.0);
  const auto size = static_cast<double>(sorted.size());
  double sum = 0;
  double best = -1;
  double threshold = sorted.front();
  for (std::size_t i = 0; i + 1 < sorted.size(); ++i) {
    sum += sorted[i];
    const auto low = static_cast<double>(i + 1);
    const double apart = sum / low - (total - sum) / (size - low);
    const double between = low * (size - low) * apart * apart;
    if (between > best) {
      best = between;
      threshold = std::midpoint(sorted[i], sorted[i + 1]);
    }
  }
  return threshold;
}

}  // namespace perwatt::topology
