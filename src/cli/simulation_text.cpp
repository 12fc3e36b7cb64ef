#include "simulation_text.hpp"

#include "table.hpp"
#include <fmt/format.h>

#include "perwatt/base/text.hpp"
#include "perwatt/report/simulation_score.hpp"

namespace perwatt::cli {

namespace {

using report::Score;
using report::score_of;
using simulate::PolicyResult;
using simulate::PolicyRuns;

std::string with_width(const std::optional<Score>& score, int digits = 4) {
  if (!score) {
    return "-";
  }
  std::string text = significant(score->value, digits);
  if (score->half_width) {
    text += " ± " + significant(*score->half_width, 2);
  }
  return text;
}

std::string time_text(const PolicyRuns& runs, double share,
                      std::optional<double> (*of)(const PolicyResult&, double), double scale) {
  auto value = score_of(runs, [&](const PolicyResult& run) -> std::optional<double> {
    const auto time = of(run, share);
    return time ? std::optional{*time * scale} : std::nullopt;
  });
  return value ? significant(value->value, 3) : "-";
}

std::string power_table(const std::vector<PolicyRuns>& runs) {
  TextTable table{{"policy", "draw", "of limit", "idle work", "child limits", "reserve",
                   "over limits", "worst", "trips", "writes/device/h"}};
  for (const auto& policy : runs) {
    const auto kilowatts_of = [&](const auto& of) {
      const auto value =
          score_of(policy, [&](const PolicyResult& run) { return in_watts(of(run)); });
      return power_text(watts(value->value));
    };
    const bool has_limit = policy.front().limit.has_value();
    const auto violations = report::all_violations(policy);
    const auto use = score_of(policy, report::use_ratio);
    table.add(
        {policy.front().policy,
         kilowatts_of([](const PolicyResult& run) { return run.mean_supply; }),
         use ? percent(use->value, 1) : "-",
         has_limit ? kilowatts_of([](const PolicyResult& run) { return run.stranded.idle_work; })
                   : "-",
         has_limit ? kilowatts_of([](const PolicyResult& run) { return run.stranded.child_limit; })
                   : "-",
         has_limit ? kilowatts_of([](const PolicyResult& run) { return run.stranded.reserve; })
                   : "-",
         violations.count == 0 ? "never"
                               : fmt::format("{} times, {} s", violations.count,
                                             significant(in_seconds(violations.time_over), 3)),
         percent(violations.worst_ratio, 1), std::to_string(violations.trips),
         with_width(
             score_of(policy,
                      [](const PolicyResult& run) { return run.cap_writes_per_device_hour; }),
             3)});
  }
  return table.text();
}

std::string work_table(const std::vector<PolicyRuns>& runs) {
  TextTable table{{"policy", "output tok/s", "good tok/s", "output tok/s/MW", "TTFT p50 s", "p99 s",
                   "TPOT p50 ms", "p99 ms", "USD/h", "fairness", "gap"}};
  const auto* bound = report::clairvoyant_of(runs);
  for (const auto& policy : runs) {
    const auto gap = bound != nullptr ? report::gap_to(policy, *bound) : std::nullopt;
    table.add(
        {policy.front().policy,
         with_width(score_of(
             policy, [](const PolicyResult& run) { return in_tokens_per_second(run.output); })),
         with_width(score_of(
             policy, [](const PolicyResult& run) { return in_tokens_per_second(run.good); })),
         with_width(score_of(policy, report::output_per_megawatt)),
         time_text(policy, 0.5, report::ttft_seconds, 1),
         time_text(policy, 0.99, report::ttft_seconds, 1),
         time_text(policy, 0.5, report::tpot_seconds, 1e3),
         time_text(policy, 0.99, report::tpot_seconds, 1e3),
         with_width(score_of(policy,
                             [](const PolicyResult& run) { return in_usd_per_hour(run.revenue); })),
         with_width(score_of(policy, [](const PolicyResult& run) { return run.fairness_ratio; }),
                    3),
         gap ? percent(gap->value, 1) : "-"});
  }
  return table.text();
}

std::string training_table(const std::vector<PolicyRuns>& runs) {
  if (runs.front().front().trainings.empty()) {
    return "";
  }
  TextTable table{{"policy", "training", "iterations/s", "speed", "lost iterations",
                   "lost energy kWh", "checkpoints kWh"},
                  {0, 1}};
  for (const auto& policy : runs) {
    for (const auto& training : report::trainings_of(policy)) {
      table.add({policy.front().policy, printable(training.id),
                 significant(training.iterations_per_second, 4),
                 percent(training.mean_speed_ratio, 1), significant(training.lost_iterations, 3),
                 significant(training.lost_energy.in_base() / kJoulesPerKwh, 3),
                 significant(training.overhead_energy.in_base() / kJoulesPerKwh, 3)});
    }
  }
  return "\n" + table.text();
}

}  // namespace

std::string simulation_text(const simulate::Scenario& scenario,
                            const std::vector<PolicyRuns>& runs) {
  const auto& first = runs.front().front();
  std::string text = fmt::format(
      "{}: {} devices, {}{} s scored after {} s, {} (modelled)\n\n", printable(scenario.name),
      scenario.tree.devices().size(), first.limit ? "limit " + power_text(*first.limit) + ", " : "",
      significant(in_seconds(scenario.duration), 6), significant(in_seconds(scenario.warm_up), 6),
      runs.front().size() == 1
          ? fmt::format("seed {}", scenario.seed)
          : fmt::format("{} seeds from {}, ± 95 %", runs.front().size(), scenario.seed));
  text += power_table(runs) + "\n" + work_table(runs) + training_table(runs);
  return text;
}

}  // namespace perwatt::cli
