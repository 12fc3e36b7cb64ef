// A histogram of durations whose quantiles have a stated relative error, in constant memory.
//
// Buckets: whole nanoseconds; each power of two is cut into 2^b equal parts (the layout of
// HdrHistogram, G. Tene, and of DDSketch's "linearly interpolated" mapping, Masson et al.,
// DDSketch, VLDB 2019). A value v of the bucket [l, l + w) is reported as the bucket's middle m,
// and since w <= l 2^-b,
//     |m / v - 1| <= (w / 2) / l <= 2^-(b + 1).
// b is the smallest that keeps the error asked for: 0.5 % gives b = 7 and so 0.39 %, 4,001 buckets,
// 32 KB. docs/model/latency.md has the same with its consequences.
//
// add() is for the load client's hot path: integer arithmetic, no allocation, no branch that
// depends on the number of values. Not thread-safe: one histogram for each thread, then merge().
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "perwatt/base/units.hpp"

namespace perwatt::measure {

struct Quantiles;

class LogHistogram {
 public:
  /// The buckets' range: durations outside it are counted, and stand in min, max, mean and ranks.
  static constexpr std::int64_t kLowestNanoseconds = 1'000;               // 1 us
  static constexpr std::int64_t kHighestNanoseconds = 3'600'000'000'000;  // 1 h, included

  /// Every quantile inside the range is within `relative_error_ratio`.
  /// Throws Error (internal) unless 0.001 <= relative_error_ratio <= 0.25.
  explicit LogHistogram(double relative_error_ratio = 0.005);

  /// A duration below the range may be negative: a clock read out of order is seen in min().
  void add_nanoseconds(std::int64_t duration) noexcept;

  /// Rounded to a nanosecond. REQUIRES: |duration| < 292 years.
  void add(Seconds duration) noexcept;

  /// The values of `other` as if they had been added here. Throws Error (internal) if the two were
  /// made with different bucket widths.
  void merge(const LogHistogram& other);

  [[nodiscard]] std::int64_t count() const { return count_; }

  /// Below 1 us, and above 1 h.
  [[nodiscard]] std::int64_t below_range() const { return below_; }

  [[nodiscard]] std::int64_t above_range() const { return above_; }

  /// Exact; absent without values.
  [[nodiscard]] std::optional<Seconds> min() const;
  [[nodiscard]] std::optional<Seconds> max() const;

  /// The exact sum over the count; holds for 9e9 values.
  [[nodiscard]] std::optional<Seconds> mean() const;

  /// The value of nearest rank: the k-th smallest with k = max(1, ceil(p count)). If that value v
  /// lies inside the range, |result / v - 1| <= relative_error_ratio(); the result is kept between
  /// min and max, so that it is exact at both ends. Below the range the result is at most 1 us and
  /// no lower than v; above it, max: never lower than the truth, so that a limit on a latency is
  /// never passed by clipping. Absent without values. REQUIRES: 0 <= p <= 1.
  [[nodiscard]] std::optional<Seconds> quantile(double p) const;

  /// What quantile() keeps: 2^-(b + 1), at most what was asked for.
  [[nodiscard]] double relative_error_ratio() const;

 private:
  [[nodiscard]] std::int64_t nanoseconds_of_rank(std::int64_t rank) const;

  int sub_bits_ = 0;  // b
  std::vector<std::int64_t> buckets_;
  std::int64_t count_ = 0;
  std::int64_t below_ = 0;
  std::int64_t above_ = 0;
  std::int64_t min_ = std::numeric_limits<std::int64_t>::max();
  std::int64_t max_ = std::numeric_limits<std::int64_t>::min();
  // The sum in two limbs: whole seconds and the nanoseconds beyond, each below 1e9 a value.
  std::int64_t sum_seconds_ = 0;
  std::int64_t sum_rest_nanoseconds_ = 0;
};

/// The figures of a result; absent without values.
[[nodiscard]] std::optional<Quantiles> summarize(const LogHistogram& histogram);

}  // namespace perwatt::measure
