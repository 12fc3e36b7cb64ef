// Joint scenarios of power: what every group of deployments draws at the same instant, relative to
// its mean. A group is a set of deployments that move together (one service on one rack kind).
// Method, and what of it is measured or assumed: docs/model/provisioning.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "perwatt/plan/power_profile.hpp"

namespace perwatt::plan {

/// Equally likely scenarios. Immutable.
class ScenarioSet {
 public:
  /// `ratios`: row-major, one row of `groups` ratios (draw / mean draw, dimensionless) for each
  /// sample; a row holds simultaneous samples, so that their correlation is kept as it is.
  /// `samples_effective`: independent samples among the rows, at most their number. Throws
  /// Error(internal_error) when the sizes do not fit.
  static ScenarioSet from_samples(std::size_t groups, std::vector<double> ratios,
                                  double samples_effective);

  [[nodiscard]] std::size_t scenarios() const { return ratios_.size() / groups_; }

  [[nodiscard]] std::size_t groups() const { return groups_; }

  [[nodiscard]] double ratio(std::size_t scenario, std::size_t group) const {
    return ratios_[scenario * groups_ + group];
  }

  [[nodiscard]] double samples_effective() const { return samples_effective_; }

 private:
  ScenarioSet(std::size_t groups, std::vector<double> ratios, double samples_effective);

  std::size_t groups_;
  std::vector<double> ratios_;
  double samples_effective_;
};

/// Correlations of the normal scores; both in [0, 1].
struct CorrelationModel {
  /// Between the nodes of one group. 1: all move as one, the safe default, as no measurement
  /// between nodes is at hand. 0: a large group averages out.
  double node_correlation = 1;
  /// Between the factors of different groups.
  double service_correlation = 1;
};

/// Scenarios of a two-level Gaussian copula, one profile for each group. A group has so many nodes
/// that its ratio is the mean over their own part, given the factor of the group. The factor of
/// each group alone is exactly stratified: `count` equally likely layers. samples_effective is the
/// smallest of the profiles', never more than `count`: drawing more scenarios adds no evidence.
/// Same arguments, same scenarios, on every platform up to rounding. Where both correlations are 1
/// the seed only changes their order: scenarios that a plan has not seen need another count there.
/// Throws Error(internal_error) without profiles, without scenarios or for a correlation outside
/// [0, 1].
[[nodiscard]] ScenarioSet draw_scenarios(std::span<const PowerProfile> profiles,
                                         const CorrelationModel& model, std::size_t count,
                                         std::uint64_t seed);

}  // namespace perwatt::plan
