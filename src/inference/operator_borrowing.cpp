// A site that was not measured: the utilisation of those around it, by a weighted linear fit.
#include <algorithm>
#include <cmath>

#include "operator_spread.hpp"

#include "perwatt/inference/operator_family.hpp"

namespace perwatt::inference {

namespace {

constexpr double kMostSquaredOctaves = 4;  // the gate: two octaves
constexpr double kNearSquaredOctaves = 0.02;
constexpr double kRidge = 1e-3;         // of the weights, on the slopes
constexpr double kMostOvershoot = 0.1;  // of ln utilisation beyond that of the neighbours
constexpr std::size_t kMostTerms = 6;   // one constant, five coordinates

/// Weighted least squares of a constant and slopes; solve() gives the constant.
class LocalFit {
 public:
  explicit LocalFit(std::size_t terms) : terms_{terms} {}

  void add(const std::array<double, kMostTerms>& basis, double value, double weight) {
    for (std::size_t i = 0; i < terms_; ++i) {
      for (std::size_t j = 0; j < terms_; ++j) {
        matrix_[i][j] += weight * basis[i] * basis[j];
      }
      right_[i] += weight * basis[i] * value;
    }
    total_weight_ += weight;
  }

  [[nodiscard]] double solve() {
    for (std::size_t i = 1; i < terms_; ++i) {
      matrix_[i][i] += kRidge * total_weight_;
    }
    // Symmetric and positive definite: elimination without pivoting, the constant last.
    for (std::size_t i = terms_ - 1; i > 0; --i) {
      for (std::size_t j = 0; j < i; ++j) {
        const double factor = matrix_[j][i] / matrix_[i][i];
        for (std::size_t k = 0; k <= i; ++k) {
          matrix_[j][k] -= factor * matrix_[i][k];
        }
        right_[j] -= factor * right_[i];
      }
    }
    return right_[0] / matrix_[0][0];
  }

 private:
  std::size_t terms_;
  std::array<std::array<double, kMostTerms>, kMostTerms> matrix_{};
  std::array<double, kMostTerms> right_{};
  double total_weight_ = 0;
};

}  // namespace

std::size_t OperatorFamily::dimensions() const {
  return op_ == Operator::moe ? kCoordinates : op_ == Operator::gemm ? 2 : 1;
}

OperatorFamily::Neighbours OperatorFamily::neighbours(const Query& query,
                                                      const Site* unknown) const {
  const auto centre = coordinates_of(query.key);
  const auto used = dimensions();
  Neighbours found;
  for (const auto& site : sites_) {
    double squared = 0;
    for (std::size_t i = 0; i < used; ++i) {
      const double d = site.coordinates[i] - centre[i];
      squared += d * d;
    }
    const bool is_full = found.count == found.nearest.size();
    if (&site == unknown || squared > kMostSquaredOctaves ||
        (is_full && squared >= found.nearest.back().squared_octaves)) {
      continue;
    }
    // Insert by distance; of equals the first site stays ahead.
    auto at = is_full ? found.count - 1 : found.count++;
    for (; at > 0 && found.nearest[at - 1].squared_octaves > squared; --at) {
      found.nearest[at] = found.nearest[at - 1];
    }
    found.nearest[at] = {squared, &site};
  }
  return found;
}

std::optional<OperatorFamily::Reading> OperatorFamily::borrowed(const Query& query,
                                                                const Unknown& unknown) const {
  const auto centre = coordinates_of(query.key);
  const auto used = dimensions();
  LocalFit fit{used + 1};
  Reading result{0, 0, 0, OperatorRelation::borrowed, 0};
  double least = 0;
  double most = 0;
  double weight_of_watts = 0;
  std::size_t count = 0;
  const auto near = neighbours(query, unknown.site);
  for (std::size_t i = 0; i < near.count; ++i) {
    const double squared = near.nearest[i].squared_octaves;
    const auto* site = near.nearest[i].site;
    Query there = query;
    there.key = site->key;
    if (op_ == Operator::context_attention) {
      there.level = query.level * query.key[0] / site->key[0];  // as many query heads
    }
    const auto reading = in_site(*site, there, unknown.node);
    if (!reading) {
      continue;
    }
    const double light = light_seconds(there);
    const double value = std::log((light + floor_seconds_) / reading->seconds);
    const double weight = 1 / ((squared + kNearSquaredOctaves) * (squared + kNearSquaredOctaves));
    std::array<double, kMostTerms> basis{1};
    for (std::size_t c = 0; c < used; ++c) {
      basis[c + 1] = site->coordinates[c] - centre[c];
    }
    fit.add(basis, value, weight);
    least = count == 0 ? value : std::min(least, value);
    most = count == 0 ? value : std::max(most, value);
    if (count == 0) {
      result.octaves = std::hypot(std::sqrt(squared), reading->octaves);
    }
    result.most_utilisation = std::max(result.most_utilisation, light / reading->seconds);
    if (reading->watts > 0) {
      result.watts += weight * reading->watts;
      weight_of_watts += weight;
    }
    ++count;
  }
  if (count == 0) {
    return std::nullopt;
  }
  const double value = std::clamp(fit.solve(), least - kMostOvershoot, most + kMostOvershoot);
  result.seconds = (light_seconds(query) + floor_seconds_) / std::exp(value);
  result.watts = weight_of_watts > 0 ? result.watts / weight_of_watts : 0;
  return result;
}

}  // namespace perwatt::inference
