// Does B save energy against A? Joules per output token of paired, interleaved runs, judged by the
// mean of log(B / A) over pairs, so that what both runs of a pair share (drift, weather, the
// meter's gain) drops out. The interval is always valid: it may be looked at after every pair, and
// the runs stopped at a verdict, with at most `error_ratio` of false verdicts in all. Formulas,
// assumptions, simulated error and power: docs/model/comparison.md.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string_view>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/measure/confidence_sequence.hpp"
#include "perwatt/measure/measurement.hpp"
#include "perwatt/measure/quality.hpp"

namespace perwatt::measure {

enum class Side { a, b };

/// Which side runs first in each pair: blocks of two pairs, A B B A or B A A B by the seed, so that
/// a steady drift cancels inside a block and neither side can be favoured by its place.
class PairOrder {
 public:
  explicit PairOrder(std::uint64_t seed) : generator_{seed} {}

  /// The first side of the next pair; the other one runs second.
  [[nodiscard]] Side next_first();

 private:
  std::mt19937_64 generator_;
  std::optional<Side> second_pair_;
};

struct PairedRun {
  JoulesPerToken a;  // both above 0; a pair with an invalid run is left out whole
  JoulesPerToken b;
};

struct ComparisonRules {
  double error_ratio = 0.05;
  /// A saving below this share of A is of no interest: "saves" asks for B / A < 1 - it, "costs" for
  /// B / A > 1 / (1 - it).
  double smallest_effect_ratio = 0.0;
  /// Half width of the gain of B's meter over A's; 0 where one meter reads both. It does not
  /// average out over runs, so it is added to the interval on either side.
  double meter_gain_ratio = 0.0;
  /// Effect, in spreads of a pair, at which a verdict comes soonest (confidence_sequence.hpp).
  double prior_spread = 2.0;
};

enum class Verdict { saves, costs, not_shown };

[[nodiscard]] std::string_view to_string(Verdict verdict);

enum class VerdictReason {
  shown,
  too_few_runs,          // no interval is possible yet
  interval_holds_one,    // or a ratio too near to it to be of interest
  effect_too_small,      // shown to be smaller than the smallest effect of interest
  quality_lower,         // B would save, but answers significantly worse
  quality_not_shown,     // B would save, but is not shown to be within the quality margin
  no_run_to_run_spread,  // saved single runs say nothing of how much runs differ
};

[[nodiscard]] std::string_view to_string(VerdictReason reason);

struct Comparison {
  Verdict verdict = Verdict::not_shown;
  VerdictReason reason = VerdictReason::too_few_runs;
  bool paired = true;
  int runs_a = 0;  // paired: the pairs
  int runs_b = 0;
  Estimate ratio;       // B / A: exp of the mean log ratio
  Estimate difference;  // B - A in joules per output token, an interval of its own
  /// Saved single runs only: the ratio by the runs' own half widths, as if runs did not differ.
  std::optional<Estimate> ratio_within_runs;
  /// Paired only: how many more pairs a verdict would need if mean and spread of the log ratios
  /// stayed as they are; 0 with a verdict. Absent below two pairs, when the effect is not larger
  /// than the smallest of interest (and the meters' gain), or beyond kMostPairs.
  std::optional<int> pairs_needed;
};

inline constexpr int kMostPairs = 10000;

class PairedComparison {
 public:
  /// Throws Error (bad input) unless 0 < error_ratio < 1, 0 <= smallest_effect_ratio < 1,
  /// meter_gain_ratio >= 0 and prior_spread > 0.
  explicit PairedComparison(const ComparisonRules& rules = {});

  /// Throws Error (bad input) unless both are positive.
  void add(const PairedRun& pair);

  /// Constant time. REQUIRES: a pair was added.
  [[nodiscard]] Comparison result() const;

 private:
  ComparisonRules rules_;
  ConfidenceSequence log_ratios_;
  ConfidenceSequence differences_;
  double mean_b_ = 0.0;  // joules per token
};

/// Withholds "saves" where the answers got worse; other verdicts stay.
[[nodiscard]] Comparison guard_quality(const Comparison& comparison,
                                       const QualityComparison& quality);

/// One side of a comparison of saved results: the joules per output token of its runs, and, of a
/// single run, the half width of its own interval.
struct SavedSide {
  std::vector<JoulesPerToken> runs;  // each above 0, at least one
  std::optional<JoulesPerToken> half_width;
};

/// Welch's interval of the mean log ratio and of the difference (Welch, Biometrika 34, 1947;
/// degrees of freedom by Satterthwaite) at 1 - error_ratio, looked at once. Not shown when a side
/// has a single run. Throws Error (bad input) as PairedComparison does, and for a side without
/// runs.
[[nodiscard]] Comparison compare_saved(const SavedSide& a, const SavedSide& b,
                                       const ComparisonRules& rules = {});

}  // namespace perwatt::measure
