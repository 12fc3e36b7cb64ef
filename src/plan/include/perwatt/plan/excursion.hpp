// How much may stand behind a limit that it is passed with a stated probability only: the tail mean
// (CVaR) of joint scenarios, as linear cuts. Formulas, sources, and what the statement rests on:
// docs/model/provisioning.md.
//
// Draws, swings and limits are in one unit of power of the caller's choice (W at the meter, MW of
// IT, …), the same throughout: all results scale with it. Wrong sizes or ranges throw
// Error(internal_error).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "perwatt/plan/scenarios.hpp"

namespace perwatt::plan {

/// Confidence with which the rule holds for a load chosen before the samples were seen.
inline constexpr double kExcursionConfidence = 0.95;

/// The largest m such that the m-th largest of n = floor(samples_effective) independent samples is
/// not below the (1 - probability)-quantile with 95 % confidence: the largest m with
/// P(Binomial(n, probability) <= m - 1) <= 0.05. Nothing (refused: the data cannot support it) when
/// probability < 3 / samples_effective or when no m does. REQUIRES: 0 < probability < 1.
[[nodiscard]] std::optional<std::size_t> tail_count(double samples_effective, double probability);

/// The share of scenarios whose mean must stay within the limit: tail_count / n.
[[nodiscard]] std::optional<double> tail_share(double samples_effective, double probability);

/// Draw of the site in scenario w: base + sum_g (mean_g + (ratio(w,g) - 1) swing_g), where swing_g
/// is the part of mean_g that moves with the profile; the base belongs to the caller, who takes it
/// off the limit.
class ExcursionLimit {
 public:
  /// `tail_share`: share of the scenarios, 0 < tail_share <= 1, whose mean draw is limited.
  ExcursionLimit(ScenarioSet scenarios, double tail_share);

  [[nodiscard]] const ScenarioSet& scenarios() const { return scenarios_; }

  /// Mean draw over the tail_share highest scenarios; the scenario on the edge counts in part. It
  /// is not below the largest draw that more than tail_share of the scenarios reach; convex and
  /// positively homogeneous in (mean, swing).
  [[nodiscard]] double tail_mean(std::span<const double> mean, std::span<const double> swing) const;

  /// sum_g mean_coefficients_g mean_g + sum_g swing_coefficients_g swing_g <= limit: implied by
  /// tail_mean <= limit for every load, and equal to it at the load the cut was made at.
  struct Cut {
    std::vector<double> mean_coefficients;  // all 1
    std::vector<double> swing_coefficients;
  };

  [[nodiscard]] Cut cut_at(std::span<const double> swing) const;

  /// Share of scenarios whose draw is above `limit` by more than rounding (1e-9 of it).
  [[nodiscard]] double excursion_ratio(std::span<const double> mean, std::span<const double> swing,
                                       double limit) const;

  /// Mean over all scenarios of what the draw is above `limit`: what throttling must take away.
  [[nodiscard]] double expected_excess(std::span<const double> mean, std::span<const double> swing,
                                       double limit) const;

 private:
  [[nodiscard]] std::vector<double> deviations(std::span<const double> swing) const;

  ScenarioSet scenarios_;
  double tail_share_;
};

}  // namespace perwatt::plan
