// Where a source keeps what it read.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "perwatt/base/result.hpp"
#include "perwatt/device/power_meter.hpp"

namespace perwatt::device {

/// The readings of `trace` from the last one at or before `from` to the first one at or after `to`,
/// and the failures of that time.
[[nodiscard]] MeterTrace cut_trace(const MeterTrace& trace, Instant from, Instant to);

/// `value` x `scale` where it is finite and not negative.
[[nodiscard]] std::optional<double> metered(std::optional<double> value, double scale);

class TraceStore {
 public:
  /// `source`: the source as the user named it; `accuracy_ratio`: as the user stated it.
  TraceStore(std::string source, std::optional<double> accuracy_ratio);

  /// Takes a meter whose id is still relative to the source ("h/gpu0") and returns its index.
  std::size_t add_meter(Meter meter);

  [[nodiscard]] std::size_t size() const { return traces_.size(); }

  [[nodiscard]] std::vector<Meter> meters() const;

  /// A reading that is not later than the one before is left out: a source that gives its own times
  /// has served the same value again. One without any value becomes a failure with
  /// `reason_if_empty`.
  void add_reading(std::size_t meter, const Reading& reading, const std::string& reason_if_empty);

  /// A look of a source whose only meter is `meter`: the reading, or why there is none.
  void add_look(std::size_t meter, const Result<Reading>& look);

  void add_failure(std::size_t meter, Instant at, const std::string& reason);
  void fail_all(Instant at, const std::string& reason);

  [[nodiscard]] std::vector<MeterTrace> traces(Instant from, Instant to) const;

 private:
  std::string source_;
  std::optional<double> accuracy_ratio_;
  std::vector<MeterTrace> traces_;
};

}  // namespace perwatt::device
