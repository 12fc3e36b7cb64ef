// What training jobs run at once in an answer, and at which draw.
#pragma once

#include <cstddef>
#include <map>
#include <utility>

#include "perwatt/plan/candidate.hpp"
#include "perwatt/plan/plan.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

struct TrainingRun {
  double gpus_at_once = 0;  // of whole pipelines
  Watts highest_it;         // per GPU, of any plan they run
};

/// By job and rack kind, in hour class `hour`. With `is_whole` a fraction of a pipeline is a whole
/// one for a part of the time; else, in a relaxation, it is a part of one.
[[nodiscard]] std::map<std::pair<std::size_t, std::size_t>, TrainingRun> training_runs(
    const Site& site, const CandidateSet& set, const Plan& plan, std::size_t hour, bool is_whole);

}  // namespace perwatt::plan
