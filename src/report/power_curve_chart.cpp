// Output tokens/s per GPU over facility watts per GPU: what one more watt yields, by system.
#include <set>

#include "charts.hpp"
#include "layout_text.hpp"
#include "text.hpp"

namespace perwatt::report {

namespace {

constexpr const char* kPowerCurveNote =
    "The concave hull of all deployments inside the SLO: between two dots a share of the GPUs runs "
    "at either end. Watts are time averages, idle share of availability included.";
constexpr const char* kRingNote =
    " Rings are the deployments of the plan; one under its curve was chosen for its margin, input "
    "tokens included.";

Json curve_points(const plan::SolvedSite& solved, std::size_t service, const RackNames& racks) {
  Json values = Json::array();
  for (std::size_t k = 0; k < solved.set->racks.size(); ++k) {
    const auto curve = plan::power_curve(*solved.set, service, k);
    if (!curve) {
      continue;
    }
    for (const auto& point : curve->points()) {
      values.push_back({{"system", racks.name(k)},
                        {"watts", in_watts(point.power)},
                        {"output", point.value.in_base()},
                        {"joules", in_joules_per_token(point.power / point.value)}});
    }
  }
  return values;
}

Json chosen_points(const plan::SolvedSite& solved, std::size_t service) {
  Json values = Json::array();
  const auto& assignments = solved.plan->assignments;
  for (std::size_t a = 0; a < assignments.size(); ++a) {
    const auto& candidate = solved.set->candidates[assignments[a].candidate];
    if (candidate.service == service) {
      values.push_back({{"number", deployment_number(a)},
                        {"deployment", configuration_text(*candidate.point.point)},
                        {"gpus", significant(assignments[a].gpus)},
                        {"watts", in_watts(candidate.meter_per_gpu.value)},
                        {"output", candidate.point.output_per_gpu.in_base()}});
    }
  }
  return values;
}

Json quantity(const char* name, const char* title) {
  return {{"field", name}, {"type", "quantitative"}, {"title", title}, {"format", ",.4~r"}};
}

Json curve_layer(const Json& points, const RackNames& racks) {
  std::set<std::string> names;
  for (const auto& point : points) {
    names.insert(point["system"].get<std::string>());
  }
  Json x{{"field", "watts"},
         {"type", "quantitative"},
         {"title", "watts at the meter per GPU, mean"},
         {"scale", {{"zero", false}, {"nice", true}}}};
  Json y{{"field", "output"},
         {"type", "quantitative"},
         {"title", "output tokens/s per GPU, serving"},
         {"axis", {{"format", ",~f"}}},
         {"scale", {{"zero", true}, {"nice", true}}}};
  Json colour{{"field", "system"},
              {"type", "nominal"},
              {"title", "system"},
              {"scale", racks.scale({names.begin(), names.end()})}};
  Json tooltip{{{"field", "system"}, {"type", "nominal"}, {"title", "system"}},
               quantity("watts", "W at the meter per GPU"),
               quantity("output", "output tok/s per GPU"),
               quantity("joules", "facility J per output token while serving")};
  return {{"data", {{"values", points}}},
          {"encoding", {{"x", x}, {"y", y}, {"color", colour}, {"tooltip", tooltip}}},
          {"layer",
           {{{"mark", {{"type", "line"}, {"strokeWidth", 2}}}},
            {{"mark", {{"type", "point"}, {"filled", true}, {"size", 50}}}}}}};
}

/// Layers of the deployments of the plan.
Json rings(const Json& chosen) {
  const Json tooltip{{{"field", "number"}, {"type", "nominal"}, {"title", "deployment"}},
                     {{"field", "deployment"}, {"type", "nominal"}, {"title", "configuration"}},
                     {{"field", "gpus"}, {"type", "nominal"}, {"title", "GPUs in the plan"}},
                     quantity("watts", "W at the meter per GPU"),
                     quantity("output", "output tok/s per GPU")};
  return chosen_layers(chosen, "watts", "output", tooltip);
}

}  // namespace

std::vector<Chart> power_curve_charts(const PlanReport& report, const RackNames& racks) {
  std::vector<Chart> charts;
  const auto& solved = report.solved;
  const auto slugs = service_slugs(*solved.site);
  for (std::size_t s = 0; s < solved.site->services.size(); ++s) {
    const auto points = curve_points(solved, s, racks);
    if (points.empty()) {
      continue;
    }
    const auto chosen = chosen_points(solved, s);
    Json layers = Json::array({curve_layer(points, racks)});
    if (!chosen.empty()) {
      const auto more = rings(chosen);
      layers.insert(layers.end(), more.begin(), more.end());
    }
    charts.push_back({"chart-power-" + slugs[s],
                      "Power curves of " + solved.site->services[s].id,
                      chosen.empty() ? kPowerCurveNote : std::string{kPowerCurveNote} + kRingNote,
                      {{"$schema", kVegaLiteSchema},
                       {"width", kChartWidth},
                       {"height", 300},
                       {"layer", std::move(layers)},
                       {"config", chart_config()}}});
  }
  return charts;
}

}  // namespace perwatt::report
