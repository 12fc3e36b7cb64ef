// One contract for whatever has devices with power caps: a real site, a simulated plant, a
// recording. What is read is the last that is known; nothing here waits.
//
// Devices and meters are numbered by the platform, from 0; the caller knows which is which.
//
// Thread rule: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::device {

enum class ReadingQuality {
  good,
  stale,    // the source itself says that the value is old
  missing,  // no answer, or none yet
  no_sensor
};

/// What a sensor says. A lie looks like the truth: `good` is the sensor's word, no more.
struct PowerReading {
  std::optional<Watts> power;  // nothing: missing or no_sensor
  Instant time;                // the instant it claims to be of
  ReadingQuality quality = ReadingQuality::no_sensor;

  bool operator==(const PowerReading&) const = default;
};

/// Caps that the device itself says it takes: they beat any table.
struct CapBounds {
  Watts least;
  Watts most;
};

struct CapCommand {
  std::uint32_t device = 0;
  Watts cap;
};

enum class CapAnswer {
  accepted,       // it will act, within Capabilities::cap_delay
  refused,        // by the device; what stood stands
  out_of_bounds,  // outside CapBounds; what stood stands
};

struct Capabilities {
  bool sets_caps = false;
  bool reads_caps = false;
  bool locks_clocks = false;
  Seconds cap_delay;  // from a write until it acts, at most
};

class Platform {
 public:
  virtual ~Platform() = default;

  [[nodiscard]] virtual std::size_t device_count() const noexcept = 0;
  [[nodiscard]] virtual std::size_t meter_count() const noexcept = 0;
  [[nodiscard]] virtual Capabilities capabilities() const noexcept = 0;
  [[nodiscard]] virtual CapBounds bounds(std::uint32_t device) const noexcept = 0;

  /// The last reading of every device and meter. REQUIRES: spans of device_count() and
  /// meter_count().
  virtual void read(std::span<PowerReading> devices, std::span<PowerReading> meters) noexcept = 0;

  /// The cap in force, the lowest of all writers, read back; nothing where that is not known.
  [[nodiscard]] virtual std::optional<Watts> enforced_cap(std::uint32_t device) noexcept = 0;

  /// Starts all writes, in their order. REQUIRES: an answer for each command.
  virtual void write(std::span<const CapCommand> commands,
                     std::span<CapAnswer> answers) noexcept = 0;

  /// Holds the device's clock at `ratio` of its highest, for efficiency; caps stay the bound.
  /// REQUIRES: 0 < ratio <= 1. False where that cannot be done.
  [[nodiscard]] virtual bool lock_clock(std::uint32_t device, double ratio) noexcept = 0;
};

}  // namespace perwatt::device
