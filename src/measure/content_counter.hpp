// Counts content chunks that arrive inside the window, as they arrive.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "perwatt/base/instant.hpp"
#include "perwatt/measure/energy.hpp"
#include "perwatt/measure/log_histogram.hpp"

namespace perwatt::measure {

class ContentCounter {
 public:
  void open(Instant begin) { begin_ = begin; }

  void close(Instant end) { end_ = end; }

  [[nodiscard]] const std::optional<Instant>& begin() const { return begin_; }

  [[nodiscard]] const std::optional<Instant>& end() const { return end_; }

  /// True when `at` lies inside the window as far as it is known.
  [[nodiscard]] bool holds(Instant at) const {
    return begin_ && at >= *begin_ && (!end_ || at < *end_);
  }

  /// One chunk that came at `at`, `gap` after the one before it. Returns whether it counts.
  bool count(Instant at, const std::optional<Seconds>& gap) {
    if (!holds(at)) {
      return false;
    }
    const auto second =
        static_cast<std::size_t>((at.nanoseconds() - begin_->nanoseconds()) / 1'000'000'000);
    if (second >= per_second_.size()) {
      per_second_.resize(second + 1);
    }
    ++per_second_[second];
    if (gap) {
      gaps_.add(*gap);
    }
    return true;
  }

  [[nodiscard]] const LogHistogram& gaps() const { return gaps_; }

  [[nodiscard]] const std::vector<std::int64_t>& per_second() const { return per_second_; }

 private:
  std::optional<Instant> begin_;
  std::optional<Instant> end_;
  LogHistogram gaps_;
  std::vector<std::int64_t> per_second_;
};

}  // namespace perwatt::measure
