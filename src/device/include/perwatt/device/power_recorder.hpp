// Samples power sources in the background for as long as it lives.
#pragma once

#include <memory>
#include <vector>

#include "perwatt/device/power_source.hpp"

namespace perwatt::device {

/// One thread per source, so that a slow peer delays no other. All functions are safe from one
/// thread beside those.
class PowerRecorder {
 public:
  /// Starts to sample each source every `period`, on a fixed grid of the monotonic clock. REQUIRES:
  /// open() of each source has succeeded.
  PowerRecorder(std::vector<std::unique_ptr<PowerSource>> sources, Seconds period);
  ~PowerRecorder();

  /// Waits until every live source has looked once more after now, at most its timeout, so that a
  /// window that ends now is bracketed.
  void bracket();

  /// The traces of all meters of all sources so far. Sampling goes on.
  [[nodiscard]] std::vector<MeterTrace> traces(Instant from, Instant to);

 private:
  class Worker;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace perwatt::device
