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
  struct Judged {
    std::uint32_t node;
    std::uint32_t limit;  // index into Node::limits
    int phase;            // -1: all
    bool over = false;
    bool has_curve;
    double limit_watts;
    double curve_part = 0;  // of the way to tripping, 0..1
    double worst_watts = 0;
    std::uint32_t window_steps = 0;  // 0: no window
    std::uint32_t next = 0;          // place in the window of the next value
    std::uint32_t filled = 0;
    std::size_t window_begin = 0;
    double window_sum_watts = 0;
  };

  double mean_with(Judged& judged, double watts);
  void add_over(Judged& judged, Violations& violations, double watts) const;
  void run_curve(Judged& judged, Violations& violations, double watts);

  const topology::PowerTree& tree_;
  Seconds interval_;
  Seconds breaker_recovery_;
  std::vector<Judged> limits_;  // in the order of nodes
  std::vector<Violations> violations_;
  std::vector<std::uint32_t> limit_begin_;  // by node
  std::vector<double> windows_;             // all, end to end
  std::vector<std::uint32_t> tripped_;
};

}  // namespace perwatt::simulate
