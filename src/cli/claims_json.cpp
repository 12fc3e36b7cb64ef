#include "claims_json.hpp"

#include "json_values.hpp"

namespace perwatt::cli {

namespace {

constexpr const char* kKinds[] = {"supported", "supported_only_against", "not_reproducible"};
constexpr const char* kReasons[] = {"none",         "no_data",          "no_method",
                                    "inconsistent", "figures_disagree", "not_compared"};

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

Json target_json(const std::optional<report::ClaimTarget>& target) {
  if (!target) {
    return nullptr;
  }
  return {{"relation", to_string(target->relation)},
          {"value", target->value},
          {"tolerance_ratio", target->tolerance_ratio}};
}

Json figure_json(const report::ClaimFigure& figure) {
  return {{"figure", figure.label},
          {"formula", text_or_null(figure.formula)},
          {"against", figure.against},
          {"value", figure.value ? Json(*figure.value) : Json(nullptr)},
          {"unit", figure.unit},
          {"target", target_json(figure.target)},
          {"holds", figure.holds ? Json(*figure.holds) : Json(nullptr)},
          {"is_lower_bound", figure.is_lower_bound},
          {"is_check", figure.is_check},
          {"is_of_claimant", figure.is_of_claimant},
          {"boundary", figure.boundary},
          {"price_table", text_or_null(figure.price_table)},
          {"tag", figure.value ? Json(to_string(figure.tag)) : Json(nullptr)},
          {"rests_on", text_or_null(figure.rests_on)},
          {"missing", text_or_null(figure.missing)}};
}

Json curve_json(const report::ClaimCurve& curve) {
  Json json{{"ratio_of", curve.label},
            {"against", curve.against},
            {"boundary", curve.boundary},
            {"points", Json::array()},
            {"holds_in", Json::array()}};
  for (const auto& point : curve.points) {
    json["points"].push_back(
        {{"interactivity_tokens_per_s", point.interactivity.in_base()}, {"ratio", point.ratio}});
  }
  for (const auto& range : curve.holds_in) {
    json["holds_in"].push_back({{"from_interactivity_tokens_per_s", range.from.in_base()},
                                {"to_interactivity_tokens_per_s", range.to.in_base()}});
  }
  return json;
}

}  // namespace

Json claims_json(std::span<const report::ClaimResult> results) {
  Json claims = Json::array();
  for (const auto& result : results) {
    const auto& claim = result.claim;
    Json json{{"id", claim.id},
              {"statement", claim.statement},
              {"made_by", claim.made_by},
              {"source", claim.source},
              {"date", claim.date},
              {"unit", claim.unit},
              {"claimed", target_json(claim.target)},
              {"method_published", claim.method_is_published},
              {"verdict", kKinds[static_cast<std::size_t>(result.verdict.kind)]},
              {"reason", kReasons[static_cast<std::size_t>(result.verdict.reason)]},
              {"supported_against", result.verdict.against},
              {"by_own_numbers", result.verdict.by_own_numbers},
              {"verdict_text", to_string(result.verdict)},
              {"why", result.why},
              {"note", text_or_null(claim.note)},
              {"figures", Json::array()},
              {"curves", Json::array()}};
    for (const auto& figure : result.figures) {
      json["figures"].push_back(figure_json(figure));
    }
    for (const auto& curve : result.curves) {
      json["curves"].push_back(curve_json(curve));
    }
    claims.push_back(std::move(json));
  }
  return {{"claims", std::move(claims)}};
}

}  // namespace perwatt::cli
