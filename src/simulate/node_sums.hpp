// Supplies of all nodes for given draws, with breakers open or closed, and the energies.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "perwatt/topology/power_tree.hpp"

namespace perwatt::simulate {

class NodeSums {
 public:
  /// `tree` must outlive it. `kind_of_device` by device index, each below `kinds`.
  NodeSums(const topology::PowerTree& tree, std::span<const std::uint16_t> kind_of_device,
           std::size_t kinds);

  /// Supplies at these draws. Sums are in double and in the order of topology::loads_at, but for
  /// the devices of a node, which are added in four interleaved parts.
  void add_up(std::span<const float> draw_watts);

  /// The supplies of now have lasted so long.
  void add_energy(Seconds time);

  [[nodiscard]] bool is_open(std::size_t node) const { return open_[node] != 0; }

  /// Changes take effect with recompute_live().
  void set_open(std::size_t node, bool open) { open_[node] = open ? 1 : 0; }

  /// After breakers moved: who is live, and over which feeds. Linear in nodes and supplies.
  void recompute_live();

  [[nodiscard]] bool is_live(std::size_t node) const { return live_[node] != 0; }

  [[nodiscard]] std::span<const double> supply_watts() const { return supply_; }

  [[nodiscard]] double load_watts(std::size_t node) const { return load_[node]; }

  /// What the limit bounds: the supply, or that of its phase. REQUIRES: has_phase_limits() for one.
  [[nodiscard]] double bounded_watts(std::size_t node, int phase) const {
    return phase < 0 ? supply_[node] : phase_supply_[node][static_cast<std::size_t>(phase)];
  }

  [[nodiscard]] double node_joules(std::size_t node) const { return node_joules_[node]; }

  [[nodiscard]] double kind_joules(std::size_t kind) const { return kind_joules_[kind]; }

 private:
  struct Segment {  // neighbours of one kind on one node
    std::uint32_t first;
    std::uint32_t end;
    std::uint32_t node;
    std::uint32_t kind;
  };

  struct Feed {
    std::uint32_t parent;
    double share_ratio;  // of now: 0 when either end is dead
  };

  void add_up_phases();

  const topology::PowerTree& tree_;
  std::vector<Segment> segments_;
  std::vector<std::uint32_t> feed_begin_;
  std::vector<Feed> feeds_;
  std::vector<double> factor_;       // 0 when dead
  std::vector<double> fixed_watts_;  // 0 when dead
  std::vector<double> load_;
  std::vector<double> supply_;
  std::vector<double> own_load_;                     // only with phase limits
  std::vector<std::array<double, 3>> phase_supply_;  // only with phase limits
  std::vector<double> kind_watts_;
  std::vector<double> node_joules_;
  std::vector<double> kind_joules_;
  std::vector<char> open_;
  std::vector<char> live_;
};

}  // namespace perwatt::simulate
