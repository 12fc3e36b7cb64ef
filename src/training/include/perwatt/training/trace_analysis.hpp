// Where the time of traced iterations goes: per rank, and along the critical path at three levels.
// Formulas: docs/model/training.md#traces. All functions are pure.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "perwatt/training/rank_timeline.hpp"

namespace perwatt::training {

using TimeByParallelism = std::array<Seconds, kParallelisms>;

/// One rank over the periods of the job. compute + copies + idle + the sum of exposed = length.
struct RankBreakdown {
  Seconds length;
  Seconds compute;            // a compute kernel runs
  Seconds copies;             // a copy or memory set, no kernel
  Seconds idle;               // nothing runs
  TimeByParallelism exposed;  // communication that no compute kernel overlaps
  TimeByParallelism hidden;   // communication beside compute
  /// Part of exposed while another rank had not come to the same communication, or the input of the
  /// stage's next operation was not ready. Needs the traces of both.
  Seconds waiting;

  /// Time the rank spends for others or for nothing: idle + waiting.
  [[nodiscard]] Seconds slack() const { return idle + waiting; }
};

/// What an operation depends on, in the traced job.
struct OperationLink {
  std::size_t rank = 0;       // index into JobTimeline::ranks
  std::size_t operation = 0;  // index into its operations
};

/// The schedule that the traced operations followed: forwards pass from stage to stage, backwards
/// return (docs/reference/training-traces.md), microbatches in order.
struct TracedSchedule {
  bool is_plain = false;  // every operation has its partner and none begins before its input
  std::string reason;     // why not
  int microbatches = 0;   // per iteration; 0 when stages differ
  /// By rank and operation: the operation of another stage whose result it needs.
  std::vector<std::vector<std::optional<OperationLink>>> inputs;
};

[[nodiscard]] TracedSchedule traced_schedule(const JobTimeline& job);

/// Index as JobTimeline::ranks.
[[nodiscard]] std::vector<RankBreakdown> break_down(const JobTimeline& job,
                                                    const TracedSchedule& schedule);

/// A step of the critical path through operations.
struct OperationStep {
  OperationLink operation;
  /// From the end of the operation before it on the path to its begin; below 0 where it begins
  /// before its input has ended (clocks apart, by at most half the operation).
  Seconds gap;
  bool is_handed = false;  // the one before it is of another stage
};

/// The chain of operations that decided the length of one iteration: from the last to end, back to
/// whichever of its stage's previous operation and its input ended last. head, gaps, operations and
/// tail add up to the iteration.
struct SchedulePath {
  TimeSpan iteration;
  Seconds head;  // from the begin of the iteration to its first operation
  Seconds tail;  // from the end of the last operation to that of the iteration; below 0
                 // where the next iteration has begun on another rank
  std::vector<OperationStep> steps;  // in order of time
};

/// Of the iteration with this index. Nothing when the schedule is not plain.
[[nodiscard]] std::optional<SchedulePath> schedule_path(const JobTimeline& job,
                                                        const TracedSchedule& schedule,
                                                        std::size_t iteration);

enum class PathKind { compute, copy, communication, transfer, gap };

/// A piece of the critical path through GPU work.
struct PathPiece {
  TimeSpan span;
  PathKind kind = PathKind::gap;
  std::size_t rank = 0;             // index into JobTimeline::ranks
  std::optional<std::size_t> work;  // index into its works; nothing for gap and transfer
  Parallelism parallelism = Parallelism::other;  // of communication and transfer
};

/// The chain of GPU work that fills one iteration without overlap, in order of time: from the last
/// work to end, back to the work of the rank that had ended last before it began; from a collective
/// to the rank that came to it last; from the first work of an operation to its input on another
/// stage when that ended later. `gap` is time without work (launches, the host).
[[nodiscard]] std::vector<PathPiece> kernel_path(const JobTimeline& job,
                                                 const TracedSchedule& schedule,
                                                 std::size_t iteration);

/// When the last rank came to the collective that work `w` of rank `r` is part of, by [r][w]; the
/// work's own begin where that is not known.
struct Rendezvous {
  Instant ready;
  std::size_t rank = 0;  // who came last
};

[[nodiscard]] std::vector<std::vector<Rendezvous>> match_collectives(const JobTimeline& job);

}  // namespace perwatt::training
