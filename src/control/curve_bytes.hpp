// Curves in the bytes of bytes.hpp.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "bytes.hpp"

#include "perwatt/allocate/problem.hpp"

namespace perwatt::control {

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
