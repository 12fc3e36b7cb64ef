// Quality beside price: what a cheaper precision or another model scores on the same benchmarks.
//
// A model that costs less per token counts as cheaper only with this beside it. No score is made
// up: where nobody measured both sides, the answer is empty and the difference unknown.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "perwatt/base/tag.hpp"
#include "perwatt/catalog/catalog.hpp"

namespace perwatt::catalog {

/// One benchmark on both sides of a comparison; points into the models compared.
struct ScorePair {
  const QualityScore* from = nullptr;
  const QualityScore* to = nullptr;

  /// Percentage points `to` is below `from`; negative where it is above. A benchmark of n questions
  /// with a share p answered right is itself uncertain by the square root of p (1 - p) / n: 0.8
  /// points for GSM8K (1,319 at 90 %), 2.8 for GPQA Diamond (198 at 80 %).
  [[nodiscard]] double loss_points() const { return from->score_percent - to->score_percent; }

  /// One party measured both, in one harness. Without it part of the difference is the harness.
  [[nodiscard]] bool same_source() const { return from->source == to->source; }

  /// The weaker of both tags.
  [[nodiscard]] Tag tag() const { return weaker(from->tag, to->tag); }
};

/// The precision of the weights `score` was measured with: its own, else the one `model` was
/// released in. Nothing: neither is known.
[[nodiscard]] std::optional<std::string_view> precision_of(const Model& model,
                                                           const QualityScore& score);

/// What going from one precision to another costs `model`: a pair for each benchmark and source
/// with a score at both, by order of the catalog. Only scores of one source are paired, because
/// harnesses differ by more than precisions do. "fp4" stands for any 4-bit float, as in the points:
/// it takes "mxfp4" scores where a source has no "fp4" one. Empty: unknown.
[[nodiscard]] std::vector<ScorePair> quality_loss(const Model& model,
                                                  std::string_view from_precision,
                                                  std::string_view to_precision);

/// The benchmarks two models have a score of at the given precisions, one pair each, by order of
/// the catalog: scores of one source where there are, else the first of each side. A precision is
/// read as in quality_loss(). Empty: nothing to compare by.
[[nodiscard]] std::vector<ScorePair> common_benchmarks(const Model& from,
                                                       std::string_view from_precision,
                                                       const Model& to,
                                                       std::string_view to_precision);

}  // namespace perwatt::catalog
