// The figures of a policy over its runs: means with intervals, sums of what must not happen.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "perwatt/simulate/compare_policies.hpp"

namespace perwatt::cli {

/// A figure over seeds: the half width of its 95 % interval is absent with one seed.
struct Figure {
  double value = 0;
  std::optional<double> half_width;
};

/// Mean over runs by Student's t; absent where a run does not have it.
using FigureOf = std::function<std::optional<double>(const simulate::PolicyResult&)>;
[[nodiscard]] std::optional<Figure> figure(const simulate::PolicyRuns& runs, const FigureOf& of);

/// Counts summed, the worst ratio of all.
[[nodiscard]] simulate::Violations all_violations(const simulate::PolicyRuns& runs);

/// How far good tokens/s stay below those of `bound`, seed by seed, as a share of the bound's.
/// Absent where the bound has none.
[[nodiscard]] std::optional<Figure> gap_to(const simulate::PolicyRuns& runs,
                                           const simulate::PolicyRuns& bound);

/// Of all services' requests, or absent without one.
[[nodiscard]] std::optional<double> ttft_seconds(const simulate::PolicyResult& run, double share);
[[nodiscard]] std::optional<double> tpot_seconds(const simulate::PolicyResult& run, double share);

/// The runs of the clairvoyant, if it was asked for.
[[nodiscard]] const simulate::PolicyRuns* clairvoyant_of(
    const std::vector<simulate::PolicyRuns>& runs);

}  // namespace perwatt::cli
