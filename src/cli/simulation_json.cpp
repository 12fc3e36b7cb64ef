#include "simulation_json.hpp"

#include <algorithm>

#include "json_values.hpp"

#include "perwatt/report/simulation_score.hpp"

namespace perwatt::cli {

namespace {

using nlohmann::ordered_json;
using report::ScoreOf;
using simulate::PolicyResult;
using simulate::PolicyRuns;

ordered_json violations_json(const simulate::Violations& violations) {
  return {{"count", violations.count},
          {"seconds_over", in_seconds(violations.time_over)},
          {"joules_over", violations.energy_over.in_base()},
          {"worst_ratio", violations.worst_ratio},
          {"trips", violations.trips}};
}

/// Means over seeds at their contract's names; half widths beside, under the same names.
class FigureWriter {
 public:
  explicit FigureWriter(const PolicyRuns& runs) : runs_{runs} {}

  void add(ordered_json& to, ordered_json& widths, const std::string& name, const ScoreOf& of) {
    const auto value = report::score_of(runs_, of);
    to[name] = value ? ordered_json(value->value) : ordered_json(nullptr);
    const bool has_width = value && value->half_width;
    widths[name] = has_width ? ordered_json(*value->half_width) : ordered_json(nullptr);
  }

 private:
  const PolicyRuns& runs_;
};

ordered_json services_json(const PolicyRuns& runs) {
  auto list = ordered_json::array();
  for (const auto& service : report::services_of(runs)) {
    const auto& record = service.record;
    list.push_back({{"id", service.id},
                    {"arrived_requests", record.arrived_requests},
                    {"completed_requests", record.completed_requests},
                    {"unfinished_requests", service.unfinished_requests},
                    {"dropped_requests", record.dropped_requests},
                    {"output_tokens", record.output_tokens},
                    {"good_tokens", record.good_tokens},
                    {"lost_output_tokens", record.lost_output_tokens},
                    {"ttft_seconds",
                     {{"p50", base_or_null(record.ttft.quantile(0.5))},
                      {"p75", base_or_null(record.ttft.quantile(0.75))},
                      {"p99", base_or_null(record.ttft.quantile(0.99))}}},
                    {"tpot_seconds",
                     {{"p50", base_or_null(record.tpot.quantile(0.5))},
                      {"p75", base_or_null(record.tpot.quantile(0.75))},
                      {"p99", base_or_null(record.tpot.quantile(0.99))}}},
                    {"gpu_energy_joules", service.energy.in_base()},
                    {"mean_speed_ratio", service.mean_speed_ratio}});
  }
  return list;
}

/// Of the first seed, the first of them.
ordered_json lowered_json(const PolicyRuns& runs) {
  simulate::LoweredLimits sum;
  for (const auto& run : runs) {
    sum.time_over += run.lowered.time_over;
    sum.energy_over += run.lowered.energy_over;
  }
  return {{"seconds_over", in_seconds(sum.time_over)}, {"joules_over", sum.energy_over.in_base()}};
}

ordered_json events_json(const PolicyResult& run) {
  constexpr std::size_t kMostEvents = 200;
  auto list = ordered_json::array();
  for (std::size_t i = 0; i < std::min(kMostEvents, run.events.size()); ++i) {
    list.push_back({{"at_seconds", in_seconds(run.events[i].at)}, {"text", run.events[i].text}});
  }
  return list;
}

ordered_json trainings_json(const PolicyRuns& runs) {
  auto list = ordered_json::array();
  for (const auto& job : report::trainings_of(runs)) {
    list.push_back({{"id", job.id},
                    {"iterations_per_second", job.iterations_per_second},
                    {"lost_iterations", job.lost_iterations},
                    {"gpu_energy_joules", job.energy.in_base()},
                    {"lost_energy_joules", job.lost_energy.in_base()},
                    {"checkpoint_energy_joules", job.overhead_energy.in_base()},
                    {"mean_speed_ratio", job.mean_speed_ratio}});
  }
  return list;
}

void add_power(FigureWriter& figures, const PolicyRuns& runs, ordered_json& json,
               ordered_json& widths) {
  figures.add(json, widths, "envelope_use_ratio", report::use_ratio);
  figures.add(json, widths, "mean_facility_watts",
              [](const PolicyResult& run) { return in_watts(run.mean_supply); });
  figures.add(json, widths, "mean_gpu_watts",
              [](const PolicyResult& run) { return in_watts(run.mean_gpu); });
  if (runs.front().limit) {
    auto& stranded = json["stranded_watts"] = ordered_json::object();
    auto& stranded_widths = widths["stranded_watts"] = ordered_json::object();
    figures.add(stranded, stranded_widths, "idle_work",
                [](const PolicyResult& run) { return in_watts(run.stranded.idle_work); });
    figures.add(stranded, stranded_widths, "child_limit",
                [](const PolicyResult& run) { return in_watts(run.stranded.child_limit); });
    figures.add(stranded, stranded_widths, "reserve",
                [](const PolicyResult& run) { return in_watts(run.stranded.reserve); });
  } else {
    json["stranded_watts"] = nullptr;
  }
}

void add_work(FigureWriter& figures, ordered_json& json, ordered_json& widths) {
  figures.add(json, widths, "input_tokens_per_s",
              [](const PolicyResult& run) { return in_tokens_per_second(run.input); });
  figures.add(json, widths, "output_tokens_per_s",
              [](const PolicyResult& run) { return in_tokens_per_second(run.output); });
  figures.add(json, widths, "good_tokens_per_s",
              [](const PolicyResult& run) { return in_tokens_per_second(run.good); });
  figures.add(json, widths, "output_tokens_per_s_per_facility_mw", report::output_per_megawatt);
  const auto times = [&](const char* name, const auto& of) {
    auto& to = json[name] = ordered_json::object();
    auto& to_widths = widths[name] = ordered_json::object();
    figures.add(to, to_widths, "p50", [&](const PolicyResult& run) { return of(run, 0.5); });
    figures.add(to, to_widths, "p75", [&](const PolicyResult& run) { return of(run, 0.75); });
    figures.add(to, to_widths, "p99", [&](const PolicyResult& run) { return of(run, 0.99); });
  };
  times("ttft_seconds", report::ttft_seconds);
  times("tpot_seconds", report::tpot_seconds);
  figures.add(json, widths, "usd_per_hour",
              [](const PolicyResult& run) { return in_usd_per_hour(run.revenue); });
  figures.add(json, widths, "energy_usd_per_hour",
              [](const PolicyResult& run) { return in_usd_per_hour(run.energy_cost); });
  figures.add(json, widths, "energy_joules",
              [](const PolicyResult& run) { return run.energy.in_base(); });
  figures.add(json, widths, "lost_energy_joules",
              [](const PolicyResult& run) { return run.lost_energy.in_base(); });
  figures.add(json, widths, "cap_writes_per_device_hour",
              [](const PolicyResult& run) { return run.cap_writes_per_device_hour; });
  figures.add(json, widths, "fairness_ratio",
              [](const PolicyResult& run) { return run.fairness_ratio; });
}

ordered_json policy_json(const PolicyRuns& runs, const PolicyRuns* bound) {
  ordered_json json{{"policy", runs.front().policy},
                    {"kind", simulate::to_string(runs.front().kind)},
                    {"violations", violations_json(report::all_violations(runs))},
                    {"over_lowered_limits", lowered_json(runs)}};
  ordered_json widths = ordered_json::object();
  FigureWriter figures{runs};
  add_power(figures, runs, json, widths);
  add_work(figures, json, widths);
  const auto gap = bound != nullptr ? report::gap_to(runs, *bound) : std::nullopt;
  json["gap_to_clairvoyant_ratio"] = gap ? ordered_json(gap->value) : ordered_json(nullptr);
  const bool has_width = gap && gap->half_width;
  widths["gap_to_clairvoyant_ratio"] =
      has_width ? ordered_json(*gap->half_width) : ordered_json(nullptr);
  json["half_widths_95"] = runs.size() > 1 ? widths : ordered_json(nullptr);
  json["services"] = services_json(runs);
  json["trainings"] = trainings_json(runs);
  json["event_count"] = runs.front().events.size();
  json["events"] = events_json(runs.front());
  return json;
}

}  // namespace

ordered_json simulation_json(const simulate::Scenario& scenario,
                             const std::vector<PolicyRuns>& runs) {
  ordered_json json{{"scenario", scenario.name},
                    {"duration_seconds", in_seconds(scenario.duration)},
                    {"warm_up_seconds", in_seconds(scenario.warm_up)},
                    {"first_seed", scenario.seed},
                    {"seeds", runs.front().size()},
                    {"limit_watts", base_or_null(runs.front().front().limit)},
                    {"tag", "modelled"},
                    {"policies", ordered_json::array()}};
  const auto* bound = report::clairvoyant_of(runs);
  for (const auto& policy : runs) {
    json["policies"].push_back(policy_json(policy, bound));
  }
  return json;
}

}  // namespace perwatt::cli
