// The trace of one rank as PyTorch's profiler (Kineto, over CUPTI or roctracer) writes it: what its
// GPU did and when. Format and what is read of it: docs/reference/training-traces.md.
//
// All times are Instants of WallClock{}: nanoseconds since 1970 UTC by the clock of the machine
// that wrote the trace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/instant.hpp"

namespace perwatt::training {

struct TimeSpan {
  Instant begin;
  Instant end;  // not before begin

  [[nodiscard]] Seconds length() const { return end - begin; }

  bool operator==(const TimeSpan&) const = default;
};

enum class GpuWorkKind { compute, communication, copy };

/// One kernel, copy or memory set on the GPU.
struct GpuWork {
  TimeSpan span;
  std::uint32_t name = 0;  // index into RankTrace::names
  std::uint32_t group =
      0;  // index into RankTrace::groups; 0, the unknown one, for all but communication
  std::int64_t correlation = -1;  // with the launch; -1 unknown
  std::int64_t stream = 0;
  std::int16_t device = -1;  // index of the GPU on its machine; -1 unknown
  GpuWorkKind kind = GpuWorkKind::compute;
  bool is_point_to_point = false;  // a send or a receive
};

/// A process group of torch.distributed.
struct ProcessGroup {
  std::string name;
  std::string description;
  std::vector<int> ranks;  // empty where the trace does not say or shortens the list
};

/// A record_function of the user's program or of PyTorch (ProfilerStep#7, Optimizer.step#…).
struct Annotation {
  TimeSpan span;
  std::uint32_t name = 0;      // index into RankTrace::names
  std::int16_t device = -1;    // of GPU annotations; -1 unknown
  std::int64_t stream = -1;    // of GPU annotations; -1 unknown
  std::int64_t external = -1;  // of GPU annotations: one id on all streams; -1 unknown
};

/// A call on the CPU that gave the GPU work to do.
struct Launch {
  std::int64_t correlation = -1;
  Instant at;
};

struct RankTrace {
  std::string file;  // for messages
  std::optional<int> rank;
  std::optional<int> world_size;
  std::optional<int> device;  // with the most compute time; by the numbers the process sees, after
                              // CUDA_VISIBLE_DEVICES
  std::vector<std::string> names;
  std::vector<ProcessGroup> groups;         // [0] is the unknown one
  std::vector<GpuWork> works;               // by begin, then end
  std::vector<Annotation> gpu_annotations;  // as Kineto projects them on streams; by begin
  std::vector<Annotation> cpu_annotations;  // by begin
  std::vector<Launch> launches;             // by time
  std::size_t entries = 0;                  // that reading the trace counted
  std::vector<std::string> notes;           // what was left out, for people
};

/// GPU work, launches, annotations, names and groups of all traces that are held at once: some 260
/// bytes each with what is made of them.
inline constexpr std::size_t kMostTraceEntries = 50'000'000;

/// Reads a trace that arrives in parts cut anywhere. Memory grows with its entries, not with the
/// bytes of the file.
class TraceReader {
 public:
  /// `file` stands for the trace in messages; `most_entries` is what other traces leave.
  explicit TraceReader(std::string file, std::size_t most_entries = kMostTraceEntries);
  ~TraceReader();

  /// Throws Error(bad_input) with the line for what is no trace and an event without time, and for
  /// more than `most_entries`.
  void feed(std::string_view bytes);

  /// The whole trace, of the GPU with the most compute time: the few entries that a process leaves
  /// on others (a context, a memory set) are dropped with a note. Throws Error(bad_input) for a
  /// trace that is cut, holds no GPU work, or computes on a second GPU for more than 1 % of that.
  [[nodiscard]] RankTrace finish();

 private:
  class Collector;
  std::unique_ptr<Collector> collector_;
};

/// Reads a trace file, gzip or plain, of at most 32 GiB unpacked. Throws Error(bad_input) as
/// TraceReader does and for a file that cannot be read.
[[nodiscard]] RankTrace read_trace(const std::filesystem::path& path,
                                   std::size_t most_entries = kMostTraceEntries);

}  // namespace perwatt::training
