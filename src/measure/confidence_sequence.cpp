#include "perwatt/measure/confidence_sequence.hpp"

#include <cmath>

namespace perwatt::measure {

std::optional<double> anytime_t_limit(int count, double error_ratio, double prior_spread) {
  const double number = count;
  const double widened = 1 + number * prior_spread * prior_spread;  // A
  const double log_k = (std::log(widened) - 2 * std::log(error_ratio)) / number;
  if (count < 2 || log_k >= std::log(widened)) {
    return std::nullopt;
  }
  return std::sqrt((number - 1) * std::expm1(log_k) / (1 - std::exp(log_k) / widened));
}

ConfidenceSequence::ConfidenceSequence(double error_ratio, double prior_spread)
    : error_ratio_{error_ratio}, prior_spread_{prior_spread} {}

void ConfidenceSequence::add(double value) {
  ++count_;
  const double off = value - mean_;
  mean_ += off / count_;
  squares_ += off * (value - mean_);
}

double ConfidenceSequence::spread() const {
  return count_ < 2 ? 0 : std::sqrt(squares_ / (count_ - 1));
}

std::optional<Estimate> ConfidenceSequence::interval() const {
  if (count_ == 0) {
    return std::nullopt;
  }
  const std::optional<double> limit = anytime_t_limit(count_, error_ratio_, prior_spread_);
  if (!limit) {
    return Estimate{mean_, std::nullopt, std::nullopt};
  }
  const double half_width = *limit * spread() / std::sqrt(static_cast<double>(count_));
  return Estimate{mean_, mean_ - half_width, mean_ + half_width};
}

std::optional<double> ConfidenceSequence::log_evidence(double null_mean) const {
  const double number = count_;
  const double c = 1 / (prior_spread_ * prior_spread_);
  const double off = mean_ - null_mean;
  const double about_null = squares_ + number * off * off;                 // V
  const double rest = squares_ + number * off * off * (c / (number + c));  // V - S^2 / (n + c)
  if (count_ == 0 || squares_ <= 0) {
    return count_ <= 1 ? std::optional{0.0} : std::nullopt;
  }
  return 0.5 * std::log(c / (number + c)) + 0.5 * number * std::log(about_null / rest);
}

}  // namespace perwatt::measure
