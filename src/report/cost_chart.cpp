// Revenue beside what it is spent on, for the plan and its baseline.
#include <algorithm>
#include <utility>

#include "charts.hpp"
#include "text.hpp"

namespace perwatt::report {

namespace {

struct Part {
  const char* name;
  const char* colour;
  const char* text_colour;
};

constexpr Part kRevenue{"revenue", "#2b5c8a", "#ffffff"};
constexpr Part kEnergy{"energy", "#e0a030", kInk};
constexpr Part kCapital{"capital", "#8795a3", kInk};
constexpr Part kProfit{"profit", "#2e8b57", "#ffffff"};
constexpr Part kLoss{"loss", "#b3261e", "#ffffff"};
constexpr double kPixelsPerLetter = 7.5;  // of a label, at most
constexpr double kAxisRoomRatio = 1.15;   // the axis ends at a round number past the widest bar

/// One horizontal bar; parts are laid end to end.
class Bar {
 public:
  Bar(std::string name, Json& values) : name_{std::move(name)}, values_{values} {}

  void add(const Part& part, double usd_per_hour) {
    if (usd_per_hour <= 0) {
      return;
    }
    values_.push_back({{"bar", name_},
                       {"part", part.name},
                       {"start", end_},
                       {"end", end_ + usd_per_hour},
                       {"middle", end_ + usd_per_hour / 2},
                       {"usd", usd_per_hour},
                       {"label", std::string{part.name} + " " + significant(usd_per_hour, 4)},
                       {"label_colour", part.text_colour}});
    end_ += usd_per_hour;
  }

 private:
  std::string name_;
  Json& values_;
  double end_ = 0;
};

void add_case(const std::string& name, const plan::Totals& totals, Json& values) {
  const double profit = in_usd_per_hour(totals.profit());
  Bar revenue{name + ": revenue", values};
  revenue.add(kRevenue, in_usd_per_hour(totals.revenue));
  revenue.add(kLoss, -profit);
  Bar use{name + ": its use", values};
  use.add(kEnergy, in_usd_per_hour(totals.energy_cost));
  use.add(kCapital, in_usd_per_hour(totals.capital_cost));
  use.add(kProfit, profit);
}

Json part_scale(const Json& values) {
  Json domain = Json::array();
  Json range = Json::array();
  for (const auto& part : {kRevenue, kEnergy, kCapital, kProfit, kLoss}) {
    if (std::any_of(values.begin(), values.end(),
                    [&](const Json& value) { return value["part"] == part.name; })) {
      domain.push_back(part.name);
      range.push_back(part.colour);
    }
  }
  return {{"domain", domain}, {"range", range}};
}

struct Labelled {
  Json inside = Json::array();  // parts wide enough for their label
  Json beside = Json::array();  // too narrow, but with nothing to the right of them
};

Labelled labelled(const Json& values) {
  double widest = 0;
  for (const auto& value : values) {
    widest = std::max(widest, value["end"].get<double>());
  }
  Labelled labels;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto& value = values[i];
    const double pixels = value["usd"].get<double>() / (kAxisRoomRatio * widest) * kChartWidth;
    const auto letters = static_cast<double>(value["label"].get_ref<const std::string&>().size());
    const bool is_last = i + 1 == values.size() || values[i + 1]["bar"] != value["bar"];
    if (pixels >= kPixelsPerLetter * letters) {
      labels.inside.push_back(value);
    } else if (is_last) {
      labels.beside.push_back(value);
    }
  }
  return labels;
}

/// Labels of `values`, centred on their parts or to the right of them.
Json label_layer(const Json& values, const Json& y, bool is_inside) {
  Json mark{{"type", "text"}, {"fontSize", 12}};
  Json colour{{"value", kInk}};
  if (is_inside) {
    colour = {{"field", "label_colour"}, {"type", "nominal"}, {"scale", nullptr}};
  } else {
    mark.update({{"align", "left"}, {"dx", 6}});
  }
  const Json x{{"field", is_inside ? "middle" : "end"}, {"type", "quantitative"}};
  return {{"data", {{"values", values}}},
          {"mark", mark},
          {"encoding", {{"y", y}, {"x", x}, {"text", {{"field", "label"}}}, {"color", colour}}}};
}

Json cost_spec(const Json& values, std::size_t bars) {
  const Json y{
      {"field", "bar"},
      {"type", "nominal"},
      {"title", nullptr},
      {"sort", nullptr},
      {"axis", {{"labelLimit", 200}, {"domain", false}, {"ticks", false}, {"labelPadding", 8}}},
      {"scale", {{"paddingInner", 0.25}}}};
  const Json x{{"field", "start"},
               {"type", "quantitative"},
               {"title", "USD per hour"},
               {"axis", {{"format", ",~f"}, {"tickCount", 6}}}};
  const Json colour{{"field", "part"},
                    {"type", "nominal"},
                    {"title", nullptr},
                    {"scale", part_scale(values)},
                    {"legend", {{"orient", "top"}, {"symbolType", "square"}}}};
  const Json tooltip{
      {{"field", "bar"}, {"type", "nominal"}, {"title", "bar"}},
      {{"field", "part"}, {"type", "nominal"}, {"title", "part"}},
      {{"field", "usd"}, {"type", "quantitative"}, {"format", ",.5~r"}, {"title", "USD/h"}}};
  const Json bar{
      {"data", {{"values", values}}},
      {"mark", {{"type", "bar"}}},
      {"encoding",
       {{"y", y}, {"x", x}, {"x2", {{"field", "end"}}}, {"color", colour}, {"tooltip", tooltip}}}};
  const auto labels = labelled(values);
  Json layers = Json::array({bar});
  if (!labels.inside.empty()) {
    layers.push_back(label_layer(labels.inside, y, true));
  }
  if (!labels.beside.empty()) {
    layers.push_back(label_layer(labels.beside, y, false));
  }
  return {{"$schema", kVegaLiteSchema},
          {"width", kChartWidth},
          {"height", 44.0 * static_cast<double>(bars)},
          {"layer", std::move(layers)},
          {"config", chart_config()}};
}

}  // namespace

std::vector<Chart> cost_charts(const PlanReport& report) {
  if (report.solved.plan->status != plan::PlanStatus::optimal) {
    return {};
  }
  Json values = Json::array();
  add_case("Plan", report.solved.plan->totals, values);
  const bool compared =
      report.baseline && report.baseline->plan->status == plan::PlanStatus::optimal;
  if (compared) {
    add_case("Baseline", report.baseline->plan->totals, values);
  }
  if (values.empty()) {
    return {};
  }
  return {
      {"chart-cost", compared ? "Revenue and cost, plan beside baseline" : "Revenue and cost",
       "Capital counts bought racks only. A part too narrow for its label shows it on hover and "
       "stands in the table of headline figures.",
       cost_spec(values, compared ? 4 : 2)}};
}

}  // namespace perwatt::report
