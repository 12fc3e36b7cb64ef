#include "provenance.hpp"

#include <map>
#include <set>
#include <utility>

#include "charts.hpp"
#include "layout_text.hpp"
#include "text.hpp"
#include <fmt/format.h>

#include "perwatt/base/text.hpp"

namespace perwatt::report {

namespace {

std::string psu_of(const catalog::System& system) {
  return std::visit([](const auto& chain) { return chain.psu_curve; }, system.chain);
}

/// The catalog entries a report rests on, each once, in the order of the site; and their sources.
class Inputs {
 public:
  explicit Inputs(const PlanReport& report) : catalog_{*report.catalog} {
    add_site(report.solved);
    if (report.baseline) {
      add_site(*report.baseline);
    }
  }

  [[nodiscard]] Table figures() {
    Table table{"catalog-figures",
                "Catalog figures",
                "Of the systems, accelerators, cooling plants and models of the site; names carry "
                "their unit.",
                {{"figure"}, {"value", kRight}, {"tag"}, {"source"}, {"note", kProse}},
                {}};
    for (const auto& [kind, entry] : entries_) {
      table.add_heading(fmt::format("{} {}: {}", kind, entry->id, entry->name));
      for (const auto& figure : entry->figures) {
        table.add({figure.name, shortest_shown(figure.figure.value),
                   std::string{to_string(figure.figure.tag)}, cite(figure.figure.source),
                   figure.figure.note});
      }
    }
    return table;
  }

  [[nodiscard]] Table prices() {
    Table table{
        "hardware-prices",
        "Hardware prices",
        "All-in USD per GPU and hour as published: servers, network, hosting and energy. The "
        "plan takes the energy inside (all-in kW at the table's electricity price) out.",
        {{"table"},
         {"basis"},
         {"accelerator"},
         {"USD/h per GPU", kRight},
         {"all-in facility kW per GPU", kRight},
         {"electricity USD/kWh", kRight},
         {"tag"},
         {"source"},
         {"electricity from"}},
        {}};
    for (const auto& [id, basis] : price_tables_) {
      const auto& prices = catalog_.price_table(id, "");
      for (const auto& accelerator : accelerators_) {
        const auto found = prices.accelerators.find(accelerator);
        const auto price = facility::published_price_per_gpu(prices, accelerator, basis);
        const bool known = found != prices.accelerators.end();
        table.add({id, std::string{to_string(basis)}, accelerator,
                   price ? significant(in_usd_per_hour(*price)) : "none in the table",
                   known && found->second.allin_facility
                       ? significant(in_kilowatts(*found->second.allin_facility))
                       : "",
                   significant(in_usd_per_kwh(prices.electricity.value)),
                   std::string{to_string(prices.tag)}, cite(prices.source),
                   cite(prices.electricity.source)});
      }
    }
    return table;
  }

  [[nodiscard]] Table supplies() {
    Table table{"power-supplies",
                "Power supply curves",
                "Efficiency over load, in per cent; straight lines between the points.",
                {{"curve"}, {"load: efficiency", kProse}, {"tag"}, {"source"}, {"note", kProse}},
                {}};
    for (const auto& id : psu_curves_) {
      const auto& curve = catalog_.psu_curve(id);
      std::vector<std::string> points;
      for (std::size_t i = 0; i < curve.load_ratio.size(); ++i) {
        points.push_back(fmt::format("{}: {}", significant(100 * curve.load_ratio[i], 3),
                                     significant(100 * curve.efficiency_ratio[i], 4)));
      }
      table.add({id, join(points, ", "), std::string{to_string(curve.tag)}, cite(curve.source),
                 curve.note});
    }
    return table;
  }

  /// Cites a token price's source where it is one of the catalog.
  Cell cite_price(const std::string& source) {
    return source == "site file" ? Cell{source} : cite(source);
  }

  /// All that were cited.
  [[nodiscard]] Table sources() const {
    Table table{"sources",
                "Sources",
                "",
                {{"id"}, {"title", kProse}, {"publisher", kProse}, {"date"}, {"licence", kProse}},
                {}};
    for (const auto& id : cited_) {
      const auto& source = catalog_.source(id);
      table.add({id, Cell{source.title, source.url}, source.publisher, source.date,
                 source.licence.empty() ? "none stated" : source.licence},
                "source-" + id);
    }
    return table;
  }

 private:
  void add_site(const plan::SolvedSite& solved) {
    for (const auto& rack : solved.set->racks) {
      const auto& accelerator = catalog_.accelerator(rack.system->accelerator, "");
      add("System", *rack.system);
      add("Accelerator", accelerator);
      add("Cooling plant", *rack.plant);
      add_once(accelerators_, accelerator.id);
      add_once(psu_curves_, psu_of(*rack.system));
    }
    for (const auto& load : solved.site->loads) {
      add("Cooling plant", catalog_.cooling_plant(load.cooling_plant, ""));
    }
    for (const auto& service : solved.site->services) {
      add("Model", catalog_.model(service.model, ""));
    }
    add_once(price_tables_, {solved.site->price_table, solved.site->price_basis});
  }

  void add(const char* kind, const catalog::Entry& entry) {
    add_once(entries_, std::pair<std::string, const catalog::Entry*>{kind, &entry});
  }

  template <class T>
  static void add_once(std::vector<T>& list, const T& item) {
    if (std::find(list.begin(), list.end(), item) == list.end()) {
      list.push_back(item);
    }
  }

  Cell cite(const std::string& source) {
    cited_.insert(source);
    return {source, "#source-" + source};
  }

  static std::string shortest_shown(double value) { return significant(value, 8); }

  const catalog::Catalog& catalog_;
  std::vector<std::pair<std::string, const catalog::Entry*>> entries_;
  std::vector<std::string> accelerators_;
  std::vector<std::string> psu_curves_;
  std::vector<std::pair<std::string, facility::PriceBasis>> price_tables_;
  std::set<std::string> cited_;
};

void add_services(const plan::Site& site, Inputs& inputs, Table& table) {
  for (const auto& service : site.services) {
    const auto name = "service " + service.id + ": ";
    table.add({name + "demand", significant(service.demand_output.in_base(), 8), "output tok/s",
               "site file"});
    if (service.it_energy_price > UsdPerJoule{}) {
      table.add({name + "price of IT energy", significant(in_usd_per_kwh(service.it_energy_price)),
                 "USD per kWh", "site file"});
      continue;
    }
    table.add({name + "price of output tokens",
               significant(in_usd_per_million_tokens(service.output_price)), "USD per million",
               inputs.cite_price(service.price_source)});
    table.add({name + "price of input tokens",
               significant(in_usd_per_million_tokens(service.input_price)), "USD per million",
               inputs.cite_price(service.price_source)});
  }
}

void add_training(const plan::Site& site, Table& table) {
  for (const auto& job : site.training) {
    const auto name = "training " + job.id + ": ";
    table.add({name + "value of a trained token", significant(in_usd_per_million_tokens(job.value)),
               "USD per million", "site file"});
    table.add({name + "tokens of one pipeline's iteration",
               significant(in_tokens(job.tokens_per_iteration), 8), "tokens", "site file"});
    table.add({name + "stages", std::to_string(job.curve->pipeline().stages), "",
               job.shape ? "site file" : job.dag});
    table.add({name + "GPUs of a stage", std::to_string(job.gpus_per_stage), "GPUs", "site file"});
    if (job.shape) {
      table.add({name + "microbatches of an iteration", std::to_string(job.shape->microbatches), "",
                 "site file"});
      table.add({name + "schedule", job.schedule, "", "site file"});
      table.add({name + "transfer between stages", significant(in_seconds(job.shape->transfer)),
                 "s", "site file"});
      table.add({name + "tail of an iteration", significant(in_seconds(job.shape->tail)), "s",
                 "site file"});
    }
    table.add({name + "measured over modelled rate", significant(rate_interval(job).central_factor),
               "ratio", "docs/model/plan.md#training"});
    table.add({name + "blocking power of a GPU",
               significant(in_watts(job.curve->pipeline().blocking_power)), "W", "site file"});
    table.add({name + "time and energy of its operations", std::to_string(job.curve->settings()),
               "settings", job.profile.empty() ? job.dag : job.profile});
  }
}

Table site_inputs(const plan::SolvedSite& solved, Inputs& inputs) {
  const auto& site = *solved.site;
  Table table{"site-inputs",
              "Site inputs",
              "As given in " + site.file + "; SLOs and racks stand in their own tables.",
              {{"input"}, {"value", kRight}, {"unit"}, {"source"}},
              {}};
  table.add(
      {"envelope at the meter", significant(in_megawatts(site.envelope), 8), "MW", "site file"});
  table.add({"availability, share of time a GPU serves", percent_text(site.availability_ratio, 6),
             "", site.availability_is_assumed ? "assumed" : "site file"});
  table.add(
      {"energy price", significant(in_usd_per_kwh(site.energy_price)), "USD/kWh", "site file"});
  if (site.max_capital) {
    table.add(
        {"most capital", significant(in_usd_per_hour(*site.max_capital), 8), "USD/h", "site file"});
  }
  for (const auto& load : site.loads) {
    table.add({"load " + load.name + ", cooled by " + load.cooling_plant,
               significant(in_kilowatts(load.it_power), 8), "kW IT", "site file"});
  }
  add_services(site, inputs, table);
  add_training(site, table);
  for (const auto& rack : site.racks) {
    if (rack.capital_per_gpu) {
      table.add({"rack " + rack.system + ": capital per GPU",
                 significant(in_usd_per_hour(*rack.capital_per_gpu)), "USD/h", "site file"});
    }
  }
  return table;
}

struct PointUse {
  std::size_t in_charts = 0;
  std::set<std::size_t> assignments;
  std::set<std::string> read_at;
};

Table measured_points(const PlanReport& report) {
  std::map<std::string, PointUse> uses;
  for (const auto& frontier : report.frontiers) {
    for (const auto& row : frontier.rows) {
      for (const auto& point : row.curve) {
        ++uses[point.point->source].in_charts;
      }
    }
  }
  const auto& solved = report.solved;
  for (std::size_t a = 0; a < solved.plan->assignments.size(); ++a) {
    const auto& point = solved.set->candidates[solved.plan->assignments[a].candidate].point;
    for (const auto* row : {point.point, point.other}) {
      if (row != nullptr) {
        uses[row->source].assignments.insert(a);
        uses[row->source].read_at.insert(place_text(row->read_at));
      }
    }
  }
  Table table{
      "point-sources",
      "Measured points",
      "Where the serving rates come from; the page of each run is linked in the table of "
      "deployments.",
      {{"source"}, {"points in the charts", kRight}, {"deployments no."}, {"read at", kProse}},
      {}};
  for (const auto& [source, use] : uses) {
    std::vector<std::string> numbers;
    for (const auto a : use.assignments) {
      numbers.push_back(deployment_number(a));
    }
    table.add({source, std::to_string(use.in_charts), join(numbers, ", "),
               join(std::vector<std::string>{use.read_at.begin(), use.read_at.end()}, ", ")});
  }
  return table;
}

Table assumptions(const plan::SolvedSite& solved) {
  Table table{"assumptions", "Assumptions", "", {{"assumption"}}, {}};
  if (solved.site->availability_is_assumed) {
    table.add({"availability is not given: 1 is taken, no GPU is ever down"});
  }
  table.add({"owned racks are paid for: capital counts bought racks only"});
  table.add({"capital of a bought GPU is the published all-in hourly price less the energy in it"});
  table.add({"a deployment smaller than its scale-up domain may share the rack with others"});
  table.add(
      {"a plan mixes deployments and loads, but interpolates only along one deployment's load"});
  table.add({"every token of the demand that is served is sold at the price of its service"});
  table.add({"taxes are left out"});
  return table;
}

}  // namespace

std::vector<Table> provenance_tables(const PlanReport& report) {
  Inputs inputs{report};
  std::vector<Table> tables{site_inputs(report.solved, inputs), inputs.prices(), inputs.figures(),
                            inputs.supplies(), measured_points(report)};
  tables.push_back(inputs.sources());
  tables.push_back(assumptions(report.solved));
  return tables;
}

}  // namespace perwatt::report
