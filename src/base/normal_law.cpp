#include "perwatt/base/normal_law.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace perwatt {

namespace {

constexpr double kSqrtTwo = 1.4142135623730951;
constexpr double kSqrtTwoPi = 2.5066282746310002;

/// Orthonormal Hermite polynomial (probabilists') of degree `size` and the one below it, at x.
struct Hermite {
  double value;
  double below;
};

Hermite hermite(int size, double x) {
  double below = 0;
  double value = 1;
  for (int k = 0; k < size; ++k) {
    const double next = (x * value - std::sqrt(static_cast<double>(k)) * below) /
                        std::sqrt(static_cast<double>(k + 1));
    below = value;
    value = next;
  }
  return {value, below};
}

/// The zero of the polynomial between `low` and `high`, where its sign changes.
double zero_between(int size, double low, double high) {
  const bool rising = hermite(size, high).value > 0;
  for (int step = 0; step < 200 && low < high; ++step) {
    const double middle = low + (high - low) / 2;
    if (middle == low || middle == high) {
      break;
    }
    ((hermite(size, middle).value > 0) == rising ? high : low) = middle;
  }
  return low + (high - low) / 2;
}

}  // namespace

double normal_cdf(double x) {
  return 0.5 * std::erfc(-x / kSqrtTwo);
}

double normal_quantile(double probability) {
  // Newton on the logarithm of the smaller tail, which is concave: converges from any start.
  const double tail = std::min(probability, 1 - probability);
  double x = 0;
  for (int step = 0; step < 60; ++step) {
    const double reached = normal_cdf(x);
    const double density = std::exp(-x * x / 2) / kSqrtTwoPi;
    const double move = std::log(reached / tail) * reached / density;
    x -= move;
    if (std::abs(move) < 1e-14 * (1 + std::abs(x))) {
      break;
    }
  }
  return probability <= 0.5 ? x : -x;
}

NormalQuadrature normal_quadrature(int size) {
  // The zeros of consecutive degrees interlace: those of one degree bracket those of the next.
  std::vector<double> zeros;
  const double bound = 2 * std::sqrt(static_cast<double>(size)) + 1;
  for (int degree = 1; degree <= size; ++degree) {
    std::vector<double> next;
    for (int i = 0; i < degree; ++i) {
      const double low = i == 0 ? -bound : zeros[static_cast<std::size_t>(i) - 1];
      const double high = i == degree - 1 ? bound : zeros[static_cast<std::size_t>(i)];
      next.push_back(zero_between(degree, low, high));
    }
    zeros = std::move(next);
  }
  NormalQuadrature rule{std::move(zeros), {}};
  for (const double node : rule.nodes) {
    const double below = hermite(size, node).below;
    rule.weights.push_back(1 / (static_cast<double>(size) * below * below));
  }
  return rule;
}

}  // namespace perwatt
