// What a device of a site can choose from, within its own bounds and in root watts.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "perwatt/allocate/problem.hpp"
#include "perwatt/allocate/site_curves.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::allocate {

/// One setting within a device's bounds.
struct DeviceOption {
  Watts power;  // root watts
  double value = 0;
  std::size_t setting = 0;  // into SiteCurve::settings
};

/// The options of a device, by rising power; none of two takes more and yields less.
struct DeviceOptions {
  std::vector<DeviceOption> options;
  std::vector<CurvePoint> hull;  // concave, root watts: what Problem::add_device asks for
};

/// Settings below `least` count as `least`: no lower cap can be set, and the work takes what it
/// took. Those above `most` are out; a curve of any watts is cut there instead. Nothing when none
/// is left. `factor`: root watts per watt.
[[nodiscard]] std::optional<DeviceOptions> device_options(const SiteCurve& curve, Watts least,
                                                          Watts most, double factor);

}  // namespace perwatt::allocate
