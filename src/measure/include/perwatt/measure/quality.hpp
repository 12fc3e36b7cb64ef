// Whether B answers a fixed set of prompts as well as A, and what an answer costs.
//
// One score per prompt and side: right or wrong (1, 0) or any real score, higher is better. The set
// is scored once: looking at it again with the same answers is no new evidence, so that these are
// tests of a fixed sample, not sequences.
#pragma once

#include <optional>
#include <span>

#include "perwatt/base/units.hpp"
#include "perwatt/measure/measurement.hpp"

namespace perwatt::measure {

struct PromptScores {
  double a = 0.0;
  double b = 0.0;
};

enum class QualityTest {
  mcnemar_exact,  // all scores 0 or 1
  paired_t,
  none  // fewer than two prompts with real scores, or no prompt
};

struct QualityRules {
  double error_ratio = 0.05;  // one-sided
  /// How much mean score may be lost at most for B to count as not inferior. Without it B is only
  /// asked not to be significantly lower, which a small set hardly ever shows.
  std::optional<double> margin;
};

struct QualityComparison {
  int prompts = 0;
  double mean_a = 0.0;
  double mean_b = 0.0;
  /// mean_b - mean_a, two-sided at 1 - error_ratio: paired t; for 0 and 1 Agresti and Min's
  /// interval for matched pairs (Statistics in Medicine 24, 2005: half a prompt added to each of
  /// the four cells). Its value is the plain difference.
  Estimate difference;
  QualityTest test = QualityTest::none;
  double p_lower = 1.0;  // chance of such a loss or a greater one if B were as good as A
  bool significantly_lower = false;  // p_lower <= error_ratio
  /// With a margin: the one-sided lower limit of the difference lies above -margin. Absent without.
  std::optional<bool> non_inferior;
};

/// McNemar's exact test one-sided: of the prompts on which the sides differ, the number B lost is
/// Binomial(., 1/2) if neither is better (McNemar, Psychometrika 12, 1947; the sign test). Real
/// scores: Student's t of the differences; where all are equal and negative, the sign test.
[[nodiscard]] QualityComparison compare_quality(std::span<const PromptScores> scores,
                                                const QualityRules& rules = {});

/// Energy, answers and scores of one pass over the prompts, or of any part measured on its own.
struct AnswerBatch {
  Joules energy;
  double answers = 0.0;  // whole answers delivered
  double score = 0.0;    // sum of their scores; right answers, for 0 and 1
};

struct AnswerCost {
  std::optional<Estimate> joules_per_answer;        // a side that writes longer answers shows here
  std::optional<Estimate> joules_per_right_answer;  // per point of score
};

/// Ratios of sums over batches (intervals.hpp). Absent without answers, without score.
[[nodiscard]] AnswerCost answer_cost(std::span<const AnswerBatch> batches,
                                     double confidence_ratio = 0.95);

}  // namespace perwatt::measure
