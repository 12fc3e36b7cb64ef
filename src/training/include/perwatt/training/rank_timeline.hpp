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

struct RankTimeline {
  RankTrace trace;  // its works are moved out, its names and groups stay
  RankPlace place;
  std::vector<ClassifiedWork> works;  // by begin
  std::int64_t compute_stream = 0;    // with the most compute time
  /// Of the rank's own work; iteration i lasts until the next begins, the last until its work ends.
  std::vector<TimeSpan> iterations;
  std::vector<std::string> iteration_names;  // one per iteration; empty where none is annotated
  std::vector<TimedOperation> operations;    // by begin
};

struct TimelineOptions {
  AnnotationNames names;
  std::optional<RankLayout> layout;
};

/// Stages of the job and the timelines of its traced ranks.
struct JobTimeline {
  int stages = 1;
  int world_size = 1;                // ranks of the job
  bool is_world_size_known = false;  // by the layout or by every trace; else it is at least that
  std::vector<RankTimeline> ranks;   // by rank
  std::vector<TimeSpan> iterations;  // over all ranks, whole ones that every rank has
};

/// Puts traces of one run together. Iterations and operations outside the common ones are left out.
/// Throws Error(bad_input) for a rank that is missing or appears twice, ranks outside the layout,
/// and traces without a common iteration.
[[nodiscard]] JobTimeline make_job_timeline(std::vector<RankTrace> traces,
                                            const TimelineOptions& options);

}  // namespace perwatt::training
