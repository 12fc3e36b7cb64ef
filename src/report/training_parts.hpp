// Private to the report of training: its figures, sentences, tables and charts.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "charts.hpp"
#include "executive.hpp"
#include "table.hpp"

#include "perwatt/report/training_report.hpp"

namespace perwatt::report {

/// What operations take together.
struct UseSum {
  std::size_t operations = 0;
  std::size_t critical = 0;  // on a longest path
  Seconds time;
  Joules energy;
  Joules effective_energy;
  std::size_t with_frequency = 0;
  int lowest_mhz = 0;  // of those with a frequency, as the next two
  int highest_mhz = 0;
  std::int64_t sum_mhz = 0;
  std::set<const training::Option*> settings;
};

/// An iteration with real settings.
struct TrainingRun {
  std::string name;  // "plan", "full clocks"
  std::vector<const training::Option*> chosen;
  training::Timeline timeline;
  Seconds busy;  // until the last operation and the tail have ended
  Seconds time;  // of the iteration: busy, or longer when it waits
  Joules energy;

  [[nodiscard]] bool is_critical(std::uint32_t operation) const;
  [[nodiscard]] UseSum use_of(std::span<const std::uint32_t> operations) const;
};

/// The iterations that a report shows, made once.
struct TrainingResults {
  explicit TrainingResults(const TrainingReport& shown);

  [[nodiscard]] const training::Pipeline& pipeline() const { return report.planner->pipeline(); }

  [[nodiscard]] const training::TimeEnergyFrontier& frontier() const {
    return report.planner->frontier();
  }

  /// Of the frontier at `time`, or at its fastest where full clocks are a picosecond sooner.
  [[nodiscard]] Joules bound(Seconds time) const;

  /// Longer than full clocks take.
  [[nodiscard]] double slowdown(Seconds time) const;

  /// Less than full clocks take for one iteration, which end sooner; 0 where they take nothing.
  [[nodiscard]] double saved(Joules energy) const;

  /// Less than full clocks that then wait until `time`.
  [[nodiscard]] double saved_with_waiting(Seconds time, Joules energy) const;

  /// What a second less than `time` costs on the frontier, net of the waiting it saves; negative
  /// where it saves energy; nothing where no iteration is shorter.
  [[nodiscard]] std::optional<Watts> price_of_time(Seconds time) const;

  /// GPU of one stage over `run`, waiting included, when the iteration lasts `time`.
  [[nodiscard]] Joules stage_energy(const UseSum& use, Seconds time) const {
    return use.effective_energy + pipeline().blocking_power * time;
  }

  const TrainingReport& report;
  TrainingRun full_clocks;
  std::optional<TrainingRun> plan;
};

/// "microbatch 3", "once per iteration".
[[nodiscard]] std::string microbatch_text(int microbatch);

[[nodiscard]] std::vector<Statement> training_statements(const TrainingResults& results);

/// Full clocks, plan and bounds: time, energy, price of time.
[[nodiscard]] Table time_energy_table(const TrainingResults& results);

/// What waiting for slower pipelines takes.
[[nodiscard]] Table straggler_table(const TrainingResults& results);

/// What each stage does, waits and takes.
[[nodiscard]] Table stages_table(const TrainingResults& results);

/// By stage and instruction. REQUIRES: a plan.
[[nodiscard]] Table settings_table(const TrainingResults& results);

/// Profile, flags, fitted and assumed.
[[nodiscard]] Table training_inputs_table(const TrainingResults& results);

/// Time against energy.
[[nodiscard]] Chart time_energy_chart(const TrainingResults& results);

/// When each stage does what at which power, plan above full clocks: one chart, or two, of the
/// beginning and of the end of a long iteration.
[[nodiscard]] std::vector<Chart> gantt_charts(const TrainingResults& results);

}  // namespace perwatt::report
