#include "perwatt/simulate/latency_record.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

#include "perwatt/base/instant.hpp"

namespace perwatt::simulate {

namespace {

constexpr int kDurationBits = 7;  // a power of two has 2^7 parts
constexpr std::uint64_t kDurationParts = std::uint64_t{1} << kDurationBits;

std::size_t duration_bucket(std::uint64_t duration) {
  if (duration < kDurationParts) {
    return static_cast<std::size_t>(duration);
  }
  const int shift = static_cast<int>(std::bit_width(duration)) - 1 - kDurationBits;
  return static_cast<std::size_t>((static_cast<std::uint64_t>(shift) << kDurationBits) +
                                  (duration >> shift));
}

double duration_bucket_middle(std::size_t bucket) {
  if (bucket < 2 * kDurationParts) {
    return static_cast<double>(bucket);
  }
  const std::size_t shift = (bucket >> kDurationBits) - 1;
  const double part = static_cast<double>(bucket - (shift << kDurationBits));
  const double width = std::ldexp(1.0, static_cast<int>(shift));
  return part * width + (width - 1) / 2;
}

Seconds seconds_of_nanoseconds(double nanoseconds) {
  return seconds(nanoseconds / 1e9);
}

}  // namespace

void DurationHistogram::add_nanoseconds(std::int64_t duration) {
  const std::size_t bucket = duration_bucket(static_cast<std::uint64_t>(duration));
  if (bucket >= buckets_.size()) {
    buckets_.resize(bucket + 1);
  }
  ++buckets_[bucket];
  ++count_;
  add_to_sum(duration / kNanosecondsPerSecond, duration % kNanosecondsPerSecond);
  max_nanoseconds_ = std::max(max_nanoseconds_, duration);
}

void DurationHistogram::merge(const DurationHistogram& other, std::int64_t times) {
  if (other.count_ == 0) {
    return;
  }
  buckets_.resize(std::max(buckets_.size(), other.buckets_.size()));
  for (std::size_t i = 0; i < other.buckets_.size(); ++i) {
    buckets_[i] += other.buckets_[i] * times;
  }
  count_ += other.count_ * times;
  add_to_sum(other.sum_whole_seconds_ * times, other.sum_rest_nanoseconds_ * times);
  max_nanoseconds_ = std::max(max_nanoseconds_, other.max_nanoseconds_);
}

std::optional<Seconds> DurationHistogram::mean() const {
  if (count_ == 0) {
    return std::nullopt;
  }
  const double sum = static_cast<double>(sum_whole_seconds_) +
                     static_cast<double>(sum_rest_nanoseconds_) / kNanosecondsPerSecond;
  return seconds(sum / static_cast<double>(count_));
}

void DurationHistogram::add_to_sum(std::int64_t whole_seconds, std::int64_t rest_nanoseconds) {
  const std::int64_t rest = sum_rest_nanoseconds_ + rest_nanoseconds;
  sum_whole_seconds_ += whole_seconds + rest / kNanosecondsPerSecond;
  sum_rest_nanoseconds_ = rest % kNanosecondsPerSecond;
}

std::optional<Seconds> DurationHistogram::max() const {
  if (count_ == 0) {
    return std::nullopt;
  }
  return seconds_of_nanoseconds(static_cast<double>(max_nanoseconds_));
}

std::optional<Seconds> DurationHistogram::quantile(double share_ratio) const {
  if (count_ == 0) {
    return std::nullopt;
  }
  const double position = std::ceil(share_ratio * static_cast<double>(count_));
  const std::int64_t rank =
      std::clamp<std::int64_t>(static_cast<std::int64_t>(position), 1, count_);
  std::int64_t seen = 0;
  std::size_t bucket = 0;
  for (; bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    if (seen >= rank) {
      break;
    }
  }
  return seconds_of_nanoseconds(duration_bucket_middle(bucket));
}

void LatencyRecord::merge(const LatencyRecord& other) {
  wait.merge(other.wait);
  ttft.merge(other.ttft);
  tpot.merge(other.tpot);
  request.merge(other.request);
  arrived_requests += other.arrived_requests;
  completed_requests += other.completed_requests;
  dropped_requests += other.dropped_requests;
  input_tokens += other.input_tokens;
  output_tokens += other.output_tokens;
  completed_tokens += other.completed_tokens;
  good_tokens += other.good_tokens;
  lost_input_tokens += other.lost_input_tokens;
  lost_output_tokens += other.lost_output_tokens;
}

}  // namespace perwatt::simulate
