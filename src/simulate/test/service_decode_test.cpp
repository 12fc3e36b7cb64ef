#include "service_support.hpp"
#include <gtest/gtest.h>

#include "perwatt/simulate/service.hpp"

namespace perwatt::simulate {
namespace {

// Prefill 100 / 1000 s; a step of a batch of b: 10 + b ms.
TEST(ServiceDecode, OneRequestTakesItsPrefillAndItsSteps) {
  InferenceService service{aggregated_service(1)};
  service.offer(request_at(1, 100, 21));
  service.advance_to(at_seconds(1.1));
  EXPECT_EQ(service.record().output_tokens, 1);
  EXPECT_DOUBLE_EQ(in_seconds(*service.record().ttft.max()), 0.1);
  service.advance_to(at_seconds(1.1 + 10 * 0.011));
  EXPECT_EQ(service.record().output_tokens, 11);
  service.advance_to(at_seconds(1.32) - seconds(1e-9));
  EXPECT_EQ(service.counts().completed, 0);
  service.advance_to(at_seconds(1.32));
  EXPECT_EQ(service.counts().completed, 1);
  EXPECT_DOUBLE_EQ(in_seconds(*service.record().request.max()), 0.32);
  EXPECT_DOUBLE_EQ(in_seconds(*service.record().tpot.max()), 0.011);
  EXPECT_EQ(service.record().total_tokens(), 121);
}

// Four prefills one after another stand before the first step; then 20 steps of 14 ms.
TEST(ServiceDecode, EqualRequestsAtOncePrefillInTurnAndDecodeTogether) {
  InferenceService service{aggregated_service(1)};
  for (int i = 0; i < 4; ++i) {
    service.offer(request_at(0, 100, 21));
  }
  service.advance_to(at_seconds(5));
  const LatencyRecord& record = service.record();
  EXPECT_EQ(record.completed_requests, 4);
  EXPECT_DOUBLE_EQ(in_seconds(*record.ttft.mean()), 0.25);
  EXPECT_DOUBLE_EQ(in_seconds(*record.request.mean()), 0.4 + 20 * 0.014);
  EXPECT_DOUBLE_EQ(in_seconds(*record.request.max()), 0.4 + 20 * 0.014);
}

// The second prompt comes in the middle of a step: it starts at the step's end, and holds the first
// sequence up for its 50 ms; both then decode at 12 ms a step.
TEST(ServiceDecode, APromptWaitsForTheStepUnderWayAndPausesDecode) {
  InferenceService service{aggregated_service(1)};
  service.offer(request_at(0, 100, 11));
  service.offer(request_at(0.1 + 0.0245, 50, 11));
  service.advance_to(at_seconds(5));
  const LatencyRecord& record = service.record();
  const double first = 0.1 + 3 * 0.011 + 0.05 + 7 * 0.012;
  EXPECT_DOUBLE_EQ(in_seconds(*record.wait.max()), 0.033 - 0.0245);
  const double second = 0.1 + 3 * 0.011 + 0.05 + 7 * 0.012 + 3 * 0.011;
  EXPECT_NEAR(in_seconds(*record.request.mean()), (first + second - 0.1245) / 2, 1e-12);
}

TEST(ServiceDecode, PoolsJoinSequencesAtTheEndOfAStep) {
  InferenceService service{pooled_service(1, 1)};
  service.offer(request_at(0, 100, 11));
  service.offer(request_at(0, 10, 11));
  service.advance_to(at_seconds(5));
  // The second is handed over at 110 ms, in the first one's step from 100 to 111 ms.
  const LatencyRecord& record = service.record();
  const double first = 0.1 + 0.011 + 9 * 0.012;
  const double second = first + 0.011;
  EXPECT_DOUBLE_EQ(in_seconds(*record.request.max()), second);
  EXPECT_NEAR(in_seconds(*record.request.mean()), (first + second) / 2, 1e-12);
}

// The second sequence joins a step after the first one, and ends with it; the two that wait for a
// decode instance then join together.
TEST(ServiceDecode, ADecodeQueueFillsEveryPlaceThatIsFree) {
  InferenceService service{pooled_service(4, 1, small_model(2))};
  for (int i = 0; i < 4; ++i) {
    service.offer(request_at(0, 100, i == 0 ? 12 : 11));
  }
  service.advance_to(at_seconds(0.101));
  EXPECT_EQ(service.sequences(4), 2U);
  EXPECT_EQ(service.counts().in_flight, 4);
  service.advance_to(at_seconds(0.1 + 0.011 + 10 * 0.012));
  EXPECT_EQ(service.counts().completed, 2);
  EXPECT_EQ(service.sequences(4), 2U);
  service.advance_to(at_seconds(0.1 + 0.011 + 20 * 0.012));
  EXPECT_EQ(service.counts().completed, 4);
}

TEST(ServiceDecode, WhatEndsWhenARequestComesEndsFirst) {
  InferenceService service{aggregated_service(2)};
  service.offer(request_at(0, 50, 1000));
  service.offer(request_at(0, 100, 1));
  service.offer(request_at(0.1, 100, 1));
  service.advance_to(at_seconds(0.15));
  EXPECT_EQ(service.sequences(0), 1U);
  EXPECT_EQ(service.sequences(1), 1U);
  EXPECT_EQ(in_seconds(*service.record().wait.max()), 0);
}

TEST(ServiceDecode, EndsAreRoundedUpToANanosecond) {
  InferenceService service{aggregated_service(1)};
  service.set_speed(Pool::aggregated, {0.7, 1});
  service.offer(request_at(0, 100, 1));  // 100 ms / 0.7 = 142,857,142.86 ns
  service.advance_to(Instant::from_nanoseconds(142'857'142));
  EXPECT_EQ(service.counts().completed, 0);
  service.advance_to(Instant::from_nanoseconds(142'857'143));
  EXPECT_EQ(service.counts().completed, 1);
}

TEST(ServiceDecode, ABatchTakesNoMoreThanItsLimit) {
  InferenceService service{aggregated_service(1, small_model(2))};
  for (int i = 0; i < 3; ++i) {
    service.offer(request_at(0, 100, 11));
  }
  service.advance_to(at_seconds(0.25));
  EXPECT_EQ(service.sequences(0), 2U);
  EXPECT_EQ(service.counts().queued, 1);
  service.advance_to(at_seconds(0.2 + 10 * 0.012));
  EXPECT_EQ(service.counts().completed, 2);
  EXPECT_EQ(service.counts().queued, 0);
  service.advance_to(at_seconds(0.2 + 10 * 0.012 + 0.1 + 10 * 0.011));
  EXPECT_EQ(service.counts().completed, 3);
}

TEST(ServiceDecode, RequestsGoToTheInstanceWithFewestSequences) {
  InferenceService service{aggregated_service(3)};
  for (int i = 0; i < 6; ++i) {
    service.offer(request_at(i * 0.2, 100, 1000));
  }
  service.advance_to(at_seconds(1.5));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(service.sequences(i), 2U);
  }
}

TEST(ServiceDecode, HalfTheSpeedDoublesEveryTime) {
  LatencyRecord records[2];
  for (int halved = 0; halved < 2; ++halved) {
    InferenceService service{aggregated_service(2)};
    const double scale = halved == 1 ? 2 : 1;
    service.set_speed(Pool::aggregated, {1 / scale, 1 / scale});
    for (int i = 0; i < 50; ++i) {
      service.offer(request_at(0.125 * i * scale, 50 + 13 * i, 2 + 7 * (i % 9)));
    }
    service.advance_to(at_seconds(1000));
    records[halved] = service.take_record();
    ASSERT_EQ(records[halved].completed_requests, 50);
  }
  EXPECT_EQ(in_seconds(*records[1].request.mean()), 2 * in_seconds(*records[0].request.mean()));
  EXPECT_EQ(in_seconds(*records[1].ttft.max()), 2 * in_seconds(*records[0].ttft.max()));
  EXPECT_EQ(in_seconds(*records[1].wait.mean()), 2 * in_seconds(*records[0].wait.mean()));
}

TEST(ServiceDecode, ANewSpeedHoldsForTheWorkThatIsLeft) {
  InferenceService service{aggregated_service(1)};
  service.offer(request_at(0, 100, 11));
  service.advance_to(at_seconds(0.05));
  service.set_speed(Pool::aggregated, {0.5, 1});
  service.advance_to(at_seconds(0.15));
  EXPECT_EQ(service.record().ttft.count(), 1);
  EXPECT_DOUBLE_EQ(in_seconds(*service.record().ttft.max()), 0.15);
  service.advance_to(at_seconds(0.15 + 5 * 0.011));
  service.set_speed(Pool::aggregated, {0.5, 0.25});
  service.advance_to(at_seconds(1));
  EXPECT_NEAR(in_seconds(*service.record().request.max()), 0.15 + 5 * 0.011 + 5 * 0.044, 2e-9);
}

// Steps make a faster instance meet an arrival at another point of its step, so that a few tokens
// may come a moment later: one step of a batch is allowed.
TEST(ServiceDecode, MoreSpeedNeverMeansFewerTokensByMoreThanAStep) {
  std::vector<std::int64_t> before;
  for (const double speed : {0.4, 0.55, 0.7, 0.85, 1.0}) {
    InferenceService service{aggregated_service(2)};
    service.set_speed(Pool::aggregated, {speed, speed});
    ServiceFeed feed{RequestStream::of_arrivals(poisson_arrivals(3, 600, 8),
                                                {exponential_tokens(150), exponential_tokens(40)})};
    std::vector<std::int64_t> produced;
    for (int second = 1; second <= 300; ++second) {
      feed.advance(service, at_seconds(second));
      produced.push_back(service.record().output_tokens);
    }
    for (std::size_t i = 0; i < before.size(); ++i) {
      EXPECT_GE(produced[i] + 2 * 8, before[i]) << speed << " s " << i + 1;
    }
    before = produced;
  }
}

TEST(ServiceDecode, DemandFollowsWhatInstancesDo) {
  InferenceService service{aggregated_service(2)};
  EXPECT_EQ(service.demand(Pool::aggregated), watts(2 * 2 * 100));
  service.offer(request_at(0, 100, 101));
  service.offer(request_at(0.3, 100, 101));
  service.offer(request_at(0.6, 100, 101));
  service.advance_to(at_seconds(0.05));
  EXPECT_EQ(service.gpu_demand(0), watts(600));
  service.advance_to(at_seconds(0.2));
  EXPECT_EQ(service.gpu_demand(0), watts(210));
  EXPECT_EQ(service.demand(Pool::aggregated), watts(2 * (210 + 100)));
  service.advance_to(at_seconds(0.8));
  EXPECT_EQ(service.gpu_demand(0), watts(220));
  EXPECT_EQ(service.gpu_demand(1), watts(210));
}

TEST(ServiceDecode, UseAddsUpToTheTimeAndToTheEnergy) {
  InferenceService service{aggregated_service(1)};
  service.offer(request_at(0, 100, 11));
  service.advance_to(at_seconds(1));
  const PoolUse use = service.take_use(Pool::aggregated);
  EXPECT_EQ(use.prefill_nanoseconds, 100'000'000);
  EXPECT_EQ(use.decode_nanoseconds, 110'000'000);
  EXPECT_EQ(use.sequence_nanoseconds, 110'000'000);
  EXPECT_EQ(use.idle_nanoseconds, 790'000'000);
  const double joules = 2 * (0.1 * 600 + 0.11 * 210 + 0.79 * 100);
  EXPECT_NEAR(use.energy(small_model(), std::nullopt).in_base(), joules, 1e-9);
  const double capped = 2 * (0.1 * 150 + 0.11 * 150 + 0.79 * 100);
  EXPECT_NEAR(use.energy(small_model(), watts(150)).in_base(), capped, 1e-9);
}

}  // namespace
}  // namespace perwatt::simulate
