// The standard normal distribution and means over it.
#pragma once

#include <vector>

namespace perwatt {

/// 95 % of the law lie within this of its mean.
inline constexpr double kNormal95 = 1.96;

/// P(Z <= x).
[[nodiscard]] double normal_cdf(double x);

/// The x with P(Z <= x) = probability. REQUIRES: 1e-12 <= probability <= 1 - 1e-12.
[[nodiscard]] double normal_quantile(double probability);

/// Nodes and weights: the mean of f(Z) is near the sum of weight f(node), exact for polynomials up
/// to degree 2 size - 1.
struct NormalQuadrature {
  std::vector<double> nodes;
  std::vector<double> weights;  // sum to 1
};

/// Gauss-Hermite quadrature, scaled to the standard normal law. REQUIRES: 1 <= size <= 100.
[[nodiscard]] NormalQuadrature normal_quadrature(int size);

}  // namespace perwatt
