// From the baseline's profit to the plan's, lever by lever.
#include <algorithm>
#include <array>
#include <utility>

#include "charts.hpp"
#include "lever_tables.hpp"
#include "text.hpp"

namespace perwatt::report {

namespace {

constexpr const char* kLeversNote =
    "Each bar starts where the one above it ends. A bar is the lever's Shapley part of the change, "
    "the thin line its 90 % interval, drawn from where the bar starts. The order within the chart "
    "changes no part.";

struct ClassColour {
  const char* name;
  const char* colour;
};

constexpr const char* kTotal = "total";
constexpr std::array kClassColours{
    ClassColour{kTotal, "#5c6b7a"}, ClassColour{"operations", "#2a8c4a"},
    ClassColour{"model", "#7b52ab"}, ClassColour{"facility", "#0b8a99"},
    ClassColour{"hardware", "#d9730d"}};

/// On the axis of another layer, whose title stands.
Json untitled(const char* name) {
  return {{"field", name}, {"type", "quantitative"}};
}

Json total_bar(const char* name, double usd) {
  return {{"step", name},
          {"class", kTotal},
          {"start", 0.0},
          {"end", usd},
          {"usd", usd},
          {"interval", ""},
          {"label", significant(usd)},
          {"label_at", std::max(usd, 0.0)}};
}

Json part_bar(const plan::LeverPart& part, double start) {
  const double usd = in_usd_per_hour(part.part.profit);
  const double low = in_usd_per_hour(part.low.profit);
  const double high = in_usd_per_hour(part.high.profit);
  return {{"step", lever_name(part.lever)},
          {"class", std::string{to_string(info_of(part.lever).lever_class)}},
          {"start", start},
          {"end", start + usd},
          {"usd", usd},
          {"low", start + low},
          {"high", start + high},
          {"interval", significant(low) + " to " + significant(high)},
          {"label", signed_text(usd)},
          {"label_at", start + std::max({usd, high, 0.0})}};
}

Json bars_of(const plan::Attribution& attribution) {
  double at = in_usd_per_hour(attribution.baseline.profit);
  Json values = Json::array({total_bar("baseline", at)});
  for (const auto& sum : class_parts(attribution)) {
    for (const auto* part : sum.levers) {
      values.push_back(part_bar(*part, at));
      at += in_usd_per_hour(part->part.profit);
    }
  }
  values.push_back(total_bar(attribution.only ? "with the levers" : "plan",
                             in_usd_per_hour(attribution.plan.profit)));
  return values;
}

Json intervals_of(const Json& bars) {
  Json values = Json::array();
  for (const auto& bar : bars) {
    if (bar.contains("low")) {
      values.push_back(bar);
    }
  }
  return values;
}

Json class_scale(const Json& bars) {
  Json domain = Json::array();
  Json range = Json::array();
  for (const auto& known : kClassColours) {
    if (std::any_of(bars.begin(), bars.end(),
                    [&](const Json& bar) { return bar["class"] == known.name; })) {
      domain.push_back(known.name);
      range.push_back(known.colour);
    }
  }
  return {{"domain", domain}, {"range", range}};
}

Json interval_layers(const Json& bars, const Json& y) {
  const Json ink{{"value", kInk}};
  const Json values{{"values", intervals_of(bars)}};
  Json layers = Json::array(
      {{{"data", values},
        {"mark", {{"type", "rule"}, {"strokeWidth", 1.5}}},
        {"encoding",
         {{"y", y}, {"x", untitled("low")}, {"x2", {{"field", "high"}}}, {"color", ink}}}}});
  for (const auto* end : {"low", "high"}) {
    layers.push_back({{"data", values},
                      {"mark", {{"type", "tick"}, {"thickness", 1.5}, {"size", 9}}},
                      {"encoding", {{"y", y}, {"x", untitled(end)}, {"color", ink}}}});
  }
  return layers;
}

Json lever_spec(const Json& bars) {
  auto y = field("step", "nominal", nullptr);
  y["sort"] = nullptr;
  y["axis"] = {{"labelLimit", 200}, {"domain", false}, {"ticks", false}, {"labelPadding", 8}};
  y["scale"] = {{"paddingInner", 0.3}};
  auto x = field("start", "quantitative", "profit, USD per hour");
  x["axis"] = {{"format", ",~f"}, {"tickCount", 6}};
  auto colour = field("class", "nominal", nullptr);
  colour["scale"] = class_scale(bars);
  colour["legend"] = {{"orient", "top"}, {"symbolType", "square"}};
  const Json tooltip{field("step", "nominal", "lever"), field("class", "nominal", "class"),
                     tooltip_quantity("usd", "USD/h"),
                     field("interval", "nominal", "90 % interval, USD/h")};
  Json layers = Json::array({{{"data", {{"values", bars}}},
                              {"mark", {{"type", "bar"}}},
                              {"encoding",
                               {{"y", y},
                                {"x", x},
                                {"x2", {{"field", "end"}}},
                                {"color", colour},
                                {"tooltip", tooltip}}}}});
  for (auto& layer : interval_layers(bars, y)) {
    layers.push_back(std::move(layer));
  }
  layers.push_back(
      {{"data", {{"values", bars}}},
       {"mark", {{"type", "text"}, {"align", "left"}, {"dx", 6}, {"fontSize", 12}}},
       {"encoding", {{"y", y}, {"x", untitled("label_at")}, {"text", {{"field", "label"}}}}}});
  return {{"$schema", kVegaLiteSchema},
          {"width", kChartWidth},
          {"height", 32.0 * static_cast<double>(bars.size())},
          {"layer", std::move(layers)},
          {"config", chart_config()}};
}

}  // namespace

std::vector<Chart> lever_charts(const PlanReport& report) {
  if (!has_parts(report)) {
    return {};
  }
  const auto& attribution = *report.attribution;
  const auto title =
      attribution.only ? "What " + std::string{to_string(*attribution.only)} + " levers alone earn"
                       : std::string{"From the baseline's profit to the plan's"};
  return {{"chart-levers", title, kLeversNote, lever_spec(bars_of(attribution))}};
}

}  // namespace perwatt::report
