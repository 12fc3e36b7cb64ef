// The charts of a simulation: lines over time, and where the watts went.
#include <algorithm>
#include <functional>
#include <utility>

#include "simulation_parts.hpp"
#include "text.hpp"
#include <fmt/format.h>

#include "perwatt/base/text.hpp"

namespace perwatt::report {

namespace {

using simulate::Timeline;

constexpr double kTimelineHeight = 300;
constexpr std::size_t kMostDots = 4000;      // of all lines: they only carry tooltips
constexpr std::size_t kMostNamedBands = 12;  // beyond, names would cover each other
constexpr double kPixelsPerDigit = 6.5;      // of a label in a bar, at most

/// The time axis: "min" for a run of half an hour.
struct TimeUnit {
  const char* name;
  double seconds;
};

TimeUnit time_unit(Seconds duration) {
  constexpr double kMinute = 60;
  constexpr double kHour = 3600;
  if (duration >= seconds(3 * kHour)) {
    return {"h", kHour};
  }
  return duration >= seconds(3 * kMinute) ? TimeUnit{"min", kMinute} : TimeUnit{"s", 1};
}

/// Six digits are more than a screen shows.
double six_digits(double value) {
  return parse_number(fmt::format("{:.6g}", value)).value_or(0);
}

/// A position of a layer that says nothing of the axis: another layer has its title.
Json beside_axis(const char* name) {
  return {{"field", name}, {"type", "quantitative"}};
}

Json policy_colour(const std::vector<std::string>& names) {
  Json range = Json::array();
  for (std::size_t i = 0; i < names.size(); ++i) {
    range.push_back(chart_colour(i));
  }
  auto colour = field("policy", "nominal", nullptr);
  colour["scale"] = {{"domain", names}, {"range", range}};
  colour["legend"] = {{"orient", "top"}, {"columns", 6}, {"symbolType", "stroke"}};
  return colour;
}

/// A row for every part of the first seed's timeline, at the middle of the part.
using AddFigures = std::function<void(const Timeline&, std::size_t part, Json& row)>;

Json timeline_values(const SimulationReport& report, const TimeUnit& unit, const AddFigures& add) {
  const auto names = policy_names(report);
  const double end = in_seconds(report.scenario->duration);
  Json values = Json::array();
  for (std::size_t p = 0; p < names.size(); ++p) {
    const auto& timeline = (*report.runs)[p].front().timeline;
    const double part = in_seconds(timeline.part);
    for (std::size_t i = 0; i < timeline.supply.size(); ++i) {
      const double begins = part * static_cast<double>(i);
      const double middle = (begins + std::min(end, begins + part)) / 2;
      Json row{{"policy", names[p]}, {"time", six_digits(middle / unit.seconds)}};
      add(timeline, i, row);
      values.push_back(std::move(row));
    }
  }
  return values;
}

/// Since scoring began.
struct ShownSpan {
  Seconds begin;
  Seconds end;
};

/// As far as the fault is in the scored time.
std::optional<ShownSpan> shown_span(const simulate::Scenario& scenario,
                                    const simulate::Fault& fault) {
  const Seconds begin = std::max(Seconds{}, fault.at - scenario.warm_up);
  const Seconds end = std::min(scenario.duration, fault.at + fault.lasts - scenario.warm_up);
  return end > begin ? std::optional{ShownSpan{begin, end}} : std::nullopt;
}

struct FaultBands {
  Json values = Json::array();
  std::size_t left_out = 0;
};

/// The scenario's own faults.
FaultBands fault_bands(const SimulationReport& report, const TimeUnit& unit) {
  const auto& scenario = *report.scenario;
  FaultBands bands;
  for (const auto& fault : scenario.faults) {
    const auto shown = shown_span(scenario, fault);
    if (!shown) {
      continue;
    }
    if (bands.values.size() == kMostFaultBands) {
      ++bands.left_out;
      continue;
    }
    bands.values.push_back({{"fault", fault_name(scenario, fault)},
                            {"begin", six_digits(in_seconds(shown->begin) / unit.seconds)},
                            {"end", six_digits(in_seconds(shown->end) / unit.seconds)}});
  }
  return bands;
}

Json band_layer(const Json& bands) {
  return {{"data", {{"values", bands}}},
          {"mark", {{"type", "rect"}, {"color", "#b3261e"}, {"opacity", 0.1}}},
          {"encoding",
           {{"x", beside_axis("begin")},
            {"x2", {{"field", "end"}}},
            {"tooltip",
             Json::array({field("fault", "nominal", "fault"), tooltip_quantity("begin", "from"),
                          tooltip_quantity("end", "to")})}}}};
}

/// Names stand upright at the left edges of their bands, where lines leave room.
Json band_names_layer(const Json& bands, bool is_on_top) {
  Json named = Json::array();
  for (std::size_t i = 0; i < std::min(bands.size(), kMostNamedBands); ++i) {
    named.push_back(bands[i]);
  }
  return {{"data", {{"values", named}}},
          {"mark",
           {{"type", "text"},
            {"angle", 270},
            {"align", is_on_top ? "right" : "left"},
            {"baseline", "top"},
            {"dx", is_on_top ? -4 : 4},
            {"dy", 3},
            {"limit", kTimelineHeight},
            {"fontSize", 11},
            {"color", "#8f1d17"}}},
          {"encoding",
           {{"x", beside_axis("begin")},
            {"y", {{"value", is_on_top ? 0 : kTimelineHeight}}},
            {"text", {{"field", "fault"}}}}}};
}

/// What the axes of a timeline show.
struct TimelineAxes {
  const char* y_name;
  const char* y_title;
  bool from_zero;
};

Json lines_layer_of(const SimulationReport& report, const TimelineAxes& axes,
                    const TimeUnit& unit) {
  const auto x_title = fmt::format("time since scoring began, {}", unit.name);
  auto x = field("time", "quantitative", x_title.c_str());
  x["scale"] = {{"domain", {0, six_digits(in_seconds(report.scenario->duration) / unit.seconds)}},
                {"nice", false}};
  auto y = field(axes.y_name, "quantitative", axes.y_title);
  y["scale"] = {{"zero", axes.from_zero}, {"nice", true}};
  return {{"mark", {{"type", "line"}, {"strokeWidth", 1.6}, {"clip", true}}},
          {"params", Json::array({{{"name", "shown"},
                                   {"select", {{"type", "point"}, {"fields", {"policy"}}}},
                                   {"bind", "legend"}}})},
          {"encoding",
           {{"x", x},
            {"y", y},
            {"color", policy_colour(policy_names(report))},
            {"opacity", {{"condition", {{"param", "shown"}, {"value", 1}}}, {"value", 0.12}}}}}};
}

/// Nothing is seen of them: a pointer finds its tooltip there.
Json unseen_dots_layer(const char* y_name, const Json& tooltip) {
  return {
      {"mark", {{"type", "point"}, {"filled", true}, {"size", 60}, {"opacity", 0}}},
      {"encoding", {{"x", beside_axis("time")}, {"y", beside_axis(y_name)}, {"tooltip", tooltip}}}};
}

/// What was wanted, thin, dashed and pale.
Json wanted_layer(const SimulationReport& report) {
  return {{"mark", {{"type", "line"}, {"strokeWidth", 1}, {"strokeDash", {3, 3}}, {"clip", true}}},
          {"encoding",
           {{"x", beside_axis("time")},
            {"y", beside_axis("wanted")},
            {"color", policy_colour(policy_names(report))},
            {"opacity", {{"condition", {{"param", "shown"}, {"value", 0.45}}}, {"value", 0}}}}}};
}

void add_limit_layers(Watts limit, Json& layers) {
  const Json data{{"values", Json::array({{{"limit", six_digits(in_kilowatts(limit))},
                                           {"label", "limit " + power_text(limit)}}})}};
  const Json y = beside_axis("limit");
  layers.push_back({{"data", data},
                    {"mark", {{"type", "rule"}, {"color", kInk}, {"strokeWidth", 1.5}}},
                    {"encoding", {{"y", y}}}});
  layers.push_back(
      {{"data", data},
       {"mark",
        {{"type", "text"},
         {"align", "right"},
         {"dx", -4},
         {"dy", -7},
         {"fontSize", 12},
         {"fontWeight", 600},
         {"color", kInk}}},
       {"encoding", {{"x", {{"value", kChartWidth}}}, {"y", y}, {"text", {{"field", "label"}}}}}});
}

/// The limit of the root while a fault lowers it, dashed.
void add_lowered_limits(const SimulationReport& report, const TimeUnit& unit, Json& layers) {
  const auto& scenario = *report.scenario;
  Json values = Json::array();
  for (const auto& fault : scenario.faults) {
    const auto shown = shown_span(scenario, fault);
    if (fault.kind == simulate::FaultKind::limit_lowered && fault.node.value == 0 && shown &&
        values.size() < kMostFaultBands) {
      values.push_back({{"limit", six_digits(in_kilowatts(fault.power))},
                        {"begin", six_digits(in_seconds(shown->begin) / unit.seconds)},
                        {"end", six_digits(in_seconds(shown->end) / unit.seconds)}});
    }
  }
  if (!values.empty()) {
    layers.push_back(
        {{"data", {{"values", std::move(values)}}},
         {"mark",
          {{"type", "rule"}, {"color", kInk}, {"strokeWidth", 1.5}, {"strokeDash", {6, 3}}}},
         {"encoding",
          {{"x", beside_axis("begin")}, {"x2", {{"field", "end"}}}, {"y", beside_axis("limit")}}}});
  }
}

Json timeline_spec(Json values, Json layers) {
  return {{"$schema", kVegaLiteSchema}, {"width", kChartWidth},
          {"height", kTimelineHeight},  {"data", {{"values", std::move(values)}}},
          {"layer", std::move(layers)}, {"config", chart_config()}};
}

std::string bands_note(const SimulationReport& report, const FaultBands& bands) {
  std::string note = " A click on a policy's name shows it alone.";
  if (!bands.values.empty()) {
    note += " Red bands are faults of the scenario, which the table of faults lists.";
  }
  if (bands.left_out > 0) {
    note += fmt::format(" {} more faults are not drawn.", bands.left_out);
  }
  if (report.scenario->failures) {
    note += " Failures at random are not marked.";
  }
  return note;
}

Chart power_timeline(const SimulationReport& report, const TimeUnit& unit,
                     const FaultBands& bands) {
  auto values =
      timeline_values(report, unit, [](const Timeline& timeline, std::size_t part, Json& row) {
        row["supply"] = six_digits(in_kilowatts(timeline.supply[part]));
        row["highest"] = six_digits(in_kilowatts(timeline.highest[part]));
        row["wanted"] = six_digits(in_kilowatts(timeline.wanted[part]));
      });
  const Json tooltip{field("policy", "nominal", "policy"), tooltip_quantity("time", unit.name),
                     tooltip_quantity("supply", "supply, kW"),
                     tooltip_quantity("highest", "highest step, kW"),
                     tooltip_quantity("wanted", "wanted, kW")};
  Json layers = Json::array();
  if (!bands.values.empty()) {
    layers.push_back(band_layer(bands.values));
  }
  layers.push_back(wanted_layer(report));
  layers.push_back(lines_layer_of(report, {"supply", "supply of the root, kW", false}, unit));
  if (values.size() <= kMostDots) {
    layers.push_back(unseen_dots_layer("supply", tooltip));
  }
  if (const auto& limit = report.runs->front().front().limit) {
    add_limit_layers(*limit, layers);
    add_lowered_limits(report, unit, layers);
  }
  if (!bands.values.empty()) {
    layers.push_back(band_names_layer(bands.values, true));
  }
  const auto& timeline = report.runs->front().front().timeline;
  return {"chart-power", "Power over time",
          fmt::format("First seed. Lines are means over {} s; the pale dashed ones are what would "
                      "be drawn at that moment with no caps. The axis does not begin at 0.",
                      significant(in_seconds(timeline.part))) +
              bands_note(report, bands),
          timeline_spec(std::move(values), std::move(layers))};
}

Chart token_timeline(const SimulationReport& report, const TimeUnit& unit,
                     const FaultBands& bands) {
  auto values =
      timeline_values(report, unit, [](const Timeline& timeline, std::size_t part, Json& row) {
        row["good"] = six_digits(in_tokens_per_second(timeline.good[part]));
        row["output"] = six_digits(in_tokens_per_second(timeline.output[part]));
      });
  const Json tooltip{field("policy", "nominal", "policy"), tooltip_quantity("time", unit.name),
                     tooltip_quantity("good", "good, tok/s"),
                     tooltip_quantity("output", "output, tok/s")};
  Json layers = Json::array();
  if (!bands.values.empty()) {
    layers.push_back(band_layer(bands.values));
  }
  layers.push_back(lines_layer_of(report, {"good", "good output tokens/s", true}, unit));
  if (values.size() <= kMostDots) {
    layers.push_back(unseen_dots_layer("good", tooltip));
  }
  if (!bands.values.empty()) {
    layers.push_back(band_names_layer(bands.values, false));
  }
  return {"chart-tokens", "Good tokens over time",
          "First seed. A request's tokens count when it ends, and are good when it was inside its "
          "limits of TTFT and TPOT." +
              bands_note(report, bands),
          timeline_spec(std::move(values), std::move(layers))};
}

struct WattsPart {
  const char* name;
  const char* colour;
  const char* text_colour;
  Watts (*of)(const simulate::PolicyResult&);
};

constexpr WattsPart kWattsParts[] = {
    {"drawn", "#2b5c8a", "#ffffff",
     [](const simulate::PolicyResult& run) { return run.mean_supply; }},
    {"idle work", "#d5dbe1", kInk,
     [](const simulate::PolicyResult& run) { return run.stranded.idle_work; }},
    {"child limits", "#e0a030", kInk,
     [](const simulate::PolicyResult& run) { return run.stranded.child_limit; }},
    {"reserve", "#7b52ab", "#ffffff",
     [](const simulate::PolicyResult& run) { return run.stranded.reserve; }}};

/// One bar a policy, its parts end to end.
Json watts_values(const SimulationReport& report) {
  const auto names = policy_names(report);
  Json values = Json::array();
  for (std::size_t p = 0; p < names.size(); ++p) {
    double end = 0;
    for (const auto& part : kWattsParts) {
      const auto score = score_of((*report.runs)[p], [&](const simulate::PolicyResult& run) {
        return in_kilowatts(part.of(run));
      });
      const double kilowatts = score ? std::max(0.0, score->value) : 0;
      if (kilowatts == 0) {
        continue;
      }
      values.push_back({{"policy", names[p]},
                        {"part", part.name},
                        {"start", six_digits(end)},
                        {"end", six_digits(end + kilowatts)},
                        {"middle", six_digits(end + kilowatts / 2)},
                        {"kilowatts", six_digits(kilowatts)},
                        {"label", significant(kilowatts)},
                        {"label_colour", part.text_colour}});
      end += kilowatts;
    }
  }
  return values;
}

Json watts_labels(const Json& values, const Json& y, double widest) {
  Json wide = Json::array();
  for (const auto& value : values) {
    const double pixels = value["kilowatts"].get<double>() / widest * kChartWidth;
    const auto letters = static_cast<double>(value["label"].get_ref<const std::string&>().size());
    if (pixels > kPixelsPerDigit * (letters + 1)) {
      wide.push_back(value);
    }
  }
  return {{"data", {{"values", wide}}},
          {"mark", {{"type", "text"}, {"fontSize", 12}}},
          {"encoding",
           {{"y", y},
            {"x", beside_axis("middle")},
            {"text", {{"field", "label"}}},
            {"color", {{"field", "label_colour"}, {"type", "nominal"}, {"scale", nullptr}}}}}};
}

Json watts_spec(const SimulationReport& report, Watts limit) {
  const auto values = watts_values(report);
  double widest = in_kilowatts(limit);
  for (const auto& value : values) {
    widest = std::max(widest, value["end"].get<double>());
  }
  Json domain = Json::array();
  Json range = Json::array();
  for (const auto& part : kWattsParts) {
    domain.push_back(part.name);
    range.push_back(part.colour);
  }
  auto y = field("policy", "nominal", nullptr);
  y["sort"] = policy_names(report);
  y["axis"] = {{"labelLimit", 200}, {"domain", false}, {"ticks", false}, {"labelPadding", 8}};
  y["scale"] = {{"paddingInner", 0.25}};
  auto x = field("start", "quantitative", "kW, mean over the scored time");
  x["scale"] = {{"domain", {0, widest}}, {"nice", false}};
  auto colour = field("part", "nominal", nullptr);
  colour["scale"] = {{"domain", domain}, {"range", range}};
  colour["legend"] = {{"orient", "top"}, {"symbolType", "square"}};
  const Json tooltip{field("policy", "nominal", "policy"), field("part", "nominal", "part"),
                     tooltip_quantity("kilowatts", "kW")};
  const Json bars{
      {"data", {{"values", values}}},
      {"mark", {{"type", "bar"}}},
      {"encoding",
       {{"y", y}, {"x", x}, {"x2", {{"field", "end"}}}, {"color", colour}, {"tooltip", tooltip}}}};
  return {{"$schema", kVegaLiteSchema},
          {"width", kChartWidth},
          {"height", {{"step", 34}}},
          {"layer", Json::array({bars, watts_labels(values, y, widest)})},
          {"config", chart_config()}};
}

}  // namespace

std::vector<Chart> timeline_charts(const SimulationReport& report) {
  const auto has_some = [&](const auto& of) {
    return std::any_of(report.runs->begin(), report.runs->end(), of);
  };
  if (!has_some([](const auto& runs) { return !runs.front().timeline.supply.empty(); })) {
    return {};
  }
  const auto unit = time_unit(report.scenario->duration);
  const auto bands = fault_bands(report, unit);
  std::vector<Chart> charts{power_timeline(report, unit, bands)};
  if (has_some([](const auto& runs) { return runs.front().output > TokensPerSecond{}; })) {
    charts.push_back(token_timeline(report, unit, bands));
  }
  return charts;
}

std::vector<Chart> watts_charts(const SimulationReport& report) {
  const auto& limit = report.runs->front().front().limit;
  if (!limit) {
    return {};
  }
  return {{"chart-watts", "Where the watts went",
           "Of the root's limit, mean over the scored time and all seeds. Idle work: nobody would "
           "have drawn it. Child limits: it was wanted, and held back by a limit further down. "
           "Reserve: it was wanted and within all limits, and not handed out or kept for "
           "overshoot.",
           watts_spec(report, *limit)}};
}

}  // namespace perwatt::report
