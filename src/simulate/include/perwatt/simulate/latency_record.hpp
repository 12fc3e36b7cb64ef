// What a service did in an interval: durations of its requests, tokens and what became of them.
//
// All fields are whole numbers, so that records of parts add up to the record of the whole, bit for
// bit, in any order.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "perwatt/base/units.hpp"

namespace perwatt::simulate {

/// Durations in buckets with exact counts. A power of two of nanoseconds is cut into 128 equal
/// parts, and a bucket [l, l + w) is reported as its middle; as w <= l / 128, a quantile is within
/// 1 / 256 < 0.4 % of the value of nearest rank (the linear sub-buckets of HdrHistogram, G. Tene).
/// Below 128 ns every nanosecond has its own bucket. Memory grows to the longest duration seen, up
/// to 57 KB. Not thread-safe.
class DurationHistogram {
 public:
  static constexpr double kRelativeErrorRatio = 1.0 / 256;

  /// REQUIRES: duration >= 0.
  void add_nanoseconds(std::int64_t duration);

  /// Each of `other` so many times. REQUIRES: times >= 1.
  void merge(const DurationHistogram& other, std::int64_t times = 1);

  [[nodiscard]] std::int64_t count() const { return count_; }

  /// Exact; absent without values. Holds while the sum stays below 292 years.
  [[nodiscard]] std::optional<Seconds> mean() const;

  /// Exact; absent without values.
  [[nodiscard]] std::optional<Seconds> max() const;

  /// Of nearest rank, the k-th smallest with k = max(1, ceil(share_ratio count)); absent without
  /// values. REQUIRES: 0 <= share_ratio <= 1.
  [[nodiscard]] std::optional<Seconds> quantile(double share_ratio) const;

  bool operator==(const DurationHistogram&) const = default;

 private:
  void add_to_sum(std::int64_t whole_seconds, std::int64_t rest_nanoseconds);

  std::vector<std::int64_t> buckets_;
  std::int64_t count_ = 0;
  std::int64_t sum_whole_seconds_ = 0;  // and a rest: years of a busy site fit
  std::int64_t sum_rest_nanoseconds_ = 0;
  std::int64_t max_nanoseconds_ = 0;
};

/// Counted when it happens: a request that waits long is seen in no histogram before its prefill.
struct LatencyRecord {
  DurationHistogram wait;     // arrival to the start of the prefill
  DurationHistogram ttft;     // arrival to the first token, of each try
  DurationHistogram tpot;     // mean of each request completed with two tokens or more
  DurationHistogram request;  // arrival to the last token

  std::int64_t arrived_requests = 0;
  std::int64_t completed_requests = 0;
  std::int64_t dropped_requests = 0;  // by a failed instance; each is tried again

  std::int64_t input_tokens = 0;      // prefilled, lost ones included
  std::int64_t output_tokens = 0;     // produced, lost ones included
  std::int64_t completed_tokens = 0;  // output of requests completed
  std::int64_t good_tokens = 0;       // of those, of requests inside the limits
  std::int64_t lost_input_tokens = 0;
  std::int64_t lost_output_tokens = 0;

  [[nodiscard]] std::int64_t total_tokens() const { return input_tokens + output_tokens; }

  void merge(const LatencyRecord& other);

  bool operator==(const LatencyRecord&) const = default;
};

}  // namespace perwatt::simulate
