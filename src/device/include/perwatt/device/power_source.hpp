// One contract for every source of power telemetry: libraries, exporters, files, meters on a bus.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/result.hpp"
#include "perwatt/device/power_meter.hpp"

namespace perwatt::device {

/// Thread rule: one thread at a time.
class PowerSource {
 public:
  virtual ~PowerSource() = default;

  /// Connects and finds the meters. Called once, before the first sample. A source without a meter
  /// is a Failure that says what was looked for.
  [[nodiscard]] virtual Result<std::vector<Meter>> open() = 0;

  /// Looks at all meters once and keeps what it read, failures too. A recorded source (a file, a
  /// time series store) does nothing. Never throws for what a peer does; takes at most the source's
  /// timeout.
  virtual void sample() = 0;

  /// One trace per meter of open(), for readings from the last one at or before `from` to the first
  /// one at or after `to`, as far as they are there. A meter that appeared later, or vanished, has
  /// the readings it gave.
  [[nodiscard]] virtual std::vector<MeterTrace> traces(Instant from, Instant to) = 0;
};

struct SourceOptions {
  std::filesystem::path sysfs_root = "/sys";  // for rapl and hwmon
  Seconds timeout = seconds(2);
  bool verify_tls = true;
  std::string ca_file;
};

/// Makes the source that `text` names, as in --power; grammar: docs/reference/power-sources.md.
/// Secrets come from the environment, never from `text`. Throws Error(usage) naming `where` for a
/// text it does not understand, Error(bad_input) for a file it cannot read.
[[nodiscard]] std::unique_ptr<PowerSource> make_power_source(std::string_view text,
                                                             const SourceOptions& options,
                                                             std::string_view where);

}  // namespace perwatt::device
