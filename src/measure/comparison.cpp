#include "perwatt/measure/comparison.hpp"

#include <cmath>
#include <span>
#include <string>

#include "perwatt/base/error.hpp"
#include "perwatt/base/random.hpp"
#include "perwatt/measure/intervals.hpp"

namespace perwatt::measure {

namespace {

const ComparisonRules& checked(const ComparisonRules& rules) {
  if (!(rules.error_ratio > 0 && rules.error_ratio < 1)) {
    throw_bad_input("an error ratio of " + std::to_string(rules.error_ratio), "",
                    "give a value between 0 and 1, as 0.05");
  }
  if (!(rules.smallest_effect_ratio >= 0 && rules.smallest_effect_ratio < 1)) {
    throw_bad_input("a smallest effect of " + std::to_string(rules.smallest_effect_ratio), "",
                    "give a share of 0 or more and below 1, as 0.01");
  }
  if (!(rules.meter_gain_ratio >= 0 && std::isfinite(rules.meter_gain_ratio))) {
    throw_bad_input("a meter gain of " + std::to_string(rules.meter_gain_ratio), "",
                    "give a share of 0 or more, as 0.01");
  }
  if (!(rules.prior_spread > 0 && std::isfinite(rules.prior_spread))) {
    throw_bad_input("a prior spread of " + std::to_string(rules.prior_spread), "",
                    "give a value above 0");
  }
  return rules;
}

double positive(JoulesPerToken value) {
  const double joules = in_joules_per_token(value);
  if (!(joules > 0 && std::isfinite(joules))) {
    throw_bad_input("a run of " + std::to_string(joules) + " J per output token", "",
                    "leave out runs whose energy or tokens are not valid");
  }
  return joules;
}

/// How far from 0 a log ratio must lie to be of interest.
double log_of_interest(const ComparisonRules& rules) {
  return -std::log1p(-rules.smallest_effect_ratio);
}

double log_of_gain(const ComparisonRules& rules) {
  return std::log1p(rules.meter_gain_ratio);
}

Estimate exp_of(const Estimate& logs) {
  Estimate result{std::exp(logs.value), std::nullopt, std::nullopt};
  if (logs.low) {
    result.low = std::exp(*logs.low);
    result.high = std::exp(*logs.high);
  }
  return result;
}

/// A difference B - A, with B's joules wrong by up to the meters' gain.
Estimate with_gain(Estimate difference, double mean_b, const ComparisonRules& rules) {
  if (difference.low) {
    *difference.low -= rules.meter_gain_ratio * mean_b;
    *difference.high += rules.meter_gain_ratio * mean_b;
  }
  return difference;
}

/// Sets ratio, verdict and reason from the log ratio's interval without the meters' gain.
void judge(Comparison& comparison, Estimate logs, const ComparisonRules& rules) {
  if (logs.low) {
    *logs.low -= log_of_gain(rules);
    *logs.high += log_of_gain(rules);
  }
  comparison.ratio = exp_of(logs);
  const double interest = log_of_interest(rules);
  if (!logs.low) {
    comparison.reason = VerdictReason::too_few_runs;
  } else if (*logs.high < -interest) {
    comparison.verdict = Verdict::saves;
    comparison.reason = VerdictReason::shown;
  } else if (*logs.low > interest) {
    comparison.verdict = Verdict::costs;
    comparison.reason = VerdictReason::shown;
  } else if (*logs.low > -interest && *logs.high < interest) {
    comparison.reason = VerdictReason::effect_too_small;
  } else {
    comparison.reason = VerdictReason::interval_holds_one;
  }
}

std::optional<int> pairs_needed(const ConfidenceSequence& logs, const ComparisonRules& rules) {
  const double room = std::abs(logs.mean()) - log_of_interest(rules) - log_of_gain(rules);
  if (logs.count() < 2 || room <= 0) {
    return std::nullopt;
  }
  const auto enough = [&](int pairs) {
    const auto limit = anytime_t_limit(pairs, rules.error_ratio, rules.prior_spread);
    return limit && *limit * logs.spread() / std::sqrt(static_cast<double>(pairs)) < room;
  };
  // The half width falls with the number of pairs.
  int too_few = logs.count();
  int pairs = kMostPairs;
  if (enough(too_few)) {
    return 0;
  }
  if (too_few >= pairs || !enough(pairs)) {
    return std::nullopt;
  }
  while (pairs - too_few > 1) {
    const int middle = too_few + (pairs - too_few) / 2;
    (enough(middle) ? pairs : too_few) = middle;
  }
  return pairs - logs.count();
}

/// Mean, its squared error and degrees of freedom of one side.
struct SideMean {
  double mean = 0;
  double squared_error = 0;
  double dof = 0;
};

SideMean mean_of(std::span<const double> values) {
  SideMean result;
  const auto count = static_cast<double>(values.size());
  for (const double value : values) {
    result.mean += value / count;
  }
  for (const double value : values) {
    result.squared_error += (value - result.mean) * (value - result.mean);
  }
  result.dof = count - 1;
  result.squared_error = result.dof > 0 ? result.squared_error / result.dof / count : 0;
  return result;
}

Estimate welch(const SideMean& a, const SideMean& b, double error_ratio) {
  const double value = b.mean - a.mean;
  const double squared = a.squared_error + b.squared_error;
  if (squared <= 0) {
    return {value, value, value};
  }
  const double dof =
      squared * squared /
      (a.squared_error * a.squared_error / a.dof + b.squared_error * b.squared_error / b.dof);
  const double half_width = student_t_quantile(1 - error_ratio / 2, dof) * std::sqrt(squared);
  return {value, value - half_width, value + half_width};
}

struct SideValues {
  std::vector<double> joules;
  std::vector<double> logs;
};

SideValues values_of(const SavedSide& side) {
  if (side.runs.empty()) {
    throw_bad_input("a side without a run", "", "give at least one saved run for each side");
  }
  SideValues result;
  for (const JoulesPerToken run : side.runs) {
    result.joules.push_back(positive(run));
    result.logs.push_back(std::log(result.joules.back()));
  }
  return result;
}

/// By the half widths of two single runs; of a ratio as of a log ratio, to first order.
std::optional<Estimate> within_runs(const SavedSide& a, const SavedSide& b,
                                    const ComparisonRules& rules) {
  if (!a.half_width || !b.half_width || a.runs.size() != 1 || b.runs.size() != 1) {
    return std::nullopt;
  }
  const double logs = std::log(b.runs.front() / a.runs.front());
  const double half_width =
      std::hypot(*a.half_width / a.runs.front(), *b.half_width / b.runs.front()) +
      log_of_gain(rules);
  return exp_of({logs, logs - half_width, logs + half_width});
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::saves:
      return "saves";
    case Verdict::costs:
      return "costs";
    case Verdict::not_shown:
      return "not_shown";
  }
  return "";
}

std::string_view to_string(VerdictReason reason) {
  switch (reason) {
    case VerdictReason::shown:
      return "shown";
    case VerdictReason::too_few_runs:
      return "too_few_runs";
    case VerdictReason::interval_holds_one:
      return "interval_holds_one";
    case VerdictReason::effect_too_small:
      return "effect_too_small";
    case VerdictReason::quality_lower:
      return "quality_lower";
    case VerdictReason::quality_not_shown:
      return "quality_not_shown";
    case VerdictReason::no_run_to_run_spread:
      return "no_run_to_run_spread";
  }
  return "";
}

Side PairOrder::next_first() {
  if (second_pair_) {
    const Side first = *second_pair_;
    second_pair_.reset();
    return first;
  }
  const Side first = uniform_below(generator_, 2) == 0 ? Side::a : Side::b;
  second_pair_ = first == Side::a ? Side::b : Side::a;
  return first;
}

PairedComparison::PairedComparison(const ComparisonRules& rules)
    : rules_{checked(rules)},
      log_ratios_{rules.error_ratio, rules.prior_spread},
      differences_{rules.error_ratio, rules.prior_spread} {}

void PairedComparison::add(const PairedRun& pair) {
  const double a = positive(pair.a);
  const double b = positive(pair.b);
  log_ratios_.add(std::log(b / a));
  differences_.add(b - a);
  mean_b_ += (b - mean_b_) / log_ratios_.count();
}

Comparison PairedComparison::result() const {
  Comparison result;
  result.runs_a = log_ratios_.count();
  result.runs_b = log_ratios_.count();
  result.difference = with_gain(*differences_.interval(), mean_b_, rules_);
  judge(result, *log_ratios_.interval(), rules_);
  result.pairs_needed =
      result.verdict == Verdict::not_shown ? pairs_needed(log_ratios_, rules_) : std::optional{0};
  return result;
}

Comparison guard_quality(const Comparison& comparison, const QualityComparison& quality) {
  Comparison result = comparison;
  if (comparison.verdict != Verdict::saves) {
    return result;
  }
  if (quality.significantly_lower) {
    result.verdict = Verdict::not_shown;
    result.reason = VerdictReason::quality_lower;
  } else if (quality.non_inferior && !*quality.non_inferior) {
    result.verdict = Verdict::not_shown;
    result.reason = VerdictReason::quality_not_shown;
  }
  return result;
}

Comparison compare_saved(const SavedSide& a, const SavedSide& b, const ComparisonRules& rules) {
  checked(rules);
  const SideValues values_a = values_of(a);
  const SideValues values_b = values_of(b);
  const SideMean logs_a = mean_of(values_a.logs);
  const SideMean logs_b = mean_of(values_b.logs);
  Comparison result;
  result.paired = false;
  result.runs_a = static_cast<int>(a.runs.size());
  result.runs_b = static_cast<int>(b.runs.size());
  if (result.runs_a < 2 || result.runs_b < 2) {
    result.ratio.value = std::exp(logs_b.mean - logs_a.mean);
    result.difference.value = mean_of(values_b.joules).mean - mean_of(values_a.joules).mean;
    result.reason = VerdictReason::no_run_to_run_spread;
    result.ratio_within_runs = within_runs(a, b, rules);
    return result;
  }
  const SideMean joules_b = mean_of(values_b.joules);
  result.difference =
      with_gain(welch(mean_of(values_a.joules), joules_b, rules.error_ratio), joules_b.mean, rules);
  judge(result, welch(logs_a, logs_b, rules.error_ratio), rules);
  return result;
}

}  // namespace perwatt::measure
