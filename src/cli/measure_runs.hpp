// What every mode of perwatt measure does with its runs: stop on a signal, keep, write, print.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "measure_options.hpp"
#include "progress.hpp"

#include "perwatt/measure/experiments.hpp"
#include "perwatt/report/measurement_report.hpp"

namespace perwatt::cli {

/// Before the first request of a command: Ctrl-C and SIGTERM set stop_flag(), so that the run under
/// way ends with a partial result (a second signal ends the program), and as many files may be open
/// as the system grants, for each stream is one.
void begin_live();
[[nodiscard]] const std::atomic<bool>& stop_flag();

/// In the folder of --output, or of each run in it.
inline constexpr const char* kMeasurementFile = "measurement.json";
inline constexpr const char* kRequestsFile = "requests.jsonl";

/// The finished runs of one command. Each is written as soon as it is there, so that a later end
/// loses none.
class RunStore {
 public:
  /// `folder` empty: nothing is written. Throws Error(usage) for a folder that holds an earlier
  /// measurement: mixed with it neither could be read.
  RunStore(std::string folder, bool has_many);

  /// A write that fails is told in the measurement, and by throw_if_failed().
  void add(measure::RunResult& result);

  /// The bar of the run under way.
  [[nodiscard]] std::function<void(double)> progress();

  /// For experiments: a bar for each run, and add(). The store outlives it.
  [[nodiscard]] measure::RunWatch watch();

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
  std::optional<ProgressBar> bar_;
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
/// --compare of two folders or files, not of two endpoints. Throws Error(usage) for one of each.
[[nodiscard]] bool compares_saved_results(const MeasureOptions& options);
void run_compare(const MeasureOptions& options);
void run_rescore(const MeasureOptions& options);

}  // namespace perwatt::cli
