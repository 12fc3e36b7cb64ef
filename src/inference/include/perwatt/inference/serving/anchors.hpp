// Measured rows of the deployment that is asked about: they correct level and slope over load of
// what the model and relatives say. A Gaussian process in the logarithm of the load; terms and
// widths: docs/model/serving.md#anchors.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "perwatt/inference/serving/borrowing.hpp"

namespace perwatt::inference::serving {

class SymmetricMatrix;

struct Anchor {
  Traits traits;
  double residual = 0;  // ln(predicted / measured) of one metric, relatives included
};

/// Of one metric. Immutable; safe to read from many threads.
class Anchors {
 public:
  /// None.
  Anchors() = default;

  /// Throws Error(bad_input) for more than kMostAnchors.
  explicit Anchors(std::vector<Anchor> anchors);

  static constexpr std::size_t kMostAnchors = 1000;

  /// Expected ln(predicted / measured). 0 for another model, accelerator, precision, engine,
  /// speculation or serving mode than any anchor's; fades with lengths and instance size.
  [[nodiscard]] double shift(const Traits& traits) const;

  /// The spread that anchors leave, over that without them.
  [[nodiscard]] double remaining_spread_ratio(const Traits& traits) const;

  [[nodiscard]] bool empty() const { return anchors_.empty(); }

 private:
  [[nodiscard]] std::vector<double> covariances(const Traits& traits) const;

  std::vector<Anchor> anchors_;
  std::vector<double> weights_;
  std::shared_ptr<const SymmetricMatrix> factor_;  // Cholesky's
};

}  // namespace perwatt::inference::serving
