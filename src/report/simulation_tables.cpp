// The tables of a simulation's results.
#include <algorithm>
#include <cmath>
#include <utility>

#include "simulation_parts.hpp"
#include "text.hpp"
#include <fmt/format.h>

namespace perwatt::report {

namespace {

using simulate::PolicyResult;
using simulate::PolicyRuns;

constexpr double kMilliseconds = 1e3;
constexpr double kLeastWidthRatio = 1e-5;  // of a figure: less is rounding

std::string score_text(const std::optional<Score>& score, int digits) {
  if (!score) {
    return "-";
  }
  std::string text = significant(score->value, digits);
  if (score->half_width && !(score->value == 0 && *score->half_width == 0)) {
    const bool is_seen = *score->half_width > kLeastWidthRatio * std::abs(score->value);
    text += " ± " + (is_seen ? significant(*score->half_width, 2) : "0");
  }
  return text;
}

/// A ratio as a percentage with two decimals.
std::string hundredths_text(std::optional<Score> ratio) {
  const auto in_percent = [](double value) { return std::round(value * 1e4) / 100; };
  if (ratio) {
    ratio->value = in_percent(ratio->value);
    if (ratio->half_width) {
      ratio->half_width = in_percent(*ratio->half_width);
    }
  }
  return score_text(ratio, 4);
}

/// "+49.2 % ± 0.3": how much more.
std::string gain_text(const std::optional<Score>& gain) {
  if (!gain) {
    return "-";
  }
  return signed_text(100 * gain->value) + " %" +
         (gain->half_width ? " ± " + significant(100 * *gain->half_width, 2) : "");
}

/// A row for each figure, a column for each policy.
class ScoreRows {
 public:
  ScoreRows(const SimulationReport& report, Table& table) : runs_{*report.runs}, table_{table} {}

  void add(const char* name, const ScoreOf& of, double scale = 1, int digits = 4) {
    add_texts(name, [&](const PolicyRuns& runs) {
      const auto scaled = [&](const PolicyResult& run) -> std::optional<double> {
        const auto value = of(run);
        return value ? std::optional{*value * scale} : std::nullopt;
      };
      return score_text(score_of(runs, scaled), digits);
    });
  }

  template <class Text>
  void add_texts(const char* name, Text text) {
    std::vector<Cell> cells{name};
    for (const auto& runs : runs_) {
      cells.emplace_back(text(runs));
    }
    table_.add(std::move(cells));
  }

 private:
  const std::vector<PolicyRuns>& runs_;
  Table& table_;
};

void add_power_scores(const SimulationReport& report, Table& table) {
  constexpr double kKilo = 1e-3;
  ScoreRows rows{report, table};
  table.add_heading("Power");
  rows.add(
      "draw of the root, kW", [](const PolicyResult& run) { return in_watts(run.mean_supply); },
      kKilo);
  rows.add(
      "GPUs alone, kW", [](const PolicyResult& run) { return in_watts(run.mean_gpu); }, kKilo);
  if (report.runs->front().front().limit) {
    rows.add("draw of limit, %", use_ratio, 100, 4);
    rows.add(
        "idle work, kW", [](const PolicyResult& run) { return in_watts(run.stranded.idle_work); },
        kKilo);
    rows.add(
        "held by child limits, kW",
        [](const PolicyResult& run) { return in_watts(run.stranded.child_limit); }, kKilo);
    rows.add(
        "reserve, kW", [](const PolicyResult& run) { return in_watts(run.stranded.reserve); },
        kKilo);
  }
  rows.add_texts("times over a limit",
                 [](const PolicyRuns& runs) { return std::to_string(all_violations(runs).count); });
  rows.add_texts("time over limits, s", [](const PolicyRuns& runs) {
    return significant(in_seconds(all_violations(runs).time_over));
  });
  rows.add_texts("worst of any limit, %", [](const PolicyRuns& runs) {
    return significant(100 * all_violations(runs).worst_ratio);
  });
  rows.add_texts("breakers tripped",
                 [](const PolicyRuns& runs) { return std::to_string(all_violations(runs).trips); });
  rows.add(
      "caps written per device and hour",
      [](const PolicyResult& run) { return run.cap_writes_per_device_hour; }, 1, 4);
}

void add_work_scores(const SimulationReport& report, Table& table) {
  ScoreRows rows{report, table};
  table.add_heading("Work");
  rows.add(
      "output, tok/s", [](const PolicyResult& run) { return in_tokens_per_second(run.output); }, 1,
      5);
  rows.add(
      "good output, tok/s", [](const PolicyResult& run) { return in_tokens_per_second(run.good); },
      1, 5);
  rows.add("output, tok/s per MW", output_per_megawatt, 1, 5);
  rows.add("good output, tok/s per MW", good_per_megawatt, 1, 5);
  const auto at = [](auto of, double share) {
    return [of, share](const PolicyResult& run) { return of(run, share); };
  };
  rows.add("TTFT p50, s", at(ttft_seconds, 0.5), 1, 4);
  rows.add("TTFT p99, s", at(ttft_seconds, 0.99), 1, 4);
  rows.add("TPOT p50, ms", at(tpot_seconds, 0.5), kMilliseconds, 4);
  rows.add("TPOT p99, ms", at(tpot_seconds, 0.99), kMilliseconds, 4);
  rows.add("revenue, USD/h", [](const PolicyResult& run) { return in_usd_per_hour(run.revenue); });
  rows.add("energy, USD/h",
           [](const PolicyResult& run) { return in_usd_per_hour(run.energy_cost); });
  rows.add(
      "lost energy, kWh",
      [](const PolicyResult& run) { return run.lost_energy.in_base() / kJoulesPerKwh; }, 1, 4);
  rows.add(
      "fairness of speeds", [](const PolicyResult& run) { return run.fairness_ratio; }, 1, 4);
  if (const auto* bound = clairvoyant_of(*report.runs)) {
    rows.add_texts("good output below the clairvoyant, %",
                   [&](const PolicyRuns& runs) { return hundredths_text(gap_to(runs, *bound)); });
  }
}

/// Cuts a long table and says so.
class CutRows {
 public:
  explicit CutRows(Table& table) : table_{table} {}

  void add(std::vector<Cell> cells) {
    if (rows_++ < kMostSimulationRows) {
      table_.add(std::move(cells));
    }
  }

  void close() {
    if (rows_ > kMostSimulationRows) {
      table_.note += fmt::format(" {} more rows: --json prints them.", rows_ - kMostSimulationRows);
    }
  }

 private:
  Table& table_;
  std::size_t rows_ = 0;
};

std::string quantile_text(const simulate::DurationHistogram& times, double share, double scale) {
  const auto time = times.quantile(share);
  return time ? significant(in_seconds(*time) * scale) : "-";
}

/// What was done in all runs over the time of all runs.
std::string tokens_text(std::int64_t done, const SimulationReport& report) {
  const double time =
      in_seconds(report.scenario->duration) * static_cast<double>(report.runs->front().size());
  return significant(static_cast<double>(done) / time, 5);
}

std::vector<Cell> service_cells(const std::string& policy, const simulate::ServiceResult& service,
                                const SimulationReport& report) {
  const auto& record = service.record;
  std::vector<Cell> cells{
      policy, service.id, significant(static_cast<double>(record.completed_requests), 12),
      tokens_text(record.output_tokens, report), tokens_text(record.good_tokens, report)};
  for (const double share : {0.5, 0.75, 0.99}) {
    cells.emplace_back(quantile_text(record.ttft, share, 1));
  }
  for (const double share : {0.5, 0.75, 0.99}) {
    cells.emplace_back(quantile_text(record.tpot, share, kMilliseconds));
  }
  cells.emplace_back(percent_text(service.mean_speed_ratio));
  cells.emplace_back(significant(service.energy.in_base() / kJoulesPerKwh));
  return cells;
}

Table simulated_services_table(const SimulationReport& report) {
  Table table{"services",
              "Services",
              "Requests of all seeds together; rates are means over seeds, energy of the "
              "service's GPUs and speed too. A service that a policy has off has no row.",
              {{"policy"},
               {"service"},
               {"requests done", kRight},
               {"output tok/s", kRight},
               {"good tok/s", kRight},
               {"TTFT p50 s", kRight},
               {"p75 s", kRight},
               {"p99 s", kRight},
               {"TPOT p50 ms", kRight},
               {"p75 ms", kRight},
               {"p99 ms", kRight},
               {"speed", kRight},
               {"GPU energy kWh", kRight}},
              {}};
  CutRows rows{table};
  const auto names = policy_names(report);
  for (std::size_t p = 0; p < names.size(); ++p) {
    for (const auto& service : services_of((*report.runs)[p])) {
      rows.add(service_cells(names[p], service, report));
    }
  }
  rows.close();
  return table;
}

Table simulated_trainings_table(const SimulationReport& report) {
  Table table{"trainings",
              "Training",
              "Means over seeds. Iterations are those that are kept; lost ones were undone by a "
              "failure.",
              {{"policy"},
               {"training"},
               {"iterations/s", kRight},
               {"lost iterations", kRight},
               {"speed", kRight},
               {"GPU energy kWh", kRight},
               {"lost kWh", kRight},
               {"checkpoints kWh", kRight}},
              {}};
  CutRows rows{table};
  const auto names = policy_names(report);
  const auto kwh = [](Joules energy) { return significant(energy.in_base() / kJoulesPerKwh); };
  for (std::size_t p = 0; p < names.size(); ++p) {
    for (const auto& job : trainings_of((*report.runs)[p])) {
      rows.add({names[p], job.id, significant(job.iterations_per_second),
                significant(job.lost_iterations), percent_text(job.mean_speed_ratio),
                kwh(job.energy), kwh(job.lost_energy), kwh(job.overhead_energy)});
    }
  }
  rows.close();
  return table;
}

}  // namespace

std::vector<std::string> policy_names(const SimulationReport& report) {
  std::vector<std::string> names;
  for (const auto& runs : *report.runs) {
    const auto& given = runs.front().policy;
    auto name = given;
    for (int n = 2; std::find(names.begin(), names.end(), name) != names.end(); ++n) {
      name = fmt::format("{} ({})", given, n);
    }
    names.push_back(std::move(name));
  }
  return names;
}

Table scores_table(const SimulationReport& report) {
  const auto seeds = report.runs->front().size();
  Table table{"policies",
              "Policies side by side",
              "Work is scored after the warm-up, limits are watched over the whole run, those of "
              "all nodes. Per MW is by the draw of the root.",
              {{"figure"}},
              {}};
  if (seeds > 1) {
    table.note += fmt::format(
        " Means over {} seeds, ± half of the 95 % interval (Student's t); times over limits and "
        "trips are sums.",
        seeds);
  }
  for (auto& name : policy_names(report)) {
    table.columns.push_back({std::move(name), kRight});
  }
  add_power_scores(report, table);
  add_work_scores(report, table);
  return table;
}

std::vector<Table> gain_tables(const SimulationReport& report) {
  const auto* base = fixed_of(*report.runs);
  if (base == nullptr || report.runs->size() < 2) {
    return {};
  }
  const auto names = policy_names(report);
  const auto base_at = static_cast<std::size_t>(base - report.runs->data());
  Table table{"gains",
              "Gain over fixed caps: " + names[base_at],
              "How much more than under " + names[base_at] +
                  ", seed by seed. Per MW is by the draw of the root.",
              {{"policy"},
               {"output tokens", kRight},
               {"good tokens", kRight},
               {"draw", kRight},
               {"output tokens per MW", kRight},
               {"good tokens per MW", kRight}},
              {}};
  for (std::size_t p = 0; p < names.size(); ++p) {
    const auto& runs = (*report.runs)[p];
    if (p == base_at) {
      continue;
    }
    const auto gain = [&](const ScoreOf& of) { return gain_text(gain_over(runs, *base, of)); };
    table.add({names[p],
               gain([](const PolicyResult& run) { return in_tokens_per_second(run.output); }),
               gain([](const PolicyResult& run) { return in_tokens_per_second(run.good); }),
               gain([](const PolicyResult& run) { return in_watts(run.mean_supply); }),
               gain(output_per_megawatt), gain(good_per_megawatt)});
  }
  return {table};
}

std::vector<Table> job_tables(const SimulationReport& report) {
  std::vector<Table> tables;
  for (auto& table : {simulated_services_table(report), simulated_trainings_table(report)}) {
    if (!table.rows.empty()) {
      tables.push_back(table);
    }
  }
  return tables;
}

}  // namespace perwatt::report
