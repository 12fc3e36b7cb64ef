// Schedules of pipeline parallel training: which stage does what, in which order.
//
// - 1f1b: stage s of S runs S - s - 1 forwards ahead, then one forward and one backward in turn
//   (PipeDream-Flush; DeepSpeed's TrainSchedule).
// - interleaved:V: each stage holds V chunks of layers, chunk c of stage s being virtual stage
//   c S + s; microbatches go round in groups of S (Narayanan et al., arXiv 2104.04473, section
//   2.2). Microbatches must be a multiple of S.
// - gpipe: all forwards, then all backwards, in the same order of microbatches.
// - early-recompute: 1f1b whose backward is preceded by a recomputation of the forward that does
//   not wait for the gradient (Merak, arXiv 2206.04959, section 4.2); the last stage needs none.
// - zero-bubble: ZB-H1 (Qi et al., arXiv 2401.10241, section 2.2): a backward in two parts, the
//   gradient of the input, for which the stage before waits, and that of the weights, which stage s
//   does s microbatches late.
//
// A profile whose instructions a schedule lacks is completed by stated assumptions
// (Pipeline::notes): recompute takes what forward takes; backward_input and backward_weight take
// half of backward each; a chunk takes the V-th part of its stage.
//
// Collectives are operations when the profile has rows of them: forward_collective and
// backward_collective (tensor and context parallel, exposed) follow each forward and backward of
// their stage, parameter_collective (data parallel, sharded parameters) precedes the stage's first
// operation, gradient_collective and then optimizer follow its last.
#pragma once

#include <string>
#include <string_view>

#include "perwatt/training/pipeline.hpp"

namespace perwatt::training {

enum class ScheduleKind {
  one_forward_one_backward,
  interleaved,
  gpipe,
  early_recompute,
  zero_bubble
};

struct Schedule {
  ScheduleKind kind = ScheduleKind::one_forward_one_backward;
  int chunks = 1;  // layers of a stage in so many parts; above 1 for interleaved only
};

/// "1f1b", "interleaved:2", "gpipe", "early-recompute", "zero-bubble". Throws Error(bad_input) with
/// `where` for anything else.
[[nodiscard]] Schedule parse_schedule(std::string_view text, const std::string& where);

inline constexpr int kMostStages = 4096;
inline constexpr int kMostMicrobatches = 1 << 20;

struct PipelineShape {
  int stages = 0;        // 1 to kMostStages
  int microbatches = 0;  // 1 to kMostMicrobatches
  Schedule schedule;
  Watts blocking_power;
  Seconds transfer;  // of an activation or gradient to another stage
  Seconds tail;      // after the last operation: Pipeline::tail
};

/// Throws Error(bad_input) with `where` for a shape of more than four million operations, which
/// take some hundred bytes each.
void check_size(const PipelineShape& shape, const std::string& where);

/// Throws Error(bad_input) naming the stage and instruction the profile lacks, and for a number of
/// microbatches that an interleaved schedule cannot divide.
[[nodiscard]] Pipeline make_pipeline(const Profile& profile, const PipelineShape& shape);

}  // namespace perwatt::training
