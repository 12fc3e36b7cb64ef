#include "service_support.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/error.hpp"
#include "perwatt/simulate/service.hpp"

namespace perwatt::simulate {
namespace {

TokenLaws chat_lengths() {
  return {{TokenLaw::Kind::lognormal, tokens(120), 0.8}, exponential_tokens(35)};
}

ServiceFeed chat_feed(std::int64_t count, std::uint64_t seed, double rate_per_second = 6) {
  return ServiceFeed{
      RequestStream::of_arrivals(poisson_arrivals(rate_per_second, count, seed), chat_lengths())};
}

void expect_conserved(const InferenceService& service) {
  const RequestCounts counts = service.counts();
  EXPECT_EQ(counts.arrived, counts.queued + counts.in_flight + counts.completed);
  EXPECT_GE(counts.in_flight, 0);
  std::int64_t held = 0;
  for (std::size_t i = 0; i < service.instances(); ++i) {
    held += static_cast<std::int64_t>(service.sequences(i));
  }
  EXPECT_LE(held, counts.in_flight);
}

/// Runs to the end and checks that every token asked for was delivered once, but for lost ones.
void expect_all_delivered(InferenceService& service, ServiceFeed& feed, std::int64_t count,
                          std::uint64_t seed, double rate_per_second = 6) {
  feed.advance(service, at_seconds(1e5));
  ASSERT_TRUE(feed.is_done());
  EXPECT_EQ(service.counts().completed, count);
  RequestStream again =
      RequestStream::of_arrivals(poisson_arrivals(rate_per_second, count, seed), chat_lengths());
  std::int64_t input = 0;
  std::int64_t output = 0;
  while (const auto request = again.next()) {
    input += request->input_tokens;
    output += request->output_tokens;
  }
  const LatencyRecord& record = service.record();
  EXPECT_EQ(record.input_tokens, input + record.lost_input_tokens);
  EXPECT_EQ(record.output_tokens, output + record.lost_output_tokens);
  EXPECT_EQ(record.completed_tokens, output);
  EXPECT_EQ(record.arrived_requests, count);
  EXPECT_EQ(record.request.count(), count);
}

class ServiceShape : public testing::TestWithParam<bool> {
 protected:
  static ServiceSetup setup() { return GetParam() ? pooled_service(2, 2) : aggregated_service(2); }
};

TEST_P(ServiceShape, RequestsAndTokensAreConserved) {
  InferenceService service{setup()};
  ServiceFeed feed = chat_feed(800, 4);
  for (int step = 1; step < 1500; ++step) {
    feed.advance(service, at_seconds(step * 0.1));
    expect_conserved(service);
  }
  expect_all_delivered(service, feed, 800, 4);
  EXPECT_EQ(service.record().lost_output_tokens, 0);
}

TEST_P(ServiceShape, HowOftenItIsAdvancedChangesNothing) {
  LatencyRecord whole;
  PoolUse whole_use[kPools];
  for (const double step_seconds : {200.0, 1.0, 0.013}) {
    InferenceService service{setup()};
    service.set_speed(Pool::aggregated, {0.7, 0.83});
    service.set_speed(Pool::prefill, {0.7, 1});
    service.set_speed(Pool::decode, {1, 0.83});
    ServiceFeed feed = chat_feed(1000, 9);
    LatencyRecord sum;
    const auto steps = static_cast<int>(std::ceil(200 / step_seconds));
    for (int i = 1; i <= steps; ++i) {
      feed.advance(service, at_seconds(std::min(200.0, i * step_seconds)));
      sum.merge(service.take_record());
    }
    for (std::size_t pool = 0; pool < kPools; ++pool) {
      const PoolUse use = service.take_use(static_cast<Pool>(pool));
      if (step_seconds == 200) {
        whole_use[pool] = use;
      }
      EXPECT_EQ(use, whole_use[pool]);
    }
    if (step_seconds == 200) {
      whole = sum;
      EXPECT_GT(whole.completed_requests, 700);
    }
    EXPECT_EQ(sum, whole) << step_seconds;
  }
}

TEST_P(ServiceShape, FailuresLoseWorkButNoRequest) {
  InferenceService service{setup()};
  ServiceFeed feed = chat_feed(800, 6);
  const std::size_t last = service.instances() - 1;
  for (int i = 1; i <= 60; ++i) {
    feed.advance(service, at_seconds(i * 1.7));
    service.fail(i % 2 == 0 ? 0 : last);
    EXPECT_EQ(service.sequences(i % 2 == 0 ? 0 : last), 0U);
    expect_conserved(service);
    feed.advance(service, at_seconds(i * 1.7 + 0.3));
    service.resume(0);
    service.resume(last);
    expect_conserved(service);
  }
  EXPECT_GT(service.record().dropped_requests, 30);
  EXPECT_GT(service.record().lost_output_tokens, 100);
  expect_all_delivered(service, feed, 800, 6);
}

TEST_P(ServiceShape, PausesDrainsAndAddedInstancesLoseNothing) {
  InferenceService service{setup()};
  ServiceFeed feed = chat_feed(900, 2);
  const std::size_t last = service.instances() - 1;
  service.add_instance(service.pool_of(last));
  for (int i = 1; i <= 40; ++i) {
    feed.advance(service, at_seconds(i * 2.0));
    service.pause(0);
    service.drain(last);
    feed.advance(service, at_seconds(i * 2.0 + 0.7));
    expect_conserved(service);
    service.resume(0);
    service.set_speed(service.pool_of(0), {1.0 - 0.01 * i, 1.0 - 0.02 * (i % 5)});
    feed.advance(service, at_seconds(i * 2.0 + 1.3));
    service.resume(last);
    expect_conserved(service);
  }
  expect_all_delivered(service, feed, 900, 2);
  EXPECT_EQ(service.record().dropped_requests, 0);
}

INSTANTIATE_TEST_SUITE_P(Shapes, ServiceShape, testing::Bool());

TEST(ServiceState, APausedInstanceFreezesWhatItHas) {
  InferenceService service{aggregated_service(1)};
  service.offer(request_at(0, 100, 11));
  service.advance_to(at_seconds(0.06));
  service.pause(0);
  EXPECT_EQ(service.gpu_demand(0), watts(100));
  service.advance_to(at_seconds(3));
  EXPECT_EQ(service.record().input_tokens, 0);
  service.resume(0);
  service.advance_to(at_seconds(10));
  EXPECT_DOUBLE_EQ(in_seconds(*service.record().ttft.max()), 3.04);
  EXPECT_EQ(service.take_use(Pool::aggregated).prefill_nanoseconds, 100'000'000);
}

TEST(ServiceState, ADrainingInstanceEndsWhatItHasAndGoesOff) {
  InferenceService service{aggregated_service(1)};
  service.offer(request_at(0, 100, 11));
  service.offer(request_at(0.1, 100, 11));
  service.advance_to(at_seconds(0.05));
  service.drain(0);
  EXPECT_EQ(service.state(0), InstanceState::draining);
  service.advance_to(at_seconds(1));
  EXPECT_EQ(service.state(0), InstanceState::off);
  EXPECT_EQ(service.gpu_demand(0), watts(0));
  EXPECT_EQ(service.counts().completed, 1);
  EXPECT_EQ(service.counts().queued, 1);
  const std::size_t added = service.add_instance(Pool::aggregated);
  EXPECT_EQ(added, 1U);
  service.advance_to(at_seconds(2));
  EXPECT_EQ(service.counts().completed, 2);
  EXPECT_EQ(service.take_use(Pool::aggregated).idle_nanoseconds, 790'000'000);
}

// At 200 ms: a prefill of 100 ms and nine steps of 11 ms are done, the tenth is under way.
TEST(ServiceState, AFailedInstanceSendsItsRequestsBackToTheStart) {
  InferenceService service{aggregated_service(1)};
  service.offer(request_at(0, 100, 21));
  service.advance_to(at_seconds(0.2));
  service.offer(request_at(0.3, 50, 1));
  service.fail(0);
  EXPECT_EQ(service.record().output_tokens, 10);
  EXPECT_EQ(service.record().lost_output_tokens, 10);
  EXPECT_EQ(service.record().lost_input_tokens, 100);
  EXPECT_EQ(service.counts().queued, 1);
  EXPECT_EQ(service.demand(Pool::aggregated), watts(0));
  service.advance_to(at_seconds(0.4));
  EXPECT_EQ(service.counts().queued, 2);
  service.resume(0);
  service.advance_to(at_seconds(2));
  const LatencyRecord& record = service.record();
  EXPECT_EQ(record.completed_requests, 2);
  EXPECT_EQ(record.dropped_requests, 1);
  EXPECT_EQ(record.ttft.count(), 3);
  // In order of arrival: prefills end at 0.5 and 0.55 s, then 20 steps.
  EXPECT_NEAR(in_seconds(*record.request.max()), 0.55 + 20 * 0.011, 1e-9);
  EXPECT_EQ(record.output_tokens - record.lost_output_tokens, 22);
}

TEST(ServiceState, DroppedRequestsGoBeforeThoseThatCameLater) {
  InferenceService service{aggregated_service(2, small_model(2))};
  for (int i = 0; i < 6; ++i) {
    service.offer(request_at(0.001 * i, 100, 1000));
  }
  service.advance_to(at_seconds(1));
  ASSERT_EQ(service.counts().queued, 2);
  service.fail(0);
  service.fail(1);
  EXPECT_EQ(service.counts().queued, 6);
  static_cast<void>(service.take_record());
  service.resume(0);
  service.advance_to(at_seconds(1.25));
  // The first two, not the two that were queued: they waited from 0 and 1 ms on.
  EXPECT_EQ(service.sequences(0), 2U);
  EXPECT_NEAR(in_seconds(*service.record().wait.mean()), (1.0 + 1.099) / 2, 1e-9);
}

// The prompt at 150 ms stops the block that was looked at; the instance fails in its prefill.
TEST(ServiceState, AFailureInAPrefillLosesTheStepsDoneBefore) {
  InferenceService service{aggregated_service(1)};
  service.offer(request_at(0, 100, 101));
  service.offer(request_at(0.15, 100, 5));
  service.advance_to(at_seconds(0.14));
  EXPECT_EQ(service.record().output_tokens, 1 + 3);
  service.advance_to(at_seconds(0.2));
  service.fail(0);
  EXPECT_EQ(service.record().output_tokens, 1 + 5);
  EXPECT_EQ(service.record().lost_output_tokens, 1 + 5);
  EXPECT_EQ(service.record().lost_input_tokens, 100);
  EXPECT_EQ(service.record().dropped_requests, 2);
}

// At 115 ms the second sequence, handed over at 112 ms, waits for the end of a step.
TEST(ServiceState, AFailedDecodeInstanceLosesWhatWasHandedOver) {
  InferenceService service{pooled_service(1, 1)};
  service.offer(request_at(0, 100, 11));
  service.offer(request_at(0, 12, 11));
  service.advance_to(at_seconds(0.115));
  ASSERT_EQ(service.sequences(1), 2U);
  service.fail(1);
  EXPECT_EQ(service.record().lost_output_tokens, 2 + 1);
  EXPECT_EQ(service.record().lost_input_tokens, 112);
  EXPECT_EQ(service.record().output_tokens, 3);
}

TEST(ServiceState, TokensAreGoodInsideBothLimits) {
  ServiceSetup setup = aggregated_service(1);
  setup.limits = {seconds(0.15), seconds(0.0115)};
  InferenceService service{setup};
  service.offer(request_at(0, 100, 11));   // 100 ms, 11 ms: good
  service.offer(request_at(5, 160, 21));   // TTFT of 160 ms
  service.offer(request_at(10, 100, 31));  // two at once: TPOT of 12 ms and more
  service.offer(request_at(10, 10, 31));
  service.advance_to(at_seconds(20));
  EXPECT_EQ(service.record().completed_tokens, 94);
  EXPECT_EQ(service.record().good_tokens, 11);
}

TEST(ServiceState, WrongCallsAreDefects) {
  InferenceService service{aggregated_service(1)};
  service.advance_to(at_seconds(1));
  EXPECT_THROW(service.advance_to(at_seconds(0.5)), Error);
  EXPECT_THROW(service.offer(request_at(0.5, 1, 1)), Error);
  EXPECT_THROW(service.offer(request_at(2, 0, 1)), Error);
  EXPECT_THROW(service.set_speed(Pool::aggregated, {0, 1}), Error);
  EXPECT_THROW(service.set_speed(Pool::aggregated, {1, 1.01}), Error);
  EXPECT_THROW(service.pause(1), Error);
  EXPECT_THROW(service.add_instance(Pool::decode), Error);
}

}  // namespace
}  // namespace perwatt::simulate
