#include "site_json.hpp"

#include <string>

#include "json_values.hpp"

namespace perwatt::cli {

namespace {

constexpr double kLitresPerCubicMetre = 1000;

Json hours_json(const plan::SolvedSite& solved) {
  Json classes = Json::array();
  for (std::size_t h = 0; h < solved.site->year.size(); ++h) {
    const auto& hour = solved.site->year[h];
    const auto& use = solved.plan->hours[h];
    classes.push_back(
        {{"name", hour.name},
         {"hours_per_year", hour.year_ratio * kHoursPerYear},
         {"energy_usd_per_kwh", in_usd_per_kwh(hour.energy_price)},
         {"carbon_grams_per_kwh",
          hour.carbon_grams_per_kwh ? Json(*hour.carbon_grams_per_kwh) : Json(nullptr)},
         {"demand_ratio", hour.demand_ratio},
         {"output_tokens_per_s", in_tokens_per_second(use.output)},
         {"it_power_watts", in_watts(use.it)},
         {"meter_power_watts", in_watts(use.meter)},
         {"reserved_power_watts", in_watts(use.reserved)},
         {"headroom_watts",
          in_watts(solved.site->envelope + firm_supply(*solved.site) - use.reserved)},
         {"supplied_power_watts", in_watts(use.supplied)},
         {"pue_ratio", use.it > Watts{} ? Json(use.meter / use.it) : Json(nullptr)},
         {"energy_usd_per_hour", in_usd_per_hour(use.energy_cost)}});
  }
  return classes;
}

Json halls_json(const plan::SolvedSite& solved) {
  Json halls = Json::array();
  for (std::size_t p = 0; p < solved.set->halls.size(); ++p) {
    const auto& kind = solved.set->halls[p];
    const auto& hall = *kind.hall;
    const auto& use = solved.plan->halls[p];
    const auto& power = use.power;
    const auto supply = kind.plant.supply();
    halls.push_back(
        {{"id", hall.id},
         {"cooling_plant", hall.cooling_plant},
         {"supply_temperature_c", supply ? Json(in_celsius(*supply)) : Json(nullptr)},
         {"racks", use.racks},
         {"positions", hall.positions ? Json(*hall.positions) : Json(nullptr)},
         {"retrofitted_positions", use.retrofitted_positions},
         {"design_it_power_watts", in_watts(use.design_it)},
         {"reserved_it_power_watts", in_watts(use.reserved_it)},
         {"usable_ratio", kind.usable_ratio},
         {"gpu_power_leakage_ratio", kind.leakage_ratio},
         {"it_power_watts", in_watts(power.it)},
         {"meter_power_watts", in_watts(power.total().value)},
         {"worst_hour_meter_power_watts", in_watts(use.worst_meter)},
         {"pue_ratio", power.it > Watts{} ? Json(power.total().value / power.it) : Json(nullptr)},
         {"fans_watts", in_watts(power.fans)},
         {"pumps_watts", in_watts(power.pumps)},
         {"chiller_watts", in_watts(power.chiller)},
         {"other_cooling_watts", in_watts(power.other)},
         {"ups_watts", in_watts(power.ups)},
         {"transformer_watts", in_watts(power.transformer)},
         {"busway_watts", in_watts(power.busway)},
         {"water_cubic_metres_per_hour",
          power.water_litres_per_second * kSecondsPerHour / kLitresPerCubicMetre}});
  }
  return halls;
}

/// What faults, restarts and checkpoints cost: the share of time in which assigned GPUs do not
/// serve.
Json unavailable_json(const plan::SolvedSite& solved) {
  const double lost = 1.0 - solved.site->availability_ratio;
  Watts meter;
  TokensPerSecond output;
  for (const auto& assignment : solved.plan->assignments) {
    const auto& candidate = solved.set->candidates[assignment.candidate];
    const auto& rack = solved.set->racks[candidate.rack];
    meter += rack.idle_it_per_gpu.value *
             (assignment.gpus * lost * solved.set->halls[rack.hall].meter_over_it);
    output += candidate.point.output_per_gpu * (assignment.gpus * lost);
  }
  return {{"time_ratio", lost},
          {"meter_power_watts", in_watts(meter)},
          {"output_tokens_per_s_not_served", in_tokens_per_second(output)},
          {"joules_per_output_token",
           solved.plan->totals.output > TokensPerSecond{}
               ? Json(in_joules_per_token(meter / solved.plan->totals.output))
               : Json(nullptr)}};
}

}  // namespace

void add_provisioning(const plan::SolvedSite& solved, Json& json) {
  const auto& provisioning = solved.site->provisioning;
  const bool managed = provisioning.policy == plan::ProvisioningPolicy::managed;
  Json item{{"policy", to_string(provisioning.policy)},
            {"gpu_cap_ratio", provisioning.gpu_cap_ratio},
            {"excursion_probability",
             managed ? Json(provisioning.excursion_probability) : Json(nullptr)}};
  const auto& check = solved.plan->excursion;
  item["samples_effective"] = check ? Json(check->samples_effective) : Json(nullptr);
  item["out_of_sample_excursion_ratio"] = check ? Json(check->out_of_sample_ratio) : Json(nullptr);
  if (check) {
    item["node_correlation"] = provisioning.correlation.node_correlation;
    item["service_correlation"] = provisioning.correlation.service_correlation;
    item["expected_excess_watts"] = in_watts(check->expected_excess);
    item["throttled_output_tokens_per_s"] = in_tokens_per_second(check->throttled_output);
    item["throttled_usd_per_hour"] = in_usd_per_hour(check->throttled_revenue);
    item["tag"] = to_string(check->tag);
  } else {
    item["reason"] = !managed ? "every board is reserved at its cap: no excursion is possible"
                     : solved.plan->status == plan::PlanStatus::infeasible
                         ? "infeasible: see infeasible_because"
                         : "only training runs, and its boards are reserved at their highest draw";
  }
  json["provisioning"] = std::move(item);
}

void add_site_use(const plan::SolvedSite& solved, Json& json) {
  const auto& totals = solved.plan->totals;
  add_provisioning(solved, json);
  json["climate"] = solved.site->climate.empty() ? Json(nullptr) : Json(solved.site->climate);
  json["hour_classes"] = hours_json(solved);
  json["halls"] = halls_json(solved);
  json["unavailable"] = unavailable_json(solved);
  json["firm_supply_power_watts"] = in_watts(firm_supply(*solved.site));
  json["supplied_power_watts"] = in_watts(totals.supplied);
  json["carbon_kilograms_per_hour"] =
      totals.carbon_grams_per_second
          ? Json(*totals.carbon_grams_per_second * kSecondsPerHour / 1000)
          : Json(nullptr);
  json["water_cubic_metres_per_hour"] =
      totals.water_litres_per_second * kSecondsPerHour / kLitresPerCubicMetre;
}

void add_phases(const plan::SolvedSite& solved, std::span<const plan::Phase> phases, Json& json) {
  json["deliveries"] = Json::array();
  for (const auto& phase : phases) {
    Json item{{"after_months", phase.after_months}, {"envelope_watts", in_watts(phase.envelope)}};
    const bool optimal = phase.status == plan::PlanStatus::optimal;
    item["status"] = optimal ? "optimal" : "infeasible";
    if (!optimal) {
      item["infeasible_because"] = phase.infeasible_because;
      json["deliveries"].push_back(std::move(item));
      continue;
    }
    const auto& totals = phase.totals;
    item["output_tokens_per_s"] = in_tokens_per_second(totals.output);
    item["meter_power_watts"] = in_watts(totals.meter);
    item["provisioned_power_watts"] = in_watts(totals.provisioned);
    item["profit_usd_per_hour"] = in_usd_per_hour(totals.profit());
    for (std::size_t k = 0; k < phase.racks.size(); ++k) {
      item["racks"].push_back({{"system", solved.set->racks[k].system->id},
                               {"hall", solved.set->racks[k].stock->hall},
                               {"bought", phase.racks[k].bought},
                               {"powered", phase.racks[k].powered}});
    }
    json["deliveries"].push_back(std::move(item));
  }
}

}  // namespace perwatt::cli
