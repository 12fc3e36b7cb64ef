// A time as RFC 3339 text.
#pragma once

#include <string>

#include "perwatt/base/units.hpp"

namespace perwatt::measure {

/// "2026-11-25T16:13:43Z", with `decimals` (0 or 3) of the second: "…43.250Z". Empty for a time
/// that the calendar does not reach.
[[nodiscard]] std::string utc_text(Seconds unix_time, int decimals);

}  // namespace perwatt::measure
