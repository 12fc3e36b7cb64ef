#include "perwatt/measure/log_histogram.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/random.hpp"
#include "perwatt/measure/measurement.hpp"

namespace perwatt::measure {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

double nanoseconds(Seconds value) {
  return in_seconds(value) * static_cast<double>(kSecond);
}

/// Nearest rank of the whole vector: what the histogram approximates.
std::int64_t true_quantile(const std::vector<std::int64_t>& sorted, std::int64_t numerator,
                           std::int64_t denominator) {
  const auto count = static_cast<std::int64_t>(sorted.size());
  const std::int64_t rank =
      std::max<std::int64_t>(1, (numerator * count + denominator - 1) / denominator);
  return sorted[static_cast<std::size_t>(rank - 1)];
}

void expect_contract(const LogHistogram& histogram, std::vector<std::int64_t> values) {
  std::sort(values.begin(), values.end());
  constexpr std::int64_t kParts = 1000;
  for (std::int64_t part = 0; part <= kParts; ++part) {
    const std::int64_t truth = true_quantile(values, part, kParts);
    const double got =
        nanoseconds(*histogram.quantile(static_cast<double>(part) / static_cast<double>(kParts)));
    if (truth < LogHistogram::kLowestNanoseconds) {
      ASSERT_GE(got, static_cast<double>(truth) - 0.5);
      ASSERT_LE(got, 1000.5);
    } else if (truth > LogHistogram::kHighestNanoseconds) {
      ASSERT_GE(got * (1 + 1e-12), static_cast<double>(truth));
    } else {
      ASSERT_LE(std::abs(got / static_cast<double>(truth) - 1),
                histogram.relative_error_ratio() + 1e-12)
          << "value " << truth << " ns";
    }
  }
}

std::vector<std::int64_t> log_uniform_values(std::uint64_t seed, std::size_t count, double low,
                                             double high) {
  std::mt19937_64 generator{seed};
  std::vector<std::int64_t> values;
  for (std::size_t i = 0; i < count; ++i) {
    const double exponent = std::log(low) + uniform_unit(generator) * std::log(high / low);
    values.push_back(std::llround(std::exp(exponent)));
  }
  return values;
}

LogHistogram filled(const std::vector<std::int64_t>& values, double error_ratio = 0.005) {
  LogHistogram histogram{error_ratio};
  for (const std::int64_t value : values) {
    histogram.add_nanoseconds(value);
  }
  return histogram;
}

RC_GTEST_PROP(LogHistogram, QuantilesKeepTheStatedErrorAgainstTheSortedValues,
              (std::uint64_t seed)) {
  const std::size_t count = 1 + static_cast<std::size_t>(seed % 3000);
  // From below the range to above it.
  const auto values = log_uniform_values(seed, count, 300.0, 9e12);
  for (const double error_ratio : {0.25, 0.02, 0.005, 0.001}) {
    const LogHistogram histogram = filled(values, error_ratio);
    RC_ASSERT(histogram.relative_error_ratio() <= error_ratio);
    expect_contract(histogram, values);
  }
}

TEST(LogHistogram, HoldsAtEveryBucketEdge) {
  // Each power of two, its sub-bucket edges and their neighbours: where an index can be off by one.
  std::vector<std::int64_t> values;
  for (int octave = 9; octave <= 42; ++octave) {
    for (int part = 0; part < 128; ++part) {
      const std::int64_t edge = (std::int64_t{1} << octave) + ((std::int64_t{part} << octave) >> 7);
      for (const std::int64_t value : {edge - 1, edge, edge + 1}) {
        if (value >= LogHistogram::kLowestNanoseconds &&
            value <= LogHistogram::kHighestNanoseconds) {
          values.push_back(value);
        }
      }
    }
  }
  for (const std::int64_t value : values) {
    // Two companions keep `value` from being the exact minimum or maximum.
    const LogHistogram histogram = filled({1, value, 10 * LogHistogram::kHighestNanoseconds});
    const double got = nanoseconds(*histogram.quantile(0.5));
    ASSERT_LE(std::abs(got / static_cast<double>(value) - 1), 1.0 / 256 + 1e-12) << value;
  }
}

TEST(LogHistogram, TheDefaultStatesItsErrorOfTwoToMinusEight) {
  EXPECT_DOUBLE_EQ(LogHistogram{}.relative_error_ratio(), 1.0 / 256);
  EXPECT_DOUBLE_EQ(LogHistogram{0.01}.relative_error_ratio(), 1.0 / 128);
  EXPECT_DOUBLE_EQ(LogHistogram{0.001}.relative_error_ratio(), 1.0 / 1024);
}

TEST(LogHistogram, RefusesAnErrorItCannotKeep) {
  EXPECT_THROW(LogHistogram{0.0}, Error);
  EXPECT_THROW(LogHistogram{0.0009}, Error);
  EXPECT_THROW(LogHistogram{0.3}, Error);
}

TEST(LogHistogram, CountsWhatLiesOutsideAndKeepsItInTheExactFigures) {
  const LogHistogram histogram =
      filled({-5, 0, 999, 1000, 3'600'000'000'000, 3'600'000'000'001, 7'200'000'000'000});
  EXPECT_EQ(histogram.count(), 7);
  EXPECT_EQ(histogram.below_range(), 3);
  EXPECT_EQ(histogram.above_range(), 2);
  EXPECT_DOUBLE_EQ(nanoseconds(*histogram.min()), -5);
  EXPECT_DOUBLE_EQ(in_seconds(*histogram.max()), 7200);
  EXPECT_NEAR(in_seconds(*histogram.mean()), (3600.0 + 3600.0 + 7200.0) / 7, 1e-6);
  // The sixth of seven lies above the range: never reported lower than it is.
  EXPECT_GE(in_seconds(*histogram.quantile(0.85)), 3600.000000001);
  EXPECT_DOUBLE_EQ(nanoseconds(*histogram.quantile(0)), -5);
  EXPECT_DOUBLE_EQ(in_seconds(*histogram.quantile(1)), 7200);
}

TEST(LogHistogram, IsAbsentWithoutValues) {
  const LogHistogram histogram;
  EXPECT_FALSE(histogram.quantile(0.5));
  EXPECT_FALSE(histogram.mean());
  EXPECT_FALSE(histogram.min());
  EXPECT_FALSE(histogram.max());
  EXPECT_FALSE(summarize(histogram));
}

TEST(LogHistogram, RankDoesNotSlipByRounding) {
  LogHistogram histogram;
  for (std::int64_t i = 1; i <= 100; ++i) {
    histogram.add_nanoseconds(i * 100'000'000);
  }
  // 0.07 x 100 = 7.000000000000001 in doubles.
  EXPECT_NEAR(in_seconds(*histogram.quantile(0.07)), 0.7, 0.7 / 256);
  EXPECT_NEAR(in_seconds(*histogram.quantile(0.29)), 2.9, 2.9 / 256);
}

RC_GTEST_PROP(LogHistogram, MergingIsAddingAll, (std::uint64_t seed)) {
  const auto first = log_uniform_values(seed, static_cast<std::size_t>(seed % 50), 500, 5e12);
  const auto second = log_uniform_values(seed + 1, static_cast<std::size_t>(seed % 70), 500, 5e12);
  LogHistogram merged = filled(first);
  merged.merge(filled(second));
  std::vector<std::int64_t> all = first;
  all.insert(all.end(), second.begin(), second.end());
  const LogHistogram at_once = filled(all);
  RC_ASSERT(merged.count() == at_once.count());
  RC_ASSERT(merged.min() == at_once.min());
  RC_ASSERT(merged.max() == at_once.max());
  RC_ASSERT(merged.mean() == at_once.mean());
  for (int percent = 0; percent <= 100; ++percent) {
    RC_ASSERT(merged.quantile(percent / 100.0) == at_once.quantile(percent / 100.0));
  }
}

TEST(LogHistogram, RefusesToMergeOtherBuckets) {
  LogHistogram fine{0.001};
  EXPECT_THROW(fine.merge(LogHistogram{}), Error);
}

TEST(LogHistogram, TheMeanOfManyLongDurationsIsExact) {
  // 3,000,000 of almost an hour: their nanoseconds alone would pass 2^63.
  LogHistogram histogram;
  for (int i = 0; i < 3'000'000; ++i) {
    histogram.add_nanoseconds(3'599'999'999'999);
  }
  EXPECT_DOUBLE_EQ(in_seconds(*histogram.mean()), 3599.999999999);
}

TEST(LogHistogram, SummaryHoldsTheUsualFigures) {
  LogHistogram histogram;
  for (int i = 1; i <= 1000; ++i) {
    histogram.add(seconds(i * 0.001));
  }
  const Quantiles summary = *summarize(histogram);
  EXPECT_EQ(summary.count, 1000);
  EXPECT_NEAR(in_seconds(summary.mean), 0.5005, 1e-12);
  EXPECT_NEAR(in_seconds(summary.p50), 0.500, 0.500 / 256);
  EXPECT_NEAR(in_seconds(*summary.p75), 0.750, 0.750 / 256);
  EXPECT_NEAR(in_seconds(*summary.p90), 0.900, 0.900 / 256);
  EXPECT_NEAR(in_seconds(*summary.p95), 0.950, 0.950 / 256);
  EXPECT_NEAR(in_seconds(summary.p99), 0.990, 0.990 / 256);
  EXPECT_DOUBLE_EQ(in_seconds(*summary.max), 1.0);
}

}  // namespace
}  // namespace perwatt::measure
