// An interval of a mean that may be looked at after every value, as often as one likes, with
// unknown variance.
//
// The t statistic's mixture martingale: for a standardised effect with prior N(0, g^2) and the
// right Haar prior on the scale, the ratio of the two laws of the scale-invariant data is, with S =
// sum x, V = sum x^2 and c = 1 / g^2,
//     E_n = sqrt(c / (n + c)) ( V / (V - S^2 / (n + c)) )^(n / 2),
// a nonnegative martingale of mean 1 under mean 0 and any variance (Wang and Ramdas, Anytime-valid
// t-tests and confidence sequences for Gaussian means with unknown variance, arXiv:2310.03722,
// section 4; earlier Lai, On confidence sequences, Annals of Statistics 4, 1976). By Ville's
// inequality P(sup E_n >= 1 / alpha) <= alpha. The interval is all m for which the values less m
// keep E_n below 1 / alpha; with A = 1 + n g^2 and k = (A / alpha^2)^(1/n),
//     mean +- t_n s / sqrt(n),   t_n^2 = (n - 1) (k - 1) / (1 - k / A),   while k < A.
// Before that (4 values at the default) no interval is possible.
//
// Assumes independent values of one normal law. docs/model/comparison.md has what was simulated for
// other laws.
#pragma once

#include <optional>

#include "perwatt/measure/measurement.hpp"

namespace perwatt::measure {

/// t_n above; absent where n values allow no interval.
/// REQUIRES: count >= 1, 0 < error_ratio < 1, prior_spread > 0.
[[nodiscard]] std::optional<double> anytime_t_limit(int count, double error_ratio,
                                                    double prior_spread);

class ConfidenceSequence {
 public:
  /// `error_ratio`: the chance that any of all intervals ever looked at misses the mean.
  /// `prior_spread`: g; where the effect is about g standard deviations the interval is shortest.
  explicit ConfidenceSequence(double error_ratio = 0.05, double prior_spread = 2.0);

  void add(double value);

  [[nodiscard]] int count() const { return count_; }

  [[nodiscard]] double mean() const { return mean_; }

  /// Sample standard deviation; 0 below two values.
  [[nodiscard]] double spread() const;

  /// Absent without values; without low and high where an interval is not possible yet.
  [[nodiscard]] std::optional<Estimate> interval() const;

  /// log E_n against the mean `null_mean`: evidence that may be read at any time; 0 or less says
  /// nothing. Absent when all values are equal (E_n has no limit).
  [[nodiscard]] std::optional<double> log_evidence(double null_mean) const;

 private:
  double error_ratio_;
  double prior_spread_;
  int count_ = 0;
  double mean_ = 0.0;
  double squares_ = 0.0;  // sum of squared deviations from the mean (Welford)
};

}  // namespace perwatt::measure
