// Curves in the bytes of perwatt/base/bytes.hpp.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "perwatt/allocate/problem.hpp"
#include "perwatt/base/bytes.hpp"

namespace perwatt::control {

/// Of bytes that are not as they were written.
inline constexpr const char* kDamagedRemedy =
    "the file is damaged: see docs/model/control.md#journal";

inline void put_curve(ByteWriter& to, std::span<const allocate::CurvePoint> curve) {
  to.put(static_cast<std::uint32_t>(curve.size()));
  for (const auto& point : curve) {
    to.put(point.power);
    to.put(point.value);
  }
}

/// Throws Error(bad_input) for what is no curve.
inline std::vector<allocate::CurvePoint> get_curve(ByteReader& from) {
  const auto count = from.get<std::uint32_t>();
  std::vector<allocate::CurvePoint> curve;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Watts power = from.watts();
    curve.push_back({power, from.get<double>()});
  }
  if (const auto fault = allocate::curve_fault(curve)) {
    from.fail(*fault);
  }
  return curve;
}

}  // namespace perwatt::control
