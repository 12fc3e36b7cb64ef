#include "perwatt/base/instant.hpp"

#include <ctime>

namespace perwatt {

namespace {

std::int64_t nanoseconds_of(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<std::int64_t>(time.tv_sec) * kNanosecondsPerSecond + time.tv_nsec;
}

}  // namespace

Instant Instant::now() {
  return from_nanoseconds(nanoseconds_of(CLOCK_MONOTONIC));
}

WallClock WallClock::now() {
  // The wall clock is read between two readings of the monotonic one: half their distance is the
  // error, tens of nanoseconds.
  const auto before = nanoseconds_of(CLOCK_MONOTONIC);
  const auto wall = nanoseconds_of(CLOCK_REALTIME);
  const auto after = nanoseconds_of(CLOCK_MONOTONIC);
  WallClock clock;
  clock.unix_minus_monotonic_nanoseconds_ = wall - (before + (after - before) / 2);
  return clock;
}

Seconds WallClock::unix_time(Instant at) const {
  return seconds(static_cast<double>(at.nanoseconds() + unix_minus_monotonic_nanoseconds_) / 1e9);
}

Instant WallClock::instant(Seconds unix_time) const {
  const auto unix_epoch = Instant::from_nanoseconds(-unix_minus_monotonic_nanoseconds_);
  return unix_epoch + unix_time;
}

Seconds WallClock::jump_since(const WallClock& earlier) const {
  return seconds(static_cast<double>(unix_minus_monotonic_nanoseconds_ -
                                     earlier.unix_minus_monotonic_nanoseconds_) /
                 1e9);
}

}  // namespace perwatt
