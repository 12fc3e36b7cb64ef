#include "perwatt/device/power_recorder.hpp"

#include <atomic>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::device {
namespace {

using ::testing::SizeIs;

/// Counts its looks; each takes `cost`.
class CountedSource : public PowerSource {
 public:
  CountedSource(std::atomic<int>& looks, Seconds cost) : looks_{looks}, cost_{cost} {
    trace_.meter.id = "counted";
  }

  Result<std::vector<Meter>> open() override { return std::vector{trace_.meter}; }

  void sample() override {
    EXPECT_FALSE(is_in_use_.exchange(true)) << "two threads at once";
    const auto at = Instant::now();
    std::this_thread::sleep_for(std::chrono::duration<double>(in_seconds(cost_)));
    trace_.readings.push_back({at, Joules::from_base(++looks_), {}});
    is_in_use_ = false;
  }

  std::vector<MeterTrace> traces(Instant, Instant) override {
    EXPECT_FALSE(is_in_use_.exchange(true)) << "two threads at once";
    auto copy = trace_;
    is_in_use_ = false;
    return {copy};
  }

 private:
  std::atomic<int>& looks_;
  Seconds cost_;
  MeterTrace trace_;
  std::atomic<bool> is_in_use_ = false;
};

std::vector<std::unique_ptr<PowerSource>> sources(std::atomic<int>& looks, Seconds cost,
                                                  int count = 1) {
  std::vector<std::unique_ptr<PowerSource>> all;
  for (int i = 0; i < count; ++i) {
    all.push_back(std::make_unique<CountedSource>(looks, cost));
  }
  return all;
}

TEST(PowerRecorder, BracketsTheEndOfAWindow) {
  std::atomic<int> looks = 0;
  // So long a period that only bracket() can give the second look.
  PowerRecorder recorder{sources(looks, seconds(0.002), 3), seconds(3600)};
  recorder.bracket();
  for (int i = 0; i < 20; ++i) {
    const auto end = Instant::now();
    recorder.bracket();
    const auto traces = recorder.traces(Instant{}, Instant::now());
    ASSERT_THAT(traces, SizeIs(3));
    for (const auto& trace : traces) {
      EXPECT_GE(trace.readings.back().at, end);
    }
  }
}

TEST(PowerRecorder, SamplesOnAFixedGrid) {
  std::atomic<int> looks = 0;
  PowerRecorder recorder{sources(looks, seconds(0.001)), seconds(0.02)};
  while (looks < 20) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const auto readings = recorder.traces(Instant{}, Instant::now()).at(0).readings;
  ASSERT_GE(readings.size(), 20U);
  // Never more looks than the grid has points, however late some of them were.
  const auto span = readings.back().at - readings.front().at;
  EXPECT_LE(static_cast<double>(readings.size() - 1), span / seconds(0.02) + 1.5);
  for (std::size_t i = 1; i < readings.size(); ++i) {
    EXPECT_GT(readings[i].at, readings[i - 1].at);
  }
}

TEST(PowerRecorder, ASlowSourceDelaysNoOther) {
  std::atomic<int> slow = 0;
  std::atomic<int> quick = 0;
  auto all = sources(slow, seconds(0.5));
  all.push_back(std::make_unique<CountedSource>(quick, seconds(0)));
  PowerRecorder recorder{std::move(all), seconds(0.01)};
  while (slow < 2) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_GE(quick.load(), 10);
}

TEST(PowerRecorder, IsSafeBesideItsOwnThreads) {
  std::atomic<int> looks = 0;
  PowerRecorder recorder{sources(looks, seconds(0), 4), seconds(0.001)};
  for (int i = 0; i < 50; ++i) {
    recorder.bracket();
    EXPECT_THAT(recorder.traces(Instant{}, Instant::now()), SizeIs(4));
  }
}

TEST(PowerRecorder, StopsAtOnceWhileItWaits) {
  std::atomic<int> looks = 0;
  { const PowerRecorder recorder{sources(looks, seconds(0)), seconds(3600)}; }
  EXPECT_LE(looks.load(), 1);
}

}  // namespace
}  // namespace perwatt::device
