// The limits of a power tree as limits on sums of root watts (perwatt/topology/root_units.hpp).
//
// A limit of a node without feeds beside it bounds all devices below it: one sum of a tree. Feeds
// and phases make others: of an A side that carries half of every rack, of the racks on L1. A sum
// whose devices all count alike is put into the tree where it is nested with those that are there
// (both sides of a 2N feed bound the same racks: the lower of the two counts); what crosses, or
// counts devices unlike, stays a cross limit. docs/model/allocate.md#feeds-and-phases
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/topology/power_tree.hpp"
#include "perwatt/topology/root_units.hpp"

namespace perwatt::allocate {

inline constexpr std::uint32_t kNoSum = 0xffffffff;

/// A sum of root watts of all devices of some nodes of a power tree.
struct NestedSum {
  std::uint32_t parent = kNoSum;  // has a lower number
};

/// A sum of another kind.
struct CrossSum {
  /// By node of the power tree: what a root watt of its own devices counts, above 0.
  std::vector<std::pair<topology::NodeIndex, double>> shares;
};

/// The least limit of a node, or of one of its phases.
struct SiteLimit {
  topology::NodeIndex node;
  std::optional<topology::Phase> phase;
  std::uint32_t sum = 0;  // it bounds: a nested one, or a cross one
  bool is_cross = false;
  Watts power;       // what it leaves to devices, in its own watts; >= 0
  double ratio = 0;  // its watts per unit of the sum, above 0

  [[nodiscard]] Watts limit_on_sum() const { return power * (1 / ratio); }
};

/// By sum; infinite where nothing bounds it.
struct SumLimits {
  std::vector<Watts> nested;
  std::vector<Watts> cross;
};

struct SiteLimits {
  topology::RootUnits units;
  std::vector<NestedSum> nested;      // the first is the whole site
  std::vector<std::uint32_t> sum_of;  // by node: the least nested sum that has its own devices
  std::vector<CrossSum> cross;
  std::vector<SiteLimit> limits;  // by node, then L1 to L3; those with devices below

  /// The least limit on each sum.
  [[nodiscard]] SumLimits least() const;
};

/// Linear in nodes and devices of a tree without feeds and phases; each node beside whose devices
/// other ways lead adds the nodes below it. Throws Error(bad_input) where that makes more than
/// `most_shares`. REQUIRES: a device.
[[nodiscard]] SiteLimits site_limits(const topology::PowerTree& tree,
                                     std::size_t most_shares = 50'000'000);

}  // namespace perwatt::allocate
