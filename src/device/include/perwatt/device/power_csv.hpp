// Power over time as a CSV file. The file's columns: docs/reference/power-sources.md.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/instant.hpp"
#include "perwatt/device/power_meter.hpp"

namespace perwatt::device {

/// perwatt's own layout: unix_time_s, meter, scope, power_watts, counter_joules, one row for each
/// reading and, with both values empty, for each failure; by meter, then by time. Times are exact
/// to 0.3 microseconds.
[[nodiscard]] std::string format_power_csv(std::span<const MeterTrace> traces,
                                           const WallClock& clock);

struct PowerCsvOptions {
  std::optional<Seconds>
      utc_offset;            // of times without a zone; they are refused where it is absent
  Scope scope = Scope::gpu;  // of layouts that do not say
  bool sorts_rows = false;   // of perwatt's own layout: else rows that go back in time are refused
};

/// "UTC", "Z", "+02:00", "-0530": how far local time is ahead of UTC; nothing for other texts.
[[nodiscard]] std::optional<Seconds> parse_utc_offset(std::string_view text);

/// Reads perwatt's own layout, and those of nvidia-smi, amd-smi and InferenceX with a time, a GPU
/// and a power column. `name` stands for the file in messages. Meters are named as in the file, in
/// order of appearance. Throws Error(bad_input) with the line for anything else.
[[nodiscard]] std::vector<MeterTrace> parse_power_csv(std::string_view text,
                                                      const std::string& name,
                                                      const PowerCsvOptions& options,
                                                      const WallClock& clock);

}  // namespace perwatt::device
