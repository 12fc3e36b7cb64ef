#include "poller.hpp"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <string>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "perwatt/base/error.hpp"

namespace perwatt::net {

namespace {

constexpr std::int64_t kGathering = 500'000;

[[noreturn]] void throw_no_descriptor(const std::string& what) {
  const int error = errno;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  throw Error{ErrorCode::peer_failed,
              "no " + what + ": " + describe_error(error) + " (the limit of open files is " +
                  std::to_string(limit.rlim_cur) + ")",
              "", "raise the limit with ulimit -n"};
}

/// Timers of a thread may be late by its slack, 50 µs unless told otherwise.
void sharpen_timers_of_this_thread() {
  thread_local bool is_sharp = false;
  if (!is_sharp) {
    prctl(PR_SET_TIMERSLACK, 1UL);
    is_sharp = true;
  }
}

timespec timespec_of(std::int64_t nanoseconds) {
  return {.tv_sec = nanoseconds / kNanosecondsPerSecond,
          .tv_nsec = nanoseconds % kNanosecondsPerSecond};
}

}  // namespace

Poller::Poller() : epoll_{epoll_create1(EPOLL_CLOEXEC)} {
  if (!epoll_.is_open()) {
    throw_no_descriptor("epoll");
  }
  wake_ = Descriptor{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  if (!wake_.is_open() || !watch(wake_.number(), EPOLLIN, nullptr)) {
    throw_no_descriptor("eventfd");
  }
}

bool Poller::watch(int socket, std::uint32_t events, void* tag) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = tag;
  return epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, socket, &event) == 0;
}

void Poller::change(int socket, std::uint32_t events, void* tag) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = tag;
  epoll_ctl(epoll_.number(), EPOLL_CTL_MOD, socket, &event);
}

std::span<const epoll_event> Poller::wait(Instant now, Instant until) {
  constexpr std::int64_t kLongestSleep = 5'000'000;  // the caller waits again for the rest
  constexpr std::int64_t kOverslept = 1'000'000;
  constexpr std::int64_t kShortTurn = 50'000;
  sharpen_timers_of_this_thread();
  const auto asked = std::exchange(now, gather(now, until));
  const auto left = std::clamp<std::int64_t>(
      until > now ? until.nanoseconds() - now.nanoseconds() : 0, 0, kLongestSleep);
  // After a long turn what is ready is asked for first, without sleeping: it may have waited. After
  // a short one it can have waited no longer than that, and one call does.
  const auto busy = now.nanoseconds() - none_left_at_.nanoseconds();
  int count = busy < kShortTurn ? 0 : wait_once(0);
  bool slept = false;
  std::optional<Instant> overslept_since;
  if (now.nanoseconds() - asked.nanoseconds() > kGathering + kOverslept) {
    overslept_since = asked;
  }
  if (count == 0 && left > 0) {
    const auto from = Instant::now();
    count = wait_once(left);
    const auto took = Instant::now().nanoseconds() - from.nanoseconds();
    slept = busy >= kShortTurn || took > kShortTurn;
    if (took > left + kOverslept) {
      overslept_since = overslept_since.value_or(from);
    }
  }
  note_readiness(overslept_since, slept, count);
  std::size_t kept = 0;
  for (int i = 0; i < count; ++i) {
    auto& event = events_[static_cast<std::size_t>(i)];
    if (event.data.ptr == nullptr) {
      std::uint64_t wakes = 0;
      is_woken_ = read(wake_.number(), &wakes, sizeof wakes) == sizeof wakes || is_woken_;
      continue;
    }
    events_[kept++] = event;
  }
  return {events_.data(), kept};
}

Instant Poller::gather(Instant now, Instant until) const {
  const auto turn_end = std::min(until.nanoseconds(), events_at_.nanoseconds() + kGathering);
  const auto rest = turn_end - now.nanoseconds();
  if (rest <= 0) {
    return now;
  }
  const auto time = timespec_of(rest);
  clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
  return Instant::now();
}

void Poller::note_readiness(std::optional<Instant> overslept_since, bool slept, int count) {
  const auto now = Instant::now();
  has_overslept_ = overslept_since.has_value();
  ready_since_ = overslept_since.value_or(slept ? now : none_left_at_);
  if (count < static_cast<int>(kMostEvents)) {
    none_left_at_ = now;
    events_at_ = count > 0 ? now : events_at_;
  }
}

// Kernels before 5.11 and some containers have no epoll_pwait2: ppoll waits as exactly.
int Poller::wait_once(std::int64_t nanoseconds) {
  const auto timeout = timespec_of(nanoseconds);
  if (has_precise_wait_) {
    const int count = epoll_pwait2(epoll_.number(), events_.data(), kMostEvents, &timeout, nullptr);
    has_precise_wait_ = count >= 0 || (errno != ENOSYS && errno != EPERM);
    if (has_precise_wait_) {
      return count;
    }
  }
  pollfd readable{.fd = epoll_.number(), .events = POLLIN, .revents = 0};
  if (ppoll(&readable, 1, &timeout, nullptr) <= 0) {
    return 0;
  }
  return epoll_wait(epoll_.number(), events_.data(), kMostEvents, 0);
}

void Poller::wake() noexcept {
  const int error = errno;  // a signal handler must leave it as it was
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(wake_.number(), &one, sizeof one);
  errno = error;
}

bool Poller::take_woken() {
  return std::exchange(is_woken_, false);
}

}  // namespace perwatt::net
