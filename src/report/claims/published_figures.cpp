// Figures from the catalog, from price tables and from published numbers.
#include <algorithm>
#include <cmath>
#include <set>
#include <system_error>
#include <utility>

#include "../text.hpp"
#include "evaluators.hpp"
#include "expression.hpp"

#include "perwatt/base/csv.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/facility/power_chain.hpp"
#include "perwatt/facility/tco.hpp"

namespace perwatt::report {

namespace {

constexpr double kPercent = 100;

struct DensePeak {
  std::optional<double> flops;
  std::string source;
};

DensePeak dense_peak(const catalog::Catalog& catalog, const std::string& side) {
  const auto colon = side.find(':');
  const auto& accelerator = catalog.accelerator(side.substr(0, colon), "");
  const auto precision = colon == std::string::npos ? std::string{} : side.substr(colon + 1);
  const auto* figure = accelerator.find("dense_" + precision + "_tflops");
  if (figure == nullptr) {
    return {};
  }
  return {accelerator.peak_flops(precision), figure->source};
}

std::string energy_price_text(UsdPerJoule price) {
  return shortest(std::round(in_usd_per_kwh(price) * 1e6) / 1e6) + " USD/kWh";
}

const char* whole_text(CostWhole whole) {
  return whole == CostWhole::all_in ? "the all-in cost" : "operating cost";
}

/// all-in kW x price over the hourly price with its energy repriced.
std::optional<double> published_share(const catalog::PriceTable& table, const std::string& id,
                                      const EnergyShare& kind, UsdPerJoule energy_price) {
  const auto others = facility::capital_and_hosting_per_gpu(table, id, kind.column);
  if (!others) {
    return std::nullopt;
  }
  const UsdPerSecond energy = *table.accelerators.find(id)->second.allin_facility * energy_price;
  const UsdPerSecond whole = *others + energy;
  return whole > UsdPerSecond{} ? std::optional{energy / whole} : std::nullopt;
}

void add_published_shares(const EnergyShare& kind, const ClaimContext& context) {
  const auto& catalog = *context.data.catalog;
  for (const auto& name : kind.accelerators) {
    const auto id = catalog.accelerator(name, context.comparison.place("accelerators")).id;
    for (const auto& table_id : kind.price_tables) {
      const auto& table = catalog.price_table(table_id, context.comparison.place("price_tables"));
      for (const auto price : kind.energy_prices) {
        const auto label = id + ", table " + table.id + ", at " + energy_price_text(price);
        auto& figure =
            context.add("energy in the all-in cost of " + label, "the all-in cost of " + label);
        figure.boundary = std::string{"percent of "} + whole_text(kind.of) + ", " +
                          std::string{to_string(kind.column)};
        figure.price_table = table.id;
        if (const auto share = published_share(table, id, kind, price)) {
          figure.tag = weaker(table.tag, table.electricity.tag);
          figure.rests_on =
              "all-in kW per GPU over the hourly price, the energy inside it taken at " +
              energy_price_text(table.electricity.value) + "; " +
              source_text(catalog, table.source);
          set_value(figure, *share * kPercent);
        } else {
          figure.missing = "table " + table.id + " lacks a figure of " + id;
        }
      }
    }
  }
}

void add_bottom_up_shares(const EnergyShare& kind, const ClaimContext& context) {
  const auto& catalog = *context.data.catalog;
  for (const auto& name : kind.systems) {
    const auto& system = catalog.system(name, context.comparison.place("systems"));
    const facility::PowerChain chain{catalog, system};
    const facility::CoolingPlant plant{
        catalog.cooling_plant(system.cooling_plant, system.defined_at)};
    const facility::ItPower reserved{chain.provisioned_node().it_total().value /
                                     static_cast<double>(system.gpus_per_node)};
    for (const auto price : kind.energy_prices) {
      const auto label = system.id + " bottom up at " + energy_price_text(price);
      const auto whole_name = std::string{whole_text(kind.of)} + " of " + label;
      auto& figure = context.add("energy in " + whole_name, whole_name);
      figure.boundary =
          std::string{"percent of "} + whole_text(kind.of) + ", every board at its cap";
      const auto cost = facility::bottom_up_cost_per_gpu(system, catalog.finance(), reserved,
                                                         plant.meter_for(reserved), price);
      const auto whole =
          cost ? (kind.of == CostWhole::all_in ? cost->total() : cost->energy + cost->maintenance)
               : UsdPerSecond{};
      if (whole <= UsdPerSecond{}) {
        figure.missing = "no purchase price of " + system.id;
        continue;
      }
      figure.tag = Tag::assumed;  // rates of maintenance and capital
      figure.rests_on = "docs/model/tco.md; " + source_text(catalog, system.capex_per_gpu->source);
      set_value(figure, cost->energy / whole * kPercent);
    }
  }
}

/// The distinct values of a table's "source" column.
std::string sources_of(const CsvTable& table) {
  const auto column = table.require("source");
  std::set<std::string> sources;
  for (const auto& row : table.rows()) {
    sources.insert(row.fields[column]);
  }
  return join(std::vector<std::string>{sources.begin(), sources.end()}, "; ");
}

/// "name = 140 GPUs (source)" of all inputs.
std::string inputs_text(const Arithmetic& kind) {
  std::vector<std::string> parts;
  std::set<std::string> sources;
  for (const auto& input : kind.inputs) {
    parts.push_back(input.name + " = " + shortest(input.value) +
                    (input.unit.empty() ? "" : ' ' + input.unit));
    sources.insert(input.source);
  }
  return join(parts, ", ") + "; " +
         join(std::vector<std::string>{sources.begin(), sources.end()}, "; ");
}

}  // namespace

void evaluate(const DenseRate& kind, const ClaimContext& context) {
  const auto& catalog = *context.data.catalog;
  const auto numerator =
      canonical_side(catalog, kind.numerator, context.comparison.place("numerator"));
  const auto denominator =
      canonical_side(catalog, kind.denominator, context.comparison.place("denominator"));
  const auto over = dense_peak(catalog, numerator);
  const auto under = dense_peak(catalog, denominator);
  auto& figure = context.add(numerator + " / " + denominator + ", dense peak",
                             "the dense peak of " + numerator);
  figure.boundary = "dense FLOP/s of the data sheet, no workload";
  if (!over.flops || !under.flops || *under.flops <= 0) {
    figure.missing = "the catalog lacks the dense rate of one side";
    return;
  }
  figure.tag = Tag::published;
  figure.rests_on = source_text(catalog, over.source);
  set_value(figure, *over.flops / *under.flops);
}

void evaluate(const EnergyShare& kind, const ClaimContext& context) {
  if (kind.systems.empty()) {
    add_published_shares(kind, context);
  } else {
    add_bottom_up_shares(kind, context);
  }
}

void evaluate(const TableCount& kind, const ClaimContext& context) {
  const auto& comparison = context.comparison;
  const auto file = context.data.tables / kind.file;
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) {
    throw_bad_input("the data folder has no table claims/" + printable(kind.file),
                    comparison.place("table"), "name a file of data/claims");
  }
  const auto table = CsvTable::parse(read_file(file), kind.file);
  const auto found = table.find(kind.column);
  if (!found) {
    throw_bad_input(kind.file + " has no column '" + printable(kind.column) + "'",
                    comparison.place("column"), suggestion(kind.column, table.columns()));
  }
  const auto column = *found;
  const auto count = std::count_if(table.rows().begin(), table.rows().end(), [&](const auto& row) {
    return row.fields[column].find(kind.contains) != std::string::npos;
  });
  auto& figure = context.add(
      "rows of " + kind.file + " whose " + kind.column + " names " + kind.contains, kind.file);
  figure.unit = "of " + std::to_string(table.rows().size());
  figure.boundary = "rows of a published table";
  figure.tag = Tag::published;
  figure.rests_on = sources_of(table);
  set_value(figure, static_cast<double>(count));
}

void evaluate(const Arithmetic& kind, const ClaimContext& context) {
  NamedValues values;
  for (const auto& input : kind.inputs) {
    values[input.name] = input.value;
  }
  const auto rests_on = inputs_text(kind);
  for (const auto& step : kind.steps) {
    const double value = evaluate_expression(step.expression, values, step.where);
    values[step.name] = value;
    auto& figure = context.add(step.name, step.against);
    figure.formula = step.expression;
    figure.unit = step.unit;
    figure.boundary = kind.is_of_claimant ? "arithmetic on the claimant's own numbers"
                                          : "arithmetic on published numbers";
    figure.tag = Tag::published;
    figure.rests_on = rests_on;
    figure.target = step.target;
    figure.is_of_claimant = kind.is_of_claimant;
    figure.is_check = step.is_check;
    figure.expect = step.expect;
    figure.where = step.where;
    set_value(figure, value);
  }
}

}  // namespace perwatt::report
