// Which loads and power caps to measure next. Policy only: a run is made by the caller's function,
// so that the same search drives a live endpoint and a simulated server. Deterministic for a seed.
//
// A load is a request rate (requests/s) or a concurrency (whole requests in flight): the search
// only orders loads, and `Load` says which.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/result.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::measure {

enum class Load { requests_per_second, concurrency };

struct TrialRequest {
  double load = 0.0;
  std::optional<Watts> power_cap;  // only in a grid
  int replicate = 0;               // 0, 1, ... at this load
  std::uint64_t seed = 0;          // differs from run to run
};

/// What a search needs of a measured run.
struct Trial {
  bool valid = true;              // the load side; an invalid run is counted and made again
  double attainment_ratio = 0.0;  // requests that met the SLO, of all that ended or failed
  /// Independent requests behind it: effective_count() (intervals.hpp) of the series of met (1) and
  /// missed (0) in order of the intended times. Near saturation far below the number of requests.
  double effective_requests = 0.0;
  TokensPerSecond output_rate;
  TokensPerSecond goodput;
  std::optional<JoulesPerToken> energy;  // per output token, where power is valid
};

/// Makes one run. A failure (server gone, interrupted) ends the search with what it has.
using MakeRun = std::function<Result<Trial>(const TrialRequest&)>;

/// `count` loads from `first` to `last`, evenly spaced in value or in logarithm; concurrencies are
/// rounded and repeats left out. Throws Error (bad input) unless 0 < first <= last, count >= 1 (2,
/// if first < last).
[[nodiscard]] std::vector<double> linear_loads(Load load, double first, double last, int count);
[[nodiscard]] std::vector<double> geometric_loads(Load load, double first, double last, int count);

// --- sweep -------------------------------------------------------------------------------------

struct SweepRules {
  bool stop_when_saturated = true;
  /// A step is flat when output grows by less than this share of what the load grew by:
  /// rate'/rate - 1 < share (load'/load - 1).
  double saturation_gain_ratio = 0.1;
  int flat_steps = 2;  // so many in a row are a saturation
  std::uint64_t seed = 0;
};

struct SweepPoint {
  double load = 0.0;
  Trial trial;
};

struct SweepResult {
  std::vector<SweepPoint> points;      // in ascending load
  std::optional<double> saturated_at;  // the load before the first of the flat steps
  std::optional<std::string> failure;  // why it ended early
};

/// One run at each load. Throws Error (bad input) unless `loads` are positive and ascend.
[[nodiscard]] SweepResult sweep(std::span<const double> loads, const SweepRules& rules,
                                const MakeRun& make_run);

// --- highest load under an SLO -----------------------------------------------------------------

/// Attainment is taken to fall with the load; its noise need not. Where the target is met:
///   bracket: from `lowest`, doubling, until a load misses or `highest` is reached;
///   bisect: the bracket's geometric middle, until it is no wider than `tolerance_ratio`, or, of
///   concurrencies, 1.
/// At each load runs are repeated until met or missed is shown or `most_replicates` are made:
///   z = (mean - target) / sqrt( phi target (1 - target) / requests ),   |z| > z_crit
/// over effective requests; phi >= `overdispersion` covers what differs from run to run beyond them
/// (1: nothing), and where replicates vary by more than that, phi is what they show. z_crit is the
/// normal quantile of 1 - (1 - confidence) / (2 x most runs) (Bonferroni over all looks), so that
/// all of `shown_met` and `shown_missed` hold together with `confidence_ratio`. A load where
/// nothing is shown counts by the median of its runs, which one bad run does not move: near the
/// boundary that is the best guess, and a wrong one costs no more than the noise there.
struct SloSearchRules {
  Load load = Load::requests_per_second;
  double lowest = 0.0;   // above 0
  double highest = 0.0;  // at least lowest
  double target_ratio = 0.99;
  double tolerance_ratio = 0.05;
  double confidence_ratio = 0.95;
  double overdispersion = 2.0;
  int fewest_replicates = 2;  // one run alone never decides: it may be the bad one
  int most_replicates = 6;
  std::optional<int> most_runs;  // the caller's budget
  std::uint64_t seed = 0;
};

enum class SloSearchStatus {
  found,
  never_met,     // not at the lowest load either
  always_met,    // at the highest load still
  budget_spent,  // most_runs made before the bracket was narrow
  failed         // a run failed, or no run at some load was valid
};

[[nodiscard]] std::string_view to_string(SloSearchStatus status);

struct VisitedLoad {
  double load = 0.0;
  std::vector<Trial> trials;  // also the invalid ones
  bool met = false;           // by test where shown, else by the median
  bool shown = false;
};

struct SloSearchResult {
  SloSearchStatus status = SloSearchStatus::failed;
  std::optional<double> highest_met;    // best guess: the highest load counted as met
  std::optional<double> lowest_missed;  // the lowest load above it counted as missed
  std::optional<double> shown_met;      // the boundary lies at or above it, with confidence_ratio
  std::optional<double> shown_missed;   // and below it
  /// The met load of the highest mean goodput: not always the highest load.
  std::optional<double> best_goodput_load;
  std::vector<VisitedLoad> visited;  // in the order of visits
  int runs = 0;
  std::optional<std::string> failure;
};

/// The bound on runs without a budget: loads that can be visited times most_replicates.
[[nodiscard]] int most_runs_of(const SloSearchRules& rules);

/// Throws Error (bad input) for rules outside their ranges.
[[nodiscard]] SloSearchResult highest_load_under_slo(const SloSearchRules& rules,
                                                     const MakeRun& make_run);

// --- power cap x load --------------------------------------------------------------------------

struct GridPoint {
  Watts power_cap;
  double load = 0.0;
  Trial trial;
};

struct GridResult {
  std::vector<GridPoint> points;  // in the order measured
  std::vector<std::size_t> pareto;
  std::optional<std::string> failure;
};

/// One run at each pair: caps in random order (so that a drift of the site is no effect of the
/// cap), all loads under a cap, in random order, before the next (so that caps change seldom).
/// Throws Error (bad input) unless caps and loads are positive.
[[nodiscard]] GridResult cap_load_grid(std::span<const Watts> caps, std::span<const double> loads,
                                       std::uint64_t seed, const MakeRun& make_run);

/// Indices, in ascending joules per token, of the valid points with energy that no other one beats
/// in joules per token and SLO attainment both; of equal points the first.
[[nodiscard]] std::vector<std::size_t> pareto_front(std::span<const GridPoint> points);

}  // namespace perwatt::measure
