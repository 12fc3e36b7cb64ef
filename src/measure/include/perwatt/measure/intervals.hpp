// Intervals of measured figures: over runs, inside one run, and both put together.
// Formulas, sources and simulated coverage: docs/model/comparison.md.
//
// Values are plain doubles where a function holds for every unit: the result has the unit of what
// went in. `confidence_ratio` is 0.95 unless said otherwise and must lie inside (0, 1).
#pragma once

#include <optional>
#include <span>

#include "perwatt/base/units.hpp"
#include "perwatt/measure/measurement.hpp"

namespace perwatt::measure {

/// P(T > t) of Student's t: half the regularised incomplete beta function
/// I_x(dof / 2, 1 / 2) at x = dof / (dof + t^2) for t >= 0 (Abramowitz and Stegun 26.7.1), by its
/// continued fraction (26.5.8). REQUIRES: dof > 0, which need not be whole.
[[nodiscard]] double student_t_upper_tail(double t, double dof);

/// The t with P(T <= t) = probability, relative error below 1e-8.
/// REQUIRES: 0 < probability < 1, dof > 0.
[[nodiscard]] double student_t_quantile(double probability, double dof);

/// mean +- t s / sqrt(n) over runs: holds for independent runs of one normal law. Skewed runs are
/// covered less (docs/model/comparison.md has by how much). One run: a value without an interval.
/// Absent without runs.
[[nodiscard]] std::optional<Estimate> mean_interval(std::span<const double> runs,
                                                    double confidence_ratio = 0.95);

/// sum(numerators) / sum(denominators) over independent units (runs, batches of answers), by the
/// linearised residuals z = numerator - R denominator (Cochran, Sampling Techniques, 1977, ch. 6):
///     half width = t sqrt( n / (n - 1) sum z^2 ) / sum(denominators),   n - 1 degrees of freedom.
/// One unit: a value without an interval. Absent when the denominators' sum is not positive.
/// REQUIRES: as many of each.
[[nodiscard]] std::optional<Estimate> ratio_of_sums_interval(std::span<const double> numerators,
                                                             std::span<const double> denominators,
                                                             double confidence_ratio = 0.95);

/// Energy and tokens of one of the equally long, adjoining parts of a run's window.
struct Slice {
  Joules energy;
  Tokens tokens;
};

struct WithinRun {
  Estimate joules_per_token;        // no interval where the run is too short to support one
  double autocorrelation_time = 0;  // in slices: tau = 1 + 2 sum rho_k; 0: not to be told
  double effective_slices = 0;      // count / tau; 0: not to be told
  int blocks = 0;                   // that the window can be cut into
};

/// The fewest blocks an interval inside a run may stand on.
inline constexpr int kFewestBlocks = 12;

/// Joules per token of a window and its interval from the window's own fluctuation, which
/// neighbours in time share: batch means of the residuals z = energy - R tokens.
///   tau = 1 + 2 sum rho_k of z, by Geyer's initial monotone positive sequence (Statistical
///         Science 7, 1992), over 1 - (2 lags + 1) / n for the mean taken from the same values
///   D   = 4 sum k rho_k / tau, how far apart slices still share (tau, for exponential decay)
///   B blocks of at least 3 max(tau, D) slices over the whole window, S_i the sum of z in each
///   half width = t_(B-1) sqrt( c B / (B - 1) sum S_i^2 ) / sum(tokens),
///   c = 1 + D / (2 length): the first-order part that blocks of that length still share
/// Refused (no interval) below kFewestBlocks blocks, so below 36 effective slices: a slow drift or
/// a short run gives no interval rather than one that is too narrow. It says nothing of what
/// differs between runs. Absent when the window has no tokens.
[[nodiscard]] std::optional<WithinRun> within_run_interval(std::span<const Slice> slices,
                                                           double confidence_ratio = 0.95);

/// How many independent values the mean of `values`, in order of time, is worth: batch means of 30
/// blocks of length L, n s^2 / (L s_B^2), s over values and s_B over blocks' means; at most n, and
/// n below 60 values or where they are all equal. For a 0/1 series such as "met the SLO".
[[nodiscard]] double effective_count(std::span<const double> values);

/// Half widths of independent errors of one figure (meter, window edges, run to run) put together:
/// the root of the sum of squares (JCGM 100:2008, 5.1.2, all at the same confidence).
[[nodiscard]] double combine_half_widths(std::span<const double> half_widths);

/// `estimate` with a further independent error of `half_width`. An estimate without an interval
/// stays without one: a known part of an unknown error is no bound of it.
[[nodiscard]] Estimate widen(const Estimate& estimate, double half_width);

}  // namespace perwatt::measure
