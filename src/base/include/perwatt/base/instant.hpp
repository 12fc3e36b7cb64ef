// Points in time. Intervals are measured on the monotonic clock only; the wall clock stamps results
// and meets sources that carry its time.
#pragma once

#include <compare>
#include <cstdint>

#include "perwatt/base/units.hpp"

namespace perwatt {

inline constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;

/// A point on CLOCK_MONOTONIC, in whole nanoseconds: never set back, exact over years.
class Instant {
 public:
  constexpr Instant() = default;

  static constexpr Instant from_nanoseconds(std::int64_t since_start) {
    return Instant{since_start};
  }

  static Instant now();

  [[nodiscard]] constexpr std::int64_t nanoseconds() const { return nanoseconds_; }

  constexpr auto operator<=>(const Instant&) const = default;

  friend constexpr Seconds operator-(Instant a, Instant b) {
    return seconds(static_cast<double>(a.nanoseconds_ - b.nanoseconds_) / kNanosecondsPerSecond);
  }

  /// Rounded to a nanosecond. REQUIRES: the result lies within 292 years.
  friend constexpr Instant operator+(Instant a, Seconds b) {
    const double step = in_seconds(b) * kNanosecondsPerSecond;
    return Instant{a.nanoseconds_ + static_cast<std::int64_t>(step < 0 ? step - 0.5 : step + 0.5)};
  }

  friend constexpr Instant operator-(Instant a, Seconds b) { return a + (-b); }

 private:
  explicit constexpr Instant(std::int64_t nanoseconds) : nanoseconds_{nanoseconds} {}

  std::int64_t nanoseconds_ = 0;
};

/// Where the wall clock stood against the monotonic clock at one moment.
class WallClock {
 public:
  static WallClock now();

  /// Seconds since 1970-01-01 UTC at `at`, by this offset; exact to about a microsecond.
  [[nodiscard]] Seconds unix_time(Instant at) const;

  [[nodiscard]] Instant instant(Seconds unix_time) const;

  /// How far the wall clock has moved against the monotonic one since `earlier`: a step by an
  /// administrator or NTP, or a suspended machine.
  [[nodiscard]] Seconds jump_since(const WallClock& earlier) const;

 private:
  std::int64_t unix_minus_monotonic_nanoseconds_ = 0;
};

}  // namespace perwatt
