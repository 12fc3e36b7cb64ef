#include "perwatt/measure/log_histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <string>

#include "perwatt/base/error.hpp"
#include "perwatt/base/instant.hpp"
#include "perwatt/measure/measurement.hpp"

namespace perwatt::measure {

namespace {

/// The number of the bucket that holds `value` >= 2^sub_bits, counted from the value 0 as if the
/// range began there: (octave, the sub_bits binary digits after the leading one).
std::int64_t absolute_bucket(std::int64_t value, int sub_bits) {
  const int octave = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(value))) - 1;
  const int shift = octave - sub_bits;
  // value >> shift has its leading one at place sub_bits, so this runs on by one at each octave.
  return (static_cast<std::int64_t>(shift) << sub_bits) + (value >> shift);
}

std::int64_t first_bucket(int sub_bits) {
  return absolute_bucket(LogHistogram::kLowestNanoseconds, sub_bits);
}

Seconds from_nanoseconds(std::int64_t value) {
  return seconds(static_cast<double>(value) / kNanosecondsPerSecond);
}

int sub_bits_for(double relative_error_ratio) {
  // 1 us = 1000 ns lies in the octave of 2^9 ns: there 2^9 parts are a nanosecond each.
  if (!(relative_error_ratio >= 0.001 && relative_error_ratio <= 0.25)) {
    throw_defect("a histogram's relative error must lie between 0.001 and 0.25");
  }
  int bits = 1;
  while (std::ldexp(1.0, -(bits + 1)) > relative_error_ratio) {
    ++bits;
  }
  return bits;
}

}  // namespace

LogHistogram::LogHistogram(double relative_error_ratio)
    : sub_bits_{sub_bits_for(relative_error_ratio)} {
  const std::int64_t size =
      absolute_bucket(kHighestNanoseconds, sub_bits_) - first_bucket(sub_bits_) + 1;
  buckets_.resize(static_cast<std::size_t>(size));
}

void LogHistogram::add_nanoseconds(std::int64_t duration) noexcept {
  min_ = std::min(min_, duration);
  max_ = std::max(max_, duration);
  ++count_;
  sum_seconds_ += duration / kNanosecondsPerSecond;
  sum_rest_nanoseconds_ += duration % kNanosecondsPerSecond;
  if (duration < kLowestNanoseconds) {
    ++below_;
  } else if (duration > kHighestNanoseconds) {
    ++above_;
  } else {
    ++buckets_[static_cast<std::size_t>(absolute_bucket(duration, sub_bits_) -
                                        first_bucket(sub_bits_))];
  }
}

void LogHistogram::add(Seconds duration) noexcept {
  add_nanoseconds(
      static_cast<std::int64_t>(std::llround(in_seconds(duration) * kNanosecondsPerSecond)));
}

void LogHistogram::merge(const LogHistogram& other) {
  if (other.sub_bits_ != sub_bits_) {
    throw_defect("histograms with different relative errors cannot be merged");
  }
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    buckets_[i] += other.buckets_[i];
  }
  count_ += other.count_;
  below_ += other.below_;
  above_ += other.above_;
  sum_seconds_ += other.sum_seconds_;
  sum_rest_nanoseconds_ += other.sum_rest_nanoseconds_;
}

std::optional<Seconds> LogHistogram::min() const {
  return count_ == 0 ? std::nullopt : std::optional{from_nanoseconds(min_)};
}

std::optional<Seconds> LogHistogram::max() const {
  return count_ == 0 ? std::nullopt : std::optional{from_nanoseconds(max_)};
}

std::optional<Seconds> LogHistogram::mean() const {
  if (count_ == 0) {
    return std::nullopt;
  }
  const auto count = static_cast<double>(count_);
  return seconds(static_cast<double>(sum_seconds_) / count) +
         from_nanoseconds(sum_rest_nanoseconds_) / count;
}

std::int64_t LogHistogram::nanoseconds_of_rank(std::int64_t rank) const {
  if (rank <= below_) {
    return kLowestNanoseconds;
  }
  std::int64_t seen = below_;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (rank <= seen) {
      const std::int64_t bucket = static_cast<std::int64_t>(i) + first_bucket(sub_bits_);
      const std::int64_t parts = std::int64_t{1} << sub_bits_;
      const std::int64_t shift = bucket / parts - 1;
      const std::int64_t lower = (bucket % parts + parts) << shift;
      // The last value of the bucket is lower + width - 1: its middle is exact for one-value ones.
      return lower + ((std::int64_t{1} << shift) - 1) / 2;
    }
  }
  return max_;
}

std::optional<Seconds> LogHistogram::quantile(double p) const {
  if (count_ == 0) {
    return std::nullopt;
  }
  // 0.07 x 100 is a little above 7 in doubles, and must not become rank 8.
  const double place = p * static_cast<double>(count_) * (1 - 1e-12);
  const auto rank =
      std::clamp<std::int64_t>(static_cast<std::int64_t>(std::ceil(place)), 1, count_);
  if (rank == 1) {
    return from_nanoseconds(min_);
  }
  if (rank == count_) {
    return from_nanoseconds(max_);
  }
  return from_nanoseconds(std::clamp(nanoseconds_of_rank(rank), min_, max_));
}

double LogHistogram::relative_error_ratio() const {
  return std::ldexp(1.0, -(sub_bits_ + 1));
}

std::optional<Quantiles> summarize(const LogHistogram& histogram) {
  if (histogram.count() == 0) {
    return std::nullopt;
  }
  Quantiles result;
  result.mean = *histogram.mean();
  result.p50 = *histogram.quantile(0.50);
  result.p75 = *histogram.quantile(0.75);
  result.p90 = *histogram.quantile(0.90);
  result.p95 = *histogram.quantile(0.95);
  result.p99 = *histogram.quantile(0.99);
  result.max = *histogram.max();
  result.count = histogram.count();
  return result;
}

}  // namespace perwatt::measure
