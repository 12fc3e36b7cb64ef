// What every mode of perwatt measure does with its runs: stop on a signal, keep, write, print.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "measure_options.hpp"

#include "perwatt/measure/session.hpp"
#include "perwatt/report/measurement_report.hpp"

namespace perwatt::cli {

/// Set by Ctrl-C and SIGTERM once stop_on_signals() was called: the run under way ends with a
/// partial result. A second signal ends the program.
[[nodiscard]] const std::atomic<bool>& stop_flag();
void stop_on_signals();

/// The finished runs of one command. Each is written as soon as it is there, so that a later end
/// loses none.
class RunStore {
 public:
  /// `folder` empty: nothing is written.
  RunStore(std::string folder, bool has_many) : folder_{std::move(folder)}, has_many_{has_many} {}

  /// A write that fails is told in the measurement, and by throw_if_failed().
  void add(measure::RunResult& result);

  [[nodiscard]] const std::vector<measure::Measurement>& measurements() const {
    return measurements_;
  }

  /// report.html and report.md over all runs.
  void write_report(const std::optional<report::MeasuredComparison>& comparison);

  /// Throws what a write has thrown; else Error(peer_failed) when no run had an answer.
  void throw_if_failed() const;

 private:
  void write(const measure::RunResult& result) const;

  std::string folder_;
  bool has_many_;
  std::vector<measure::Measurement> measurements_;
  std::vector<report::MeasuredRun> reported_;  // only with a folder
  std::optional<Error> write_problem_;
};

/// One measurement as an object, several as {"runs": […]}; `more` is merged in.
[[nodiscard]] std::string runs_json(const std::vector<measure::Measurement>& runs,
                                    const std::string& more_json = {});

/// Adds the runs to the table that --append-points names; nothing without.
void append_to_points(const MeasureOptions& options, const std::vector<measure::Measurement>& runs);

void run_experiment(const MeasureOptions& options);
void run_compare(const MeasureOptions& options);
void run_rescore(const MeasureOptions& options);

}  // namespace perwatt::cli
