// Private: a pipeline with real settings only, in whole numbers and in topological order, for the
// search of plans. Operations go by rank here: their place in topological order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "scaled_work.hpp"

#include "perwatt/training/pipeline.hpp"

namespace perwatt::training {

struct Setting {
  Picoseconds time;
  Nanojoules energy;  // effective
};

/// Index into the settings of each operation, by rank.
using Choice = std::vector<std::uint32_t>;

class DiscretePipeline {
 public:
  DiscretePipeline(const Pipeline& pipeline, const std::vector<std::uint32_t>& topological);

  [[nodiscard]] std::size_t size() const { return work_.size(); }

  [[nodiscard]] std::uint32_t operation(std::size_t rank) const { return operation_[rank]; }

  /// Slow to fast, as Work::options.
  [[nodiscard]] std::span<const Setting> settings(std::size_t rank) const {
    return settings_[work_[rank]];
  }

  [[nodiscard]] const Setting& chosen(const Choice& choice, std::size_t rank) const {
    return settings_[work_[rank]][choice[rank]];
  }

  /// The cheapest setting that takes at most `window`, else the fastest.
  [[nodiscard]] std::uint32_t slowest_within(std::size_t rank, Picoseconds window) const;

  [[nodiscard]] Nanojoules energy(const Choice& choice) const;

  /// Earliest begin of each operation; returns when the last one ends.
  Picoseconds begin_early(const Choice& choice, std::vector<Picoseconds>& begin) const;

  /// Latest end of each operation when all is over at `end`.
  void end_late(const Choice& choice, Picoseconds end, std::vector<Picoseconds>& ends) const;

  /// Slows operations down while all is over at `end`, from the first on or from the last on.
  /// REQUIRES: with `choice` it is.
  void reclaim_forward(Choice& choice, Picoseconds end) const;
  void reclaim_backward(Choice& choice, Picoseconds end) const;

  /// Begin times by rank from those the operations before allow: pushes the end of `rank` on.
  void push_begin(std::size_t rank, Picoseconds end, std::vector<Picoseconds>& begin) const;
  void pull_end(std::size_t rank, Picoseconds begin, std::vector<Picoseconds>& ends) const;

 private:
  struct Link {
    std::uint32_t rank;
    Picoseconds delay;
  };

  std::vector<std::uint32_t> operation_;
  std::vector<std::uint32_t> work_;  // by rank
  std::vector<std::vector<Setting>> settings_;
  std::vector<std::uint32_t> first_after_;
  std::vector<Link> after_;
  std::vector<std::uint32_t> first_before_;
  std::vector<Link> before_;
};

}  // namespace perwatt::training
