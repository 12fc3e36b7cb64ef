// The hours of the year side by side: a heat map, and tables of hour classes and halls.
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "charts.hpp"
#include "plan_tables.hpp"
#include "text.hpp"

namespace perwatt::report {

namespace {

constexpr double kLitresPerCubicMetre = 1000;
constexpr std::size_t kMostWithLabels = 14;  // classes; more leave no room in a cell
constexpr double kDark = 0.55;               // shade from which a label is white
constexpr double kRowHeight = 36;
constexpr const char* kPaper = "#ffffff";

constexpr const char* kHoursNote =
    "A row is one quantity; the darker a cell, the higher it is within its row. Reserved is at the "
    "meter in the warmest hour of the class, headroom the envelope less that.";

/// One hour class of the plan.
struct Hour {
  const plan::HourClass& given;
  const plan::HourUse& use;
  Watts envelope;
};

struct HourQuantity {
  const char* name;  // with the unit
  double (*of)(const Hour&);
};

constexpr std::array kQuantities{
    HourQuantity{"price, USD/kWh",
                 [](const Hour& h) { return in_usd_per_kwh(h.given.energy_price); }},
    HourQuantity{"demand, %", [](const Hour& h) { return 100 * h.given.demand_ratio; }},
    HourQuantity{"output, k tok/s",
                 [](const Hour& h) { return in_tokens_per_second(h.use.output) / 1e3; }},
    HourQuantity{"meter, MW", [](const Hour& h) { return in_megawatts(h.use.meter); }},
    HourQuantity{"reserved, MW", [](const Hour& h) { return in_megawatts(h.use.reserved); }},
    HourQuantity{"PUE",
                 [](const Hour& h) { return h.use.it > Watts{} ? h.use.meter / h.use.it : 0.0; }},
    HourQuantity{"headroom, MW",
                 [](const Hour& h) { return in_megawatts(h.envelope - h.use.reserved); }}};

std::vector<Hour> hours_of(const PlanReport& report) {
  const auto& site = *report.solved.site;
  std::vector<Hour> hours;
  for (std::size_t h = 0; h < report.solved.plan->hours.size(); ++h) {
    hours.push_back({site.year[h], report.solved.plan->hours[h], site.envelope});
  }
  return hours;
}

Json cells_of(const std::vector<Hour>& hours) {
  constexpr double kFlat = 1e-9;  // relative spread that is rounding
  Json cells = Json::array();
  for (const auto& quantity : kQuantities) {
    std::vector<double> values(hours.size());
    std::transform(hours.begin(), hours.end(), values.begin(), quantity.of);
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    const double least = *low;
    const double spread = *high - least;
    const bool is_flat = spread <= kFlat * std::max(std::abs(*high), std::abs(least));
    for (std::size_t h = 0; h < hours.size(); ++h) {
      const double shade = is_flat ? 0 : (values[h] - least) / spread;
      cells.push_back({{"hour", hours[h].given.name},
                       {"quantity", quantity.name},
                       {"value", values[h]},
                       {"shade", shade},
                       {"label", significant(values[h])},
                       {"ink", shade > kDark ? kPaper : kInk}});
    }
  }
  return cells;
}

Json cells_in(const Json& cells, const char* ink) {
  Json values = Json::array();
  for (const auto& cell : cells) {
    if (cell["ink"] == ink) {
      values.push_back(cell);
    }
  }
  return values;
}

Json heat_map(const Json& cells, std::size_t hours) {
  auto x = field("hour", "nominal", nullptr);
  x["sort"] = nullptr;
  x["axis"] = {{"labelAngle", -30}, {"labelLimit", 160}, {"domain", false}, {"ticks", false}};
  auto y = field("quantity", "nominal", nullptr);
  y["sort"] = nullptr;
  y["axis"] = {{"domain", false}, {"ticks", false}, {"labelPadding", 8}};
  auto shade = field("shade", "quantitative", nullptr);
  shade["scale"] = {{"domain", {0, 1}}, {"range", {"#eef3f8", "#1f4f86"}}};
  shade["legend"] = nullptr;
  const Json tooltip{field("hour", "nominal", "hour class"),
                     field("quantity", "nominal", "quantity"), tooltip_quantity("value", "value")};
  Json layers =
      Json::array({{{"data", {{"values", cells}}},
                    {"mark", {{"type", "rect"}, {"stroke", "#ffffff"}}},
                    {"encoding", {{"x", x}, {"y", y}, {"color", shade}, {"tooltip", tooltip}}}}});
  for (const auto* ink : {kInk, kPaper}) {
    const auto labels = cells_in(cells, ink);
    if (hours <= kMostWithLabels && !labels.empty()) {
      layers.push_back({{"data", {{"values", labels}}},
                        {"mark", {{"type", "text"}, {"fontSize", 11}, {"color", ink}}},
                        {"encoding", {{"x", x}, {"y", y}, {"text", {{"field", "label"}}}}}});
    }
  }
  return {{"$schema", kVegaLiteSchema},
          {"width", kChartWidth},
          {"height", kRowHeight * kQuantities.size()},
          {"layer", std::move(layers)},
          {"config", chart_config()}};
}

bool has_physical_hall(const plan::Site& site) {
  return std::any_of(site.halls.begin(), site.halls.end(),
                     [](const plan::Hall& hall) { return hall.curves != nullptr; });
}

std::string ratio_text(Watts over, Watts under) {
  return under > Watts{} ? significant(over / under) : "no load";
}

Table hours_table(const PlanReport& report) {
  Table table{"hours",
              "Hour classes",
              "Means over the hours of a class; reserved and headroom at the meter in its warmest "
              "hour. Own supplies carry what is reserved beyond the envelope.",
              {{"hour class"},
               {"h/year", kRight},
               {"USD/kWh", kRight},
               {"g CO2/kWh", kRight},
               {"demand", kRight},
               {"output tok/s", kRight},
               {"IT MW", kRight},
               {"meter MW", kRight},
               {"PUE", kRight},
               {"reserved MW", kRight},
               {"headroom MW", kRight},
               {"supplied MW", kRight},
               {"energy USD/h", kRight}},
              {}};
  for (const auto& hour : hours_of(report)) {
    const auto& carbon = hour.given.carbon_grams_per_kwh;
    table.add({hour.given.name, significant(hour.given.year_ratio * kHoursPerYear),
               significant(in_usd_per_kwh(hour.given.energy_price), 3),
               carbon ? significant(*carbon, 3) : "unknown", percent_text(hour.given.demand_ratio),
               significant(in_tokens_per_second(hour.use.output), 5),
               significant(in_megawatts(hour.use.it)), significant(in_megawatts(hour.use.meter)),
               ratio_text(hour.use.meter, hour.use.it),
               significant(in_megawatts(hour.use.reserved)),
               significant(in_megawatts(hour.envelope - hour.use.reserved)),
               significant(in_megawatts(hour.use.supplied), 3),
               significant(in_usd_per_hour(hour.use.energy_cost))});
  }
  return table;
}

std::string positions_text(const plan::Hall& hall, const plan::HallUse& use) {
  return significant(use.racks, 6) +
         (hall.positions ? " of " + significant(*hall.positions + use.retrofitted_positions, 6)
                         : std::string{});
}

Table halls_table(const plan::SolvedSite& solved) {
  Table table{"halls",
              "Halls",
              "Means over the year; reserved is the largest over the hours. The PUE of the warmest "
              "hour is that of what is reserved.",
              {{"hall"},
               {"cooling plant"},
               {"supply °C", kRight},
               {"racks", kRight},
               {"design IT MW", kRight},
               {"reserved IT MW", kRight},
               {"IT MW", kRight},
               {"PUE", kRight},
               {"PUE, warmest hour", kRight},
               {"fans kW", kRight},
               {"pumps kW", kRight},
               {"chiller kW", kRight},
               {"other cooling kW", kRight},
               {"distribution kW", kRight},
               {"water m3/h", kRight}},
              {}};
  for (std::size_t p = 0; p < solved.plan->halls.size(); ++p) {
    const auto& kind = solved.set->halls[p];
    const auto& use = solved.plan->halls[p];
    const auto& power = use.power;
    const auto supply = kind.plant.supply();
    const auto part = [&](Watts value) {  // a constant PUE does not say where it goes
      return supply ? significant(in_kilowatts(value), 3) : std::string{};
    };
    const double water = power.water_litres_per_second * kSecondsPerHour / kLitresPerCubicMetre;
    table.add(
        {kind.hall->id, kind.hall->cooling_plant,
         supply ? significant(in_celsius(*supply), 3) : "constant PUE",
         positions_text(*kind.hall, use), significant(in_megawatts(use.design_it)),
         significant(in_megawatts(use.reserved_it)), significant(in_megawatts(power.it)),
         ratio_text(power.total().value, power.it), ratio_text(use.worst_meter, use.reserved_it),
         part(power.fans), part(power.pumps), part(power.chiller), part(power.other),
         significant(in_kilowatts(power.distribution), 3), supply ? significant(water, 3) : ""});
  }
  return table;
}

}  // namespace

std::vector<Chart> hour_charts(const PlanReport& report) {
  const auto hours = hours_of(report);
  if (hours.size() < 2) {
    return {};
  }
  return {{"chart-hours", "The hours of the year", kHoursNote,
           heat_map(cells_of(hours), hours.size())}};
}

std::vector<Table> hour_tables(const PlanReport& report) {
  const auto& plan = *report.solved.plan;
  if (plan.hours.size() < 2 && !has_physical_hall(*report.solved.site)) {
    return {};
  }
  std::vector<Table> tables{hours_table(report)};
  if (!plan.halls.empty()) {
    tables.push_back(halls_table(report.solved));
  }
  return tables;
}

}  // namespace perwatt::report
