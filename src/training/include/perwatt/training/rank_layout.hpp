// Which part of the model and of the data a rank holds, and for which kind of parallelism a process
// group communicates.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "perwatt/training/trace_file.hpp"

namespace perwatt::training {

enum class Parallelism { tensor, context, expert, data, pipeline, other };

inline constexpr std::size_t kParallelisms = 6;

[[nodiscard]] std::string_view to_string(Parallelism parallelism);

/// Indices of a rank along each kind of parallelism, from 0.
struct RankPlace {
  int stage = 0;
  int tensor = 0;
  int context = 0;
  int data = 0;

  bool operator==(const RankPlace&) const = default;
};

/// Sizes of a job. Ranks count with the tensor index fastest, then context, data and pipeline, as
/// Megatron-LM (order tp-cp-ep-dp-pp) and DeepSpeed number them; sizes above 0.
struct RankLayout {
  int stages = 1;
  int tensor = 1;
  int context = 1;
  int data = 1;

  [[nodiscard]] RankPlace place(int rank) const;

  [[nodiscard]] int ranks() const { return stages * tensor * context * data; }
};

/// Of a group by the words of its description: "PIPELINE_MODEL_PARALLEL_GROUP", "mesh_dp_shard",
/// "tp:device"; nothing for one that says nothing ("undefined", "default_pg").
[[nodiscard]] std::optional<Parallelism> parallelism_of(std::string_view description);

/// Of every group of a trace: by its description, else by which index its ranks differ in when the
/// layout is known, else `other`.
[[nodiscard]] std::vector<Parallelism> parallelisms_of(const RankTrace& trace,
                                                       const std::optional<RankLayout>& layout);

/// Where the rank of `trace` stands by its process groups: its index in the first group of each
/// kind that holds it, where groups of one kind go before those of two ("dp_shard_cp",
/// "…_WITH_CP"); along data, groups that meet in this rank alone count together, the last one
/// fastest. The size of its pipeline group are the stages.
struct FoundPlace {
  RankPlace place;
  int stages = 1;
  bool has_pipeline_group = false;
};

/// REQUIRES: trace.rank.
[[nodiscard]] FoundPlace place_by_groups(const RankTrace& trace);

}  // namespace perwatt::training
