// epoll with a wait that is exact to microseconds, and a wake that may come from anywhere.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "dial.hpp"
#include <sys/epoll.h>

#include "perwatt/base/instant.hpp"

namespace perwatt::net {

class Poller {
 public:
  /// Throws Error(peer_failed) naming the limit when descriptors run out.
  Poller();

  /// Events of `socket` will carry `tag`, which is not null. False with errno where the kernel has
  /// no room for another.
  [[nodiscard]] bool watch(int socket, std::uint32_t events, void* tag);
  void change(int socket, std::uint32_t events, void* tag);

  /// What has happened until `until`, level-triggered; empty when nothing has or after a wake.
  /// Valid until the next call. Within 500 us of events it first sleeps for what is left of them
  /// (never beyond `until`) and gathers what comes: a turn costs more than what it handles.
  [[nodiscard]] std::span<const epoll_event> wait(Instant now, Instant until);

  /// Of the last wait(): since when what it returned may have been there. The moment it woke, where
  /// it had to sleep; else the last moment at which nothing was left waiting. Exact to 50 us. A
  /// sleep that outlasted its time (this process was stopped, or got no processor) counts from its
  /// start: a wait never sleeps for long at once, so that this is seen.
  [[nodiscard]] Instant ready_since() const { return ready_since_; }

  /// Whether the last wait() outlasted its time.
  [[nodiscard]] bool has_overslept() const { return has_overslept_; }

  /// Async-signal-safe, from any thread.
  void wake() noexcept;

  /// Whether wake() was called since the last call of this, as far as wait() has seen.
  [[nodiscard]] bool take_woken();

 private:
  /// Events taken at once: what waits behind them delays the caller's next request.
  static constexpr std::size_t kMostEvents = 64;

  [[nodiscard]] Instant gather(Instant now, Instant until) const;
  int wait_once(std::int64_t nanoseconds);
  void note_readiness(std::optional<Instant> overslept_since, bool slept, int count);

  Descriptor epoll_;
  Descriptor wake_;
  bool is_woken_ = false;
  bool has_precise_wait_ = true;
  bool has_overslept_ = false;
  Instant ready_since_;
  Instant none_left_at_ = Instant::now();  // the last return that took all that was ready
  Instant events_at_;                      // the last return with events, all that were ready
  std::array<epoll_event, kMostEvents> events_{};
};

}  // namespace perwatt::net
