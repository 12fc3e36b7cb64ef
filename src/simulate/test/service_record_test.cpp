#include <algorithm>

#include "service_support.hpp"
#include <gtest/gtest.h>

#include "perwatt/base/random.hpp"
#include "perwatt/simulate/latency_record.hpp"

namespace perwatt::simulate {
namespace {

TEST(DurationHistogram, QuantilesAreWithinTheirStatedError) {
  std::mt19937_64 generator{3};
  DurationHistogram histogram;
  std::vector<std::int64_t> values;
  for (int i = 0; i < 20000; ++i) {
    // From 1 ns to 3 hours, evenly by orders of magnitude.
    const double value = std::exp(uniform_unit(generator) * std::log(1.08e13));
    values.push_back(static_cast<std::int64_t>(value));
    histogram.add_nanoseconds(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double share : {0.0, 0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = std::max<std::size_t>(
        1, static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size()))));
    const auto exact = static_cast<double>(values[rank - 1]);
    EXPECT_NEAR(in_seconds(*histogram.quantile(share)) * 1e9, exact,
                exact * DurationHistogram::kRelativeErrorRatio)
        << share;
  }
  EXPECT_EQ(histogram.count(), 20000);
  EXPECT_DOUBLE_EQ(in_seconds(*histogram.max()) * 1e9, static_cast<double>(values.back()));
}

TEST(DurationHistogram, EveryBucketHoldsItsError) {
  for (std::int64_t base = 1; base < (std::int64_t{1} << 44); base *= 2) {
    for (const std::int64_t value : {base, base + base / 128, std::max(base, base + base / 128 - 1),
                                     base + base / 3, 2 * base - 1}) {
      DurationHistogram histogram;
      histogram.add_nanoseconds(value);
      const auto exact = static_cast<double>(value);
      EXPECT_NEAR(in_seconds(*histogram.quantile(0.5)) * 1e9, exact, exact / 256 + 1e-6) << value;
    }
  }
}

TEST(DurationHistogram, IsEmptyAtFirst) {
  const DurationHistogram histogram;
  EXPECT_FALSE(histogram.mean());
  EXPECT_FALSE(histogram.max());
  EXPECT_FALSE(histogram.quantile(0.5));
}

TEST(DurationHistogram, PartsAddUpToTheWhole) {
  DurationHistogram whole;
  DurationHistogram parts[2];
  for (std::int64_t i = 0; i < 1000; ++i) {
    const std::int64_t value = i * i * i;
    whole.add_nanoseconds(value);
    parts[i % 2].add_nanoseconds(value);
  }
  DurationHistogram one = parts[0];
  one.merge(parts[1]);
  DurationHistogram other = parts[1];
  other.merge(parts[0]);
  EXPECT_EQ(one, whole);
  EXPECT_EQ(other, whole);
  EXPECT_DOUBLE_EQ(in_seconds(*whole.mean()) * 1e9, 999.0 * 999 * 1000 * 1000 / 4 / 1000);
}

TEST(LatencyRecord, EveryFieldIsMerged) {
  LatencyRecord record;
  std::int64_t n = 0;
  for (DurationHistogram* histogram : {&record.wait, &record.ttft, &record.tpot, &record.request}) {
    histogram->add_nanoseconds(++n);
  }
  for (std::int64_t* count :
       {&record.arrived_requests, &record.completed_requests, &record.dropped_requests,
        &record.input_tokens, &record.output_tokens, &record.completed_tokens, &record.good_tokens,
        &record.lost_input_tokens, &record.lost_output_tokens}) {
    *count = ++n;
  }
  LatencyRecord sum;
  sum.merge(record);
  EXPECT_EQ(sum, record);
  sum.merge(record);
  EXPECT_EQ(sum.lost_output_tokens, 26);
  EXPECT_EQ(sum.tpot.count(), 2);
  EXPECT_EQ(sum.total_tokens(), 2 * (8 + 9));
}

}  // namespace
}  // namespace perwatt::simulate
