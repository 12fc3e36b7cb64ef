// What tests of measurements share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "perwatt/base/instant.hpp"
#include "perwatt/measure/measurement.hpp"

namespace perwatt::measure {

constexpr Instant at_ms(std::int64_t milliseconds) {
  return Instant::from_nanoseconds(milliseconds * 1'000'000);
}

inline bool has_reason(const Measurement& m, const std::string& code) {
  return std::any_of(m.reasons.begin(), m.reasons.end(),
                     [&](const std::string& reason) { return reason.starts_with(code + ":"); });
}

}  // namespace perwatt::measure
