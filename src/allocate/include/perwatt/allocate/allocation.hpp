// The split of watts over a tree of limits: the answer.
#pragma once

#include <optional>
#include <vector>

#include "perwatt/allocate/problem.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::allocate {

enum class Status {
  optimal,
  infeasible,  // the least watts of the devices, or what is guaranteed, do not fit
};

/// Of a node's limit, or of a cross limit.
struct LimitUse {
  Watts power;  // of the devices below; the sum that a cross limit bounds
  /// What the whole answer gains by one more watt of limit here and loses by one watt less, per
  /// watt, in the curves' unit; the two differ where the limit falls on a corner of a curve.
  /// Under Policy::priority a gain may be negative: a higher class takes the watt from a lower one
  /// that made more of it. No loss: one watt less is infeasible.
  double price_per_watt = 0;
  std::optional<double> loss_per_watt = 0;
};

struct Allocation {
  Status status = Status::optimal;
  double value = 0;
  double bound = 0;  // no split makes more; equal to `value` where no sums cross branches
  std::vector<Watts> device_watts;
  std::vector<LimitUse> nodes;
  std::vector<LimitUse> cross_limits;
  std::vector<NodeIndex> overfull;  // nodes whose devices' least watts are above the limit
  std::vector<CrossLimitIndex> overfull_cross;  // the same of cross limits
  std::vector<GuaranteeIndex> unmet;  // guarantees that the limits and curves do not allow
  std::vector<CapGroupIndex> split;   // groups whose members' ranges have no watts in common
};

}  // namespace perwatt::allocate
