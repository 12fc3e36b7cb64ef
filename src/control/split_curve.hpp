// What the split is told that watts are worth to a device: its own curve as far as it wants watts
// now, then what its habits are worth. In charges at the root, which is what the ledger counts.
#pragma once

#include <span>
#include <vector>

#include "perwatt/allocate/problem.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/control/controller.hpp"
#include "perwatt/control/demand.hpp"

namespace perwatt::control {

/// What the device is charged for a cap, at the root. `root_factor`: losses on the way up.
[[nodiscard]] inline Watts charge_at_root(const ChargeTerms& terms, double root_factor, Watts cap) {
  return (cap * (1 + terms.overshoot_ratio) + terms.beside) * root_factor;
}

/// The cap of a charge at the root.
[[nodiscard]] inline Watts cap_of_charge(const ChargeTerms& terms, double root_factor,
                                         Watts at_root) {
  return (at_root * (1 / root_factor) - terms.beside) * (1 / (1 + terms.overshoot_ratio));
}

/// Per root watt, the same for all: so little that no watt anybody wants is given up for it, so
/// that watts nobody wants are shared. `root_factors` by device.
[[nodiscard]] double headroom_worth(std::span<const ControlledDevice> devices,
                                    std::span<const double> root_factors);

/// Beside what a ControlledDevice says.
struct SplitTerms {
  double root_factor = 1;
  Watts most;  // the highest cap that it may be given now
  const Demand* demand = nullptr;
  double headroom = 0;  // headroom_worth()
};

/// Into `points`, in place of what is there. Fail-safe is charged in any case, so it comes first.
void split_curve(const ControlledDevice& device, const SplitTerms& terms,
                 std::vector<allocate::CurvePoint>& points);

}  // namespace perwatt::control
