#include "perwatt/measure/phase_split.hpp"

#include <algorithm>
#include <cmath>

#include "perwatt/base/least_squares.hpp"
#include "perwatt/base/normal_law.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/measure/intervals.hpp"

namespace perwatt::measure {

namespace {

constexpr double kConfidence = 0.95;
/// Two degrees of freedom at least: with one the interval is 13 standard errors wide.
constexpr std::size_t kLeastFreedom = 2;
/// Ratios of input to output that differ by less are one ratio.
constexpr double kOneRatioSpread = 0.01;

PhaseSplit refused(SplitStatus status, std::size_t runs, std::string detail) {
  PhaseSplit split;
  split.status = status;
  split.runs = static_cast<int>(runs);
  split.detail = std::move(detail);
  return split;
}

bool usable(const SplitRun& run) {
  return run.length > Seconds{} && run.energy > Joules{} && run.input_tokens >= 0 &&
         run.output_tokens >= 0 && run.input_tokens + run.output_tokens > 0;
}

bool one_ratio(std::span<const SplitRun> runs) {
  // Share of the output among all tokens: defined for runs of prefill alone too.
  double least = 1.0;
  double most = 0.0;
  for (const auto& run : runs) {
    const auto input = static_cast<double>(run.input_tokens);
    const auto output = static_cast<double>(run.output_tokens);
    least = std::min(least, output / (input + output));
    most = std::max(most, output / (input + output));
  }
  // d ratio / ratio = d share / (share (1 - share)).
  return most - least <= kOneRatioSpread * most * (1.0 - least);
}

/// Why these runs cannot be split, or nothing.
std::optional<PhaseSplit> refusal(std::span<const SplitRun> runs, std::size_t unknowns) {
  const std::size_t needed = unknowns + kLeastFreedom;
  if (!std::all_of(runs.begin(), runs.end(), usable)) {
    return refused(SplitStatus::unusable, runs.size(),
                   "a run has no tokens, no time or no energy: leave it out");
  }
  if (runs.size() < needed) {
    return refused(SplitStatus::too_few_runs, runs.size(),
                   std::to_string(runs.size()) + " runs, needed are " + std::to_string(needed));
  }
  for (const auto& run : runs) {
    if (run.concurrency != runs.front().concurrency) {
      return refused(SplitStatus::different_concurrency, runs.size(),
                     "concurrency " + std::to_string(runs.front().concurrency) + " and " +
                         std::to_string(run.concurrency) +
                         ": energy per token depends on it, run all at one");
    }
  }
  if (one_ratio(runs)) {
    return refused(SplitStatus::one_ratio, runs.size(),
                   "all runs have one ratio of input to output tokens: vary the lengths apart");
  }
  return std::nullopt;
}

/// One sigma per run; all alike where a run has no half-width.
std::vector<double> sigmas(std::span<const SplitRun> runs) {
  const bool known = std::all_of(runs.begin(), runs.end(),
                                 [](const SplitRun& run) { return run.half_width > Joules{}; });
  std::vector<double> result;
  for (const auto& run : runs) {
    result.push_back(known ? run.half_width.in_base() / kNormal95 : 1.0);
  }
  return result;
}

TokenEnergy with_interval(double value, double half_width) {
  return {joules_per_token(value), joules_per_token(value - half_width),
          joules_per_token(value + half_width)};
}

std::vector<LeastSquaresRow> rows_of(std::span<const SplitRun> runs,
                                     const std::optional<SplitBaseline>& baseline) {
  const auto sigma = sigmas(runs);
  std::vector<LeastSquaresRow> rows;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const auto& run = runs[i];
    const Joules idle = baseline ? baseline->mean * run.length : Joules{};
    rows.push_back({{static_cast<double>(run.input_tokens), static_cast<double>(run.output_tokens),
                     in_seconds(run.length)},
                    (run.energy - idle).in_base(),
                    sigma[i]});
  }
  return rows;
}

/// What one watt more of idle power takes from each value: the fit of the runs' lengths.
LeastSquaresFit idle_effect(std::span<const SplitRun> runs, std::vector<LeastSquaresRow> rows) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].y = in_seconds(runs[i].length);
  }
  return least_squares(rows, 2);
}

}  // namespace

std::string_view to_string(SplitStatus status) {
  switch (status) {
    case SplitStatus::ok:
      return "ok";
    case SplitStatus::too_few_runs:
      return "too_few_runs";
    case SplitStatus::different_concurrency:
      return "different_concurrency";
    case SplitStatus::one_ratio:
      return "one_ratio";
    case SplitStatus::collinear:
      return "collinear";
    case SplitStatus::unusable:
      break;
  }
  return "unusable";
}

PhaseSplit phase_split(std::span<const SplitRun> runs, const std::optional<SplitBaseline>& baseline,
                       double accuracy_ratio) {
  const std::size_t unknowns = baseline ? 2 : 3;
  if (auto no = refusal(runs, unknowns)) {
    return *no;
  }
  const auto rows = rows_of(runs, baseline);
  const LeastSquaresFit fit = least_squares(rows, static_cast<int>(unknowns));
  if (!(fit.condition_number <= kMostConditionNumber)) {
    auto no = refused(SplitStatus::collinear, runs.size(),
                      "condition number " + significant(fit.condition_number) + " above " +
                          significant(kMostConditionNumber) +
                          (baseline ? ": vary input and output lengths further apart"
                                    : ": measure the idle power, or vary the lengths further"));
    no.condition_number = fit.condition_number;
    return no;
  }
  PhaseSplit split;
  split.status = SplitStatus::ok;
  split.runs = static_cast<int>(runs.size());
  split.condition_number = fit.condition_number;
  const double bound =
      student_t_quantile(0.5 * (1.0 + kConfidence), static_cast<double>(runs.size() - unknowns));
  std::array<double, 2> width{};
  LeastSquaresFit effect;
  if (baseline) {
    effect = idle_effect(runs, rows);
  } else {
    split.fitted_idle = watts(fit.value[2]);
  }
  for (std::size_t i = 0; i < width.size(); ++i) {
    const double random = bound * std::sqrt(fit.variance * fit.covariance[i][i]);
    const double idle = baseline ? effect.value[i] * in_watts(baseline->half_width) : 0.0;
    width[i] = std::hypot(random, idle, accuracy_ratio * fit.value[i]);
  }
  split.prefill = with_interval(fit.value[0], width[0]);
  split.decode = with_interval(fit.value[1], width[1]);
  return split;
}

std::string_view to_string(TenantBasis basis) {
  switch (basis) {
    case TenantBasis::phase_energy:
      return "phase_energy";
    case TenantBasis::tokens:
      return "tokens";
    case TenantBasis::none:
      break;
  }
  return "none";
}

TenantBasis share_by_tenant(Joules energy, const PhaseSplit* split,
                            std::vector<TenantUse>& tenants) {
  const bool by_phase = split != nullptr && split->status == SplitStatus::ok &&
                        split->prefill.value > JoulesPerToken{} &&
                        split->decode.value > JoulesPerToken{};
  const double per_input = by_phase ? in_joules_per_token(split->prefill.value) : 1.0;
  const double per_output = by_phase ? in_joules_per_token(split->decode.value) : 1.0;
  std::vector<double> weight;
  double total = 0.0;
  for (auto& tenant : tenants) {
    tenant.energy.reset();
    weight.push_back(per_input * static_cast<double>(tenant.input_tokens) +
                     per_output * static_cast<double>(tenant.output_tokens));
    total += weight.back();
  }
  if (!(total > 0.0)) {
    return TenantBasis::none;
  }
  // Whole numbers of the last bit of `energy`: sums of them below it are exact in any order.
  const double whole = energy.in_base();
  const double bit = std::ldexp(1.0, std::ilogb(whole == 0.0 ? 1.0 : whole) - 52);
  double left = whole;
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    const double share = std::trunc(whole * (weight[i] / total) / bit) * bit;
    tenants[i].energy = Joules::from_base(share);
    left -= share;
  }
  auto& largest = tenants[static_cast<std::size_t>(std::max_element(weight.begin(), weight.end()) -
                                                   weight.begin())];
  largest.energy = *largest.energy + Joules::from_base(left);
  return by_phase ? TenantBasis::phase_energy : TenantBasis::tokens;
}

}  // namespace perwatt::measure
