#include "perwatt/device/power_recorder.hpp"

#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace perwatt::device {

class PowerRecorder::Worker {
 public:
  Worker(std::unique_ptr<PowerSource> source, Seconds period)
      : source_{std::move(source)}, period_{period}, thread_{[this] { run(); }} {}

  ~Worker() {
    {
      const std::lock_guard lock{state_};
      stops_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Asks for a look that begins after now; returns what to wait for.
  std::uint64_t ask() {
    const std::lock_guard lock{state_};
    // The look under way, if any, began too early to count.
    wanted_ = begun_ + 1;
    changed_.notify_all();
    return wanted_;
  }

  void wait_for(std::uint64_t look) {
    std::unique_lock lock{state_};
    changed_.wait(lock, [&] { return ended_ >= look; });
  }

  std::vector<MeterTrace> traces(Instant from, Instant to) {
    const std::lock_guard lock{source_use_};
    return source_->traces(from, to);
  }

 private:
  void run() {
    const auto start = Instant::now();
    std::unique_lock lock{state_};
    while (!stops_) {
      ++begun_;
      lock.unlock();
      {
        const std::lock_guard use{source_use_};
        source_->sample();
      }
      lock.lock();
      ended_ = begun_;
      changed_.notify_all();
      wait_until(lock, next_point(start));
    }
  }

  /// The first point of the grid that lies ahead: what a slow peer made us miss is left out.
  [[nodiscard]] Instant next_point(Instant start) const {
    const double passed = std::floor((Instant::now() - start) / period_);
    return start + period_ * (passed + 1);
  }

  void wait_until(std::unique_lock<std::mutex>& lock, Instant due) {
    const auto wakes = [&] { return stops_ || wanted_ > begun_; };
    // steady_clock is CLOCK_MONOTONIC in libstdc++, as Instant is.
    const std::chrono::steady_clock::time_point point{std::chrono::nanoseconds{due.nanoseconds()}};
    changed_.wait_until(lock, point, wakes);
  }

  std::unique_ptr<PowerSource> source_;
  Seconds period_;
  std::mutex source_use_;
  std::mutex state_;
  std::condition_variable changed_;
  std::uint64_t begun_ = 0;
  std::uint64_t ended_ = 0;
  std::uint64_t wanted_ = 0;
  bool stops_ = false;
  std::thread thread_;  // last: it uses all the rest
};

PowerRecorder::PowerRecorder(std::vector<std::unique_ptr<PowerSource>> sources, Seconds period) {
  for (auto& source : sources) {
    workers_.push_back(std::make_unique<Worker>(std::move(source), period));
  }
}

PowerRecorder::~PowerRecorder() = default;

void PowerRecorder::bracket() {
  std::vector<std::uint64_t> looks;
  looks.reserve(workers_.size());
  for (const auto& worker : workers_) {
    looks.push_back(worker->ask());
  }
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    workers_[i]->wait_for(looks[i]);
  }
}

std::vector<MeterTrace> PowerRecorder::traces(Instant from, Instant to) {
  std::vector<MeterTrace> all;
  for (const auto& worker : workers_) {
    for (auto& trace : worker->traces(from, to)) {
      all.push_back(std::move(trace));
    }
  }
  return all;
}

}  // namespace perwatt::device
