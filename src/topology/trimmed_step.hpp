// The difference of two levels of a noisy series, and its standard error. See pulse.hpp.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace perwatt::topology {

/// Samples in the order of time, each on or off.
struct OnOffSamples {
  std::vector<double> values;
  std::vector<char> is_on;
};

struct TrimmedStep {
  double step = 0;  // on - off
  double standard_error = 0;
  double freedom = 0;  // degrees of it
  std::size_t on = 0;
  std::size_t off = 0;
};

/// REQUIRES: at least 4 samples of each kind.
[[nodiscard]] TrimmedStep trimmed_step(const OnOffSamples& samples);

/// Student's t with P(T <= t) = probability, from the normal quantile by the expansion of
/// Abramowitz and Stegun 26.7.5. REQUIRES: probability in [0.5, 1 - 1e-12], freedom >= 5.
[[nodiscard]] double student_quantile(double probability, double freedom);

/// The threshold between two groups of values that makes the variance between them largest (Otsu,
/// 1979). REQUIRES: at least two values.
[[nodiscard]] double two_level_threshold(std::span<const double> values);

}  // namespace perwatt::topology
