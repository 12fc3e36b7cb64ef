// What a rank did, in terms of training: iterations, instructions of the pipeline, communication by
// kind of parallelism. Rules: docs/reference/training-traces.md.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "perwatt/training/rank_layout.hpp"
#include "perwatt/training/trace_file.hpp"

namespace perwatt::training {

/// Which annotations stand for what. A name stands for annotations that equal it or begin with it
/// and go on with no letter, digit or underscore ("forward" for "Forward 3", not for
/// "forward_hook"); letter case does not matter.
struct AnnotationNames {
  /// By instruction of the profile (docs/reference/training-profile.md).
  std::map<std::string, std::vector<std::string>> instructions = {
      {"forward", {"forward"}}, {"backward", {"backward"}}, {"optimizer", {"Optimizer.step"}}};
  std::string iteration = "ProfilerStep";
};

[[nodiscard]] bool stands_for(std::string_view name, std::string_view annotation);

/// One instruction as it ran.
struct TimedOperation {
  std::string instruction;
  int iteration = 0;   // index into RankTimeline::iterations
  int microbatch = 0;  // in order of time within the iteration, from 0; counted by instruction
  /// From the first to the last work of the instruction that is no pipeline transfer, on the stream
  /// that computes.
  TimeSpan span;
};

/// GPU work with the kind of parallelism that communication serves.
struct ClassifiedWork {
  TimeSpan span;
  GpuWorkKind kind = GpuWorkKind::compute;
  Parallelism parallelism = Parallelism::other;  // of communication
  bool is_point_to_point = false;
  std::uint32_t name = 0;   // index into RankTrace::names
  std::uint32_t group = 0;  // index into RankTrace::groups
  std::int64_t stream = 0;

  /// Between pipeline stages.
  [[nodiscard]] bool is_transfer() const {
    return kind == GpuWorkKind::communication && parallelism == Parallelism::pipeline;
  }
};

/// Which iteration it is, alike on all ranks.
struct IterationName {
  std::string annotation;  // empty where none is annotated
  int occurrence = 0;      // of that annotation on the rank, from 0

  auto operator<=>(const IterationName&) const = default;
};

struct RankTimeline {
  RankTrace trace;  // its works are moved out, its names and groups stay
  RankPlace place;
  std::vector<ClassifiedWork> works;  // by begin
  std::int64_t compute_stream = 0;    // with the most compute time
  /// Of the rank's own work; iteration i lasts until the next begins, the last until its work ends.
  std::vector<TimeSpan> iterations;
  std::vector<IterationName> iteration_names;  // one per iteration
  std::vector<TimedOperation> operations;      // by begin

  /// Index of the iteration that holds `at`.
  [[nodiscard]] std::optional<std::size_t> iteration_of(Instant at) const;
};

struct TimelineOptions {
  AnnotationNames names;
  std::optional<RankLayout> layout;
};

/// Whole iterations with the pause behind each: from the first begin to the last, one fewer than
/// iterations, since what follows the last of them is not traced. Of one iteration, itself.
struct Periods {
  TimeSpan span;
  std::size_t count = 1;

  [[nodiscard]] Seconds mean() const { return span.length() / static_cast<double>(count); }
};

/// Stages of the job and the timelines of its traced ranks.
struct JobTimeline {
  int stages = 1;
  bool are_stages_known = false;     // by the layout or a pipeline group of every traced rank
  int world_size = 1;                // ranks of the job
  bool is_world_size_known = false;  // by the layout or by every trace; else it is at least that
  std::vector<RankTimeline> ranks;   // by rank
  /// Over all ranks, those that every rank has; each ends where the next begins.
  std::vector<TimeSpan> iterations;
  std::vector<std::string> notes;  // what was left out, for people

  /// From the begin of the first iteration to the end of the last.
  [[nodiscard]] TimeSpan window() const;
  /// What means over iterations are taken over.
  [[nodiscard]] Periods periods() const;
};

/// Puts traces of one run together. Kept is the longest run of iterations that follow each other on
/// every rank. Throws Error(bad_input) for a rank that is missing or appears twice, ranks or world
/// sizes that contradict each other or the layout, ranks of a pipeline whose process groups give
/// two of them the same place, and traces without a common iteration.
[[nodiscard]] JobTimeline make_job_timeline(std::vector<RankTrace> traces,
                                            const TimelineOptions& options);

}  // namespace perwatt::training
