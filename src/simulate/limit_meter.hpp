// Judges every limit of a tree over time: the plant's own meter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "node_sums.hpp"

#include "perwatt/simulate/plant_meters.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::simulate {

class LimitMeter {
 public:
  /// `tree` must outlive it. REQUIRES: interval, recovery > 0.
  LimitMeter(const topology::PowerTree& tree, std::int64_t interval_ns, Seconds breaker_recovery);

  /// Values that its windows hold.
  [[nodiscard]] static double window_samples(const topology::PowerTree& tree,
                                             std::int64_t interval_ns);

  /// One metering interval at these supplies.
  void judge(const NodeSums& sums);

  /// Nodes of which a curve tripped in the last judge(), ascending; one a limit.
  [[nodiscard]] const std::vector<std::uint32_t>& tripped() const { return tripped_; }

  /// The breakers of `node` are cold.
  void cool(std::size_t node);

  [[nodiscard]] Violations violations(std::size_t node, std::size_t limit) const;
  [[nodiscard]] Violations total() const;

 private:
  struct Window {
    std::size_t begin;    // in windows_
    std::uint32_t steps;  // metering intervals it holds
    std::uint32_t next = 0;
    std::uint32_t filled = 0;
    double sum_watts = 0;
  };

  /// What every interval reads, kept small: at a large site it is most of what metering moves.
  struct Judged {
    double limit_watts;
    double worst_watts = 0;
    double curve_part = 0;  // of the way to tripping, 0..1
    std::uint32_t node;
    std::uint32_t limit;  // index into Node::limits
    std::int8_t phase;    // -1: all
    bool has_window;
    bool has_curve;
    bool over = false;
  };

  void add_limit(std::uint32_t node, std::uint32_t limit, std::int64_t interval_ns);
  double mean_with(Window& window, double watts);
  void add_over(Judged& judged, Violations& violations, double watts) const;
  void run_curve(Judged& judged, Violations& violations, double watts);

  const topology::PowerTree& tree_;
  Seconds interval_;
  Seconds breaker_recovery_;
  std::vector<Judged> limits_;  // in the order of nodes
  std::vector<Violations> violations_;
  std::vector<std::uint32_t> limit_begin_;  // by node
  std::vector<Window> windows_;             // of the limits that have one, in their order
  std::vector<double> window_watts_;        // their values, end to end
  std::vector<std::uint32_t> tripped_;
};

}  // namespace perwatt::simulate
