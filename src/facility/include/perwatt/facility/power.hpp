// Power at its boundary. The boundaries have types of their own, so that power metered at one is
// never taken for another and a PUE is never applied twice.
#pragma once

#include <compare>

#include "perwatt/base/units.hpp"

namespace perwatt::facility {

/// Power at the IT boundary: nodes with host, fans, supplies and their share of the network.
struct ItPower {
  Watts value;

  auto operator<=>(const ItPower&) const = default;
};

/// Power at the facility boundary: the utility meter.
struct MeterPower {
  Watts value;

  auto operator<=>(const MeterPower&) const = default;
};

}  // namespace perwatt::facility
