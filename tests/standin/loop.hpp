// One thread, one epoll, one heap of timers: what the stand-in servers run on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace standin {

/// CLOCK_MONOTONIC, so that a client on the same machine can compare its own times.
using Nanos = std::int64_t;

inline constexpr Nanos kNanosPerSecond = 1'000'000'000;

[[nodiscard]] Nanos now();

[[nodiscard]] inline double seconds_of(Nanos nanos) {
  return static_cast<double>(nanos) / static_cast<double>(kNanosPerSecond);
}

[[nodiscard]] inline Nanos nanos_of(double seconds) {
  return static_cast<Nanos>(seconds * static_cast<double>(kNanosPerSecond));
}

/// Something with a descriptor in the epoll.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void on_ready(std::uint32_t events) = 0;
};

/// Something that asked to be called at a time.
class Timed {
 public:
  virtual ~Timed() = default;
  virtual void on_due(Nanos due, std::uint64_t ticket) = 0;
};

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// `watcher` must stay alive until the batch of events at hand is over: see bury().
  void watch(int fd, std::uint32_t events, Watcher& watcher) const;
  void change(int fd, std::uint32_t events, Watcher& watcher) const;
  void forget(int fd) const;

  /// A target that is gone by then is passed over.
  void at(Nanos due, const std::weak_ptr<Timed>& target, std::uint64_t ticket);

  /// Keeps a dead watcher until no event of the current batch can name it.
  void bury(std::shared_ptr<Watcher> watcher) { graves_.push_back(std::move(watcher)); }

  /// Serves until *stop.
  void run(const volatile bool& stop);

 private:
  struct Timer {
    Nanos due = 0;
    std::uint64_t ticket = 0;
    std::weak_ptr<Timed> target;
  };

  void run_timers();
  void wait() const;

  int epoll_ = -1;
  std::vector<Timer> heap_;
  std::vector<std::shared_ptr<Watcher>> graves_;
};

}  // namespace standin
