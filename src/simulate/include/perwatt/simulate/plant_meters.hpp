// What is measured at a plant: the truth about its limits, which no policy may see, and the
// readings that policies get.
#pragma once

#include <cstdint>
#include <optional>

#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/device/platform.hpp"

namespace perwatt::simulate {

/// How far and how long limits were passed; of one limit or of several.
///
/// A limit with an averaging window bounds the mean over the last whole metering intervals that fit
/// into the window (at least one; since the start while fewer have passed); any other bounds each
/// interval's supply. Over means topology::passes().
struct Violations {
  std::int64_t count = 0;  // separate excursions: from within the limit to over it
  Seconds time_over;       // of several limits: summed, overlaps counted for each
  Joules energy_over;      // integral of what is above the limit while over it
  double worst_ratio = 0;  // most of bounded / limit, over or not
  std::int64_t trips = 0;  // of the curve

  Violations& operator+=(const Violations& other);
  bool operator==(const Violations&) const = default;
};

using Reading = device::PowerReading;
using device::ReadingQuality;

enum class SensorFaultKind {
  none,
  frozen_new_time,  // repeats the last value as if it were new
  frozen_old_time,  // repeats the last value with its time, quality as before
  stale,            // the same, quality stale
  missing,          // no value
  scaled            // tells `factor` times what it would tell
};

struct SensorFault {
  SensorFaultKind kind = SensorFaultKind::none;
  double factor = 1;  // of scaled; finite, >= 0
};

/// What can be wrong with a device's actuation, all at once if need be.
struct DeviceFaults {
  bool refuses_caps = false;          // write_cap says so; the cap stays
  bool ignores_caps = false;          // reports its cap and draws what it wants
  std::int64_t extra_latency_ns = 0;  // >= 0, at most a day: added to writes made meanwhile
  std::optional<Watts> other_cap{};   // another writer holds the cap in force at or below it; >= 0
};

enum class CapWrite {
  accepted,      // it will act
  refused,       // by the fault refuses_caps
  out_of_range,  // below lowest_cap or above highest_cap
};

}  // namespace perwatt::simulate
