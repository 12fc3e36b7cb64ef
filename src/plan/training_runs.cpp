#include "training_runs.hpp"

#include <algorithm>
#include <cmath>

namespace perwatt::plan {

namespace {

constexpr double kLeastPipelines = 1e-6;  // fewer are the solver's rounding

}  // namespace

std::map<std::pair<std::size_t, std::size_t>, TrainingRun> training_runs(
    const Site& site, const CandidateSet& set, const Plan& plan, std::size_t hour, bool is_whole) {
  std::map<std::pair<std::size_t, std::size_t>, TrainingRun> runs;
  for (const auto& assignment : plan.training) {
    const auto& column = set.training[assignment.column];
    if (assignment.gpus_by_hour[hour] > 0) {
      auto& run = runs[{column.job, column.rack}];
      run.gpus_at_once += assignment.gpus_by_hour[hour];
      run.highest_it = std::max(run.highest_it, column.highest_it_per_gpu.value);
    }
  }
  for (auto& [job_on_rack, run] : runs) {
    const double gpus = site.training[job_on_rack.first].gpus_per_pipeline();
    if (is_whole) {
      run.gpus_at_once = std::ceil(run.gpus_at_once / gpus - kLeastPipelines) * gpus;
    }
  }
  return runs;
}

}  // namespace perwatt::plan
