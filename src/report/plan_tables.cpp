#include "plan_tables.hpp"

#include <algorithm>
#include <utility>

#include "charts.hpp"
#include "layout_text.hpp"
#include "text.hpp"
#include <fmt/format.h>

namespace perwatt::report {

namespace {

std::string range_text(double low, double high, int digits = 3) {
  return significant(low, digits) + " to " + significant(high, digits);
}

std::string change_text(const Figure& now, const Figure& then) {
  if (!now.value || !then.value || *then.value <= 0) {
    return "";
  }
  const double change = *now.value / *then.value - 1;
  return (change >= 0 ? "+" : "") + percent_text(change, 3);
}

Table remedies_table(const plan::Plan& plan) {
  Table table{"remedies",
              "What would make it feasible",
              "The smallest change first; each alone unless the reason says otherwise.",
              {{"limit"}, {"now", kRight}, {"needed", kRight}, {"change", kRight}},
              {}};
  for (const auto& remedy : plan.remedies) {
    table.add(
        {remedy.limit, remedy.present, remedy.needed, percent_text(remedy.relative_change, 3)});
  }
  return table;
}

std::string slo_text(const inference::Slo& slo) {
  auto text = significant(slo.min_interactivity.in_base()) + " tok/s per user";
  if (slo.max_ttft) {
    text += ", TTFT " + significant(in_seconds(*slo.max_ttft), 3) + " s";
  }
  return text;
}

std::string reach_text(const plan::ServiceReach& reach) {
  if (!reach.has_deployment) {
    return "no measured deployment on the site's accelerators";
  }
  std::string text;
  if (reach.best_interactivity) {
    text = significant(reach.best_interactivity->in_base()) + " tok/s per user";
  }
  if (reach.best_ttft) {
    text +=
        (text.empty() ? "TTFT " : ", TTFT ") + significant(in_seconds(*reach.best_ttft), 3) + " s";
  }
  return text;
}

Table services_table(const plan::SolvedSite& solved) {
  const bool optimal = solved.plan->status == plan::PlanStatus::optimal;
  Table table{
      "services",
      "Services",
      "Candidates are deployments at a load that are inside the SLO. Left out: measured rows "
      "inside the SLO but without TTFT, power or input rate, or larger than the racks.",
      {{"service"},
       {"model"},
       {"workload, tokens in/out"},
       {"SLO", kProse},
       {"demand, output tok/s", kRight},
       {"committed", kRight},
       {"served, output tok/s", kRight},
       {"served", kRight},
       {"candidates", kRight},
       {"left out: TTFT / power / input / size", kRight}},
      {}};
  if (!optimal) {
    table.columns.push_back({"best reach of the racks", kProse});
  }
  for (std::size_t s = 0; s < solved.site->services.size(); ++s) {
    const auto& service = solved.site->services[s];
    const auto& excluded = solved.set->excluded[s];
    const auto served = optimal ? solved.plan->served[s] : TokensPerSecond{};
    const auto candidates =
        std::count_if(solved.set->candidates.begin(), solved.set->candidates.end(),
                      [&](const auto& candidate) { return candidate.service == s; });
    std::vector<Cell> cells{
        service.id,
        service.model,
        to_string(service.workload),
        slo_text(service.slo),
        significant(service.demand_output.in_base(), 5),
        service.committed_output ? significant(service.committed_output->in_base(), 5) : "",
        optimal ? significant(served.in_base(), 5) : "no plan",
        optimal && service.demand_output > TokensPerSecond{}
            ? percent_text(served / service.demand_output)
            : "",
        std::to_string(candidates),
        fmt::format("{} / {} / {} / {}", excluded.unknown_ttft, excluded.unknown_power,
                    excluded.unknown_input_rate, excluded.too_large)};
    if (!optimal) {
      cells.emplace_back(reach_text(solved.set->reach[s]));
    }
    table.add(std::move(cells));
  }
  return table;
}

Table configuration_table(const plan::SolvedSite& solved) {
  Table table{"deployments",
              "Deployments: what runs where",
              "A replica is one whole deployment; a fraction runs part of the time.",
              {{"no.", kRight},
               {"service"},
               {"system"},
               {"precision, engine, speculation, serving", kProse},
               {"layout", kProse},
               {"GPUs", kRight},
               {"replicas", kRight},
               {"concurrency", kRight},
               {"date of the run"},
               {"source", kProse}},
              {}};
  for (std::size_t a = 0; a < solved.plan->assignments.size(); ++a) {
    const auto& assignment = solved.plan->assignments[a];
    const auto& candidate = solved.set->candidates[assignment.candidate];
    const auto& row = *candidate.point.point;
    table.add({deployment_number(a), solved.site->services[candidate.service].id,
               solved.set->racks[candidate.rack].system->id, configuration_text(row),
               layout_text(row.layout), significant(assignment.gpus, 6),
               significant(assignment.replicas, 4),
               candidate.point.concurrency ? significant(*candidate.point.concurrency) : "unknown",
               row.date.empty() ? "unknown" : row.date, Cell{row.source, row.url}});
  }
  return table;
}

Table rates_table(const plan::SolvedSite& solved) {
  Table table{
      "deployment-rates",
      "Deployments: rates",
      "Per GPU while serving, over all GPUs of the deployment. Output tok/s and margin are time "
      "averages, idle share of availability included.",
      {{"no.", kRight},
       {"service"},
       {"system"},
       {"tok/s per user", kRight},
       {"TTFT s, median", kRight},
       {"total tok/s per GPU", kRight},
       {"output tok/s per GPU", kRight},
       {"output tok/s", kRight},
       {"90 % interval", kRight},
       {"tag"},
       {"margin USD/h per GPU", kRight}},
      {}};
  for (std::size_t a = 0; a < solved.plan->assignments.size(); ++a) {
    const auto& assignment = solved.plan->assignments[a];
    const auto& candidate = solved.set->candidates[assignment.candidate];
    const auto& point = candidate.point;
    const auto figures = deployment_figures(solved, assignment);
    table.add({deployment_number(a), solved.site->services[candidate.service].id,
               solved.set->racks[candidate.rack].system->id,
               significant(point.interactivity.in_base(), 3),
               point.ttft ? significant(in_seconds(*point.ttft), 3) : "unknown",
               point.total_per_gpu ? significant(point.total_per_gpu->in_base(), 4) : "unknown",
               significant(point.output_per_gpu.in_base(), 4),
               significant(figures.output.in_base(), 5),
               range_text(figures.output_low.in_base(), figures.output_high.in_base()),
               std::string{to_string(point.tag)},
               significant(in_usd_per_hour(candidate.margin_per_gpu), 4)});
  }
  return table;
}

Table power_table(const plan::SolvedSite& solved) {
  Table table{"deployment-power",
              "Deployments: power",
              "GPU and IT: mean while serving. Facility: time average at the meter, idle share of "
              "availability included. The cap is the board's limit, not its draw.",
              {{"no.", kRight},
               {"GPU W, mean", kRight},
               {"90 % interval", kRight},
               {"tag"},
               {"GPU W, cap", kRight},
               {"IT W per GPU", kRight},
               {"facility W per GPU", kRight},
               {"facility J per output token", kRight},
               {"GPU W rests on", kProse}},
              {}};
  for (std::size_t a = 0; a < solved.plan->assignments.size(); ++a) {
    const auto& assignment = solved.plan->assignments[a];
    const auto& candidate = solved.set->candidates[assignment.candidate];
    const auto& power = candidate.gpu_power;
    const auto figures = deployment_figures(solved, assignment);
    table.add({deployment_number(a), significant(in_watts(power.mean), 4),
               range_text(in_watts(power.low), in_watts(power.high), 4),
               std::string{to_string(power.tag)},
               significant(in_watts(solved.set->racks[candidate.rack].chain.tdp()), 4),
               significant(in_watts(candidate.it_per_gpu.value), 4),
               significant(in_watts(candidate.meter_per_gpu.value), 4),
               significant(in_joules_per_token(figures.facility_per_output), 3), power.basis});
  }
  return table;
}

Table racks_table(const plan::SolvedSite& solved) {
  Table table{"racks",
              "Racks",
              "Provisioned: what the policy reserves at the meter, every GPU at its cap.",
              {{"system"},
               {"cooling"},
               {"owned", kRight},
               {"may buy", kRight},
               {"bought", kRight},
               {"powered", kRight},
               {"GPUs per rack", kRight},
               {"GPUs serving", kRight},
               {"GPUs idle", kRight},
               {"idle GPU W", kRight},
               {"tag, idle"},
               {"provisioned kW per rack", kRight},
               {"capital USD/h per GPU", kRight}},
              {}};
  const bool trains = !solved.site->training.empty();
  if (trains) {
    table.columns.push_back({"GPUs training", kRight});
  }
  for (std::size_t k = 0; k < solved.set->racks.size(); ++k) {
    const auto& rack = solved.set->racks[k];
    const auto& use = solved.plan->racks[k];
    std::vector<Cell> cells{
        rack.system->id,
        rack.plant->id,
        std::to_string(rack.stock->owned),
        std::to_string(rack.stock->max_buy),
        significant(use.bought, 7),
        significant(use.powered, 7),
        std::to_string(rack.gpus_per_rack),
        significant(use.serving_gpus, 7),
        significant(use.idle_gpus, 7),
        significant(in_watts(rack.idle_gpu), 4),
        std::string{to_string(rack.idle_tag)},
        significant(in_kilowatts(rack.provisioned_per_rack.value), 4),
        rack.capital_per_gpu ? significant(in_usd_per_hour(*rack.capital_per_gpu), 4) : "unknown"};
    if (trains) {
      cells.emplace_back(significant(use.training_gpus, 7));
    }
    table.add(std::move(cells));
  }
  return table;
}

}  // namespace

Table headline_table(const PlanReport& report) {
  const auto now = headline_figures(report.solved, *report.catalog);
  const bool compared =
      report.baseline && report.baseline->plan->status == plan::PlanStatus::optimal;
  const auto then =
      compared ? headline_figures(*report.baseline, *report.catalog) : std::vector<Figure>{};
  Table table{"headline",
              "Headline figures",
              "Time averages of the whole site. Intervals hold 90 % of repeats of the same "
              "configuration and power; where rates and power both enter, they are combined as "
              "independent. The tag is the weakest evidence a figure rests on.",
              {{"figure", kProse}, {"unit"}, {"plan", kRight}, {"90 % interval", kRight}, {"tag"}},
              {}};
  if (compared) {
    table.columns.insert(table.columns.end(), {{"baseline", kRight}, {"change", kRight}});
  }
  table.columns.push_back({"remark", kProse});
  std::string group;
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (now[i].group != group) {
      group = now[i].group;
      table.add_heading(group);
    }
    std::vector<Cell> cells{now[i].name, now[i].unit, value_text(now[i]), interval_text(now[i]),
                            now[i].tag};
    if (compared) {
      cells.emplace_back(value_text(then[i]));
      cells.emplace_back(change_text(now[i], then[i]));
    }
    cells.emplace_back(now[i].remark);
    table.add(std::move(cells));
  }
  return table;
}

std::vector<Table> deployment_tables(const plan::SolvedSite& solved) {
  return {services_table(solved), configuration_table(solved), rates_table(solved),
          power_table(solved), racks_table(solved)};
}

Table duals_table(const plan::SolvedSite& solved) {
  Table table{
      "duals",
      "What one more is worth",
      "Profit gained by the relaxation (racks not whole) when it is re-solved with one more "
      "or one less, net of energy and capital.",
      {{"step"}, {"USD/h", kRight}},
      {}};
  const auto text = [](const std::optional<UsdPerSecond>& value) {
    return value ? significant(in_usd_per_hour(*value), 4) : std::string{"infeasible"};
  };
  const auto& duals = solved.plan->duals;
  table.add({"+1 MW at the meter", text(duals.per_megawatt_up)});
  table.add({"-1 MW at the meter (cost)", text(duals.per_megawatt_down)});
  for (std::size_t k = 0; k < duals.per_rack.size(); ++k) {
    const auto& rack = solved.set->racks[k];
    table.add({"+1 owned rack of " + rack.system->id + ", cooled by " + rack.plant->id,
               text(duals.per_rack[k])});
  }
  return table;
}

Table flow_table(const plan::SolvedSite& solved) {
  const auto& flow = solved.plan->flow;
  const auto& totals = solved.plan->totals;
  Table table{"power-flow",
              "Power flow",
              "Mean power; the parts sum to the power at the meter.",
              {{"part"}, {"MW", kRight}, {"share of the meter", kRight}},
              {}};
  const auto add = [&](std::string name, Watts power) {
    table.add({std::move(name), significant(in_megawatts(power), 4),
               totals.meter > Watts{} ? percent_text(power / totals.meter) : ""});
  };
  add("meter", totals.meter);
  add("distribution loss", flow.distribution);
  add("cooling", flow.cooling);
  add("other loads, IT", flow.other_loads);
  add("network", flow.network);
  add("conversion loss", flow.conversion);
  add("fans", flow.fans);
  add("host", flow.host);
  add("idle GPU boards", flow.idle_gpu);
  for (std::size_t s = 0; s < flow.service_gpu.size(); ++s) {
    add("GPU boards of " + solved.site->services[s].id, flow.service_gpu[s]);
  }
  for (std::size_t j = 0; j < flow.training_gpu.size(); ++j) {
    add("GPU boards of training " + solved.site->training[j].id, flow.training_gpu[j]);
  }
  return table;
}

std::vector<Table> infeasible_tables(const plan::SolvedSite& solved) {
  std::vector<Table> tables;
  if (!solved.plan->remedies.empty()) {
    tables.push_back(remedies_table(*solved.plan));
  }
  tables.push_back(services_table(solved));
  return tables;
}

}  // namespace perwatt::report
