// What the flags of 'perwatt train' ask about a pipeline.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "perwatt/report/training_report.hpp"
#include "perwatt/training/frequency_plan.hpp"
#include "perwatt/training/iteration_fit.hpp"
#include "perwatt/training/profile.hpp"
#include "perwatt/training/schedule.hpp"

namespace CLI {
class App;
}

namespace perwatt::cli {

/// Throws Error(usage) for a flag of `train` that stands before its subcommand `verb`.
void refuse_flags_before(const CLI::App& train, const std::string& verb);

/// The flags that say which pipeline it is, shared by train and train replay.
struct PipelineOptions {
  std::string profile;
  int stages = 0;
  int microbatches = 0;
  std::string schedule;  // 1f1b when empty
  std::string blocking_power;
  std::string transfer;
  std::string tail;
  std::string iterations;
  std::string dag;
};

void add_pipeline_options(CLI::App& verb, PipelineOptions& options);

/// The flags that were given, for documents.
[[nodiscard]] std::vector<report::TrainingInput> stated_inputs(const PipelineOptions& options);

struct AskedPipeline {
  training::Profile profile;
  training::Pipeline pipeline;
  std::optional<training::IterationFit> fit;
  double fit_error_ratio = 0;  // mean absolute, over the measured iterations
};

/// Throws Error as the readers do, and of kind usage for flags that contradict each other.
[[nodiscard]] AskedPipeline read_pipeline(const PipelineOptions& options);

}  // namespace perwatt::cli
