// What a power meter is and what it read. Every source of telemetry speaks in these terms.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::device {

/// What a meter meters. A wider scope contains the narrower ones of the same place: their energies
/// are never added. cpu_package contains memory on no machine: they are beside each other.
enum class Scope { gpu, cpu_package, memory, node, rack, site };

[[nodiscard]] std::string_view to_string(Scope scope);
[[nodiscard]] std::optional<Scope> parse_scope(std::string_view text);

struct Meter {
  std::string id;      // unique in a run: "dcgm:http://h:9400 h/gpu0"
  std::string source;  // the source as the user named it
  std::string host;    // empty where the source does not say
  std::string device;  // "gpu 0, GPU-8f…, NVIDIA H100", for people
  std::string uid;  // the device's own UUID or serial number, empty where the source does not say:
                    // two meters with one uid and scope meter the same device
  Scope scope = Scope::gpu;
  std::optional<Watts> most_power;         // it cannot draw more (TDP or cap with overshoot)
  std::optional<Joules> counter_wraps_at;  // the counter starts again from 0 here
  std::optional<double> accuracy_ratio;  // half-width of the maker's accuracy at 95 %, else unknown
};

/// One look at one meter. `at` is when the meter was read, or the time the source itself gives.
/// Both values are finite and not negative; what was not (NaN, "N/A") is absent.
struct Reading {
  Instant at;
  std::optional<Joules> counter;  // energy since some start; falls only by wrap or reset
  std::optional<Watts> power;
};

/// A look that gave nothing, and why.
struct ReadFailure {
  Instant at;
  std::string reason;
};

/// All that is known of one meter over a run. Readings are in order of time and never repeat a
/// time; a source that repeats a stale value shows as readings with an unchanged counter or power.
struct MeterTrace {
  Meter meter;
  std::vector<Reading> readings;
  std::vector<ReadFailure> failures;
};

}  // namespace perwatt::device
