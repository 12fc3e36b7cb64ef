// What a measured iteration takes beside its operations: the transfer between stages and a tail
// (optimizer step, loading) that no setting changes.
//
// Model: iteration = makespan of the schedule with the measured times of its passes and `transfer`
// on every dependency between stages, plus `tail`. Both are fitted by least squares, from 0 up:
// a grid of transfers, each with its best tail, and a search around the best of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "perwatt/training/schedule.hpp"

namespace perwatt::training {

/// One measured iteration with the mean time of a forward and a backward on each stage.
struct MeasuredIteration {
  Seconds time;
  std::vector<Seconds> forward;  // by stage
  std::vector<Seconds> backward;
};

/// Reads CSV with columns measured_iter_time_s, fwd_s0, bwd_s0, fwd_s1, … Throws Error(bad_input)
/// with the line.
[[nodiscard]] std::vector<MeasuredIteration> read_iterations(std::string_view text,
                                                             const std::string& name);

struct IterationFit {
  Seconds transfer;
  Seconds tail;
};

/// REQUIRES: at least one iteration, each with as many stages as `shape`; a schedule of forwards
/// and backwards only. transfer and tail of `shape` do not count.
[[nodiscard]] IterationFit fit_iterations(const std::vector<MeasuredIteration>& iterations,
                                          const PipelineShape& shape);

/// The model's time of one iteration.
[[nodiscard]] Seconds predicted_time(const MeasuredIteration& iteration, const PipelineShape& shape,
                                     const IterationFit& fit);

}  // namespace perwatt::training
