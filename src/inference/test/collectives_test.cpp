#include "perwatt/inference/collectives.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "error_of.hpp"
#include "shipped_operators.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace perwatt::inference {
namespace {

using ::testing::HasSubstr;

constexpr double kGibi = 1024.0 * 1024 * 1024;

const CollectiveFamily& nccl(std::string_view accelerator, Collective op) {
  const auto* found = shipped_collectives().find(accelerator, "nccl", op);
  EXPECT_NE(found, nullptr) << accelerator;
  return *found;
}

double microseconds(const Result<CollectiveEstimate>& estimate) {
  EXPECT_TRUE(estimate.ok());
  return 1e6 * in_seconds(estimate.value().latency);
}

RC_GTEST_PROP(AlphaBetaFit, FindsTheLineItsPointsLieOn, ()) {
  const double alpha = *rc::gen::inRange(1, 1000) * 1e-7;
  const double rate = *rc::gen::inRange(1, 1000) * 1e9;
  std::vector<TransferPoint> points;
  for (double bytes = 512; bytes < 1e9; bytes *= 4) {
    points.push_back({bytes, seconds(alpha + bytes / rate)});
  }
  const auto fit = fit_alpha_beta(points);
  RC_ASSERT(std::abs(in_seconds(fit.alpha) / alpha - 1) < 1e-6);
  RC_ASSERT(std::abs(fit.rate_per_second / rate - 1) < 1e-6);
  RC_ASSERT(fit.p90_error < 1e-6);
}

TEST(AlphaBetaFit, NeverHasANegativePart) {
  const std::vector<TransferPoint> falling{{1, seconds(3)}, {2, seconds(2)}, {3, seconds(1)}};
  EXPECT_EQ(fit_alpha_beta(falling).rate_per_second, 0);
  const std::vector<TransferPoint> steep{{1, seconds(1)}, {2, seconds(4)}, {3, seconds(9)}};
  EXPECT_EQ(fit_alpha_beta(steep).alpha, Seconds{});
}

TEST(Collectives, MeasuredPointsComeBack) {
  std::size_t points = 0;
  for (const auto& entry : shipped_collectives().families()) {
    for (const auto& curve : entry.family.curves()) {
      for (const auto& point : curve.points) {
        const auto estimate = entry.family.estimate(curve.gpus, point.amount);
        ASSERT_TRUE(estimate.ok());
        ASSERT_EQ(estimate.value().latency, point.latency);
        ASSERT_EQ(estimate.value().tag, Tag::measured);
        ++points;
      }
    }
  }
  EXPECT_GT(points, 1000U);
}

struct Fact {
  const char* accelerator;
  const char* library;
  Collective op;
  int gpus;
  double floor_microseconds;
  double gigabytes_per_second;  // bytes / time at the largest message
  double bytes;
};

TEST(Collectives, FloorsAndRatesOfTheFacts) {
  const Fact facts[] = {{"h100", "trtllm", Collective::all_reduce, 8, 3.1, 268, kGibi},
                        {"h200", "trtllm", Collective::all_reduce, 8, 3.1, 268, kGibi},
                        {"b200", "trtllm", Collective::all_reduce, 8, 5.0, 416, kGibi},
                        {"gb200", "trtllm", Collective::all_reduce, 4, 0, 418, kGibi},
                        {"h200", "nccl", Collective::all_reduce, 8, 16, 263, kGibi / 2},
                        {"h200", "nccl", Collective::all_gather, 8, 0, 385, kGibi / 2},
                        {"h200", "nccl", Collective::all_to_all, 8, 0, 356, kGibi / 2},
                        {"b200", "nccl", Collective::all_reduce, 8, 25, 402, kGibi / 2},
                        {"b200", "nccl", Collective::all_gather, 8, 0, 705, kGibi / 2},
                        {"b200", "nccl", Collective::all_to_all, 8, 0, 644, kGibi / 2}};
  for (const auto& fact : facts) {
    const auto* family = shipped_collectives().find(fact.accelerator, fact.library, fact.op);
    ASSERT_NE(family, nullptr) << fact.accelerator << fact.library;
    if (fact.floor_microseconds > 0) {
      EXPECT_NEAR(microseconds(family->estimate(fact.gpus, 256)) / fact.floor_microseconds, 1, 0.08)
          << fact.accelerator << " " << fact.library;
    }
    const auto rate = fact.bytes / microseconds(family->estimate(fact.gpus, fact.bytes)) / 1e3;
    EXPECT_NEAR(rate / fact.gigabytes_per_second, 1, 0.05)
        << fact.accelerator << " " << fact.library << " " << to_string(fact.op);
  }
}

TEST(Collectives, FitsStateTheirError) {
  for (const auto& entry : shipped_collectives().families()) {
    for (const auto& curve : entry.family.curves()) {
      const auto& fit = curve.fit;
      std::printf("%-6s %-7s %-15s n=%d alpha %6.2f us rate %7.1f GB/s error %4.1f / %4.1f %%\n",
                  entry.accelerator.c_str(), entry.library.c_str(),
                  std::string{to_string(entry.family.op())}.c_str(), curve.gpus,
                  1e6 * in_seconds(fit.alpha), fit.rate_per_second / 1e9, 100 * fit.median_error,
                  100 * fit.p90_error);
      EXPECT_GT(fit.rate_per_second, 0);
      EXPECT_LT(fit.median_error, 0.35);
      EXPECT_GE(fit.p90_error, fit.median_error);
    }
  }
}

/// Left-out inner points of the measured curves.
TEST(Collectives, HoldOutBetweenAmounts) {
  std::vector<double> errors;
  for (const auto& entry : shipped_collectives().families()) {
    for (const auto& curve : entry.family.curves()) {
      for (std::size_t i = 1; i + 1 < curve.points.size(); ++i) {
        auto points = curve.points;
        points.erase(points.begin() + static_cast<std::ptrdiff_t>(i));
        const CollectiveFamily without{entry.family.op(), 8, 1, {{curve.gpus, points, {}}}};
        const auto estimate = without.estimate(curve.gpus, curve.points[i].amount);
        ASSERT_TRUE(estimate.ok());
        errors.push_back(std::abs(estimate.value().latency / curve.points[i].latency - 1));
      }
    }
  }
  std::sort(errors.begin(), errors.end());
  const double median = errors[errors.size() / 2];
  const double p90 = errors[errors.size() * 9 / 10];
  std::printf("collectives, inner points left out: %zu, median %.1f %% p90 %.1f %%\n",
              errors.size(), 100 * median, 100 * p90);
  EXPECT_LE(median, 0.05);
  EXPECT_LE(p90, 0.2);
}

RC_GTEST_PROP(CollectiveProperties, MoreBytesAreNeverFaster, ()) {
  const auto families = shipped_collectives().families();
  const auto& family = families[*rc::gen::inRange<std::size_t>(0, families.size())].family;
  for (const auto& curve : family.curves()) {
    for (std::size_t i = 0; i + 1 < curve.points.size(); ++i) {
      RC_PRE(curve.points[i].latency <= curve.points[i + 1].latency * 1.5);
    }
  }
  const int gpus = *rc::gen::inRange(2, 16);
  const double bytes = std::exp2(*rc::gen::inRange(200, 330) / 10.0);  // 1 MB to 8 GB
  const auto a = family.estimate(gpus, bytes, ScaleOut{50e9});
  const auto b = family.estimate(gpus, 4 * bytes, ScaleOut{50e9});
  RC_ASSERT(a.ok() && b.ok());
  RC_ASSERT(a.value().latency <= b.value().latency);
}

TEST(Collectives, BeyondTheDomainTheNetworkRules) {
  const auto& family = nccl("h200", Collective::all_reduce);
  EXPECT_FALSE(family.estimate(16, kGibi).ok());
  EXPECT_THAT(family.estimate(16, kGibi).reason(), HasSubstr("scale-up domain of 8"));
  const auto inside = microseconds(family.estimate(8, kGibi));
  const auto outside = family.estimate(16, kGibi, ScaleOut{50e9});
  EXPECT_EQ(outside.value().tag, Tag::assumed);
  // 450 GB/s to 50 GB/s, 15/16 over 7/8.
  EXPECT_NEAR(microseconds(outside) / inside, 9 * (15.0 / 16) / (7.0 / 8), 0.1);
  EXPECT_GT(microseconds(family.estimate(64, kGibi, ScaleOut{50e9})), microseconds(outside));
}

TEST(Collectives, InsideARackBeyondTheMeasuredCountTheBusRateHolds) {
  const auto& family = nccl("gb200", Collective::all_gather);
  const auto four = microseconds(family.estimate(4, kGibi / 2));
  const auto many = family.estimate(72, kGibi / 2);
  EXPECT_EQ(many.value().tag, Tag::modelled);
  EXPECT_NEAR(microseconds(many) / four, (71.0 / 72) / (3.0 / 4), 0.02);
}

TEST(Collectives, OneGpuOrNoBytesTakeNoTime) {
  const auto& family = nccl("b200", Collective::reduce_scatter);
  EXPECT_EQ(family.estimate(1, kGibi).value().latency, Seconds{});
  EXPECT_EQ(family.estimate(8, 0).value().latency, Seconds{});
  EXPECT_THAT(error_of([&] { (void)family.estimate(0, 1); }), HasSubstr("at least one GPU"));
  EXPECT_THAT(error_of([&] { (void)family.estimate(2, -1); }), HasSubstr("negative"));
}

TEST(ExpertExchange, MeasuredShapesComeBackAndOthersFollowTheFit) {
  const auto* dispatch = shipped_collectives().find_exchange("h100", "deepep_ll", "", "dispatch");
  ASSERT_NE(dispatch, nullptr);
  const ExpertExchange measured{8, 1, 2048, 8, 128};
  EXPECT_EQ(dispatch->estimate(measured).value().tag, Tag::measured);
  EXPECT_NEAR(microseconds(dispatch->estimate(measured)), 10.313, 0.05);
  const auto other = dispatch->estimate({8, 128, 7000, 8, 200});
  EXPECT_EQ(other.value().tag, Tag::modelled);
  EXPECT_GT(other.value().relative_half_width, 0);
  const auto unknown = dispatch->estimate({24, 128, 7168, 8, 256});
  ASSERT_FALSE(unknown.ok());
  EXPECT_THAT(unknown.reason(), HasSubstr("but on 8, 16, 32, 64"));
  EXPECT_THAT(error_of([&] {
                (void)dispatch->estimate({8, 0, 7168, 8, 256});
              }),
              HasSubstr("not positive"));
}

TEST(ExpertExchange, FitsStateTheirError) {
  for (const auto& entry : shipped_collectives().exchanges()) {
    for (const int gpus : {2, 4, 8, 16, 32, 64}) {
      if (const auto* fit = entry.family.fit(gpus)) {
        std::printf(
            "%-6s %-14s %-5s %-8s n=%-2d alpha %6.1f us rate %7.1f Gelements/s error %4.1f / %4.1f "
            "%%\n",
            entry.accelerator.c_str(), entry.library.c_str(), entry.dtype.c_str(),
            entry.phase.c_str(), gpus, 1e6 * in_seconds(fit->alpha), fit->rate_per_second / 1e9,
            100 * fit->median_error, 100 * fit->p90_error);
        EXPECT_GT(fit->rate_per_second, 0);
        EXPECT_LT(fit->median_error, 0.4);
      }
    }
  }
}

TEST(CollectiveRows, MalformedTablesNameThePlace) {
  const auto folder = std::filesystem::temp_directory_path() / "perwatt-collectives-test";
  std::filesystem::create_directories(folder);
  const auto error_with = [&](const std::string& collectives, const std::string& exchange) {
    std::ofstream{folder / "collectives.csv"} << collectives;
    std::ofstream{folder / "expert_exchange.csv"} << exchange;
    return error_of([&] { (void)CollectiveTable::load(folder, shipped_catalog()); });
  };
  const std::string header = "accelerator,library,operation,gpus,us_512\n";
  const std::string exchange = "accelerator,library,dtype,phase,gpus,hidden,topk,experts,us_1\n";
  EXPECT_THAT(error_with(header + "h100,nccl,all_sum,8,3\n", exchange),
              HasSubstr("collectives.csv:2: operation"));
  EXPECT_THAT(error_with(header + "h100,nccl,all_reduce,1,3\n", exchange),
              HasSubstr("collectives.csv:2: gpus"));
  EXPECT_THAT(error_with(header + "h100,nccl,all_reduce,2.5,3\n", exchange),
              HasSubstr("collectives.csv:2: gpus"));
  EXPECT_THAT(error_with(header + "h100,nccl,all_reduce,8,\n", exchange), HasSubstr("no latency"));
  EXPECT_THAT(error_with(header + "h100,nccl,all_reduce,8,3\nh100,nccl,all_reduce,8,3\n", exchange),
              HasSubstr("given twice"));
  EXPECT_THAT(error_with(header, exchange + "h100,deepep_ll,,send,8,1,1,1,3\n"),
              HasSubstr("expert_exchange.csv:2: phase"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace perwatt::inference
