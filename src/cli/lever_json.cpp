#include "lever_json.hpp"

#include <string>

#include "json_values.hpp"

namespace perwatt::cli {

namespace {

Json worth_json(const plan::Worth& worth) {
  return {{"output_tokens_per_s", in_tokens_per_second(worth.output)},
          {"profit_usd_per_hour", in_usd_per_hour(worth.profit)},
          {"capital_usd_per_hour", in_usd_per_hour(worth.capital)},
          {"meter_power_watts", in_watts(worth.meter)},
          {"joules_per_output_token", in_joules_per_token(worth.joules_per_output_token)}};
}

/// Output and joules per token, the profit has keys of its own.
void add_interval(const plan::Worth& low, const plan::Worth& high, Json& json) {
  json["output_tokens_per_s_low"] = in_tokens_per_second(low.output);
  json["output_tokens_per_s_high"] = in_tokens_per_second(high.output);
  json["joules_per_output_token_low"] = in_joules_per_token(low.joules_per_output_token);
  json["joules_per_output_token_high"] = in_joules_per_token(high.joules_per_output_token);
}

/// One entry for each benchmark of each change; one without scores where there is none.
Json quality_json(const std::vector<plan::QualityChange>& changes) {
  Json list = Json::array();
  for (const auto& change : changes) {
    const Json sides{{"services", change.services},
                     {"model", change.from_model},
                     {"to_model", change.to_model},
                     {"from_precision", change.from_precision},
                     {"to_precision", change.to_precision}};
    for (const auto& pair : change.pairs) {
      Json entry = sides;
      entry["benchmark"] = pair.from->benchmark;
      entry["from_score_percent"] = pair.from->score_percent;
      entry["to_score_percent"] = pair.to->score_percent;
      entry["loss_points"] = pair.loss_points();
      entry["source"] = pair.from->source;
      entry["to_source"] = pair.to->source;
      entry["tag"] = to_string(pair.tag());
      list.push_back(std::move(entry));
    }
    if (change.pairs.empty()) {
      Json entry = sides;
      entry["benchmark"] = nullptr;
      entry["benchmark_reason"] = "no benchmark has a score of both";
      list.push_back(std::move(entry));
    }
  }
  return list;
}

Json part_json(const plan::LeverPart& part, UsdPerSecond total) {
  const auto& info = info_of(part.lever);
  Json json{
      {"lever", info.name},
      {"class", to_string(info.lever_class)},
      {"layer", to_string(info.layer)},
      {"differs", part.differs},
      {"output_tokens_per_s", in_tokens_per_second(part.part.output)},
      {"usd_per_hour", in_usd_per_hour(part.part.profit)},
      {"share_ratio", total == UsdPerSecond{} ? Json(nullptr) : Json(part.part.profit / total)},
      {"usd_per_hour_low", in_usd_per_hour(part.low.profit)},
      {"usd_per_hour_high", in_usd_per_hour(part.high.profit)},
      {"usd_per_hour_standard_error", in_usd_per_hour(part.standard_error)},
      {"capital_usd_per_hour", in_usd_per_hour(part.part.capital)},
      {"outlay_usd", in_usd(part.outlay)},
      {"net_present_value_usd", in_usd(part.net_present_value)},
      {"payback_probability_ratio", part.payback_probability},
      {"meter_power_watts", in_watts(part.part.meter)},
      {"joules_per_output_token", in_joules_per_token(part.part.joules_per_output_token)}};
  add_interval(part.low, part.high, json);
  if (part.lever == plan::Lever::precision || part.lever == plan::Lever::model) {
    json["quality"] = quality_json(part.quality);
    json["counted"] = part.not_counted_because.empty();
    if (!part.not_counted_because.empty()) {
      json["not_counted_because"] = part.not_counted_because;
    }
  }
  if (part.lever == plan::Lever::smoothing) {
    json["note"] = "smoothing of power is not modelled yet: its part is 0 by definition";
  }
  return json;
}

}  // namespace

void add_attribution(const plan::Attribution& attribution, Json& json) {
  json["attribution"] = Json::array();
  json["interactions"] = Json::array();
  if (!attribution.unavailable_because.empty()) {
    json["attribution_reason"] = attribution.unavailable_because;
    return;
  }
  const UsdPerSecond total = attribution.plan.profit - attribution.baseline.profit;
  json["attribution_total"] = {
      {"only", attribution.only ? Json(to_string(*attribution.only)) : Json(nullptr)},
      {"baseline", worth_json(attribution.baseline)},
      {"with_levers", worth_json(attribution.plan)},
      {"usd_per_hour", in_usd_per_hour(total)},
      {"usd_per_hour_low", in_usd_per_hour(attribution.gain_low.profit)},
      {"usd_per_hour_high", in_usd_per_hour(attribution.gain_high.profit)},
      {"counted_usd_per_hour", attribution.counted_profit
                                   ? Json(in_usd_per_hour(*attribution.counted_profit))
                                   : Json(nullptr)},
      {"counted_basis", "the gain with the levers left alone whose quality does not count"},
      {"output_tokens_per_s",
       in_tokens_per_second(attribution.plan.output - attribution.baseline.output)},
      {"joules_per_output_token",
       in_joules_per_token(attribution.plan.joules_per_output_token -
                           attribution.baseline.joules_per_output_token)},
      {"plans_solved", attribution.plans_solved},
      {"resamples", attribution.resamples},
      {"method", attribution.is_exact ? "exact Shapley values" : "sampled Shapley values"},
      {"basis",
       "whole racks; a committed token that is not served costs 10 times its price; "
       "intervals: 90 % of resampled rates and GPU power with the plans held"}};
  auto& sum = json["attribution_total"];
  add_interval(attribution.gain_low, attribution.gain_high, sum);
  if (!attribution.counted_profit) {
    sum["counted_reason"] = attribution.counted_unknown_because;
  }
  for (const auto& part : attribution.parts) {
    json["attribution"].push_back(part_json(part, total));
  }
  for (const auto& pair : attribution.interactions) {
    json["interactions"].push_back({{"levers", {info_of(pair.a).name, info_of(pair.b).name}},
                                    {"usd_per_hour", in_usd_per_hour(pair.profit)}});
  }
}

void add_sensitivities(const plan::Sensitivities& sensitivities, Json& json) {
  json["sensitivities"] = Json::array();
  for (const auto& change : sensitivities.changes) {
    Json item{{"input", change.input}, {"change", change.change}};
    const bool known = change.feasible && change.unavailable_because.empty();
    item["usd_per_hour"] = known ? Json(in_usd_per_hour(change.profit)) : Json(nullptr);
    item["output_tokens_per_s"] = known ? Json(in_tokens_per_second(change.output)) : Json(nullptr);
    item["meter_power_watts"] = known ? Json(in_watts(change.meter)) : Json(nullptr);
    if (!known) {
      item["reason"] =
          change.unavailable_because.empty() ? "infeasible" : change.unavailable_because;
    }
    json["sensitivities"].push_back(std::move(item));
  }
  json["usd_per_year_per_percent_tokens_per_joule"] =
      in_usd_per_hour(sensitivities.per_percent_tokens_per_joule) * kHoursPerYear;
}

}  // namespace perwatt::cli
