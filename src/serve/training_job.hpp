// One job as the server keeps it in memory.
#pragma once

#include <algorithm>
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
  Seconds active_at;

  std::vector<std::optional<Place>> ranks;
  std::vector<bool> taken;  // by place
  int registered = 0;

  int rounds = 0;
  /// The plans of the newest round, by replica; replicas alike share one.
  std::vector<std::shared_ptr<const StagePlan>> handed_out;
  std::set<int> lost;              // ranks that did not get them
  std::map<int, Deliver> waiting;  // by rank

  /// The plans of the next round, by replica; empty: not yet found.
  std::vector<std::shared_ptr<const StagePlan>> next;

  std::map<int, double> slowdown_ratios;  // by rank, above 1
  std::optional<Watts> power_cap;
  std::map<int, Measured> measured;  // by rank

  [[nodiscard]] int world_size() const { return static_cast<int>(ranks.size()); }

  /// For as many ranks as the degrees ask for.
  void make_room() {
    const auto size = static_cast<std::size_t>(pipeline_parallel) *
                      static_cast<std::size_t>(data_parallel) *
                      static_cast<std::size_t>(tensor_parallel);
    ranks.resize(size);
    taken.resize(size);
  }

  [[nodiscard]] std::size_t index_of(const Place& place) const {
    return static_cast<std::size_t>(
        (place.data_parallel * pipeline_parallel + place.pipeline_parallel) * tensor_parallel +
        place.tensor_parallel);
  }

  /// REQUIRES: a rank and a place of the job, both free.
  void seat(int rank, const Place& place) {
    ranks[static_cast<std::size_t>(rank)] = place;
    taken[index_of(place)] = true;
    ++registered;
  }

  /// REQUIRES: a registered rank.
  [[nodiscard]] const Place& place_of(int rank) const {
    return *ranks[static_cast<std::size_t>(rank)];
  }

  /// By replica, at least 1.
  [[nodiscard]] std::vector<double> replica_slowdowns() const {
    std::vector<double> ratios(static_cast<std::size_t>(data_parallel), 1.0);
    for (const auto& [rank, ratio] : slowdown_ratios) {
      auto& of_replica = ratios[static_cast<std::size_t>(place_of(rank).data_parallel)];
      of_replica = std::max(of_replica, ratio);
    }
    return ratios;
  }
};

}  // namespace perwatt::serve
