#include "live_json.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string_view>

#include "perwatt/base/json_node.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::serve {

namespace {

std::int64_t whole(double value) {
  return std::llround(value);
}

std::int64_t whole_watts(Watts power) {
  return whole(in_watts(power));
}

Json watts_or_null(const std::optional<Watts>& power) {
  return power ? Json(whole_watts(*power)) : Json();
}

/// Of the whole watts that are told.
std::optional<Watts> headroom(const NodeFigures& node) {
  return node.limit ? std::optional{watts(
                          static_cast<double>(whole_watts(*node.limit) - whole_watts(node.draw)))}
                    : std::nullopt;
}

double rounded(double value) {
  return std::round(value * 1e3) / 1e3;
}

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json work_json(const LiveState& state) {
  return {{"output_tokens_per_s", rounded(in_tokens_per_second(state.rates.output))},
          {"good_tokens_per_s", rounded(in_tokens_per_second(state.rates.good))},
          {"usd_per_hour", rounded(in_usd_per_hour(state.rates.revenue))},
          {"energy_usd_per_hour", rounded(in_usd_per_hour(state.rates.energy_cost))},
          {"output_tokens", state.totals.output_tokens},
          {"good_tokens", state.totals.good_tokens},
          {"revenue_usd", rounded(in_usd(state.totals.revenue))},
          {"facility_joules", whole(state.energy.in_base())},
          {"limit_violations", state.violations.count},
          {"breaker_trips", state.violations.trips}};
}

Json totals_json(const LiveState& state) {
  const auto& root = state.nodes.front();
  Json json{{"facility_watts", whole_watts(root.draw)},
            {"facility_limit_watts", watts_or_null(root.limit)},
            {"facility_at_caps_watts", watts_or_null(root.at_caps)}};
  auto work = work_json(state);
  if (!state.knows_work) {
    std::fill(work.begin(), work.end(), Json());
  }
  json.update(work);
  return json;
}

/// What both the whole state and an event `state` tell.
Json common_json(const LiveState& state) {
  return {{"number", state.number},
          {"time_seconds", rounded(in_seconds(state.time))},
          {"is_over", state.is_over},
          {"is_released", state.is_released},
          {"speed_reached_ratio", rounded(state.speed_reached_ratio)},
          {"totals", totals_json(state)}};
}

Json node_json(const LiveSite& site, const LiveNode& node, const NodeFigures& figures) {
  return {{"id", node.id},
          {"kind", topology::to_string(node.kind)},
          {"parent", node.parent ? Json(site.nodes[node.parent->value].id) : Json()},
          {"draw_watts", whole_watts(figures.draw)},
          {"cap_watts", watts_or_null(figures.cap)},
          {"at_caps_watts", watts_or_null(figures.at_caps)},
          {"advised_cap_watts", watts_or_null(figures.advised_cap)},
          {"limit_watts", watts_or_null(figures.limit)},
          {"headroom_watts", watts_or_null(headroom(figures))},
          {"is_live", figures.is_live},
          {"is_maintained", figures.is_maintained},
          {"devices",
           {{"count", node.devices},
            {"on_count", figures.devices_on},
            {"draw_watts", whole_watts(figures.device_draw)},
            {"cap_watts", watts_or_null(figures.cap)}}}};
}

Json event_json(const LiveEvent& event) {
  return {{"number", event.number},
          {"time_seconds", rounded(in_seconds(event.event.at))},
          {"text", event.event.text}};
}

Json history_json(const LiveHistory& history) {
  Json json{{"time_seconds", Json::array()},
            {"facility_watts", Json::array()},
            {"facility_at_caps_watts", Json::array()},
            {"facility_limit_watts", Json::array()},
            {"good_tokens_per_s", Json::array()}};
  for (std::size_t i = 0; i < history.time.size(); ++i) {
    json["time_seconds"].push_back(rounded(in_seconds(history.time[i])));
    json["facility_watts"].push_back(whole_watts(history.facility[i]));
    json["facility_at_caps_watts"].push_back(watts_or_null(history.at_caps[i]));
    json["facility_limit_watts"].push_back(watts_or_null(history.limit[i]));
    json["good_tokens_per_s"].push_back(rounded(in_tokens_per_second(history.good[i])));
  }
  return json;
}

bool is_told_alike(const NodeFigures& a, const NodeFigures& b) {
  return whole_watts(a.draw) == whole_watts(b.draw) &&
         watts_or_null(a.cap) == watts_or_null(b.cap) &&
         watts_or_null(a.at_caps) == watts_or_null(b.at_caps) &&
         watts_or_null(a.limit) == watts_or_null(b.limit) &&
         watts_or_null(a.advised_cap) == watts_or_null(b.advised_cap) &&
         whole_watts(a.device_draw) == whole_watts(b.device_draw) && a.devices_on == b.devices_on &&
         a.is_live == b.is_live && a.is_maintained == b.is_maintained;
}

/// The value of a label, for between quotes.
std::string label_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\n') {
      escaped += "\\n";
    } else {
      escaped += c == '\\' || c == '"' ? std::string{'\\', c} : std::string{c};
    }
  }
  return escaped;
}

struct NodeMetric {
  const char* name;
  const char* help;
  std::function<std::optional<double>(const LiveNode&, const NodeFigures&)> value;
};

std::optional<double> told(const std::optional<Watts>& power) {
  return power ? std::optional{static_cast<double>(whole_watts(*power))} : std::nullopt;
}

const NodeMetric kNodeMetrics[] = {
    {"draw_watts", "Draw of the supply side of the node.",
     [](const auto&, const auto& node) { return told(node.draw); }},
    {"cap_watts", "Caps in force, summed over the devices below the node.",
     [](const auto&, const auto& node) { return told(node.cap); }},
    {"at_caps_watts", "Draw of the node if every device were on and at its cap.",
     [](const auto&, const auto& node) { return told(node.at_caps); }},
    {"advised_cap_watts", "What cap_watts were with the policy in control.",
     [](const auto&, const auto& node) { return told(node.advised_cap); }},
    {"limit_watts", "The least limit of the node in force.",
     [](const auto&, const auto& node) { return told(node.limit); }},
    {"headroom_watts", "Limit less draw.",
     [](const auto&, const auto& node) { return told(headroom(node)); }},
    {"device_draw_watts", "Draw summed over the devices below the node.",
     [](const auto&, const auto& node) { return told(node.device_draw); }},
    {"devices", "Devices below the node.",
     [](const LiveNode& node, const auto&) { return std::optional<double>{node.devices}; }},
    {"devices_on", "Devices below the node that are on.",
     [](const auto&, const auto& node) { return std::optional<double>{node.devices_on}; }},
};

void add_head(std::string& text, const std::string& name, const char* type, const char* help) {
  text += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

void add_metric(std::string& text, const std::string& name, const char* type, const char* help,
                double value) {
  add_head(text, name, type, help);
  text += name + " " + shortest(value) + "\n";
}

}  // namespace

std::string live_state_json(const LiveSite& site, const LiveState& state) {
  Json json{{"mode", site.is_recorded ? "recorded" : "simulated"},
            {"control_mode", control::to_string(site.mode)},
            {"name", site.name},
            {"policy", site.policy},
            {"policy_kind", site.policy_kind},
            {"version", site.version},
            {"speed_ratio", site.speed_ratio},
            {"duration_seconds", in_seconds(site.duration)}};
  json.update(common_json(state));
  json["nodes"] = Json::array();
  for (std::size_t n = 0; n < site.nodes.size(); ++n) {
    json["nodes"].push_back(node_json(site, site.nodes[n], state.nodes[n]));
  }
  json["events"] = Json::array();
  for (const auto& event : state.events) {
    json["events"].push_back(event_json(event));
  }
  json["history"] = history_json(state.history);
  return text_of(json);
}

std::string live_change_json(const LiveState& state, const LiveState* before) {
  auto json = common_json(state);
  Json nodes{{"index", Json::array()},
             {"draw_watts", Json::array()},
             {"cap_watts", Json::array()},
             {"at_caps_watts", Json::array()},
             {"advised_cap_watts", Json::array()},
             {"limit_watts", Json::array()},
             {"device_draw_watts", Json::array()},
             {"devices_on_count", Json::array()},
             {"is_live", Json::array()},
             {"is_maintained", Json::array()}};
  for (std::size_t n = 0; n < state.nodes.size(); ++n) {
    const auto& node = state.nodes[n];
    if (before != nullptr && is_told_alike(node, before->nodes[n])) {
      continue;
    }
    nodes["index"].push_back(n);
    nodes["draw_watts"].push_back(whole_watts(node.draw));
    nodes["cap_watts"].push_back(watts_or_null(node.cap));
    nodes["at_caps_watts"].push_back(watts_or_null(node.at_caps));
    nodes["advised_cap_watts"].push_back(watts_or_null(node.advised_cap));
    nodes["limit_watts"].push_back(watts_or_null(node.limit));
    nodes["device_draw_watts"].push_back(whole_watts(node.device_draw));
    nodes["devices_on_count"].push_back(node.devices_on);
    nodes["is_live"].push_back(node.is_live);
    nodes["is_maintained"].push_back(node.is_maintained);
  }
  json["nodes"] = std::move(nodes);
  return text_of(json);
}

std::string live_advice_json(const LiveSite& site, const LiveState& state) {
  Json devices = Json::array();
  Watts raised;
  Watts lowered;
  for (const auto& one : state.advice) {
    devices.push_back({{"id", site.devices[one.device.value]},
                       {"cap_watts", watts_or_null(one.cap)},
                       {"advised_cap_watts", whole_watts(one.advised)}});
    if (one.cap) {
      (one.advised > *one.cap ? raised : lowered) += one.advised - *one.cap;
    }
  }
  return text_of({{"control_mode", control::to_string(site.mode)},
                  {"number", state.number},
                  {"time_seconds", rounded(in_seconds(state.time))},
                  {"raised_watts", whole_watts(raised)},
                  {"lowered_watts", whole_watts(-lowered)},
                  {"devices", std::move(devices)}});
}

std::string live_event_json(const LiveEvent& event) {
  return text_of(event_json(event));
}

std::string live_metrics(const LiveSite& site, const LiveState& state) {
  std::string text;
  for (const auto& metric : kNodeMetrics) {
    const std::string name = std::string{"perwatt_node_"} + metric.name;
    add_head(text, name, "gauge", metric.help);
    for (std::size_t n = 0; n < site.nodes.size(); ++n) {
      if (const auto value = metric.value(site.nodes[n], state.nodes[n])) {
        text += name + "{node=\"" + label_escaped(site.nodes[n].id) + "\",kind=\"" +
                std::string{topology::to_string(site.nodes[n].kind)} + "\"} " + shortest(*value) +
                "\n";
      }
    }
  }
  const auto gauge = [&](const char* name, const char* help, double value) {
    add_metric(text, name, "gauge", help, value);
  };
  const auto counter = [&](const char* name, const char* help, double value) {
    add_metric(text, name, "counter", help, value);
  };
  gauge("perwatt_facility_watts", "Draw of the root.",
        static_cast<double>(whole_watts(state.nodes.front().draw)));
  gauge("perwatt_simulated_seconds", "Simulated time, or that of the recording.",
        in_seconds(state.time));
  gauge("perwatt_speed_reached_ratio", "Simulated seconds per second.", state.speed_reached_ratio);
  if (!state.knows_work) {
    return text;
  }
  gauge("perwatt_output_tokens_per_second", "Output of all services.",
        in_tokens_per_second(state.rates.output));
  gauge("perwatt_good_tokens_per_second", "Output of requests inside their limits.",
        in_tokens_per_second(state.rates.good));
  gauge("perwatt_revenue_usd_per_hour", "Good output, its input, and training that is kept.",
        in_usd_per_hour(state.rates.revenue));
  gauge("perwatt_energy_usd_per_hour", "Price of the energy drawn.",
        in_usd_per_hour(state.rates.energy_cost));
  gauge("perwatt_revenue_usd", "Earned since the scoring began.", in_usd(state.totals.revenue));
  counter("perwatt_output_tokens_total", "Output since the scoring began.",
          static_cast<double>(state.totals.output_tokens));
  counter("perwatt_good_tokens_total", "Good output since the scoring began.",
          static_cast<double>(state.totals.good_tokens));
  counter("perwatt_facility_joules_total", "Energy of the root.", state.energy.in_base());
  counter("perwatt_limit_violations_total", "Times that a limit was passed.",
          static_cast<double>(state.violations.count));
  counter("perwatt_breaker_trips_total", "Breakers that tripped.",
          static_cast<double>(state.violations.trips));
  return text;
}

}  // namespace perwatt::serve
