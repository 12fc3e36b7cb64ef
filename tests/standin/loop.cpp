#include "loop.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <system_error>

#include <sys/epoll.h>
#include <unistd.h>

namespace standin {
namespace {

constexpr int kEventsPerWait = 512;

void control(int epoll, int operation, int fd, std::uint32_t events, Watcher* watcher) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = watcher;
  if (epoll_ctl(epoll, operation, fd, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

}  // namespace

Nanos now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * kNanosPerSecond + time.tv_nsec;
}

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_create1");
  }
}

Loop::~Loop() {
  close(epoll_);
}

void Loop::watch(int fd, std::uint32_t events, Watcher& watcher) const {
  control(epoll_, EPOLL_CTL_ADD, fd, events, &watcher);
}

void Loop::change(int fd, std::uint32_t events, Watcher& watcher) const {
  control(epoll_, EPOLL_CTL_MOD, fd, events, &watcher);
}

void Loop::forget(int fd) const {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
}

void Loop::at(Nanos due, const std::weak_ptr<Timed>& target, std::uint64_t ticket) {
  heap_.push_back(Timer{due, ticket, target});
  std::push_heap(heap_.begin(), heap_.end(),
                 [](const Timer& a, const Timer& b) { return a.due > b.due; });
}

void Loop::run_timers() {
  // A stream without pacing asks for a time that is already past, again and again: sockets get
  // their turn after as many timers as there were at the start.
  const Nanos present = now();
  for (std::size_t left = heap_.size(); left > 0 && heap_.front().due <= present; --left) {
    std::pop_heap(heap_.begin(), heap_.end(),
                  [](const Timer& a, const Timer& b) { return a.due > b.due; });
    const Timer timer = std::move(heap_.back());
    heap_.pop_back();
    if (const std::shared_ptr<Timed> target = timer.target.lock()) {
      target->on_due(timer.due, timer.ticket);
    }
  }
}

void Loop::wait() const {
  const Nanos patience =
      heap_.empty() ? kNanosPerSecond / 10
                    : std::clamp<Nanos>(heap_.front().due - now(), 0, kNanosPerSecond / 10);
  const timespec timeout{patience / kNanosPerSecond, patience % kNanosPerSecond};
  std::array<epoll_event, kEventsPerWait> events{};
  const int count = epoll_pwait2(epoll_, events.data(), kEventsPerWait, &timeout, nullptr);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    static_cast<Watcher*>(event.data.ptr)->on_ready(event.events);
  }
  if (count < 0 && errno != EINTR) {
    throw std::system_error(errno, std::generic_category(), "epoll_pwait2");
  }
}

void Loop::run(const volatile bool& stop) {
  while (!stop) {
    run_timers();
    wait();
    graves_.clear();
  }
}

}  // namespace standin
