#include "perwatt/base/least_squares.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace perwatt {

namespace {

using Vector = std::array<double, kMostUnknowns>;
using Matrix = std::array<Vector, kMostUnknowns>;

struct Eigen {
  Vector values{};
  Matrix vectors{};  // [row][which]
};

/// One plane rotation that makes m[p][q] vanish.
void rotate(Matrix& m, Matrix& vectors, std::size_t n, std::size_t p, std::size_t q) {
  if (m[p][q] == 0.0) {
    return;
  }
  const double angle = 0.5 * std::atan2(2.0 * m[p][q], m[q][q] - m[p][p]);
  const double c = std::cos(angle);
  const double s = std::sin(angle);
  for (std::size_t k = 0; k < n; ++k) {
    const double a = m[k][p];
    m[k][p] = c * a - s * m[k][q];
    m[k][q] = s * a + c * m[k][q];
  }
  for (std::size_t k = 0; k < n; ++k) {
    const double a = m[p][k];
    m[p][k] = c * a - s * m[q][k];
    m[q][k] = s * a + c * m[q][k];
    const double v = vectors[k][p];
    vectors[k][p] = c * v - s * vectors[k][q];
    vectors[k][q] = s * v + c * vectors[k][q];
  }
}

/// Cyclic Jacobi; a few sweeps suffice for so few rows.
Eigen eigen_of(Matrix m, std::size_t n) {
  constexpr int kSweeps = 30;
  Eigen result;
  for (std::size_t i = 0; i < n; ++i) {
    result.vectors[i][i] = 1.0;
  }
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (std::size_t p = 0; p + 1 < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) {
        rotate(m, result.vectors, n, p, q);
      }
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    result.values[i] = m[i][i];
  }
  return result;
}

}  // namespace

LeastSquaresFit least_squares(std::span<const LeastSquaresRow> rows, int unknowns) {
  const auto n = static_cast<std::size_t>(unknowns);
  Vector length{};
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < n; ++i) {
      length[i] += row.x[i] * row.x[i] / (row.sigma * row.sigma);
    }
  }
  LeastSquaresFit fit;
  fit.condition_number = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < n; ++i) {
    length[i] = std::sqrt(length[i]);
    if (!(length[i] > 0.0)) {
      return fit;
    }
  }
  Matrix normal{};
  Vector right{};
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < n; ++i) {
      const double a = row.x[i] / row.sigma / length[i];
      right[i] += a * row.y / row.sigma;
      for (std::size_t j = 0; j < n; ++j) {
        normal[i][j] += a * row.x[j] / row.sigma / length[j];
      }
    }
  }
  const Eigen eigen = eigen_of(normal, n);
  const auto [least, most] = std::minmax_element(
      eigen.values.begin(), eigen.values.begin() + static_cast<std::ptrdiff_t>(n));
  if (!(*least > 1e-14 * *most)) {
    return fit;
  }
  fit.condition_number = std::sqrt(*most / *least);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t k = 0; k < n; ++k) {
        fit.covariance[i][j] +=
            eigen.vectors[i][k] * eigen.vectors[j][k] / eigen.values[k] / length[i] / length[j];
      }
      fit.value[i] += fit.covariance[i][j] * right[j] * length[j];
    }
  }
  double residuals = 0.0;
  for (const auto& row : rows) {
    double rest = row.y;
    for (std::size_t i = 0; i < n; ++i) {
      rest -= row.x[i] * fit.value[i];
    }
    residuals += rest * rest / (row.sigma * row.sigma);
  }
  if (rows.size() > n) {
    fit.variance = residuals / static_cast<double>(rows.size() - n);
  }
  return fit;
}

}  // namespace perwatt
