// Which readings may be believed.
//
// Of every sensor (devices or meters, by the platform's numbers) one thing is known at any time:
// its standing. It is trusted or not, and if not, why. The caller passes the reading of every
// sensor in every tick; what the platform repeats is not news and does no harm.
//
// Told in the tick in which                                                   standing
//   the last accepted reading is older than stale_periods * period + delay    stale, or missing
//   when
//                                                                             there is no answer
//                                                                             now
//   the sensor is said not to exist                                           missing
//   a reading lies outside 0..most (and six deviations of the noise), is no
//   finite number, or claims a time more than `ahead` after now               impossible
//   frozen_samples() new readings in a row have the same value                frozen
// A reading older than the last accepted one is `reordered`: ignored, and no reason for distrust. A
// single lost answer is none either: age decides. Trust comes back after recover_samples new
// readings in a row with nothing wrong; before the first of these no sensor is trusted.
//
// An idle device reads the same for hours: so `frozen` is for sensors known to carry noise, and as
// many equal values are asked for as noise and quantum make one chance in 1 / frozen_chance. (One
// that shows exactly 0 while nothing flows is not known to carry noise.)
//
// A scaled reading is a lie that looks like the truth: SupplyEstimate and SiteAlarms find it.
// docs/model/control.md#readings-and-alarms
//
// Thread rule: one thread at a time. No clock, no allocation after construction.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/device/platform.hpp"

namespace perwatt::control {

struct TrustRules {
  Seconds period = seconds(1);    // between samples of a sensor
  Seconds delay;                  // from a sample until it can be read, at most
  double stale_periods = 2;       // at least 1
  Seconds ahead = seconds(0.5);   // that a claimed time may be after now: clocks apart
  Watts noise;                    // standard deviation; 0: not known to carry any, never frozen
  Watts quantum;                  // what readings are whole multiples of; 0: nothing
  double frozen_chance = 1e-9;    // that healthy readings are called frozen, a sample; in (0, 1)
  int recover_samples = 3;        // at least 1
  Seconds memory = seconds(600);  // of the highest draw
  Seconds charge_after = seconds(10);  // without trust: then a device counts with its charge
};

enum class Belief : std::uint8_t { fresh, stale, frozen, missing, reordered, impossible };

/// "fresh", …
[[nodiscard]] std::string_view to_string(Belief belief);

class ReadingTrust {
 public:
  struct Standing {
    Belief reading = Belief::missing;   // what the last call's reading is
    Belief standing = Belief::missing;  // fresh: trusted; else why not
    bool is_new = false;                // the last call's reading is accepted and was not known
    Watts draw;                         // of the last accepted reading; 0 before one
    Instant time;                       // it claims

    [[nodiscard]] bool is_trusted() const { return standing == Belief::fresh; }
  };

  /// `most`, by sensor: what no reading can truly be above. Throws Error(bad_input) for rules out
  /// of range.
  ReadingTrust(std::span<const Watts> most, const TrustRules& rules);

  /// One sensor's reading of this tick. REQUIRES: `now` does not fall.
  const Standing& read(std::uint32_t sensor, const device::PowerReading& reading,
                       Instant now) noexcept;

  /// As of the last read().
  [[nodiscard]] const Standing& standing(std::uint32_t sensor) const noexcept {
    return sensors_[sensor].now;
  }

  enum class Source : std::uint8_t { reading, recent_highest, charge };

  struct Demand {
    Watts draw;
    Source source;
  };

  /// What a device is to be taken to draw: the reading when it is trusted; up to charge_after the
  /// least of its cap and its highest accepted draw of the last `memory` to 1.25 `memory`; then, or
  /// with no accepted reading ever, its charge. REQUIRES: cap <= charge.
  [[nodiscard]] Demand demand(std::uint32_t sensor, Watts cap, Watts charge,
                              Instant now) const noexcept;

  /// Equal new readings in a row that are called frozen; nothing when none are.
  [[nodiscard]] std::optional<int> frozen_samples() const noexcept { return frozen_samples_; }

 private:
  static constexpr std::size_t kParts = 5;  // of the memory, each a quarter of it long

  struct Sensor {
    Standing now;
    Watts most;
    Watts said;  // by the last accepted reading; noise may carry it below 0
    Instant untrusted_since;
    Instant part_began;
    std::array<Watts, kParts> highest;  // the newest first
    int equal_run = 0;
    int good_run = 0;
    bool has_reading = false;
  };

  [[nodiscard]] Belief judge(const Sensor& sensor, const device::PowerReading& reading,
                             Instant now) const noexcept;
  void accept(Sensor& sensor, Watts said, Instant time, Instant now) const noexcept;
  void remember(Sensor& sensor) const noexcept;
  static void distrust(Sensor& sensor, Belief why, Instant since) noexcept;

  TrustRules rules_;
  Seconds stale_after_;
  Watts slack_;
  std::optional<int> frozen_samples_;
  std::vector<Sensor> sensors_;
};

}  // namespace perwatt::control
