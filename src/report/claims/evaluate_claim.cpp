#include <utility>

#include "../layout_text.hpp"
#include "../text.hpp"
#include "evaluators.hpp"

#include "perwatt/base/text.hpp"

namespace perwatt::report {

ClaimFigure& ClaimContext::add(std::string label, std::string against) const {
  ClaimFigure figure;
  figure.label = std::move(label);
  figure.against = std::move(against);
  figure.unit = result.claim.unit;
  figure.target = comparison.target;
  figure.where = comparison.where;
  result.figures.push_back(std::move(figure));
  return result.figures.back();
}

void set_value(ClaimFigure& figure, double value) {
  figure.value = value;
  if (figure.target) {
    figure.holds = holds(value, *figure.target);
  }
}

std::string canonical_side(const catalog::Catalog& catalog, std::string_view side,
                           const std::string& where) {
  const auto colon = side.find(':');
  return catalog.accelerator(side.substr(0, colon), where).id +
         (colon == std::string_view::npos ? std::string{} : std::string{side.substr(colon)});
}

Served canonical_served(const catalog::Catalog& catalog, const Served& served,
                        const std::string& where) {
  return {catalog.model(served.model, where).id, served.workload};
}

std::string served_text(const Served& served) {
  return served.model + ' ' + to_string(served.workload);
}

std::string source_text(const catalog::Catalog& catalog, const std::string& id) {
  const auto& source = catalog.source(id);
  return source.title + ", " + source.publisher + ", " + source.date;
}

std::string row_text(const inference::MeasuredPoint& row) {
  return configuration_text(row) +
         (row.interactivity
              ? " at " + significant(in_tokens_per_second(*row.interactivity), 3) + " tok/s/user"
              : "") +
         (row.date.empty() ? "" : ", " + row.date);
}

ClaimResult evaluate_claim(const ClaimCase& claim, const ClaimData& data) {
  ClaimResult result;
  result.claim = claim;
  for (const auto& comparison : claim.comparisons) {
    const auto begin = result.figures.size();
    const ClaimContext context{data, comparison, result};
    std::visit([&](const auto& kind) { evaluate(kind, context); }, comparison.kind);
    auto expected = comparison.expect.begin();
    for (auto i = begin; i < result.figures.size(); ++i) {
      if (result.figures[i].value && expected != comparison.expect.end()) {
        result.figures[i].expect = *expected++;
      }
    }
    result.expected_beyond += static_cast<std::size_t>(comparison.expect.end() - expected);
  }
  result.verdict = verdict_of(result.figures, claim.method_is_published);
  result.why = why_text(result);
  return result;
}

std::vector<ClaimResult> evaluate_claims(std::span<const ClaimCase> claims, const ClaimData& data) {
  std::vector<ClaimResult> results;
  results.reserve(claims.size());
  for (const auto& claim : claims) {
    results.push_back(evaluate_claim(claim, data));
  }
  return results;
}

}  // namespace perwatt::report
