// Symmetric positive definite systems, by Cholesky's factorisation.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace perwatt::inference::serving {

/// The lower triangle, row by row.
class SymmetricMatrix {
 public:
  explicit SymmetricMatrix(std::size_t size) : size_{size}, values_(size * (size + 1) / 2) {}

  [[nodiscard]] std::size_t size() const { return size_; }

  /// REQUIRES: j <= i.
  [[nodiscard]] double& lower(std::size_t i, std::size_t j) { return values_[i * (i + 1) / 2 + j]; }

  [[nodiscard]] const double& lower(std::size_t i, std::size_t j) const {
    return values_[i * (i + 1) / 2 + j];
  }

  [[nodiscard]] double at(std::size_t i, std::size_t j) const {
    return i >= j ? lower(i, j) : lower(j, i);
  }

  /// Adds to the element and its mirror image.
  void add(std::size_t i, std::size_t j, double value) {
    (i >= j ? lower(i, j) : lower(j, i)) += value;
  }

 private:
  std::size_t size_;
  std::vector<double> values_;
};

/// Replaces the matrix by its Cholesky factor. Throws Error(internal) when it is not positive
/// definite.
void factorise(SymmetricMatrix& matrix);

/// Solves L x = b in place.
void solve_lower(const SymmetricMatrix& factor, std::span<double> right_side);

/// Solves L L^T x = b in place.
void solve_factorised(const SymmetricMatrix& factor, std::span<double> right_side);

}  // namespace perwatt::inference::serving
