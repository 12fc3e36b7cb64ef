// The charts of the report of measurements.
#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "measurement_parts.hpp"
#include "text.hpp"
#include <fmt/format.h>

namespace perwatt::report {

namespace {

using measure::Boundary;
using measure::Measurement;

constexpr double kMeasurementHeight = 320;
constexpr std::size_t kMostShares = 100;   // points of a distribution
constexpr std::size_t kMostSamples = 600;  // of a meter's line
constexpr std::size_t kMostNamedLines = 12;

const char* validity_word(const Measurement& m) {
  return m.valid ? "valid" : "not valid";
}

Json validity_shape() {
  auto shape = field("validity", "nominal", "run");
  shape["scale"] = {{"domain", {"valid", "not valid"}}, {"range", {"circle", "cross"}}};
  return shape;
}

Json top_spec(Json layers) {
  return {{"$schema", kVegaLiteSchema},
          {"width", kChartWidth},
          {"height", kMeasurementHeight},
          {"layer", std::move(layers)},
          {"config", chart_config()}};
}

const measure::EnergyResult* energy_of(const Measurement& m, Boundary boundary) {
  for (const auto& energy : m.energy) {
    if (energy.account.boundary == boundary) {
      return &energy;
    }
  }
  return nullptr;
}

Json frontier_values(const MeasurementReport& report, Boundary boundary,
                     const std::vector<std::string>& names) {
  Json values = Json::array();
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto& m = report.runs[i].measurement;
    const auto* energy = energy_of(m, boundary);
    const auto rate = energy == nullptr ? std::nullopt : tokens_per_joule(*energy);
    if (!rate || !m.latencies.tpot || m.latencies.tpot->p50 <= Seconds{}) {
      continue;
    }
    values.push_back({{"run", names[i]},
                      {"model", m.model},
                      {"load", m.load},
                      {"boundary", boundary_text(*energy)},
                      {"validity", validity_word(m)},
                      {"user", 1 / in_seconds(m.latencies.tpot->p50)},
                      {"per_watt", *rate},
                      {"joules", estimate_text(energy->joules_per_output_token)}});
  }
  return values;
}

/// The dots and above each its run; towards the middle, so that no name leaves the chart.
Json with_names(const Json& dots, const Json& values) {
  double widest = 0;
  for (const auto& value : values) {
    widest = std::max(widest, value["user"].get<double>());
  }
  Json layers = Json::array({dots});
  for (const bool is_left : {true, false}) {
    Json half = Json::array();
    for (const auto& value : values) {
      if ((value["user"].get<double>() < widest / 2) == is_left) {
        half.push_back(value);
      }
    }
    if (!half.empty()) {
      layers.push_back({{"data", {{"values", half}}},
                        {"mark",
                         {{"type", "text"},
                          {"dy", -13},
                          {"dx", is_left ? -6 : 6},
                          {"align", is_left ? "left" : "right"},
                          {"fontSize", 11}}},
                        {"encoding",
                         {{"x", {{"field", "user"}, {"type", "quantitative"}}},
                          {"y", {{"field", "per_watt"}, {"type", "quantitative"}}},
                          {"text", {{"field", "run"}}}}}});
    }
  }
  return layers;
}

/// One per boundary that any run has energy per token at.
void add_frontiers(const MeasurementReport& report, const std::vector<std::string>& names,
                   std::vector<Chart>& charts) {
  for (const auto boundary : {Boundary::gpu, Boundary::it, Boundary::facility}) {
    const auto values = frontier_values(report, boundary, names);
    if (values.empty()) {
      continue;
    }
    const auto where = boundary_name(boundary);
    const auto y_title = "output tokens/s per W at the " + where;
    auto x = field("user", "quantitative", "output tokens/s per user (1 / median TPOT)");
    x["scale"] = {{"zero", true}, {"nice", true}};
    auto y = field("per_watt", "quantitative", y_title.c_str());
    y["scale"] = {{"zero", true}, {"nice", true}};
    const Json tooltip{field("run", "nominal", "run"),
                       field("model", "nominal", "model"),
                       field("load", "nominal", "load"),
                       field("boundary", "nominal", "power"),
                       tooltip_quantity("user", "tok/s per user"),
                       tooltip_quantity("per_watt", "tok/s per W"),
                       field("joules", "nominal", "J per output token")};
    const Json dots{{"data", {{"values", values}}},
                    {"mark", {{"type", "point"}, {"filled", true}, {"size", 110}, {"opacity", 1}}},
                    {"encoding",
                     {{"x", x},
                      {"y", y},
                      {"color", field("run", "nominal", "run")},
                      {"shape", validity_shape()},
                      {"tooltip", tooltip}}}};
    charts.push_back({"chart-frontier-" + std::string{to_string(boundary)},
                      "Tokens per watt against tokens per user, " + where,
                      "A dot is a run; up and to the right is better. Power of one boundary only: "
                      "dots of other charts stand at other boundaries.",
                      top_spec(with_names(dots, values))});
  }
}

/// A distribution as the share of requests that are not above a time.
Json shares_of(std::vector<double> times) {
  Json points = Json::array();
  std::sort(times.begin(), times.end());
  const std::size_t n = times.size();
  const std::size_t steps = std::min(n, kMostShares);
  for (std::size_t k = 1; k <= steps; ++k) {
    const std::size_t rank = (k * n + steps - 1) / steps;  // the last one is the maximum
    points.push_back({times[rank - 1], static_cast<double>(rank) / static_cast<double>(n)});
  }
  return points;
}

Json shares_of(const measure::Quantiles& q) {
  Json points = Json::array();
  const auto add = [&](const std::optional<Seconds>& time, double share) {
    if (time && *time > Seconds{}) {
      points.push_back({in_seconds(*time), share});
    }
  };
  add(q.p50, 0.5);
  add(q.p75, 0.75);
  add(q.p90, 0.9);
  add(q.p95, 0.95);
  add(q.p99, 0.99);
  add(q.max, 1);
  return points;
}

using Latency = std::function<std::optional<Seconds>(const measure::RequestRecord&)>;

struct LatencyCurve {
  const char* from;  // of the legend
  std::optional<measure::Quantiles> measure::Latencies::*summary;
  Latency of_request;  // empty: one value per gap
};

struct LatencyChart {
  const char* id;
  const char* name;
  const char* of;  // what the shares are of
  std::vector<LatencyCurve> curves;
};

std::vector<double> times_of(const std::vector<measure::RequestRecord>& requests,
                             const Latency& latency) {
  std::vector<double> times;
  for (const auto& request : requests) {
    if (request.outcome != measure::RequestOutcome::ok) {
      continue;
    }
    if (!latency) {
      for (const float gap : request.content_gaps_seconds) {
        times.push_back(static_cast<double>(gap));
      }
    } else if (const auto time = latency(request)) {
      times.push_back(in_seconds(*time));
    }
  }
  times.erase(std::remove_if(times.begin(), times.end(), [](double t) { return t <= 0; }),
              times.end());
  return times;
}

Json latency_values(const MeasurementReport& report, const LatencyChart& chart,
                    const std::vector<std::string>& names) {
  Json values = Json::array();
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto& run = report.runs[i];
    for (const auto& curve : chart.curves) {
      const auto& summary = run.measurement.latencies.*curve.summary;
      if (!summary) {
        continue;  // not known; requests alone would hide that
      }
      auto times = times_of(run.requests, curve.of_request);
      const auto points = times.empty() ? shares_of(*summary) : shares_of(std::move(times));
      for (const auto& point : points) {
        values.push_back(
            {{"run", names[i]}, {"from", curve.from}, {"seconds", point[0]}, {"share", point[1]}});
      }
    }
  }
  return values;
}

/// The first curve is drawn through, the second dashed.
Json dashes(const LatencyChart& kind) {
  auto dash = field("from", "nominal", "counted");
  dash["scale"] = {{"domain", {kind.curves[0].from, kind.curves[1].from}},
                   {"range", Json::array({Json::array({1, 0}), Json::array({5, 3})})}};
  dash["legend"] = {{"symbolType", "stroke"}};
  return dash;
}

void add_latencies(const MeasurementReport& report, const std::vector<std::string>& names,
                   std::vector<Chart>& charts) {
  using measure::Latencies;
  const std::vector<LatencyChart> kinds{
      {"ttft",
       "TTFT",
       "requests",
       {{"from the send", &Latencies::ttft, measure::ttft},
        {"from the intended send", &Latencies::ttft_from_intended, measure::ttft_from_intended}}},
      {"tpot", "TPOT", "requests", {{"per request", &Latencies::tpot, measure::tpot}}},
      {"itl", "ITL", "gaps between content chunks", {{"every gap", &Latencies::itl, {}}}},
      {"e2e",
       "E2E",
       "requests",
       {{"from the send", &Latencies::e2e, measure::e2e},
        {"from the intended send", &Latencies::e2e_from_intended, measure::e2e_from_intended}}}};
  for (const auto& kind : kinds) {
    const auto values = latency_values(report, kind, names);
    if (values.empty()) {
      continue;
    }
    const auto x_title = fmt::format("{}, s (log)", kind.name);
    const auto y_title = fmt::format("share of {} at or below", kind.of);
    auto x = field("seconds", "quantitative", x_title.c_str());
    x["scale"] = {{"type", "log"}};
    x["axis"] = {{"format", "~g"}, {"tickCount", 6}};
    auto y = field("share", "quantitative", y_title.c_str());
    y["axis"] = {{"format", "%"}};
    y["scale"] = {{"domain", {0, 1}}};
    const Json tooltip{field("run", "nominal", "run"), field("from", "nominal", "counted"),
                       tooltip_quantity("seconds", "s"), tooltip_quantity("share", "share")};
    Json line{
        {"data", {{"values", values}}},
        {"mark", {{"type", "line"}, {"interpolate", "step-after"}, {"point", {{"size", 14}}}}},
        {"encoding",
         {{"x", x}, {"y", y}, {"color", field("run", "nominal", "run")}, {"tooltip", tooltip}}}};
    if (kind.curves.size() > 1) {
      line["encoding"]["strokeDash"] = dashes(kind);
    }
    charts.push_back(
        {fmt::format("chart-{}", kind.id), fmt::format("Distribution of {}", kind.name),
         "Of successful requests of the window: how many were at or below a time. Where "
         "single requests are not known, from the median up, through the percentiles "
         "that are.",
         top_spec(Json::array({std::move(line)}))});
  }
}

/// Watts of a meter over time; from its counter where it gives no watts.
Json power_values(const device::MeterTrace& trace, Instant begin) {
  Json values = Json::array();
  const auto& readings = trace.readings;
  const std::size_t stride = std::max<std::size_t>(1, readings.size() / kMostSamples);
  for (std::size_t i = 0; i < readings.size(); i += stride) {
    std::optional<Watts> power = readings[i].power;
    if (!power && i >= stride && readings[i].counter && readings[i - stride].counter) {
      const auto& before = readings[i - stride];
      power = (*readings[i].counter - *before.counter) / (readings[i].at - before.at);
    }
    if (power && *power >= Watts{}) {
      values.push_back({{"meter", trace.meter.device.empty() ? trace.meter.id : trace.meter.device},
                        {"scope", std::string{to_string(trace.meter.scope)}},
                        {"seconds", in_seconds(readings[i].at - begin)},
                        {"watts", in_watts(*power)}});
    }
  }
  return values;
}

void add_power(const MeasurementReport& report, const std::vector<std::string>& names,
               std::vector<Chart>& charts) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto& run = report.runs[i];
    if (!run.window || run.power.empty()) {
      continue;
    }
    Json values = Json::array();
    for (const auto& trace : run.power) {
      for (auto& value : power_values(trace, run.window->begin)) {
        values.push_back(std::move(value));
      }
    }
    if (values.empty()) {
      continue;
    }
    const auto x = field("seconds", "quantitative", "time since the window began, s");
    auto colour = field("meter", "nominal", "meter");
    if (run.power.size() > kMostNamedLines) {
      colour["legend"] = nullptr;
    }
    const Json tooltip{field("meter", "nominal", "meter"), field("scope", "nominal", "scope"),
                       tooltip_quantity("seconds", "s"), tooltip_quantity("watts", "W")};
    const Json shade{
        {"data",
         {{"values",
           {{{"begin", 0.0}, {"end", in_seconds(run.window->end - run.window->begin)}}}}}},
        {"mark", {{"type", "rect"}, {"color", "#1f6fb4"}, {"opacity", 0.1}}},
        {"encoding",
         {{"x", {{"field", "begin"}, {"type", "quantitative"}}}, {"x2", {{"field", "end"}}}}}};
    const Json line{{"data", {{"values", values}}},
                    {"mark", {{"type", "line"}, {"strokeWidth", 1.4}}},
                    {"encoding",
                     {{"x", x},
                      {"y", field("watts", "quantitative", "power of one meter, W")},
                      {"color", colour},
                      {"tooltip", tooltip}}}};
    charts.push_back({fmt::format("chart-power-{}", i + 1), "Power over time: " + names[i],
                      "Each line is a meter; the shaded part is the window that energy and tokens "
                      "are counted in.",
                      top_spec({shade, line})});
  }
}

void add_energy(const MeasurementReport& report, const std::vector<std::string>& names,
                std::vector<Chart>& charts) {
  Json values = Json::array();
  for (std::size_t i = 0; i < names.size(); ++i) {
    for (const auto& energy : report.runs[i].measurement.energy) {
      const auto& joules = energy.joules_per_output_token;
      if (joules) {
        values.push_back({{"run", names[i]},
                          {"boundary", boundary_text(energy)},
                          {"joules", joules->value},
                          {"low", joules->low.value_or(joules->value)},
                          {"high", joules->high.value_or(joules->value)}});
      }
    }
  }
  if (values.empty()) {
    return;
  }
  auto x = field("boundary", "nominal", "boundary and how its energy is known");
  x["axis"] = {{"labelAngle", 0}};
  const Json offset{{"field", "run"}, {"type", "nominal"}};
  const Json tooltip{field("run", "nominal", "run"), field("boundary", "nominal", "boundary"),
                     tooltip_quantity("joules", "J per output token"),
                     tooltip_quantity("low", "from"), tooltip_quantity("high", "to")};
  const Json bars{{"mark", {{"type", "bar"}}},
                  {"encoding",
                   {{"x", x},
                    {"xOffset", offset},
                    {"y", field("joules", "quantitative", "J per output token")},
                    {"color", field("run", "nominal", "run")},
                    {"tooltip", tooltip}}}};
  const Json ranges{{"mark", {{"type", "rule"}, {"color", kInk}, {"strokeWidth", 1.5}}},
                    {"encoding",
                     {{"x", x},
                      {"xOffset", offset},
                      {"y", {{"field", "low"}, {"type", "quantitative"}}},
                      {"y2", {{"field", "high"}}}}}};
  auto spec = top_spec({bars, ranges});
  spec["data"] = {{"values", values}};
  charts.push_back({"chart-energy", "Energy per output token, by boundary",
                    "Lines are 95 % intervals. A wider boundary contains the narrower.", spec});
}

void add_comparison(const MeasuredComparison& comparison, std::vector<Chart>& charts) {
  Json values = Json::array();
  for (const auto& figure : comparison.figures) {
    if (figure.ratio) {
      values.push_back({{"figure", figure.name},
                        {"verdict", figure.verdict},
                        {"ratio", figure.ratio->value},
                        {"low", figure.ratio->low.value_or(figure.ratio->value)},
                        {"high", figure.ratio->high.value_or(figure.ratio->value)}});
    }
  }
  if (values.empty()) {
    return;
  }
  const auto title = comparison.second + " over " + comparison.first;
  auto x = field("ratio", "quantitative", title.c_str());
  x["scale"] = {{"zero", false}, {"nice", true}};
  auto y = field("figure", "nominal", nullptr);
  y["axis"] = {{"labelLimit", 260}};
  y["sort"] = nullptr;
  const Json tooltip{field("figure", "nominal", "figure"), field("verdict", "nominal", "verdict"),
                     tooltip_quantity("ratio", "ratio"), tooltip_quantity("low", "from"),
                     tooltip_quantity("high", "to")};
  const Json ranges{{"mark", {{"type", "rule"}, {"color", "#1f6fb4"}, {"strokeWidth", 2}}},
                    {"encoding",
                     {{"x", {{"field", "low"}, {"type", "quantitative"}}},
                      {"x2", {{"field", "high"}}},
                      {"y", y}}}};
  const Json dots{{"mark", {{"type", "point"}, {"filled", true}, {"size", 70}, {"opacity", 1}}},
                  {"encoding", {{"x", x}, {"y", y}, {"tooltip", tooltip}}}};
  const Json one{{"data", {{"values", {{{"at", 1}}}}}},
                 {"mark", {{"type", "rule"}, {"color", "#98a4af"}, {"strokeDash", {5, 4}}}},
                 {"encoding", {{"x", {{"field", "at"}, {"type", "quantitative"}}}}}};
  auto spec = top_spec({one, ranges, dots});
  spec["data"] = {{"values", values}};
  spec["height"] = {{"step", 30}};
  charts.push_back({"chart-comparison", title,
                    "Ratios with their intervals; at 1 both are the same. " + comparison.verdict,
                    spec});
}

}  // namespace

std::vector<Chart> measurement_charts(const MeasurementReport& report) {
  std::vector<Chart> charts;
  const auto names = run_names(report);
  if (report.comparison) {
    add_comparison(*report.comparison, charts);
  }
  add_frontiers(report, names, charts);
  add_energy(report, names, charts);
  add_power(report, names, charts);
  add_latencies(report, names, charts);
  return charts;
}

}  // namespace perwatt::report
