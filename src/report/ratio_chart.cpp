// Tokens/s of the site's accelerators over those of its first, at equal interactivity.
#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "charts.hpp"
#include "layout_text.hpp"
#include "ratio_curves.hpp"
#include "text.hpp"

namespace perwatt::report {

namespace {

constexpr double kRatioHeight = 300;
constexpr double kPanelWidth = (kChartWidth - 70) / 2;
constexpr double kPoints = 80;  // of a curve, about

constexpr const char* kPerGpu = "per GPU";
constexpr const char* kPerMegawatt = "per provisioned MW";

/// A round step that gives a curve up to `last` about kPoints points.
double step_to(double last) {
  constexpr double kLeast = 1;
  return std::max(kLeast, std::ceil(last / kPoints));
}

double reach_of(const RatedRack& rack) {
  return in_tokens_per_second(*rack.line.corners().front()->interactivity);
}

double lowest_of(const RatedRack& rack) {
  return in_tokens_per_second(*rack.line.corners().back()->interactivity);
}

void add_curve(const RatedRack& rack, const RatedRack& divisor, Json& values) {
  const double last = std::min({reach_of(rack), reach_of(divisor), kMostInteractivity});
  const double first = std::min({lowest_of(rack), lowest_of(divisor), last});
  const double step = step_to(last);
  const auto add = [&](double at) {
    const auto ratio = ratio_at(rack, divisor, tokens_per_second(at));
    if (ratio) {
      for (const auto& [basis, value] : {std::pair{kPerGpu, ratio->per_gpu},
                                         std::pair{kPerMegawatt, ratio->per_provisioned_mw}}) {
        values.push_back(
            {{"system", rack.name}, {"basis", basis}, {"interactivity", at}, {"ratio", value}});
      }
    }
  };
  for (int i = static_cast<int>(std::ceil(first / step)); i * step < last; ++i) {
    add(i * step);
  }
  add(last);
}

Json panel(const char* basis, const Json& values, const Json& colour, const Json& y, double bound) {
  Json own = Json::array();
  for (const auto& value : values) {
    if (value["basis"] == basis) {
      own.push_back(value);
    }
  }
  auto x = field("interactivity", "quantitative", "tokens/s per user (interactivity)");
  x["scale"] = {{"zero", true}};
  const Json tooltip{field("system", "nominal", "system"),
                     tooltip_quantity("interactivity", "tok/s per user"),
                     tooltip_quantity("ratio", basis)};
  const auto rule = [](const char* channel, double value) {
    return Json{{"data", {{"values", {{{"at", value}}}}}},
                {"mark", {{"type", "rule"}, {"color", "#98a4af"}, {"strokeDash", {5, 4}}}},
                {"encoding", {{channel, {{"field", "at"}, {"type", "quantitative"}}}}}};
  };
  return {{"title", basis},
          {"width", kPanelWidth},
          {"height", kRatioHeight},
          {"layer",
           {{{"data", {{"values", own}}},
             {"mark", {{"type", "line"}, {"strokeWidth", 2}, {"point", {{"size", 14}}}}},
             {"encoding", {{"x", x}, {"y", y}, {"color", colour}, {"tooltip", tooltip}}}},
            rule("y", 1),
            rule("x", bound)}}};
}

Json ratio_spec(const Json& values, const RackNames& racks, double bound) {
  std::set<std::string> names;
  for (const auto& value : values) {
    names.insert(value["system"].get<std::string>());
  }
  auto colour = field("system", "nominal", "system");
  colour["scale"] = racks.scale({names.begin(), names.end()});
  colour["legend"] = {{"orient", "top"}};
  auto y = field("ratio", "quantitative", "times as many tokens/s");
  y["scale"] = {{"type", "log"}, {"nice", true}};
  y["axis"] = {{"format", ",~r"}, {"tickCount", 6}};
  return {
      {"$schema", kVegaLiteSchema},
      {"hconcat",
       {panel(kPerGpu, values, colour, y, bound), panel(kPerMegawatt, values, colour, y, bound)}},
      {"resolve", {{"scale", {{"y", "shared"}, {"color", "shared"}}}}},
      {"config", chart_config()}};
}

}  // namespace

std::vector<Chart> ratio_charts(const PlanReport& report, const RackNames& racks) {
  std::vector<Chart> charts;
  if (report.points.empty()) {
    return charts;
  }
  const auto& services = report.solved.site->services;
  const auto slugs = service_slugs(*report.solved.site);
  for (const auto& ratios : service_ratios(report, racks)) {
    Json values = Json::array();
    for (std::size_t i = 1; i < ratios.racks.size(); ++i) {
      add_curve(ratios.racks[i], ratios.racks.front(), values);
    }
    if (values.empty()) {
      continue;
    }
    const auto& service = services[ratios.service];
    charts.push_back(
        {"chart-ratio-" + slugs[ratios.service],
         "Against " + ratios.racks.front().name + ": " + service.id,
         service.model + ", " + workload_text(service.workload) +
             ". Total tokens/s over those of " + ratios.racks.front().name +
             " at equal interactivity, on lines through the best measured rows of all engines, "
             "precisions and layouts; nothing was measured along a line between deployments, and "
             "the plan uses none. Dashed: equal, and the service's bound.",
         ratio_spec(values, racks, in_tokens_per_second(service.slo.min_interactivity))});
  }
  return charts;
}

}  // namespace perwatt::report
