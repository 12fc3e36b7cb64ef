#include "symmetric_solve.hpp"

#include <cmath>
#include <string>

#include "perwatt/base/error.hpp"

namespace perwatt::inference::serving {

namespace {

/// Sum of products of two rows; four sums at once, so that the loop can be vectorised.
double dot(const double* a, const double* b, std::size_t count) {
  double sums[4] = {0, 0, 0, 0};
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    for (std::size_t k = 0; k < 4; ++k) {
      sums[k] += a[i + k] * b[i + k];
    }
  }
  double sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  for (; i < count; ++i) {
    sum += a[i] * b[i];
  }
  return sum;
}

}  // namespace

void factorise(SymmetricMatrix& matrix) {
  for (std::size_t i = 0; i < matrix.size(); ++i) {
    double* row = &matrix.lower(i, 0);
    for (std::size_t j = 0; j <= i; ++j) {
      const double* other = &matrix.lower(j, 0);
      const double rest = row[j] - dot(row, other, j);
      if (j < i) {
        row[j] = rest / other[j];
        continue;
      }
      if (!(rest > 0)) {
        throw Error{ErrorCode::internal_error,
                    "a matrix of " + std::to_string(matrix.size()) +
                        " rows is not positive definite at row " + std::to_string(i),
                    "", "report this with the command and its input"};
      }
      row[i] = std::sqrt(rest);
    }
  }
}

void solve_lower(const SymmetricMatrix& factor, std::span<double> x) {
  for (std::size_t i = 0; i < factor.size(); ++i) {
    const double* row = &factor.lower(i, 0);
    x[i] = (x[i] - dot(row, x.data(), i)) / row[i];
  }
}

void solve_factorised(const SymmetricMatrix& factor, std::span<double> x) {
  solve_lower(factor, x);
  for (std::size_t i = factor.size(); i-- > 0;) {
    const double* row = &factor.lower(i, 0);
    x[i] /= row[i];
    for (std::size_t j = 0; j < i; ++j) {
      x[j] -= row[j] * x[i];
    }
  }
}

}  // namespace perwatt::inference::serving
