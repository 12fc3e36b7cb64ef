// The best split of a site's watts over its devices: a power tree, with losses, feeds and phases,
// and the curve of each device.
//
// Every limit counts with the least power that must hold for good (Node::steady_limit), all feeds
// up. Watts are a device's own (GPU board); losses on the way up are the tree's. Curves are made
// concave after the losses: what a mixture of two settings yields over many devices, or over time.
// One device runs one setting: `settings` is what is left then. docs/model/allocate.md#a-site
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "perwatt/allocate/allocation.hpp"
#include "perwatt/allocate/site_curves.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::allocate {

/// What one more watt of a node's limits gains and one less costs, in the curves' unit per watt of
/// the limit (of one phase, where that is what binds: all limits of the node that are met at once
/// move together). Where limits of another node bound the same devices and are met at once, one
/// more watt of this node alone gains nothing.
struct NodePrice {
  double price_per_watt = 0;
  std::optional<double> loss_per_watt = 0;  // nothing: one watt less is infeasible

  [[nodiscard]] double per_kilowatt_more() const { return price_per_watt * 1e3; }

  [[nodiscard]] std::optional<double> per_kilowatt_less() const {
    return loss_per_watt ? std::optional{*loss_per_watt * 1e3} : std::nullopt;
  }
};

/// Every device at one of its settings: near the split, and within every limit.
struct SettingsOfDevices {
  double value = 0;
  bool is_complete = true;          // false: the site is too large to have raised all that fits
  std::vector<Watts> device_power;  // by device
  std::vector<std::optional<std::size_t>> setting;  // by device, into its curve; not steered:
                                                    // nothing, as where any watts can be set
};

struct SiteSplit {
  Status status = Status::optimal;
  std::string value_unit;
  double value = 0;
  double bound = 0;                 // no split makes more
  std::vector<Watts> device_power;  // by device
  std::vector<Watts> supply;        // by node
  std::vector<NodePrice> prices;    // by node
  SettingsOfDevices settings;
  std::vector<topology::NodeIndex> overfull;  // infeasible: what must be drawn passes their limits

  /// (bound - value of the settings) / bound: what whole settings cost at most.
  [[nodiscard]] double gap_ratio() const {
    const double gap = bound > 0 ? (bound - settings.value) / bound : 0.0;
    return gap > 1e-9 ? gap : 0.0;  // sums are that exact
  }
};

/// A device without a curve is not steered and counts with its maximum; one with a curve gets no
/// less than its guaranteed watts. Throws Error(bad_input) for a curve whose least watts are above
/// a device's maximum, and as site_limits does. REQUIRES: a device, curves of this tree.
[[nodiscard]] SiteSplit split_site(const topology::PowerTree& tree, const SiteCurves& curves);

}  // namespace perwatt::allocate
