// A recording of power readings as a Platform: at every instant it tells what was the last known
// then. What is recorded takes no caps, and nothing is known of those that stood.
//
// A meter of scope `gpu` is that device of the site which has its name, a meter of a wider scope
// that node. At an instant a sensor says the last reading at or before it, with the time that the
// row has: how old is too old is the reader's to judge. A row without a value after that reading
// makes it `missing`, as does the time before the first row; what has no rows at all is
// `no_sensor`. Readings of energy counters are left out.
//
// Thread rule: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "perwatt/base/instant.hpp"
#include "perwatt/device/platform.hpp"
#include "perwatt/device/power_meter.hpp"

namespace perwatt::device {

/// A device of the site that is recorded.
struct RecordedDevice {
  std::string id;
  CapBounds bounds;
};

class RecordedPlatform final : public Platform {
 public:
  /// `traces` as of parse_power_csv(), `name` stands for their file in messages. Devices and nodes
  /// are numbered as given. Throws Error(bad_input) naming the meter for one that is no device or
  /// node of the site, for one without any power, and for a recording without a row.
  RecordedPlatform(std::vector<MeterTrace> traces, const std::string& name,
                   std::span<const RecordedDevice> devices, std::span<const std::string> nodes);

  /// Of all rows.
  [[nodiscard]] Instant first() const noexcept { return first_; }

  [[nodiscard]] Instant last() const noexcept { return last_; }

  /// What is read from now on is as of `now`. REQUIRES: `now` never falls.
  void play_to(Instant now) noexcept;

  [[nodiscard]] std::size_t device_count() const noexcept override { return bounds_.size(); }

  [[nodiscard]] std::size_t meter_count() const noexcept override { return of_meter_.size(); }

  /// No caps, no clocks.
  [[nodiscard]] Capabilities capabilities() const noexcept override { return {}; }

  [[nodiscard]] CapBounds bounds(std::uint32_t device) const noexcept override {
    return bounds_[device];
  }

  void read(std::span<PowerReading> devices, std::span<PowerReading> meters) noexcept override;

  [[nodiscard]] std::optional<Watts> enforced_cap(std::uint32_t /*device*/) noexcept override {
    return std::nullopt;
  }

  /// Refuses all.
  void write(std::span<const CapCommand> commands, std::span<CapAnswer> answers) noexcept override;

  [[nodiscard]] bool lock_clock(std::uint32_t /*device*/, double /*ratio*/) noexcept override {
    return false;
  }

 private:
  struct Track {
    MeterTrace trace;
    std::size_t readings_done = 0;  // at or before the instant that is played
    std::size_t failures_done = 0;
  };

  [[nodiscard]] PowerReading reading(std::optional<std::size_t> track) const noexcept;

  std::vector<Track> tracks_;
  std::vector<CapBounds> bounds_;
  std::vector<std::optional<std::size_t>> of_device_;  // its track
  std::vector<std::optional<std::size_t>> of_meter_;
  Instant first_;
  Instant last_;
};

}  // namespace perwatt::device
