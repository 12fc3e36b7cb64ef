// The frontier of a training pipeline and a plan on it as a document: self-contained HTML that
// opens offline, or Markdown.
//
// Pure functions from results to text, same input, same bytes. Energy is that of GPU boards as the
// profile has it, per GPU of a tensor parallel group and summed over stages
// (docs/model/training.md). Long pipelines and long frontiers are thinned in the drawing only, and
// the page says so; figures count everything.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "perwatt/training/frequency_plan.hpp"
#include "perwatt/training/iteration_fit.hpp"

namespace perwatt::report {

/// What was asked: a file or a flag.
struct TrainingInput {
  std::string name;
  std::string value;
};

struct TrainingReport {
  const training::Planner* planner = nullptr;   // outlives the report
  std::string question;                         // that the plan answers: "within 3.1 s"
  std::optional<training::FrequencyPlan> plan;  // of the planner's pipeline
  std::string reason;                           // why there is no plan
  std::vector<TrainingInput> inputs;            // in the order they are shown
  std::size_t repeated_rows = 0;                // of the profile, left out
  std::optional<training::IterationFit> fit;    // of the pipeline's transfer and tail
  double fit_error_ratio = 0;                   // mean absolute, over the measured iterations
  std::string version;                          // of perwatt
};

[[nodiscard]] std::string training_html(const TrainingReport& report);
[[nodiscard]] std::string training_markdown(const TrainingReport& report);

/// "2.8365 s", "7,339 J": as reports of training write them.
[[nodiscard]] std::string seconds_text(Seconds time);
[[nodiscard]] std::string joules_text(Joules energy);

}  // namespace perwatt::report
