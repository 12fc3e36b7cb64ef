// The columns of a site's training jobs.
#pragma once

#include "perwatt/plan/candidate.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

/// Fills in CandidateSet::training and training_fit. REQUIRES: the halls and racks of `set` are
/// those of `site`.
void add_training_columns(const Site& site, CandidateSet& set);

/// One pipeline of a job at one point, all its GPUs, while it trains.
[[nodiscard]] TokensPerSecond trained_rate(const TrainingJob& job, const TrainingPoint& point);

}  // namespace perwatt::plan
