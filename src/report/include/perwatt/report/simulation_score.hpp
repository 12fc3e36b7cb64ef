// The figures of a policy over its runs: means with intervals, sums of what must not happen.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "perwatt/simulate/compare_policies.hpp"

namespace perwatt::report {

/// A figure over seeds: the half width of its 95 % interval is absent with one seed.
struct Score {
  double value = 0;
  std::optional<double> half_width;
};

/// Mean over runs by Student's t; absent where a run does not have it.
using ScoreOf = std::function<std::optional<double>(const simulate::PolicyResult&)>;
[[nodiscard]] std::optional<Score> score_of(const simulate::PolicyRuns& runs, const ScoreOf& of);

/// Counts summed, the worst ratio of all.
[[nodiscard]] simulate::Violations all_violations(const simulate::PolicyRuns& runs);

/// How far good tokens/s stay below those of `bound`, seed by seed, as a share of the bound's.
/// Absent where the bound has none.
[[nodiscard]] std::optional<Score> gap_to(const simulate::PolicyRuns& runs,
                                          const simulate::PolicyRuns& bound);

/// How much more a figure is than under `base`, seed by seed, as a share of the base's. Absent
/// where a run does not have it or the base's is not above 0.
[[nodiscard]] std::optional<Score> gain_over(const simulate::PolicyRuns& runs,
                                             const simulate::PolicyRuns& base, const ScoreOf& of);

/// Of all services' requests, or absent without one.
[[nodiscard]] std::optional<double> ttft_seconds(const simulate::PolicyResult& run, double share);
[[nodiscard]] std::optional<double> tpot_seconds(const simulate::PolicyResult& run, double share);

/// Supply of the root over its limit, or absent without one.
[[nodiscard]] std::optional<double> use_ratio(const simulate::PolicyResult& run);

/// Tokens/s per MW of the root's supply; absent where nothing is drawn.
[[nodiscard]] std::optional<double> output_per_megawatt(const simulate::PolicyResult& run);
[[nodiscard]] std::optional<double> good_per_megawatt(const simulate::PolicyResult& run);

/// Over all seeds: requests of all runs together, energies and speeds as means. REQUIRES: runs of
/// one policy of one scenario, at least one.
[[nodiscard]] std::vector<simulate::ServiceResult> services_of(const simulate::PolicyRuns& runs);

/// Likewise, all as means.
[[nodiscard]] std::vector<simulate::TrainingResult> trainings_of(const simulate::PolicyRuns& runs);

/// The runs of the clairvoyant, if it was asked for.
[[nodiscard]] const simulate::PolicyRuns* clairvoyant_of(
    const std::vector<simulate::PolicyRuns>& runs);

/// The runs of the first policy that gives fixed caps, if one was asked for.
[[nodiscard]] const simulate::PolicyRuns* fixed_of(const std::vector<simulate::PolicyRuns>& runs);

}  // namespace perwatt::report
