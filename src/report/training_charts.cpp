// The chart of time against energy of a training pipeline.
#include <algorithm>
#include <cmath>
#include <utility>

#include "text.hpp"
#include "training_parts.hpp"
#include <fmt/format.h>

namespace perwatt::report {

namespace {

constexpr double kTrainingHeight = 380;
constexpr std::size_t kMostCorners = 400;  // of the drawn line

constexpr const char* kTimeTitle = "time of an iteration, s";
constexpr const char* kEnergyTitle =
    "energy of an iteration, J (GPU boards; per GPU of a group, all stages)";

Json point_json(const TrainingResults& results, const std::string& name, Seconds time,
                Joules energy) {
  return {{"name", name},
          {"seconds", in_seconds(time)},
          {"joules", energy.in_base()},
          {"watts", in_watts(energy / time)},
          {"longer", percent_text(results.slowdown(time), 4)},
          {"saved", percent_text(results.saved(energy), 4)}};
}

/// Every breakpoint, or every so many of them with the first and the last; then on to the end of
/// the drawing, where the slowest iteration waits.
Json line_values(const TrainingResults& results, Seconds until) {
  const auto& points = results.frontier().points();
  const std::size_t stride = (points.size() + kMostCorners - 1) / kMostCorners;
  Json values = Json::array();
  const auto add = [&](Seconds time) {
    values.push_back(
        point_json(results, "bound: mixtures no device has", time, results.bound(time)));
    if (const auto price = results.price_of_time(time)) {
      values.back()["price"] = in_watts(*price);
    }
  };
  if (until > results.frontier().slowest()) {
    add(until);
  }
  for (std::size_t i = 0; i + 1 < points.size(); i += stride) {
    add(points[i].time);
  }
  add(points.back().time);
  return values;
}

Json marked_points(const TrainingResults& results) {
  const auto& frontier = results.frontier();
  const auto full = std::max(results.full_clocks.time, frontier.fastest());
  const auto least = frontier.least_energy_time();
  Json values = Json::array(
      {point_json(results, "full clocks", results.full_clocks.time, results.full_clocks.energy),
       point_json(results, "as full clocks, bound", full, results.bound(full)),
       point_json(results, "least energy, bound", least, results.bound(least))});
  if (results.plan) {
    values.push_back(point_json(results, "plan", results.plan->time, results.plan->energy));
  }
  return values;
}

Json iteration_tooltip(bool is_line) {
  Json fields{field("name", "nominal", "point"),
              tooltip_quantity("seconds", "time, s"),
              tooltip_quantity("joules", "energy, J"),
              tooltip_quantity("watts", "mean power, W"),
              field("longer", "nominal", "longer than full clocks"),
              field("saved", "nominal", "less than full clocks")};
  if (is_line) {
    fields.push_back(tooltip_quantity("price", "price of a second, J"));
  }
  return fields;
}

Json axis(const char* name, const char* title) {
  auto json = field(name, "quantitative", title);
  json["scale"] = {{"zero", false}, {"nice", true}};
  return json;
}

Json lines_layer(Json values, const char* colour, Json dash, bool has_corners) {
  Json mark{{"type", "line"}, {"color", colour}, {"strokeDash", std::move(dash)}};
  if (has_corners) {
    mark["point"] = {{"size", 10}, {"color", colour}};
  }
  Json encoding{{"x", axis("seconds", kTimeTitle)},
                {"y", axis("joules", kEnergyTitle)},
                {"order", {{"field", "seconds"}, {"type", "quantitative"}}},
                {"tooltip", iteration_tooltip(has_corners)}};
  return {{"data", {{"values", std::move(values)}}},
          {"mark", std::move(mark)},
          {"encoding", std::move(encoding)}};
}

Json points_layer(const Json& values) {
  Json names = Json::array();
  for (const auto& value : values) {
    names.push_back(value["name"]);
  }
  Json colours{"#d9730d", "#2a8c4a", "#7b52ab", kInk};
  Json shapes{"square", "diamond", "triangle-up", "circle"};
  for (auto* range : {&colours, &shapes}) {
    while (range->size() > names.size()) {
      range->erase(range->size() - 1);
    }
  }
  auto colour = field("name", "nominal", "point");
  colour["scale"] = {{"domain", names}, {"range", colours}};
  auto shape = field("name", "nominal", "point");
  shape["scale"] = {{"domain", names}, {"range", shapes}};
  // A wide ring, so that the bound under it stays visible.
  const Json size{{"condition", {{"test", "datum.name === 'plan'"}, {"value", 260}}},
                  {"value", 100}};
  return {{"data", {{"values", values}}},
          {"mark", {{"type", "point"}, {"filled", false}, {"strokeWidth", 2}, {"opacity", 1}}},
          {"encoding",
           {{"x", axis("seconds", kTimeTitle)},
            {"y", axis("joules", kEnergyTitle)},
            {"color", colour},
            {"shape", shape},
            {"size", size},
            {"tooltip", iteration_tooltip(false)}}}};
}

}  // namespace

Chart time_energy_chart(const TrainingResults& results) {
  const auto& frontier = results.frontier();
  const auto& planner = *results.report.planner;
  auto until = std::max(frontier.slowest(), results.full_clocks.time);
  if (results.plan) {
    until = std::max(until, results.plan->time);
  }
  auto line = line_values(results, until);
  std::string note =
      "The blue line is the bound: the exact least energy of an iteration for every time it may "
      "take; it mixes settings, which no device can. Plans lie on or above it. The dashed line is "
      "full clocks that then wait, for a straggler say: what lies between the lines can be saved.";
  if (line.size() < frontier.points().size()) {
    note += fmt::format(
        " The line is drawn through {} of {} breakpoints; 'perwatt train "
        "--frontier' writes all.",
        line.size(), significant(static_cast<double>(frontier.points().size()), 12));
  }
  Json waiting = Json::array();
  for (const auto time : {results.full_clocks.time, until}) {
    waiting.push_back(
        point_json(results, "full clocks, then waiting", time, planner.all_max_energy(time)));
  }
  return {"chart-time-energy",
          "Time and energy of an iteration",
          note,
          {{"$schema", kVegaLiteSchema},
           {"width", kChartWidth},
           {"height", kTrainingHeight},
           {"layer", Json::array({lines_layer(std::move(waiting), "#d9730d", {5, 4}, false),
                                  lines_layer(std::move(line), "#1f6fb4", {1, 0}, true),
                                  points_layer(marked_points(results))})},
           {"config", chart_config()}}};
}

}  // namespace perwatt::report
