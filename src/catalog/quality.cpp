#include "perwatt/catalog/quality.hpp"

#include <algorithm>

namespace perwatt::catalog {

namespace {

/// The scores of `model` at `precision`, by order of the catalog.
std::vector<const QualityScore*> scores_at(const Model& model, std::string_view precision) {
  std::vector<const QualityScore*> exact;
  std::vector<const QualityScore*> other_fp4;
  for (const auto& score : model.quality) {
    const auto own = precision_of(model, score);
    if (own == precision) {
      exact.push_back(&score);
    } else if (precision == "fp4" && own == "mxfp4") {
      other_fp4.push_back(&score);
    }
  }
  for (const auto* score : other_fp4) {
    if (std::none_of(exact.begin(), exact.end(), [&](const QualityScore* known) {
          return known->benchmark == score->benchmark && known->source == score->source;
        })) {
      exact.push_back(score);
    }
  }
  return exact;
}

/// The first of `scores` that fits `from`, or null.
const QualityScore* partner(const std::vector<const QualityScore*>& scores,
                            const QualityScore& from, bool same_source) {
  const auto at = std::find_if(scores.begin(), scores.end(), [&](const QualityScore* score) {
    return score->benchmark == from.benchmark && (!same_source || score->source == from.source);
  });
  return at == scores.end() ? nullptr : *at;
}

}  // namespace

std::optional<std::string_view> precision_of(const Model& model, const QualityScore& score) {
  if (score.precision) {
    return *score.precision;
  }
  return model.native_precision ? std::optional<std::string_view>{*model.native_precision}
                                : std::nullopt;
}

std::vector<ScorePair> quality_loss(const Model& model, std::string_view from_precision,
                                    std::string_view to_precision) {
  const auto candidates = scores_at(model, to_precision);
  std::vector<ScorePair> pairs;
  for (const auto* from : scores_at(model, from_precision)) {
    if (const auto* to = partner(candidates, *from, true)) {
      pairs.push_back({from, to});
    }
  }
  return pairs;
}

std::vector<ScorePair> common_benchmarks(const Model& from, std::string_view from_precision,
                                         const Model& to, std::string_view to_precision) {
  const auto candidates = scores_at(to, to_precision);
  std::vector<ScorePair> pairs;
  for (const auto* score : scores_at(from, from_precision)) {
    const auto* same = partner(candidates, *score, true);
    const auto* any = same != nullptr ? same : partner(candidates, *score, false);
    if (any == nullptr) {
      continue;
    }
    const auto known = std::find_if(pairs.begin(), pairs.end(), [&](const ScorePair& pair) {
      return pair.from->benchmark == score->benchmark;
    });
    if (known == pairs.end()) {
      pairs.push_back({score, any});
    } else if (same != nullptr && !known->same_source()) {
      *known = {score, same};
    }
  }
  return pairs;
}

}  // namespace perwatt::catalog
