// Tokens/s per GPU against tokens/s per user: what was measured, what the SLO asks, what was
// chosen.
#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "charts.hpp"
#include "layout_text.hpp"
#include "text.hpp"

namespace perwatt::report {

namespace {

constexpr double kFrontierHeight = 380;
constexpr double kManyDecades = 3000;  // highest over lowest value of an axis
constexpr double kRoomRatio = 1.7;     // between the outermost points and the frame, on a log axis

/// Whether a measured row is inside the SLO, as a word of the legend.
const char* slo_word(const inference::OperatingPoint& point, const inference::Slo& slo) {
  if (point.interactivity < slo.min_interactivity) {
    return "no";
  }
  if (!slo.max_ttft) {
    return "yes";
  }
  if (!point.ttft) {
    return "TTFT unknown";
  }
  return *point.ttft <= *slo.max_ttft ? "yes" : "no";
}

Json point_json(const inference::OperatingPoint& point, const std::string& system) {
  const auto& row = *point.point;
  return {{"system", system},
          {"precision", row.precision},
          {"series", system + " " + row.precision},
          {"interactivity", point.interactivity.in_base()},
          {"output", point.output_per_gpu.in_base()},
          {"total", point.total_per_gpu ? significant(point.total_per_gpu->in_base()) : "unknown"},
          {"ttft", point.ttft ? significant(in_seconds(*point.ttft), 3) + " s" : "unknown"},
          {"deployment", configuration_text(row)},
          {"layout", layout_text(row.layout)},
          {"concurrency", point.concurrency ? significant(*point.concurrency) : "unknown"},
          {"tag", std::string{to_string(point.tag)}},
          {"source", row.source},
          {"date", row.date.empty() ? "unknown" : row.date}};
}

/// The measured rows of a frontier, once per accelerator and precision.
Json measured_points(const inference::Frontier& frontier, const inference::Slo& slo,
                     const RackNames& racks) {
  Json values = Json::array();
  std::set<inference::FrontierGroup> done;
  for (const auto& row : frontier.rows) {
    if (!done.insert(row.group).second) {
      continue;  // another system of the same accelerator: the same measurements
    }
    const auto system = racks.names_of(row.group.accelerator);
    for (const auto& point : row.curve) {
      if (point.output_per_gpu > TokensPerSecond{}) {
        values.push_back(point_json(point, system));
        values.back()["inside"] = slo_word(point, slo);
      }
    }
  }
  return values;
}

Json chosen_points(const plan::SolvedSite& solved, std::size_t service, const RackNames& racks) {
  Json values = Json::array();
  const auto& assignments = solved.plan->assignments;
  for (std::size_t a = 0; a < assignments.size(); ++a) {
    const auto& candidate = solved.set->candidates[assignments[a].candidate];
    if (candidate.service == service) {
      values.push_back(
          point_json(candidate.point, racks.names_of(candidate.point.point->accelerator)));
      values.back()["number"] = deployment_number(a);
      values.back()["gpus"] = significant(assignments[a].gpus);
    }
  }
  return values;
}

Json point_tooltip(bool chosen) {
  Json fields = Json::array();
  if (chosen) {
    fields.push_back({{"field", "number"}, {"title", "deployment"}});
    fields.push_back({{"field", "gpus"}, {"title", "GPUs in the plan"}});
  }
  for (const auto& [field, title] : std::initializer_list<std::pair<const char*, const char*>>{
           {"system", "system"},
           {"deployment", "deployment"},
           {"layout", "layout"},
           {"interactivity", "tok/s per user"},
           {"output", "output tok/s per GPU"},
           {"total", "total tok/s per GPU"},
           {"ttft", "TTFT, median"},
           {"concurrency", "concurrency"},
           {"tag", "tag"},
           {"date", "date of the run"},
           {"source", "source"}}) {
    fields.push_back({{"field", field}, {"title", title}});
    if (std::string_view{field} == "interactivity" || std::string_view{field} == "output") {
      fields.back()["type"] = "quantitative";
      fields.back()["format"] = ",.4~r";
    } else {
      fields.back()["type"] = "nominal";
    }
  }
  return fields;
}

Json bare_field(const char* name, const char* type) {
  return {{"field", name}, {"type", type}};
}

std::vector<std::string> strings_of(const Json& values, const char* key) {
  std::set<std::string> strings;
  for (const auto& value : values) {
    strings.insert(value[key].get<std::string>());
  }
  return {strings.begin(), strings.end()};
}

Json x_axis() {
  auto x = bare_field("interactivity", "quantitative");
  x["title"] = "output tokens/s per user (interactivity)";
  x["scale"] = {{"zero", true}, {"nice", true}};
  return x;
}

/// 1, 2 and 5 of every decade in [least, most]; of many decades only 1.
Json log_ticks(double least, double most) {
  const bool many = most / least > kManyDecades;
  Json ticks = Json::array();
  const int first = static_cast<int>(std::floor(std::log10(least)));
  const int last = static_cast<int>(std::floor(std::log10(most)));
  for (int exponent = first; exponent <= last; ++exponent) {
    for (const int step : {1, 2, 5}) {
      const double tick = std::pow(10, exponent) * step;
      if (tick >= least && tick <= most && (step == 1 || !many)) {
        ticks.push_back(tick);
      }
    }
  }
  return ticks;
}

Json y_axis(const Json& points) {
  double least = points[0]["output"].get<double>();
  double most = least;
  for (const auto& point : points) {
    least = std::min(least, point["output"].get<double>());
    most = std::max(most, point["output"].get<double>());
  }
  least /= kRoomRatio;
  most *= kRoomRatio;
  auto y = bare_field("output", "quantitative");
  y["title"] = "output tokens/s per GPU (log)";
  y["scale"] = {{"type", "log"}, {"nice", false}, {"domain", {least, most}}};
  y["axis"] = {{"format", ",~r"}, {"values", log_ticks(least, most)}};
  return y;
}

Json guide_layer() {
  return {
      {"mark", {{"type", "line"}, {"strokeDash", {5, 4}}, {"strokeWidth", 1.2}, {"opacity", 0.6}}},
      {"encoding",
       {{"detail", bare_field("series", "nominal")},
        {"order", bare_field("interactivity", "quantitative")}}}};
}

Json point_layer() {
  auto inside = bare_field("inside", "ordinal");
  inside["title"] = "inside the SLO";
  inside["scale"] = {{"domain", {"yes", "TTFT unknown", "no"}}, {"range", {1.0, 0.5, 0.22}}};
  auto precision = bare_field("precision", "nominal");
  precision["title"] = "precision";
  return {
      {"mark", {{"type", "point"}, {"filled", true}, {"size", 46}}},
      {"encoding", {{"shape", precision}, {"opacity", inside}, {"tooltip", point_tooltip(false)}}}};
}

Json rule_layers(const inference::Slo& slo) {
  const Json data{
      {"values",
       {{{"at", slo.min_interactivity.in_base()},
         {"text", "SLO: " + significant(slo.min_interactivity.in_base()) + " tok/s per user"}}}}};
  const Json x{{"field", "at"}, {"type", "quantitative"}};
  const Json rule{{"data", data},
                  {"mark", {{"type", "rule"}, {"color", kInk}, {"strokeWidth", 1.5}}},
                  {"encoding", {{"x", x}}}};
  const Json text{{"data", data},
                  {"mark",
                   {{"type", "text"},
                    {"align", "left"},
                    {"dx", 6},
                    {"dy", -6},
                    {"baseline", "bottom"},
                    {"fontSize", 12},
                    {"color", kInk}}},
                  {"encoding", {{"x", x}, {"y", {{"value", 0}}}, {"text", {{"field", "text"}}}}}};
  return {rule, text};
}

std::string note_for(const plan::Service& service, bool has_chosen) {
  std::string note =
      "Dots are measured: per system and precision those that no other of the same beats in both "
      "rates. Dashed lines only guide the eye from dot to dot; nothing was measured along them.";
  if (service.slo.max_ttft) {
    note += " The SLO also asks for a median TTFT of at most " +
            significant(in_seconds(*service.slo.max_ttft), 3) + " s.";
  }
  return has_chosen
             ? note +
                   " Rings are the deployments of the plan, numbered as in the tables; one without "
                   "a dot in it is interpolated along its own load or lies below a frontier."
             : note;
}

}  // namespace

std::vector<Chart> frontier_charts(const PlanReport& report, const RackNames& racks) {
  std::vector<Chart> charts;
  const auto& site = *report.solved.site;
  const auto slugs = service_slugs(site);
  for (std::size_t s = 0; s < std::min(site.services.size(), report.frontiers.size()); ++s) {
    const auto& service = site.services[s];
    const auto points = measured_points(report.frontiers[s], service.slo, racks);
    if (points.empty()) {
      continue;
    }
    const auto chosen = chosen_points(report.solved, s, racks);
    auto colour = bare_field("system", "nominal");
    colour["title"] = "system";
    colour["scale"] = racks.scale(strings_of(points, "system"));
    Json measured{{"data", {{"values", points}}},
                  {"encoding", {{"x", x_axis()}, {"y", y_axis(points)}, {"color", colour}}},
                  {"layer", {guide_layer(), point_layer()}}};
    Json layers = Json::array({std::move(measured)});
    for (const auto& more :
         {rule_layers(service.slo),
          chosen.empty() ? Json::array()
                         : chosen_layers(chosen, "interactivity", "output", point_tooltip(true))}) {
      layers.insert(layers.end(), more.begin(), more.end());
    }
    Chart chart{
        "chart-frontier-" + slugs[s],
        "Frontier of " + service.id + ": " + service.model + ", " + workload_text(service.workload),
        note_for(service, !chosen.empty()),
        {{"$schema", kVegaLiteSchema},
         {"width", kChartWidth},
         {"height", kFrontierHeight},
         {"layer", std::move(layers)},
         {"config", chart_config()}}};
    charts.push_back(std::move(chart));
  }
  return charts;
}

}  // namespace perwatt::report
