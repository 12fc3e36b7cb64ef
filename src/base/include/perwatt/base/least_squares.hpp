// Weighted least squares with at most eight unknowns.
#pragma once

#include <array>
#include <span>

namespace perwatt {

inline constexpr int kMostUnknowns = 8;

struct LeastSquaresRow {
  std::array<double, kMostUnknowns> x{};  // as many as there are unknowns
  double y = 0.0;
  double sigma = 1.0;  // above 0; only the ratios between rows matter
};

struct LeastSquaresFit {
  std::array<double, kMostUnknowns> value{};
  /// of the values, for unit variance of (y - x value) / sigma
  std::array<std::array<double, kMostUnknowns>, kMostUnknowns> covariance{};
  double variance = 0.0;          // of (y - x value) / sigma, by the residuals; rows > unknowns
  double condition_number = 0.0;  // of the weighted design, columns scaled to length 1
};

/// REQUIRES: rows >= unknowns, 1 <= unknowns <= kMostUnknowns. With a singular design the condition
/// number is infinite and the rest is not set.
[[nodiscard]] LeastSquaresFit least_squares(std::span<const LeastSquaresRow> rows, int unknowns);

}  // namespace perwatt
