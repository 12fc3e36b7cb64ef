#include "perwatt/measure/quality.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "perwatt/base/normal_law.hpp"
#include "perwatt/measure/intervals.hpp"

namespace perwatt::measure {

namespace {

bool right_or_wrong(double score) {
  return score == 0 || score == 1;
}

/// P(Binomial(trials, 1/2) >= successes).
double binomial_half_tail(int trials, int successes) {
  double tail = 0;
  double log_term = -trials * std::log(2.0);  // of k = 0; the next by C(n, k + 1) / C(n, k)
  for (int k = 0; k <= trials; ++k) {
    tail += k >= successes ? std::exp(log_term) : 0;
    log_term += std::log((trials - k) / (k + 1.0));
  }
  return std::min(1.0, tail);
}

struct LowerLimit {
  Estimate difference;
  double one_sided = 0.0;
};

/// Agresti and Min: half a prompt in each of the four cells.
LowerLimit matched_limits(int prompts, int lost, int won, double error_ratio) {
  const double number = prompts + 2.0;
  const double centre = (won - lost) / number;
  const double apart = lost + won + 1.0;
  const double error = std::sqrt(apart - (won - lost) * (won - lost) / number) / number;
  const double two_sided = normal_quantile(1 - error_ratio / 2) * error;
  return {{static_cast<double>(won - lost) / prompts, std::max(-1.0, centre - two_sided),
           std::min(1.0, centre + two_sided)},
          centre - normal_quantile(1 - error_ratio) * error};
}

}  // namespace

QualityComparison compare_quality(std::span<const PromptScores> scores, const QualityRules& rules) {
  QualityComparison result;
  result.prompts = static_cast<int>(scores.size());
  if (scores.empty()) {
    return result;
  }
  bool binary = true;
  int lost = 0;
  int won = 0;
  std::vector<double> differences;
  for (const PromptScores& score : scores) {
    result.mean_a += score.a;
    result.mean_b += score.b;
    differences.push_back(score.b - score.a);
    binary = binary && right_or_wrong(score.a) && right_or_wrong(score.b);
    lost += score.b < score.a ? 1 : 0;
    won += score.b > score.a ? 1 : 0;
  }
  result.mean_a /= result.prompts;
  result.mean_b /= result.prompts;
  result.difference.value = result.mean_b - result.mean_a;
  double lower_limit = 0;
  if (binary) {
    result.test = QualityTest::mcnemar_exact;
    result.p_lower = binomial_half_tail(lost + won, lost);
    const LowerLimit limits = matched_limits(result.prompts, lost, won, rules.error_ratio);
    result.difference = limits.difference;
    lower_limit = limits.one_sided;
  } else if (differences.size() >= 2) {
    result.test = QualityTest::paired_t;
    result.difference = *mean_interval(differences, 1 - rules.error_ratio);
    lower_limit = *mean_interval(differences, 1 - 2 * rules.error_ratio)->low;
    const double dof = result.prompts - 1;
    const double half_width = *result.difference.high - result.difference.value;
    const double error = half_width / student_t_quantile(1 - rules.error_ratio / 2, dof);
    // Equal differences leave a spread of rounding only.
    const bool spread = error > 1e-12 * std::abs(result.difference.value);
    result.p_lower = spread ? student_t_upper_tail(-result.difference.value / error, dof)
                            : binomial_half_tail(lost + won, lost);
  } else {
    return result;
  }
  result.significantly_lower = result.p_lower <= rules.error_ratio;
  if (rules.margin) {
    result.non_inferior = lower_limit > -*rules.margin;
  }
  return result;
}

AnswerCost answer_cost(std::span<const AnswerBatch> batches, double confidence_ratio) {
  std::vector<double> joules;
  std::vector<double> answers;
  std::vector<double> scores;
  for (const AnswerBatch& batch : batches) {
    joules.push_back(batch.energy.in_base());
    answers.push_back(batch.answers);
    scores.push_back(batch.score);
  }
  return {ratio_of_sums_interval(joules, answers, confidence_ratio),
          ratio_of_sums_interval(joules, scores, confidence_ratio)};
}

}  // namespace perwatt::measure
