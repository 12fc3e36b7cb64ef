// One job as the server keeps it in memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "perwatt/serve/training_jobs.hpp"

namespace perwatt::serve {

struct Place {
  int data_parallel = 0;
  int pipeline_parallel = 0;
  int tensor_parallel = 0;
};

struct Measured {
  double seconds = 0;  // sums over the iterations of the newest report
  double joules = 0;
  std::int64_t iterations = 0;
};

struct TrainingJobs::Job {
  std::string id;
  std::string pipeline_name;
  const PlannedPipeline* pipeline = nullptr;  // null: no longer in the server's file
  int pipeline_parallel = 1;
  int data_parallel = 1;
  int tensor_parallel = 1;
  std::string fingerprint;  // of the pipeline when the job registered
  Seconds active_at;

  std::map<int, Place> ranks;    // that have registered
  std::set<std::int64_t> taken;  // places, by index_of()

  int rounds = 0;
  /// The plans of the newest round, by replica; replicas alike share one.
  std::vector<std::shared_ptr<const StagePlan>> handed_out;
  std::set<int> lost;             // ranks that did not get them
  std::map<int, Caller> waiting;  // by rank

  /// The plans of the next round, by replica; empty: not yet found.
  std::vector<std::shared_ptr<const StagePlan>> next;

  std::map<int, double> slowdown_ratios;  // by rank, above 1
  std::optional<Watts> power_cap;
  std::map<int, Measured> measured;  // by rank

  [[nodiscard]] int world_size() const {
    return data_parallel * pipeline_parallel * tensor_parallel;
  }

  [[nodiscard]] std::int64_t index_of(const Place& place) const {
    return std::int64_t{place.data_parallel * pipeline_parallel + place.pipeline_parallel} *
               tensor_parallel +
           place.tensor_parallel;
  }

  /// REQUIRES: a rank and a place of the job, both free.
  void seat(int rank, const Place& place) {
    ranks.emplace(rank, place);
    taken.insert(index_of(place));
  }

  /// By replica, at least 1.
  [[nodiscard]] std::vector<double> replica_slowdowns() const {
    std::vector<double> ratios(static_cast<std::size_t>(data_parallel), 1.0);
    for (const auto& [rank, ratio] : slowdown_ratios) {
      auto& of_replica = ratios[static_cast<std::size_t>(ranks.at(rank).data_parallel)];
      of_replica = std::max(of_replica, ratio);
    }
    return ratios;
  }
};

}  // namespace perwatt::serve
