// Queues whose means are known: requests of one token, so that an instance is a server whose work
// is the prefill. A. O. Allen, Probability, Statistics and Queueing Theory, 2nd ed. 1990, ch. 5.
#include "service_support.hpp"
#include <gtest/gtest.h>

#include "perwatt/simulate/service.hpp"

namespace perwatt::simulate {
namespace {

constexpr double kMeanInput = 10000;  // tokens: rounding up adds half of one
constexpr int kBatches = 40;
constexpr std::int64_t kRequestsPerBatch = 15000;

struct MeanTimes {
  Estimate wait;
  Estimate sojourn;
};

/// Means of batches of a run with servers of mean service time 1 s, the first one left out.
MeanTimes run_queue(int servers, double load_ratio, const TokenLaw& input, std::uint64_t seed) {
  InstanceModel model = small_model(1);
  model.prefill_rate = tokens_per_second(in_tokens(input.mean()));
  InferenceService service{aggregated_service(servers, model)};
  const double rate = load_ratio * servers;
  ServiceFeed feed{
      RequestStream::of_arrivals(poisson_arrivals(rate, kRequestsPerBatch * (kBatches + 1), seed),
                                 {input, constant_tokens(1)})};
  std::vector<double> waits;
  std::vector<double> sojourns;
  for (int batch = 0; batch <= kBatches; ++batch) {
    feed.advance(service, at_seconds((batch + 1) * static_cast<double>(kRequestsPerBatch) / rate));
    const LatencyRecord record = service.take_record();
    if (batch > 0) {
      waits.push_back(in_seconds(*record.wait.mean()));
      sojourns.push_back(in_seconds(*record.request.mean()));
    }
  }
  return {estimate(waits), estimate(sojourns)};
}

void expect_mean(const Estimate& found, double expected_seconds) {
  EXPECT_NEAR(found.mean, expected_seconds, 3 * found.standard_error);
  EXPECT_LT(found.standard_error, 0.06 * expected_seconds);  // so that the test can fail
}

class QueueLoad : public testing::TestWithParam<double> {};

TEST_P(QueueLoad, ExponentialWorkOnOneInstanceWaitsAsMM1) {
  const double rho = GetParam();
  const MeanTimes found = run_queue(1, rho, exponential_tokens(kMeanInput), 11);
  expect_mean(found.wait, rho / (1 - rho));
  expect_mean(found.sojourn, 1 / (1 - rho));
}

TEST_P(QueueLoad, ConstantWorkWaitsAsPollaczekKhinchine) {
  const double rho = GetParam();
  const MeanTimes found = run_queue(1, rho, constant_tokens(kMeanInput), 12);
  expect_mean(found.wait, rho / (2 * (1 - rho)));
  expect_mean(found.sojourn, 1 + rho / (2 * (1 - rho)));
}

TEST_P(QueueLoad, LognormalWorkWaitsAsPollaczekKhinchine) {
  const double rho = GetParam();
  const TokenLaw law{TokenLaw::Kind::lognormal, tokens(kMeanInput), 0.7};
  const MeanTimes found = run_queue(1, rho, law, 13);
  expect_mean(found.wait, rho * (1 + 0.49) / (2 * (1 - rho)));
}

TEST_P(QueueLoad, ThreeInstancesBehindOneQueueWaitAsErlangC) {
  const double rho = GetParam();
  const double offered = 3 * rho;
  const double all_busy = offered * offered * offered / 6 / (1 - rho);
  const double waits = all_busy / (1 + offered + offered * offered / 2 + all_busy);
  const MeanTimes found = run_queue(3, rho, exponential_tokens(kMeanInput), 14);
  expect_mean(found.wait, waits / (3 * (1 - rho)));
  expect_mean(found.sojourn, 1 + waits / (3 * (1 - rho)));
}

INSTANTIATE_TEST_SUITE_P(Loads, QueueLoad, testing::Values(0.5, 0.7, 0.9));

// Of M/M/1 the sojourn is exponential, so that quantiles are known too.
TEST(ServiceQueue, QuantilesOfMM1AreThoseOfAnExponential) {
  InstanceModel model = small_model(1);
  model.prefill_rate = tokens_per_second(kMeanInput);
  InferenceService service{aggregated_service(1, model)};
  ServiceFeed feed{RequestStream::of_arrivals(
      poisson_arrivals(0.5, 200000, 5), {exponential_tokens(kMeanInput), constant_tokens(1)})};
  feed.advance(service, at_seconds(1e6));
  ASSERT_EQ(service.counts().completed, 200000);
  EXPECT_NEAR(in_seconds(*service.record().ttft.quantile(0.5)), 2 * std::log(2.0), 0.05);
  EXPECT_NEAR(in_seconds(*service.record().ttft.quantile(0.99)), 2 * std::log(100.0), 0.3);
}

TEST(ServiceQueue, MoreSpeedNeverEndsARequestLater) {
  std::vector<std::int64_t> before;
  for (const double speed : {0.35, 0.5, 0.7, 0.9, 1.0}) {
    InferenceService service{aggregated_service(3, small_model(1))};
    service.set_speed(Pool::aggregated, {speed, speed});
    ServiceFeed feed{RequestStream::of_arrivals(poisson_arrivals(5, 2000, 3),
                                                {exponential_tokens(500), constant_tokens(1)})};
    std::vector<std::int64_t> completed;
    for (int second = 1; second <= 450; ++second) {
      feed.advance(service, at_seconds(second));
      completed.push_back(service.counts().completed);
    }
    for (std::size_t i = 0; i < before.size(); ++i) {
      EXPECT_GE(completed[i], before[i]) << speed << " s " << i + 1;
    }
    before = completed;
  }
}

}  // namespace
}  // namespace perwatt::simulate
