// What a change of one input is worth: a tornado and its table.
#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "charts.hpp"
#include "plan_tables.hpp"
#include "text.hpp"

namespace perwatt::report {

namespace {

constexpr std::size_t kMostInputs = 12;
constexpr double kRounding = 1e-6;  // USD/h
constexpr double kBarHeight = 17;

constexpr const char* kSensitivityNote =
    "Profit when the plan is solved again with one input changed and all else as it is, racks not "
    "whole. Inputs by the size of their effect; those without any stand in the table.";

double usd_of(const plan::Sensitivity& change) {
  return in_usd_per_hour(change.profit);
}

bool is_known(const plan::Sensitivity& change) {
  return change.feasible && change.unavailable_because.empty();
}

bool has_effect(const plan::Sensitivity& change) {
  return change.unavailable_because.empty() &&
         (!change.feasible || std::abs(usd_of(change)) >= kRounding);
}

/// Inputs with an effect, the largest first, at most kMostInputs.
std::vector<std::string> inputs_by_size(const std::vector<plan::Sensitivity>& changes) {
  std::vector<std::pair<double, std::string>> sizes;
  for (const auto& change : changes) {
    if (!has_effect(change)) {
      continue;
    }
    const double size = is_known(change) ? std::abs(usd_of(change)) : 0;
    const auto at = std::find_if(sizes.begin(), sizes.end(),
                                 [&](const auto& entry) { return entry.second == change.input; });
    if (at == sizes.end()) {
      sizes.emplace_back(size, change.input);
    } else {
      at->first = std::max(at->first, size);
    }
  }
  std::stable_sort(sizes.begin(), sizes.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  sizes.resize(std::min(sizes.size(), kMostInputs));
  std::vector<std::string> inputs(sizes.size());
  std::transform(sizes.begin(), sizes.end(), inputs.begin(),
                 [](const auto& entry) { return entry.second; });
  return inputs;
}

/// Bars of the inputs in their order. An infeasible change is a bar of no length that says so.
Json bars_of(const std::vector<plan::Sensitivity>& changes,
             const std::vector<std::string>& inputs) {
  Json values = Json::array();
  for (const auto& input : inputs) {
    for (const auto& change : changes) {
      if (change.input != input || !change.unavailable_because.empty()) {
        continue;
      }
      const double usd = is_known(change) ? usd_of(change) : 0;
      values.push_back(
          {{"input", input},
           {"change", change.change},
           {"side", change.change.starts_with('-') ? "less" : "more"},
           {"usd", usd},
           {"label", change.change + ": " + (is_known(change) ? signed_text(usd) : "infeasible")}});
    }
  }
  return values;
}

Json labels_of(const Json& bars, bool to_the_right) {
  Json values = Json::array();
  for (const auto& bar : bars) {
    if ((bar["usd"].get<double>() >= 0) == to_the_right) {
      values.push_back(bar);
    }
  }
  return values;
}

/// Room for the labels on both sides of the bars.
Json padded_scale(const Json& bars) {
  constexpr double kRoom = 0.3;  // of the width of the bars
  double low = 0;
  double high = 0;
  for (const auto& bar : bars) {
    low = std::min(low, bar["usd"].get<double>());
    high = std::max(high, bar["usd"].get<double>());
  }
  const double room = kRoom * std::max(high - low, 1.0);
  return {{"domain", {low - room, high + room}}, {"nice", false}};
}

Json tornado_spec(const Json& bars, std::size_t inputs) {
  auto y = field("input", "nominal", nullptr);
  y["sort"] = nullptr;
  y["axis"] = {{"labelLimit", 260}, {"domain", false}, {"ticks", false}, {"labelPadding", 8}};
  y["scale"] = {{"paddingInner", 0.25}};
  Json offset = field("side", "nominal", nullptr);
  offset["sort"] = {"more", "less"};
  auto x = field("usd", "quantitative", "change of profit, USD per hour");
  x["axis"] = {{"format", ",~f"}, {"tickCount", 6}};
  x["scale"] = padded_scale(bars);
  auto colour = field("side", "nominal", "input");
  colour["scale"] = {{"domain", {"more", "less"}}, {"range", {"#1f6fb4", "#d9730d"}}};
  colour["legend"] = {{"orient", "top"}, {"symbolType", "square"}};
  const Json tooltip{field("input", "nominal", "input"), field("change", "nominal", "change"),
                     tooltip_quantity("usd", "USD/h")};
  Json layers = Json::array(
      {{{"data", {{"values", bars}}},
        {"mark", {{"type", "bar"}}},
        {"encoding",
         {{"y", y}, {"yOffset", offset}, {"x", x}, {"color", colour}, {"tooltip", tooltip}}}}});
  for (const bool right : {true, false}) {
    const auto labels = labels_of(bars, right);
    if (!labels.empty()) {
      layers.push_back(
          {{"data", {{"values", labels}}},
           {"mark",
            {{"type", "text"},
             {"align", right ? "left" : "right"},
             {"dx", right ? 5 : -5},
             {"fontSize", 11}}},
           {"encoding",
            {{"y", y}, {"yOffset", offset}, {"x", x}, {"text", {{"field", "label"}}}}}});
    }
  }
  return {{"$schema", kVegaLiteSchema},
          {"width", kChartWidth},
          {"height", 2.5 * kBarHeight * static_cast<double>(inputs)},
          {"layer", std::move(layers)},
          {"config", chart_config()}};
}

}  // namespace

std::vector<Chart> sensitivity_charts(const PlanReport& report) {
  if (!report.sensitivities) {
    return {};
  }
  const auto& changes = report.sensitivities->changes;
  const auto inputs = inputs_by_size(changes);
  if (inputs.empty()) {
    return {};
  }
  return {{"chart-sensitivities", "What the profit hangs on", kSensitivityNote,
           tornado_spec(bars_of(changes, inputs), inputs.size())}};
}

std::vector<Table> sensitivity_tables(const PlanReport& report) {
  if (!report.sensitivities) {
    return {};
  }
  Table table{"sensitivities",
              "If one input changes",
              "The plan solved again with one input changed, racks not whole.",
              {{"input", Align::prose},
               {"change", Align::right},
               {"profit, USD/h", Align::right},
               {"output tok/s", Align::right},
               {"meter MW, mean", Align::right},
               {"remark", Align::prose}},
              {}};
  for (const auto& change : report.sensitivities->changes) {
    if (is_known(change)) {
      table.add({change.input, change.change, signed_text(usd_of(change)),
                 signed_text(in_tokens_per_second(change.output)),
                 signed_text(in_megawatts(change.meter), 3), ""});
    } else {
      table.add({change.input, change.change, "", "", "",
                 change.unavailable_because.empty() ? "infeasible" : change.unavailable_because});
    }
  }
  const double percent = in_usd_per_hour(report.sensitivities->per_percent_tokens_per_joule);
  table.add({"tokens per joule of every deployment", "+1 %", signed_text(percent), "", "",
             signed_text(percent * kHoursPerYear) + " USD a year"});
  return {table};
}

}  // namespace perwatt::report
