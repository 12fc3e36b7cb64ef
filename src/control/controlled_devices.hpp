// What a controller reads off the devices that it is given.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "perwatt/allocate/problem.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/control/charge_ledger.hpp"
#include "perwatt/control/controller.hpp"
#include "perwatt/topology/power_tree.hpp"

namespace perwatt::control {

inline std::vector<ChargeTerms> charge_terms_of(std::span<const ControlledDevice> devices) {
  std::vector<ChargeTerms> terms;
  for (const auto& device : devices) {
    terms.push_back(device.terms);
  }
  return terms;
}

/// Throws Error(bad_input) where it is not concave.
inline void check_curve(const topology::PowerTree& tree, std::uint32_t d,
                        std::span<const allocate::CurvePoint> curve) {
  if (const auto fault = allocate::curve_fault(curve)) {
    throw_bad_input("the curve of device '" + printable(tree.device({d}).id) + "': " + *fault,
                    "curve", "give the upper hull of its points, least watts first");
  }
}

}  // namespace perwatt::control
