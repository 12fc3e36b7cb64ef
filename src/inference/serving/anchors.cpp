#include "perwatt/inference/serving/anchors.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "bell.hpp"
#include "symmetric_solve.hpp"

#include "perwatt/base/error.hpp"

namespace perwatt::inference::serving {

namespace {

// Of ln(predicted / measured): what deployments differ by in level, in slope for each octave of
// load away from the middle one, and in shape; and the noise of one row. Chosen on families left
// out.
constexpr double kLevel = 0.3;
constexpr double kSlope = 0.05;
constexpr double kMiddleOctave = 6;
constexpr double kShape = 0.1;
constexpr double kShapeOctaves = 2;
constexpr double kNoise = 0.03;
constexpr double kLengthsOctaves = 2.5;
constexpr double kGpusOctaves = 1.5;

double covariance(const Traits& a, const Traits& b) {
  const bool is_same = a.accelerator == b.accelerator && a.engine == b.engine &&
                       a.architecture == b.architecture && a.precision == b.precision &&
                       a.spec_decode == b.spec_decode && a.is_disaggregated == b.is_disaggregated &&
                       a.is_task == b.is_task;
  if (!is_same) {
    return 0;
  }
  const double distance = square((a.log2_input_tokens - b.log2_input_tokens) / kLengthsOctaves) +
                          square((a.log2_output_tokens - b.log2_output_tokens) / kLengthsOctaves) +
                          square((a.log2_instance_gpus - b.log2_instance_gpus) / kGpusOctaves);
  const double load = square((a.log2_concurrency - b.log2_concurrency) / kShapeOctaves);
  return bell(distance) * (square(kLevel) +
                           square(kSlope) * (a.log2_concurrency - kMiddleOctave) *
                               (b.log2_concurrency - kMiddleOctave) +
                           square(kShape) * bell(load));
}

}  // namespace

Anchors::Anchors(std::vector<Anchor> anchors) : anchors_{std::move(anchors)} {
  const std::size_t count = anchors_.size();
  if (count > kMostAnchors) {
    throw_bad_input("there are " + std::to_string(count) + " anchors", "",
                    "give at most " + std::to_string(kMostAnchors) +
                        " rows, or calibrate to them with perwatt calibrate --points");
  }
  SymmetricMatrix matrix{count};
  weights_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      matrix.lower(i, j) = covariance(anchors_[i].traits, anchors_[j].traits);
    }
    matrix.lower(i, i) += square(kNoise);
    weights_.push_back(anchors_[i].residual);
  }
  factorise(matrix);
  solve_factorised(matrix, weights_);
  factor_ = std::make_shared<const SymmetricMatrix>(std::move(matrix));
}

std::vector<double> Anchors::covariances(const Traits& traits) const {
  std::vector<double> result;
  result.reserve(anchors_.size());
  for (const auto& anchor : anchors_) {
    result.push_back(covariance(traits, anchor.traits));
  }
  return result;
}

double Anchors::shift(const Traits& traits) const {
  const auto with = covariances(traits);
  double sum = 0;
  for (std::size_t i = 0; i < with.size(); ++i) {
    sum += with[i] * weights_[i];
  }
  return sum;
}

double Anchors::remaining_spread_ratio(const Traits& traits) const {
  if (empty()) {
    return 1;
  }
  auto with = covariances(traits);
  solve_lower(*factor_, with);
  const double before = covariance(traits, traits);
  double explained = 0;
  for (const double one : with) {
    explained += one * one;
  }
  return std::sqrt(std::max(0.0, 1 - explained / before));
}

}  // namespace perwatt::inference::serving
