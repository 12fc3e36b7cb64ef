#include "plan_json.hpp"

#include <algorithm>
#include <set>
#include <string>

#include "json_values.hpp"
#include "plan_training.hpp"
#include "site_json.hpp"

namespace perwatt::cli {

namespace {

Json money_or_null(const std::optional<UsdPerSecond>& value) {
  return value ? Json(in_usd_per_hour(*value)) : Json(nullptr);
}

/// Joules per output token at one boundary; null with a reason beside it when nothing is served.
Json joules(Watts power, TokensPerSecond output) {
  return output > TokensPerSecond{} ? Json(in_joules_per_token(power / output)) : Json(nullptr);
}

Json per_megawatt(TokensPerSecond output, Watts power) {
  return power > Watts{} ? Json(in_tokens_per_second(output) / in_megawatts(power)) : Json(nullptr);
}

void add_totals(const SolvedSite& solved, Json& json) {
  const auto& totals = solved.plan->totals;
  json["meter_power_watts"] = {{"mean", in_watts(totals.meter)},
                               {"mean_low", in_watts(totals.meter_low)},
                               {"mean_high", in_watts(totals.meter_high)},
                               {"peak", in_watts(totals.meter_peak)},
                               {"peak_basis", "what the policy reserves, in the warmest hour"}};
  json["provisioned_power_watts"] = in_watts(totals.provisioned);
  json["it_power_watts"] = in_watts(totals.it);
  json["gpu_power_watts"] = in_watts(totals.gpu);
  json["tokens_per_s"] = {
      {"input", base_or_null(totals.input)},
      {"output", in_tokens_per_second(totals.output)},
      {"output_low", in_tokens_per_second(totals.output_low)},
      {"output_high", in_tokens_per_second(totals.output_high)},
      {"total",
       totals.input ? Json(in_tokens_per_second(*totals.input + totals.output)) : Json(nullptr)},
      {"good", nullptr},
      {"good_reason", "measured points give medians, not the share of requests inside the SLO"}};
  if (!totals.input) {
    json["tokens_per_s"]["input_reason"] = "a chosen deployment's source gives output tokens only";
  }
  json["output_share_by_tag_ratio"] = Json::object();
  for (const auto& [tag, output] : totals.output_by_tag) {
    json["output_share_by_tag_ratio"][std::string{to_string(tag)}] =
        totals.output > TokensPerSecond{} ? Json(output / totals.output) : Json(nullptr);
  }
  json["tag"] = totals.output > TokensPerSecond{} || solved.site->training.empty()
                    ? Json(to_string(totals.tag))
                    : Json(nullptr);
  json["power_tag"] = to_string(totals.power_tag);
  json["output_tokens_per_s_per_facility_megawatt"] =
      per_megawatt(totals.output, totals.meter_beside_training());
  json["output_tokens_per_s_per_provisioned_megawatt"] =
      per_megawatt(totals.output, totals.provisioned);
  json["joules_per_output_token"] = {
      {"gpu", joules(totals.gpu_beside_training(), totals.output)},
      {"it", joules(totals.it_beside_training(), totals.output)},
      {"facility", joules(totals.meter_beside_training(), totals.output)}};
  if (totals.output <= TokensPerSecond{}) {
    json["joules_per_output_token_reason"] = "no output token is served";
  }
  if (!solved.site->training.empty()) {
    json["training_power_watts"] = {{"gpu", in_watts(totals.training_gpu)},
                                    {"it", in_watts(totals.training_it)},
                                    {"facility", in_watts(totals.training_meter)}};
    json["training_value_usd_per_hour"] = in_usd_per_hour(totals.training_value);
  }
  json["revenue_usd_per_hour"] = in_usd_per_hour(totals.revenue);
  json["energy_usd_per_hour"] = in_usd_per_hour(totals.energy_cost);
  json["capital_usd_per_hour"] = in_usd_per_hour(totals.capital_cost);
  json["profit_usd_per_hour"] = in_usd_per_hour(totals.profit());
  if (totals.capital_cost > UsdPerSecond{}) {
    json["energy_share_of_operating_cost_ratio"] =
        totals.energy_cost / (totals.energy_cost + totals.capital_cost);
  } else {
    json["energy_share_of_operating_cost_ratio"] = nullptr;
    json["energy_share_of_operating_cost_reason"] =
        "nothing is bought, and what owned racks cost is not known here";
  }
}

/// The shape of add_totals and the duals with nothing known, for a plan that is infeasible.
void add_unknown_totals(Json& json) {
  json["meter_power_watts"] = {{"mean", nullptr}, {"peak", nullptr}};
  json["provisioned_power_watts"] = nullptr;
  json["tokens_per_s"] = {{"input", nullptr},
                          {"output", nullptr},
                          {"total", nullptr},
                          {"good", nullptr},
                          {"good_reason", "infeasible"}};
  json["output_tokens_per_s_per_facility_megawatt"] = nullptr;
  json["output_tokens_per_s_per_provisioned_megawatt"] = nullptr;
  json["joules_per_output_token"] = {{"gpu", nullptr}, {"it", nullptr}, {"facility", nullptr}};
  for (const auto* key : {"revenue", "energy", "capital", "profit"}) {
    json[std::string{key} + "_usd_per_hour"] = nullptr;
  }
  json["duals"]["usd_per_hour_per_megawatt"] = {{"up", nullptr}, {"down", nullptr}};
}

Json layout_json(const inference::Layout& layout) {
  const auto number = [](const auto& value) { return value ? Json(*value) : Json(nullptr); };
  return {{"num_gpus", layout.num_gpus},
          {"prefill_gpus", number(layout.prefill_gpus)},
          {"decode_gpus", number(layout.decode_gpus)},
          {"prefill_tp", number(layout.prefill_tp)},
          {"prefill_ep", number(layout.prefill_ep)},
          {"prefill_dp_attention", number(layout.prefill_dp_attention)},
          {"decode_tp", number(layout.decode_tp)},
          {"decode_ep", number(layout.decode_ep)},
          {"decode_dp_attention", number(layout.decode_dp_attention)}};
}

/// Joules at the meter of one answer, idle share of availability included: of the measured mean
/// length where the rows tell one, of the nominal output length where the workload names one.
void add_joules_per_answer(const plan::Candidate& candidate, Json& json) {
  const auto& point = candidate.point;
  const auto& row = *point.point;
  const auto per_token = candidate.meter_per_gpu.value / candidate.mean_output_per_gpu;
  auto length = row.mean_output_tokens;
  if (length && point.other != nullptr) {
    const auto& other = point.other->mean_output_tokens;
    length =
        other ? std::optional{*length + point.share_of_other * (*other - *length)} : std::nullopt;
  }
  const auto of = [&](double count) { return in_joules_per_token(per_token) * count; };
  json["mean_output_tokens"] = length ? Json(*length) : Json(nullptr);
  json["joules_per_answer"] = length ? Json(of(*length)) : Json(nullptr);
  if (!length) {
    json["joules_per_answer_reason"] = "the source does not tell the mean length of its answers";
  }
  const auto& nominal = row.workload.osl_tokens;
  json["joules_per_nominal_answer"] = nominal ? Json(of(*nominal)) : Json(nullptr);
  if (!nominal) {
    json["joules_per_nominal_answer_reason"] = "a task has no nominal output length";
  }
}

Json deployment_json(const SolvedSite& solved, const plan::Assignment& assignment) {
  const auto& candidate = solved.set->candidates[assignment.candidate];
  const auto& rack = solved.set->racks[candidate.rack];
  const auto& point = candidate.point;
  const auto& row = *point.point;
  const double serving = assignment.gpus * solved.site->availability_ratio;
  const auto interval = inference::rate_interval(point);
  const auto output = point.output_per_gpu * serving;
  Json json{{"service", solved.site->services[candidate.service].id},
            {"model", row.model},
            {"system", rack.system->id},
            {"accelerator", row.accelerator},
            {"cooling_plant", rack.plant->id},
            {"hall", rack.stock->hall},
            {"precision", row.precision},
            {"engine", row.engine},
            {"spec_decode", row.spec_decode},
            {"serving", to_string(row.serving)},
            {"layout", layout_json(row.layout)},
            {"gpus", assignment.gpus},
            {"gpus_by_hour_class", assignment.gpus_by_hour},
            {"replicas", assignment.replicas},
            {"clock_ratio", point.clock_ratio},
            {"concurrency", point.concurrency ? Json(*point.concurrency) : Json(nullptr)},
            {"interactivity_tokens_per_s", point.interactivity.in_base()},
            {"ttft_seconds", base_or_null(point.ttft)},
            {"ttft_known", candidate.ttft_known},
            {"output_tokens_per_s_per_gpu", point.output_per_gpu.in_base()},
            {"total_tokens_per_s_per_gpu", base_or_null(point.total_per_gpu)},
            {"output_tokens_per_s", output.in_base()},
            {"output_tokens_per_s_low", output.in_base() * interval.low_factor},
            {"output_tokens_per_s_high", output.in_base() * interval.high_factor},
            {"tag", to_string(point.tag)},
            {"gpu_power_watts", in_watts(candidate.gpu_power.mean)},
            {"gpu_power_low_watts", in_watts(candidate.gpu_power.low)},
            {"gpu_power_high_watts", in_watts(candidate.gpu_power.high)},
            {"gpu_power_tag", to_string(candidate.gpu_power.tag)},
            {"gpu_power_basis", candidate.gpu_power.basis},
            {"gpu_cap_watts", in_watts(rack.gpu_cap)},
            {"it_power_watts_per_gpu", in_watts(candidate.it_per_gpu.value)},
            {"mean_facility_power_watts_per_gpu", in_watts(candidate.meter_per_gpu.value)},
            {"margin_usd_per_hour_per_gpu", in_usd_per_hour(candidate.margin_per_gpu)},
            {"date", row.date.empty() ? Json(nullptr) : Json(row.date)},
            {"source", row.source},
            {"url", row.url.empty() ? Json(nullptr) : Json(row.url)},
            {"read_at", row.read_at}};
  add_joules_per_answer(candidate, json);
  if (point.other != nullptr) {
    json["interpolated_with"] = point.other->read_at;
  }
  return json;
}

Json services_json(const SolvedSite& solved) {
  Json services = Json::array();
  for (std::size_t s = 0; s < solved.site->services.size(); ++s) {
    const auto& service = solved.site->services[s];
    const auto& excluded = solved.set->excluded[s];
    const bool optimal = solved.plan->status == plan::PlanStatus::optimal;
    const auto served = optimal ? solved.plan->served[s] : TokensPerSecond{};
    Json json{
        {"id", service.id},
        {"model", service.model},
        {"workload", to_string(service.workload)},
        {"demand_output_tokens_per_s", service.demand_output.in_base()},
        {"served_output_tokens_per_s", served.in_base()},
        {"served_ratio", service.demand_output > TokensPerSecond{}
                             ? Json(served / service.demand_output)
                             : Json(nullptr)},
        {"price_usd_per_million_output_tokens", in_usd_per_million_tokens(service.output_price)},
        {"price_usd_per_million_input_tokens", in_usd_per_million_tokens(service.input_price)},
        {"price_usd_per_it_kwh", service.it_energy_price > UsdPerJoule{}
                                     ? Json(in_usd_per_kwh(service.it_energy_price))
                                     : Json(nullptr)},
        {"price_source", service.price_source},
        {"candidates", std::count_if(solved.set->candidates.begin(), solved.set->candidates.end(),
                                     [&](const auto& c) { return c.service == s; })},
        {"excluded_unknown_ttft", excluded.unknown_ttft},
        {"excluded_unknown_power", excluded.unknown_power},
        {"excluded_unknown_input_rate", excluded.unknown_input_rate},
        {"excluded_above_cap", excluded.above_cap},
        {"excluded_too_large", excluded.too_large}};
    json["unmodelled"] = Json::array();
    for (const auto& [model, accelerator, reason] : solved.set->unmodelled[s]) {
      json["unmodelled"].push_back(
          {{"model", model}, {"accelerator", accelerator}, {"reason", reason}});
    }
    const auto& unserved = solved.plan->unserved[s];
    json["unserved_reason"] = unserved ? Json(unserved->limit + " is " + unserved->present +
                                              "; it would need " + unserved->needed)
                                       : Json(nullptr);
    services.push_back(std::move(json));
  }
  return services;
}

/// Published and bottom-up cost of one GPU of a rack kind, side by side.
Json gpu_cost_json(const SolvedSite& solved, const catalog::Catalog& catalog,
                   const plan::RackKind& rack) {
  const auto& accelerator = rack.system->accelerator;
  Json json;
  for (const auto& table : catalog.price_tables()) {
    if (const auto price =
            facility::published_price_per_gpu(table, accelerator, solved.site->price_basis)) {
      json["published_usd_per_hour"][table.id] = in_usd_per_hour(*price);
    }
  }
  const double gpus = rack.system->gpus_per_node;
  const facility::ItPower provisioned{rack.chain.provisioned_node().it_total().value / gpus};
  const facility::MeterPower at_cap{rack.chain.it_per_gpu(rack.gpu_cap).value *
                                    solved.set->halls[rack.hall].meter_over_it};
  const auto cost = facility::bottom_up_cost_per_gpu(*rack.system, catalog.finance(), provisioned,
                                                     at_cap, solved.site->energy_price);
  if (!cost) {
    json["bottom_up_usd_per_hour"] = nullptr;
    json["bottom_up_reason"] = "the catalog has no purchase price of this system";
    return json;
  }
  json["bottom_up_usd_per_hour"] = {{"servers", in_usd_per_hour(cost->servers)},
                                    {"facility", in_usd_per_hour(cost->facility)},
                                    {"maintenance", in_usd_per_hour(cost->maintenance)},
                                    {"energy_at_cap", in_usd_per_hour(cost->energy)},
                                    {"total", in_usd_per_hour(cost->total())}};
  return json;
}

Json racks_json(const SolvedSite& solved, const catalog::Catalog& catalog) {
  Json racks = Json::array();
  for (std::size_t k = 0; k < solved.set->racks.size(); ++k) {
    const auto& rack = solved.set->racks[k];
    const auto& use = solved.plan->racks[k];
    racks.push_back(
        {{"system", rack.system->id},
         {"cooling_plant", rack.plant->id},
         {"hall", rack.stock->hall},
         {"owned", rack.stock->owned},
         {"max_buy", rack.stock->max_buy},
         {"powered", use.powered},
         {"bought", use.bought},
         {"gpus_per_rack", rack.gpus_per_rack},
         {"serving_gpus", use.serving_gpus},
         {"idle_gpus", use.idle_gpus},
         {"idle_gpu_power_watts", in_watts(rack.idle_gpu)},
         {"idle_gpu_power_tag", to_string(rack.idle_tag)},
         {"provisioned_power_watts_per_rack", in_watts(rack.provisioned_per_rack.value)},
         {"capital_usd_per_hour_per_gpu", money_or_null(rack.capital_per_gpu)},
         {"power_chain_tag", to_string(rack.system->chain_tag)},
         {"cost_per_gpu", gpu_cost_json(solved, catalog, rack)}});
    if (!solved.site->training.empty()) {
      racks.back()["training_gpus"] = use.training_gpus;
    }
  }
  return racks;
}

Json flow_json(const SolvedSite& solved) {
  const auto& flow = solved.plan->flow;
  Json json{{"distribution_watts", in_watts(flow.distribution)},
            {"cooling_watts", in_watts(flow.cooling)},
            {"other_loads_watts", in_watts(flow.other_loads)},
            {"network_watts", in_watts(flow.network)},
            {"conversion_watts", in_watts(flow.conversion)},
            {"fans_watts", in_watts(flow.fans)},
            {"host_watts", in_watts(flow.host)},
            {"idle_gpu_watts", in_watts(flow.idle_gpu)}};
  for (std::size_t s = 0; s < solved.site->services.size(); ++s) {
    json["gpu_watts"][solved.site->services[s].id] = in_watts(flow.service_gpu[s]);
  }
  for (std::size_t j = 0; j < solved.site->training.size(); ++j) {
    json["training_gpu_watts"][solved.site->training[j].id] = in_watts(flow.training_gpu[j]);
  }
  return json;
}

Json duals_json(const SolvedSite& solved) {
  const auto& duals = solved.plan->duals;
  Json json{{"usd_per_hour_per_megawatt",
             {{"up", money_or_null(duals.per_megawatt_up)},
              {"down", money_or_null(duals.per_megawatt_down)}}},
            {"usd_per_hour_per_megawatt_basis",
             "profit of the relaxation with one MW more or less at the meter, net of energy cost; "
             "null: infeasible with one MW less"}};
  for (std::size_t k = 0; k < duals.per_rack.size(); ++k) {
    const auto& rack = solved.set->racks[k];
    json["usd_per_hour_per_owned_rack"].push_back({{"system", rack.system->id},
                                                   {"cooling_plant", rack.plant->id},
                                                   {"up", money_or_null(duals.per_rack[k])}});
  }
  return json;
}

Json power_curves_json(const SolvedSite& solved) {
  Json curves = Json::array();
  for (std::size_t s = 0; s < solved.site->services.size(); ++s) {
    for (std::size_t k = 0; k < solved.set->racks.size(); ++k) {
      const auto curve = plan::power_curve(*solved.set, s, k);
      if (!curve) {
        continue;
      }
      Json json{{"service", solved.site->services[s].id},
                {"system", solved.set->racks[k].system->id},
                {"cooling_plant", solved.set->racks[k].plant->id}};
      for (const auto& point : curve->points()) {
        json["points"].push_back({{"mean_facility_power_watts_per_gpu", in_watts(point.power)},
                                  {"mean_output_tokens_per_s_per_gpu", point.value.in_base()}});
      }
      curves.push_back(std::move(json));
    }
  }
  return curves;
}

/// Ids of all sources the answer rests on, with what is known of them.
Json sources_json(const SolvedSite& solved, const catalog::Catalog& catalog) {
  std::set<std::string> ids;
  std::set<std::string> point_sources;
  const auto take_figures = [&](const catalog::Entry& entry) {
    for (const auto& figure : entry.figures) {
      ids.insert(figure.figure.source);
    }
  };
  for (const auto& rack : solved.set->racks) {
    take_figures(*rack.system);
    take_figures(*rack.plant);
    take_figures(catalog.accelerator(rack.system->accelerator, ""));
  }
  ids.insert(catalog.price_table(solved.site->price_table, "").source);
  for (const auto& service : solved.site->services) {
    take_figures(catalog.model(service.model, ""));
    if (service.price_source != "site file") {
      ids.insert(service.price_source);
    }
  }
  for (const auto& assignment : solved.plan->assignments) {
    point_sources.insert(solved.set->candidates[assignment.candidate].point.point->source);
  }
  Json sources = Json::array();
  for (const auto& source : point_sources) {
    sources.push_back({{"id", source}, {"kind", "measured points"}});
  }
  for (const auto& id : ids) {
    const auto& source = catalog.source(id);
    sources.push_back({{"id", id},
                       {"kind", "catalog"},
                       {"title", source.title},
                       {"publisher", source.publisher},
                       {"date", source.date},
                       {"url", source.url.empty() ? Json(nullptr) : Json(source.url)}});
  }
  return sources;
}

Json assumptions_json(const SolvedSite& solved) {
  Json list = Json::array();
  if (solved.site->availability_is_assumed) {
    list.push_back("availability_ratio is not given: 1 is taken, no GPU is ever down");
  }
  list.push_back("owned racks are paid for: capital counts bought racks only");
  list.push_back(
      "capital of a bought GPU is the published all-in hourly price less the energy inside it");
  list.push_back("a deployment smaller than its scale-up domain may share the rack with others");
  list.push_back("taxes are left out");
  return list;
}

Json baseline_json(const SolvedSite& solved, const SolvedSite& baseline) {
  Json json{{"site", baseline.site->name}, {"file", baseline.site->file}};
  const bool optimal = baseline.plan->status == plan::PlanStatus::optimal;
  json["status"] = optimal ? "optimal" : "infeasible";
  if (!optimal) {
    json["infeasible_because"] = baseline.plan->infeasible_because;
    return json;
  }
  add_totals(baseline, json);
  const auto& now = solved.plan->totals;
  const auto& then = baseline.plan->totals;
  json["gain"] = {
      {"output_tokens_per_s_ratio",
       then.output > TokensPerSecond{} ? Json(now.output / then.output) : Json(nullptr)},
      {"output_tokens_per_joule_ratio",
       then.output > TokensPerSecond{} && now.meter_beside_training() > Watts{}
           ? Json((now.output / then.output) /
                  (now.meter_beside_training() / then.meter_beside_training()))
           : Json(nullptr)},
      {"profit_usd_per_hour", in_usd_per_hour(now.profit() - then.profit())}};
  return json;
}

void add_training(const SolvedSite& solved, Json& json) {
  if (!solved.site->training.empty()) {
    json["training"] = training_json(solved);
  }
}

}  // namespace

Json plan_json(const SolvedSite& solved, const catalog::Catalog& catalog,
               const std::optional<SolvedSite>& baseline) {
  const auto& site = *solved.site;
  const auto& plan = *solved.plan;
  const bool optimal = plan.status == plan::PlanStatus::optimal;
  Json json{{"site", site.name},
            {"status", optimal ? "optimal" : "infeasible"},
            {"envelope_watts", in_watts(site.envelope)},
            {"price_table", site.price_table},
            {"price_basis", to_string(site.price_basis)},
            {"energy_usd_per_kwh", in_usd_per_kwh(site.energy_price)},
            {"availability_ratio", site.availability_ratio}};
  if (!optimal) {
    json["infeasible_because"] = plan.infeasible_because;
    json["remedies"] = Json::array();
    for (const auto& remedy : plan.remedies) {
      json["remedies"].push_back({{"limit", remedy.limit},
                                  {"present", remedy.present},
                                  {"needed", remedy.needed},
                                  {"relative_change_ratio", remedy.relative_change}});
    }
    add_unknown_totals(json);
    add_provisioning(solved, json);
    json["services"] = services_json(solved);
    json["deployments"] = Json::array();
    add_training(solved, json);
    json["sources"] = sources_json(solved, catalog);
    return json;
  }
  add_totals(solved, json);
  json["relaxed_profit_usd_per_hour"] = in_usd_per_hour(plan.relaxed_profit);
  json["whole_rack_gap_ratio"] = plan.rack_gap_ratio;
  json["proven_gap_ratio"] = plan.proven_gap_ratio;
  json["services"] = services_json(solved);
  json["deployments"] = Json::array();
  for (const auto& assignment : plan.assignments) {
    json["deployments"].push_back(deployment_json(solved, assignment));
  }
  add_training(solved, json);
  json["racks"] = racks_json(solved, catalog);
  add_site_use(solved, json);
  json["power_flow"] = flow_json(solved);
  json["duals"] = duals_json(solved);
  json["power_curves"] = power_curves_json(solved);
  if (baseline) {
    json["baseline"] = baseline_json(solved, *baseline);
  }
  json["assumptions"] = assumptions_json(solved);
  json["sources"] = sources_json(solved, catalog);
  return json;
}

}  // namespace perwatt::cli
