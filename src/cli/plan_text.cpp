#include "plan_text.hpp"

#include <algorithm>
#include <map>

#include "plan_training.hpp"
#include "table.hpp"
#include <fmt/format.h>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::cli {

namespace {

std::string tokens_text(TokensPerSecond rate) {
  return significant(in_tokens_per_second(rate), 5) + " tok/s";
}

std::string joules_text(Watts power, TokensPerSecond output) {
  return output > TokensPerSecond{} ? significant(in_joules_per_token(power / output), 4) + " J"
                                    : "-";
}

std::string infeasible_text(const SolvedSite& solved) {
  std::string text =
      fmt::format("{}: infeasible inside {}\n{}\n", solved.site->name,
                  power_text(solved.site->envelope), solved.plan->infeasible_because);
  if (!solved.plan->remedies.empty()) {
    text += "\nwhat would make it feasible, the smallest change first\n";
    TextTable table{{"limit", "now", "needed"}, {0, 1, 2}};
    for (const auto& remedy : solved.plan->remedies) {
      table.add({remedy.limit, remedy.present, remedy.needed});
    }
    text += table.text();
  }
  return text;
}

std::string summary_table(const SolvedSite& solved, const std::optional<SolvedSite>& baseline) {
  const bool compared = baseline && baseline->plan->status == plan::PlanStatus::optimal;
  std::vector<std::string> header{"", "plan"};
  if (compared) {
    header.emplace_back("baseline");
  }
  TextTable table{header, {0}};
  const auto add = [&](const std::string& name, const auto& figure) {
    std::vector<std::string> row{name, figure(solved)};
    if (compared) {
      row.push_back(figure(*baseline));
    }
    table.add(row);
  };
  using S = const SolvedSite&;
  add("output tokens", [](S s) { return tokens_text(s.plan->totals.output); });
  add("  90 % interval", [](S s) {
    return significant(in_tokens_per_second(s.plan->totals.output_low)) + " - " +
           significant(in_tokens_per_second(s.plan->totals.output_high));
  });
  add("input tokens", [](S s) {
    return s.plan->totals.input ? tokens_text(*s.plan->totals.input) : std::string{"unknown"};
  });
  add("meter power, mean", [](S s) { return power_text(s.plan->totals.meter); });
  add("meter power, peak", [](S s) { return power_text(s.plan->totals.meter_peak); });
  add("provisioned power", [](S s) { return power_text(s.plan->totals.provisioned); });
  add("output tok/s per provisioned MW", [](S s) {
    return significant(
        in_tokens_per_second(s.plan->totals.output) / in_megawatts(s.plan->totals.provisioned), 5);
  });
  add("output tok/s per drawn MW", [](S s) {
    const auto& totals = s.plan->totals;
    const Watts drawn = totals.meter_beside_training();
    return !s.site->training.empty() && totals.output <= TokensPerSecond{}
               ? std::string{"-"}
               : significant(in_tokens_per_second(totals.output) / in_megawatts(drawn), 5);
  });
  add("J per output token, GPU",
      [](S s) { return joules_text(s.plan->totals.gpu_beside_training(), s.plan->totals.output); });
  add("J per output token, IT",
      [](S s) { return joules_text(s.plan->totals.it_beside_training(), s.plan->totals.output); });
  add("J per output token, facility", [](S s) {
    return joules_text(s.plan->totals.meter_beside_training(), s.plan->totals.output);
  });
  add("revenue", [](S s) { return money_text(s.plan->totals.revenue); });
  if (!solved.site->training.empty()) {
    add("  of it trained tokens", [](S s) { return money_text(s.plan->totals.training_value); });
  }
  add("energy cost", [](S s) { return money_text(s.plan->totals.energy_cost); });
  add("capital cost", [](S s) { return money_text(s.plan->totals.capital_cost); });
  add("profit", [](S s) { return money_text(s.plan->totals.profit()); });
  add("energy's share of operating cost", [](S s) {
    const auto& totals = s.plan->totals;
    return totals.capital_cost > UsdPerSecond{}
               ? significant(
                     100 * (totals.energy_cost / (totals.energy_cost + totals.capital_cost)), 3) +
                     " %"
               : std::string{"unknown: no capital"};
  });
  add("output tokens by evidence", [](S s) {
    const auto& totals = s.plan->totals;
    std::string text;
    for (const auto& [tag, output] : totals.output_by_tag) {
      text += (text.empty() ? "" : ", ") + significant(100 * (output / totals.output), 3) + " % " +
              std::string{to_string(tag)};
    }
    return text.empty() ? std::string{"none"} : text;
  });
  add("tag: rates / power", [](S s) {
    const auto& totals = s.plan->totals;
    const auto rates = totals.output > TokensPerSecond{} ? totals.tag : totals.revenue_tag();
    return std::string{to_string(rates)} + " / " + std::string{to_string(s.plan->totals.power_tag)};
  });
  return table.text();
}

std::string deployments_table(const SolvedSite& solved) {
  TextTable table{{"service", "system", "deployment", "GPUs", "replicas", "tok/s/user", "TTFT s",
                   "output tok/s", "GPU W", "cap W", "J/out fac.", "tags"},
                  {0, 1, 2, 11}};
  for (const auto& assignment : solved.plan->assignments) {
    const auto& candidate = solved.set->candidates[assignment.candidate];
    const auto& rack = solved.set->racks[candidate.rack];
    const auto& point = candidate.point;
    const auto& row = *point.point;
    table.add(
        {solved.site->services[candidate.service].id, rack.system->id,
         fmt::format("{} {} {} {} x{}{}", row.precision, row.engine, row.spec_decode,
                     to_string(row.serving), row.layout.num_gpus,
                     point.clock_ratio < 1
                         ? " at " + significant(100 * point.clock_ratio, 3) + " % clock"
                         : ""),
         significant(assignment.gpus, 5), significant(assignment.replicas, 4),
         significant(in_tokens_per_second(point.interactivity), 3),
         point.ttft ? significant(in_seconds(*point.ttft), 3) : "unknown",
         significant(in_tokens_per_second(point.output_per_gpu) * assignment.gpus *
                         solved.site->availability_ratio,
                     5),
         significant(in_watts(candidate.gpu_power.mean), 3), significant(in_watts(rack.gpu_cap), 4),
         significant(in_joules_per_token(candidate.meter_per_gpu.value /
                                         (point.output_per_gpu * solved.site->availability_ratio)),
                     3),
         fmt::format("{} / {}", to_string(point.tag), to_string(candidate.gpu_power.tag))});
  }
  return table.text();
}

/// Which systems' GPU power was measured and which is an estimate.
std::string power_basis_text(const SolvedSite& solved) {
  std::map<std::string, Tag> weakest;
  for (const auto& assignment : solved.plan->assignments) {
    const auto& candidate = solved.set->candidates[assignment.candidate];
    const auto& id = solved.set->racks[candidate.rack].system->id;
    const auto at = weakest.emplace(id, candidate.gpu_power.tag).first;
    at->second = weaker(at->second, candidate.gpu_power.tag);
  }
  std::string measured;
  std::string estimated;
  for (const auto& [id, tag] : weakest) {
    auto& list = tag >= Tag::modelled ? estimated : measured;
    list += (list.empty() ? "" : ", ") + id;
  }
  std::string text;
  if (!measured.empty()) {
    text += "GPU power measured or derived from measured rows: " + measured + "\n";
  }
  if (!estimated.empty()) {
    text +=
        "GPU power estimated from measured relatives, for at least one deployment: " + estimated +
        "\n";
  }
  return text;
}

std::string racks_table(const SolvedSite& solved) {
  std::vector<std::string> header{"racks", "hall", "owned", "bought", "powered", "GPUs serving"};
  if (!solved.site->training.empty()) {
    header.emplace_back("GPUs training");
  }
  header.insert(header.end(), {"GPUs idle", "one more owned rack"});
  TextTable table{header, {0, 1}};
  for (std::size_t k = 0; k < solved.set->racks.size(); ++k) {
    const auto& rack = solved.set->racks[k];
    const auto& use = solved.plan->racks[k];
    const auto& value = solved.plan->duals.per_rack[k];
    std::vector<std::string> row{rack.system->id,
                                 rack.stock->hall,
                                 std::to_string(rack.stock->owned),
                                 significant(use.bought, 7),
                                 significant(use.powered, 7),
                                 significant(use.serving_gpus, 6)};
    if (!solved.site->training.empty()) {
      row.push_back(significant(use.training_gpus, 6));
    }
    row.insert(row.end(), {significant(use.idle_gpus, 6), value ? money_text(*value) : "-"});
    table.add(row);
  }
  return table.text();
}

std::string services_table(const SolvedSite& solved) {
  TextTable table{{"service", "model", "workload", "demand tok/s", "served tok/s", "served",
                   "without TTFT", "without power"},
                  {0, 1, 2}};
  for (std::size_t s = 0; s < solved.site->services.size(); ++s) {
    const auto& service = solved.site->services[s];
    const double demand = in_tokens_per_second(service.demand_output);
    const double served = in_tokens_per_second(solved.plan->served[s]);
    table.add({service.id, service.model, to_string(service.workload), significant(demand, 5),
               significant(served, 5),
               demand > 0 ? significant(100 * served / demand, 3) + " %" : "-",
               std::to_string(solved.set->excluded[s].unknown_ttft),
               std::to_string(solved.set->excluded[s].unknown_power)});
  }
  std::string text = table.text();
  for (std::size_t s = 0; s < solved.site->services.size(); ++s) {
    if (const auto& reason = solved.plan->unserved[s]) {
      text +=
          fmt::format("{} is not served: {} is {}; it would need {}\n", solved.site->services[s].id,
                      reason->limit, reason->present, reason->needed);
    }
  }
  return text;
}

/// Halls and hour classes where there is more to say than one constant PUE.
std::string site_text(const SolvedSite& solved) {
  const auto& site = *solved.site;
  const auto& plan = *solved.plan;
  std::string text;
  const bool physical = std::any_of(site.halls.begin(), site.halls.end(),
                                    [](const plan::Hall& hall) { return hall.curves != nullptr; });
  if (physical) {
    TextTable halls{{"hall", "plant", "supply C", "racks", "IT MW", "PUE mean", "PUE worst",
                     "fans kW", "pumps kW", "chiller kW", "UPS etc. kW", "water m3/h"},
                    {0, 1}};
    for (std::size_t p = 0; p < plan.halls.size(); ++p) {
      const auto& use = plan.halls[p];
      const auto& power = use.power;
      const auto supply = solved.set->halls[p].plant.supply();
      const auto ratio = [](Watts a, Watts b) {
        return b > Watts{} ? significant(a / b, 4) : std::string{"-"};
      };
      halls.add({solved.set->halls[p].hall->id, solved.set->halls[p].hall->cooling_plant,
                 supply ? significant(in_celsius(*supply), 3) : "-", significant(use.racks, 6),
                 significant(in_megawatts(power.it), 4), ratio(power.total().value, power.it),
                 ratio(use.worst_meter, use.reserved_it), significant(in_kilowatts(power.fans), 3),
                 significant(in_kilowatts(power.pumps), 3),
                 significant(in_kilowatts(power.chiller), 3),
                 significant(in_kilowatts(power.distribution), 3),
                 significant(power.water_litres_per_second * 3.6, 3)});
    }
    text += '\n' + halls.text();
  }
  if (site.year.size() > 1) {
    TextTable hours{{"hour class", "h/year", "USD/kWh", "demand", "output tok/s", "IT MW",
                     "meter MW", "reserved MW", "supplied MW"},
                    {0}};
    for (std::size_t h = 0; h < site.year.size(); ++h) {
      const auto& hour = site.year[h];
      const auto& use = plan.hours[h];
      hours.add({hour.name, significant(hour.year_ratio * kHoursPerYear, 4),
                 significant(in_usd_per_kwh(hour.energy_price), 3),
                 significant(100 * hour.demand_ratio, 3) + " %",
                 significant(in_tokens_per_second(use.output), 5),
                 significant(in_megawatts(use.it), 4), significant(in_megawatts(use.meter), 4),
                 significant(in_megawatts(use.reserved), 4),
                 significant(in_megawatts(use.supplied), 3)});
    }
    text += '\n' + hours.text();
  }
  if (plan.excursion) {
    const auto& check = *plan.excursion;
    text += fmt::format(
        "\nmanaged provisioning: the envelope is passed with a probability of at most {} % ({} "
        "independent samples, 95 % confidence); of scenarios not planned with {} % pass it, and "
        "throttling them costs {}\n",
        significant(100 * site.provisioning.excursion_probability, 3),
        significant(check.samples_effective, 3), significant(100 * check.out_of_sample_ratio, 3),
        money_text(check.throttled_revenue));
  }
  return text;
}

std::string duals_text(const plan::Duals& duals) {
  const auto text = [](const std::optional<UsdPerSecond>& value) {
    return value ? money_text(*value) : std::string{"unknown (infeasible)"};
  };
  return fmt::format("one more MW at the meter is worth {}, one less costs {} (net of energy)\n",
                     text(duals.per_megawatt_up), text(duals.per_megawatt_down));
}

}  // namespace

std::string plan_text(const SolvedSite& solved, const std::optional<SolvedSite>& baseline) {
  if (solved.plan->status == plan::PlanStatus::infeasible) {
    return infeasible_text(solved);
  }
  std::string text =
      fmt::format("{}: optimal inside {}, racks whole, gap to the relaxation {} %, proven {} %\n\n",
                  solved.site->name, power_text(solved.site->envelope),
                  significant(100 * solved.plan->rack_gap_ratio, 2),
                  significant(100 * solved.plan->proven_gap_ratio, 2));
  text += summary_table(solved, baseline);
  if (baseline && baseline->plan->status == plan::PlanStatus::infeasible) {
    text += "baseline: " + infeasible_text(*baseline);
  }
  text += '\n' + services_table(solved) + '\n' + deployments_table(solved) +
          power_basis_text(solved) + training_text(solved) + '\n' + racks_table(solved) +
          site_text(solved) + '\n' + duals_text(solved.plan->duals);
  return text;
}

std::string phases_text(const SolvedSite& solved, std::span<const plan::Phase> phases) {
  TextTable table{{"from month", "envelope", "racks bought", "output tok/s", "meter MW",
                   "reserved MW", "profit USD/h"},
                  {1, 2}};
  for (const auto& phase : phases) {
    if (phase.status != plan::PlanStatus::optimal) {
      table.add({shortest(phase.after_months), power_text(phase.envelope),
                 "infeasible: " + phase.infeasible_because, "", "", "", ""});
      continue;
    }
    std::string bought;
    for (std::size_t k = 0; k < phase.racks.size(); ++k) {
      if (phase.racks[k].bought > 0) {
        bought +=
            fmt::format("{}{} {}", bought.empty() ? "" : ", ",
                        significant(phase.racks[k].bought, 7), solved.set->racks[k].system->id);
      }
    }
    const auto& totals = phase.totals;
    table.add({shortest(phase.after_months), power_text(phase.envelope),
               bought.empty() ? "none" : bought,
               significant(in_tokens_per_second(totals.output), 5),
               significant(in_megawatts(totals.meter), 4),
               significant(in_megawatts(totals.provisioned), 4),
               significant(in_usd_per_hour(totals.profit()), 5)});
  }
  return table.text();
}

std::string candidates_csv(const SolvedSite& solved) {
  std::vector<double> gpus(solved.set->candidates.size(), 0);
  for (const auto& assignment : solved.plan->assignments) {
    gpus[assignment.candidate] = assignment.gpus;
  }
  std::string text = csv_line({"service",
                               "system",
                               "cooling_plant",
                               "precision",
                               "engine",
                               "spec_decode",
                               "serving",
                               "num_gpus",
                               "clock_ratio",
                               "concurrency",
                               "interactivity_tokens_per_s",
                               "ttft_seconds",
                               "total_tokens_per_s_per_gpu",
                               "output_tokens_per_s_per_gpu",
                               "tag",
                               "gpu_power_watts",
                               "gpu_power_tag",
                               "it_power_watts_per_gpu",
                               "mean_facility_power_watts_per_gpu",
                               "margin_usd_per_hour_per_gpu",
                               "gpus",
                               "reduced_cost_usd_per_hour_per_gpu",
                               "read_at"});
  for (std::size_t c = 0; c < solved.set->candidates.size(); ++c) {
    const auto& candidate = solved.set->candidates[c];
    const auto& rack = solved.set->racks[candidate.rack];
    const auto& point = candidate.point;
    const auto& row = *point.point;
    text += csv_line({solved.site->services[candidate.service].id,
                      rack.system->id,
                      rack.plant->id,
                      row.precision,
                      row.engine,
                      row.spec_decode,
                      to_string(row.serving),
                      std::to_string(row.layout.num_gpus),
                      shortest(point.clock_ratio),
                      point.concurrency ? shortest(*point.concurrency) : "",
                      shortest(point.interactivity.in_base()),
                      point.ttft ? shortest(point.ttft->in_base()) : "",
                      point.total_per_gpu ? shortest(point.total_per_gpu->in_base()) : "",
                      shortest(point.output_per_gpu.in_base()),
                      std::string{to_string(point.tag)},
                      shortest(in_watts(candidate.gpu_power.mean)),
                      std::string{to_string(candidate.gpu_power.tag)},
                      shortest(in_watts(candidate.it_per_gpu.value)),
                      shortest(in_watts(candidate.meter_per_gpu.value)),
                      shortest(in_usd_per_hour(candidate.margin_per_gpu)),
                      shortest(gpus[c]),
                      solved.plan->reduced_cost_usd_per_hour.empty()
                          ? ""
                          : shortest(solved.plan->reduced_cost_usd_per_hour[c]),
                      row.read_at});
  }
  return text;
}

}  // namespace perwatt::cli
