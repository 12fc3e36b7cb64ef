// From figures to a verdict and its reasons; rules: docs/model/claims.md#verdict.
#include <algorithm>
#include <cmath>
#include <set>

#include "../text.hpp"
#include "evaluators.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::report {

namespace {

constexpr std::size_t kMostListed = 6;
constexpr const char* kOwnNumbers = "its own published numbers";

bool is_judged(const ClaimFigure& figure) {
  return figure.holds.has_value();
}

bool does_hold(const ClaimFigure& figure) {
  return figure.holds.value_or(false);
}

/// Distance from the claim on a relative scale.
double distance(const ClaimFigure& figure) {
  const double claimed = figure.target->value;
  const double off = std::abs(*figure.value - claimed);
  return claimed != 0 ? off / std::abs(claimed) : off;
}

std::string list_text(const std::vector<std::string>& entries) {
  const auto shown = std::min(entries.size(), kMostListed);
  auto text = join(std::span{entries}.first(shown), "; ");
  if (shown < entries.size()) {
    text += "; and " + std::to_string(entries.size() - shown) + " more";
  }
  return text;
}

/// "Holds: a; b. ", or nothing for no entries.
std::string sentence(const std::string& opening, const std::vector<std::string>& entries) {
  return entries.empty() ? "" : opening + list_text(entries) + ". ";
}

std::string compared_text(const ClaimFigure& figure, const std::optional<ClaimTarget>& claimed) {
  if (figure.target->relation == Relation::multiple_of) {
    return value_text(figure) + (does_hold(figure) ? " is a multiple of " : " is no multiple of ") +
           significant(figure.target->value) + " (" + figure.against + ")";
  }
  const bool is_of_claim = claimed && claimed->value == figure.target->value;
  return value_text(figure) + " against " + figure.against +
         (does_hold(figure) || is_of_claim ? "" : " (claimed: " + target_text(figure) + ")");
}

std::string curve_text(const ClaimCurve& curve) {
  std::vector<std::string> ranges;
  for (const auto& range : curve.holds_in) {
    ranges.push_back(significant(in_tokens_per_second(range.from)) +
                     (range.to > range.from ? "-" + significant(in_tokens_per_second(range.to))
                                            : std::string{}));
  }
  return "at " + join(ranges, ", ") + " tok/s/user against " + curve.against;
}

std::string_view reason_text(VerdictReason reason) {
  switch (reason) {
    case VerdictReason::none:
      return "";
    case VerdictReason::no_data:
      return "no data";
    case VerdictReason::no_method:
      return "no method published";
    case VerdictReason::inconsistent:
      return "inconsistent with its own numbers";
    case VerdictReason::figures_disagree:
      return "no figure reaches the claim";
    case VerdictReason::not_compared:
      return "there are data, but no comparison is written";
  }
  return "";
}

}  // namespace

Verdict verdict_of(std::span<const ClaimFigure> figures, bool method_is_published) {
  const auto any = [&](auto condition) {
    return std::any_of(figures.begin(), figures.end(), condition);
  };
  if (any([](const auto& f) { return f.is_check && is_judged(f) && !does_hold(f); })) {
    return {VerdictKind::not_reproducible, VerdictReason::inconsistent, {}, false};
  }
  if (!any(is_judged)) {
    const auto reason = any([](const auto& f) { return !f.value || f.is_lower_bound; })
                            ? VerdictReason::no_data
                        : !method_is_published ? VerdictReason::no_method
                                               : VerdictReason::not_compared;
    return {VerdictKind::not_reproducible, reason, {}, false};
  }
  const auto is_reading = [](const auto& f) { return f.target && !f.is_check; };
  const auto supports = [&](const auto& f) { return is_reading(f) && does_hold(f); };
  if (any(is_reading) && !any(supports)) {
    return {VerdictKind::not_reproducible, VerdictReason::figures_disagree, {}, false};
  }
  const bool is_complete = !any([&](const auto& f) { return is_reading(f) && !does_hold(f); });
  const bool by_own_numbers = !any([&](const auto& f) { return supports(f) && !f.is_of_claimant; });
  if (is_complete) {
    return by_own_numbers ? Verdict{VerdictKind::supported_only_against,
                                    VerdictReason::none,
                                    {kOwnNumbers},
                                    true}
                          : Verdict{VerdictKind::supported, VerdictReason::none, {}, false};
  }
  Verdict verdict{VerdictKind::supported_only_against, VerdictReason::none, {}, by_own_numbers};
  for (const auto& figure : figures) {
    if (supports(figure) && std::find(verdict.against.begin(), verdict.against.end(),
                                      figure.against) == verdict.against.end()) {
      verdict.against.push_back(figure.against);
    }
  }
  return verdict;
}

std::string to_string(const Verdict& verdict) {
  switch (verdict.kind) {
    case VerdictKind::supported:
      return "supported";
    case VerdictKind::supported_only_against:
      return "supported only against " + list_text(verdict.against) +
             (verdict.by_own_numbers && verdict.against.front() != kOwnNumbers
                  ? ", by its own numbers"
                  : "");
    case VerdictKind::not_reproducible:
      return "not reproducible: " + std::string{reason_text(verdict.reason)};
  }
  return {};
}

std::string short_text(Verdict verdict) {
  const std::size_t sides = verdict.against.size();
  verdict.against.resize(std::min<std::size_t>(sides, 1));
  const auto more = sides - verdict.against.size();
  verdict.by_own_numbers = verdict.by_own_numbers && more == 0;
  return to_string(verdict) + (more > 0 ? " and " + std::to_string(more) + " more" : "");
}

std::string why_text(const ClaimResult& result) {
  std::vector<std::string> held;
  std::vector<std::string> missed;
  std::vector<std::string> failed_checks;
  std::vector<std::string> missing;
  std::vector<std::string> others;
  std::vector<std::string> lower_bounds;
  std::size_t checks = 0;
  for (const auto& figure : result.figures) {
    if (!figure.value) {
      if (std::find(missing.begin(), missing.end(), figure.missing) == missing.end()) {
        missing.push_back(figure.missing);
      }
    } else if (figure.is_lower_bound) {
      lower_bounds.push_back(compared_text(figure, result.claim.target));
    } else if (!is_judged(figure)) {
      others.push_back((figure.formula.empty() ? figure.label : figure.against) + ": " +
                       value_text(figure));
    } else if (does_hold(figure)) {
      if (figure.is_check) {
        ++checks;
      } else {
        held.push_back(compared_text(figure, result.claim.target));
      }
    } else {
      (figure.is_check ? failed_checks : missed)
          .push_back(compared_text(figure, result.claim.target));
    }
  }
  std::vector<std::string> ranges;
  for (const auto& curve : result.curves) {
    if (!curve.holds_in.empty()) {
      ranges.push_back(curve_text(curve));
    }
  }
  auto text = sentence("Inconsistent: ", failed_checks) + sentence("Holds: ", held) +
              sentence("Does not hold: ", missed) +
              sentence("Below the claim, but only a lower bound for want of rows: ", lower_bounds) +
              sentence("Along the curve it holds ", ranges) + sentence("No value: ", missing);
  if (checks > 0) {
    text += std::to_string(checks) + (checks == 1 ? " check" : " checks") +
            " of its own numbers against each other " + (checks == 1 ? "holds. " : "hold. ");
  }
  if (held.empty() && missed.empty() && failed_checks.empty()) {
    text += sentence("Not judged: ", others);
  }
  if (!result.claim.method_is_published) {
    text += "No method is published. ";
  }
  return std::string{trimmed(text)};
}

std::string claimed_text(const ClaimResult& result) {
  const auto& target = result.claim.target;
  if (!target) {
    return "-";
  }
  return perwatt::significant(target->value, 4) +
         (result.claim.unit.empty() ? "" : ' ' + result.claim.unit);
}

std::string label_text(const ClaimFigure& figure) {
  return figure.formula.empty() ? figure.label : figure.label + " = " + figure.formula;
}

std::string target_text(const ClaimFigure& figure) {
  if (!figure.target) {
    return "";
  }
  auto relation = std::string{to_string(figure.target->relation)};
  std::replace(relation.begin(), relation.end(), '_', ' ');
  return relation + ' ' + perwatt::significant(figure.target->value, 4) +
         (figure.unit.empty() || figure.target->relation == Relation::multiple_of
              ? ""
              : ' ' + figure.unit);
}

std::string value_text(const ClaimFigure& figure) {
  if (!figure.value) {
    return figure.missing;
  }
  return perwatt::significant(*figure.value, 4) + (figure.unit.empty() ? "" : ' ' + figure.unit);
}

std::string computed_text(const ClaimResult& result) {
  // A failed check decides the verdict; readings stand for the claim; checks that hold come last.
  const auto rank = [](const ClaimFigure& figure) {
    return figure.is_check ? (does_hold(figure) ? 0 : 3) : (does_hold(figure) ? 2 : 1);
  };
  const ClaimFigure* best = nullptr;
  for (const auto& figure : result.figures) {
    if (!is_judged(figure)) {
      continue;
    }
    if (best == nullptr || rank(figure) > rank(*best) ||
        (rank(figure) == rank(*best) && distance(figure) < distance(*best))) {
      best = &figure;
    }
  }
  return best == nullptr ? "nothing to judge" : value_text(*best) + " against " + best->against;
}

}  // namespace perwatt::report
