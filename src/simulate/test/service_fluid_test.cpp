// The fluid against the request level: several seeds, means with their confidence limits.
#include <algorithm>
#include <tuple>

#include "service_support.hpp"
#include <gtest/gtest.h>

#include "perwatt/base/error.hpp"
#include "perwatt/simulate/fluid_service.hpp"
#include "perwatt/simulate/service_twin.hpp"

namespace perwatt::simulate {
namespace {

constexpr double kWarmUpSeconds = 60;
constexpr double kRequests = 60000;  // of a run, after that
constexpr int kSeeds = 8;
constexpr double kStudent = 2.365;  // 97.5 % of seven degrees of freedom
constexpr double kAgreement = 0.02;

/// 20,000 tok/s of prefill; steps of 8 to 14.4 ms.
InstanceModel large_model() {
  InstanceModel model;
  model.gpus = 4;
  model.prefill_rate = tokens_per_second(20000);
  model.step_base = seconds(0.008);
  model.step_per_sequence = seconds(0.0001);
  model.most_sequences = 64;
  model.power = {watts(120), watts(900), watts(320), watts(4), 64};
  return model;
}

TokenLaws lengths() {
  return {{TokenLaw::Kind::lognormal, tokens(1000), 0.5}, exponential_tokens(200)};
}

/// Requests/s of one aggregated instance that never waits and always has a full batch; in pools of
/// one prefill to two decode instances, of the prefill one.
double capacity_per_second(bool has_pools) {
  const double prefill = 1000.0 / 20000;
  const double decode = (in_tokens(lengths().output.mean()) - 1) * (0.008 + 0.0064) / 64;
  return has_pools ? std::min(1 / prefill, 2 / decode) : 1 / (prefill + decode);
}

ServiceSetup large_service(bool has_pools, int instances) {
  return has_pools ? pooled_service(instances, 2 * instances, large_model())
                   : aggregated_service(instances, large_model());
}

struct Means {
  double output_tokens = 0;  // per second
  double request_seconds = 0;
  double ttft_seconds = 0;
  double watts = 0;
};

Joules take_energy(InferenceService& service, const ServiceSetup& setup) {
  Joules sum;
  for (const Pool pool : {Pool::aggregated, Pool::prefill, Pool::decode}) {
    if (setup.has(pool)) {
      sum += service.take_use(pool).energy(setup.pool(pool).model, std::nullopt);
    }
  }
  return sum;
}

Means by_request(const ServiceSetup& setup, double rate, PhaseSpeed speed, std::uint64_t seed) {
  InferenceService service{setup};
  for (const Pool pool : {Pool::aggregated, Pool::prefill, Pool::decode}) {
    service.set_speed(pool, speed);
  }
  ServiceFeed feed{RequestStream::of_arrivals(poisson_arrivals(rate, 10'000'000, seed), lengths())};
  feed.advance(service, at_seconds(kWarmUpSeconds));
  static_cast<void>(service.take_record());
  static_cast<void>(take_energy(service, setup));
  const double run_seconds = kRequests / rate;
  feed.advance(service, at_seconds(kWarmUpSeconds + run_seconds));
  const LatencyRecord record = service.take_record();
  return {static_cast<double>(record.output_tokens) / run_seconds,
          in_seconds(*record.request.mean()), in_seconds(*record.ttft.mean()),
          in_watts(take_energy(service, setup) / seconds(run_seconds))};
}

Means by_fluid(const ServiceSetup& setup, double rate, PhaseSpeed speed) {
  FluidService service{setup, lengths()};
  for (const Pool pool : {Pool::aggregated, Pool::prefill, Pool::decode}) {
    service.set_speed(pool, speed);
  }
  FluidStep step;
  for (int i = 0; i < 300; ++i) {
    step = service.step(seconds(1), rate);
  }
  return {in_tokens(step.output_tokens), in_seconds(*step.request), in_seconds(*step.ttft),
          in_watts(step.energy / seconds(1))};
}

/// The whole confidence interval of the request level lies within the agreement.
void expect_agreement(const std::vector<double>& samples, double fluid, const char* what) {
  const Estimate found = estimate(samples);
  const double half_width = kStudent * found.standard_error;
  EXPECT_LT(std::abs(fluid - found.mean) + half_width, kAgreement * found.mean)
      << what << ": " << fluid << " against " << found.mean << " +- " << half_width;
}

class FluidAgreement : public testing::TestWithParam<std::tuple<bool, double>> {};

TEST_P(FluidAgreement, MeansAreThoseOfTheRequestLevel) {
  const bool has_pools = std::get<0>(GetParam());
  const double load = std::get<1>(GetParam());
  const PhaseSpeed speed{0.8, 0.9};
  constexpr int kInstances = 16;
  const ServiceSetup setup = large_service(has_pools, kInstances);
  const double rate = kInstances * load * capacity_per_second(has_pools) * 0.8;
  std::vector<double> tokens_out;
  std::vector<double> latency;
  std::vector<double> power;
  double ttft = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Means means = by_request(setup, rate, speed, 100 * seed);
    tokens_out.push_back(means.output_tokens);
    latency.push_back(means.request_seconds);
    power.push_back(means.watts);
    ttft += means.ttft_seconds / kSeeds;
  }
  const Means fluid = by_fluid(setup, rate, speed);
  expect_agreement(tokens_out, fluid.output_tokens, "tokens/s");
  expect_agreement(latency, fluid.request_seconds, "request s");
  expect_agreement(power, fluid.watts, "watts");
  EXPECT_NEAR(fluid.ttft_seconds, ttft, 0.1 * ttft);
}

INSTANTIATE_TEST_SUITE_P(Loads, FluidAgreement,
                         testing::Combine(testing::Bool(),
                                          testing::Values(0.3, 0.5, 0.7, 0.8, 0.9)));

// Instances that mostly idle: the share that decodes counts.
TEST(ServiceFluid, WattsHoldWhereFewSequencesRun) {
  for (const double load : {0.02, 0.05, 0.1}) {
    const ServiceSetup setup = large_service(false, 8);
    const double rate = 8 * load * capacity_per_second(false);
    const Means request = by_request(setup, rate, {}, 5);
    const Means fluid = by_fluid(setup, rate, {});
    EXPECT_NEAR(fluid.watts, request.watts, 0.035 * request.watts) << load;
    EXPECT_NEAR(fluid.request_seconds, request.request_seconds, 0.02 * request.request_seconds)
        << load;
  }
}

class FluidShape : public testing::TestWithParam<bool> {
 protected:
  static ServiceSetup setup() { return large_service(GetParam(), 16); }
};

TEST_P(FluidShape, MassIsConserved) {
  FluidService service{setup(), lengths()};
  double arrived = 0;
  double completed = 0;
  double input = 0;
  double output = 0;
  FluidStep step;
  for (int i = 0; i < 900; ++i) {
    if (i % 50 == 0) {
      service.set_speed(GetParam() ? Pool::decode : Pool::aggregated,
                        {1, std::min(1.0, 0.3 + 0.001 * i)});
    }
    step = service.step(seconds(0.5), i < 400 ? (GetParam() ? 260.0 : 110.0) : 0.0);
    arrived += step.arrived_requests;
    completed += step.completed_requests;
    input += in_tokens(step.input_tokens);
    output += in_tokens(step.output_tokens);
    EXPECT_NEAR(arrived, completed + step.queued_requests + step.decoding_requests, 1e-6);
  }
  EXPECT_NEAR(completed, arrived, 1e-3 * arrived);
  EXPECT_NEAR(input, completed * 1000, 2e-3 * input);
  EXPECT_NEAR(output, completed * in_tokens(lengths().output.mean()), 2e-3 * output);
}

// More comes than the service takes: throughput is the capacity, and the rest queues.
TEST_P(FluidShape, OverloadQueuesWhatTheRequestLevelQueues) {
  const double rate = 16 * 1.5 * capacity_per_second(GetParam());
  FluidService fluid{setup(), lengths()};
  InferenceService service{setup()};
  ServiceFeed feed{RequestStream::of_arrivals(poisson_arrivals(rate, 10'000'000, 3), lengths())};
  FluidStep step;
  double output = 0;
  for (int i = 1; i <= 120; ++i) {
    step = fluid.step(seconds(1), rate);
    output += in_tokens(step.output_tokens);
    feed.advance(service, at_seconds(i));
    EXPECT_LT(step.decoding_requests, 16 * 64 * (GetParam() ? 2 : 1) * 1.02);
  }
  const LatencyRecord record = service.take_record();
  EXPECT_NEAR(output, static_cast<double>(record.output_tokens), 0.03 * output);
  const RequestCounts counts = service.counts();
  std::int64_t held = 0;
  for (std::size_t i = 0; i < service.instances(); ++i) {
    held += static_cast<std::int64_t>(service.sequences(i));
  }
  const auto waiting = static_cast<double>(counts.queued + counts.in_flight - held);
  EXPECT_NEAR(step.queued_requests, waiting, 0.05 * waiting);
}

// Prefills pass, and the decode pool takes half of what they hand over: who comes now waits for all
// that were handed over before.
TEST(ServiceFluid, ADecodePoolThatIsFullMakesRequestsWait) {
  ServiceSetup setup = pooled_service(16, 4, large_model());
  const double decode_per_second = 4 * 64 / (0.0144 * (in_tokens(lengths().output.mean()) - 1));
  FluidService service{setup, lengths()};
  FluidStep step;
  for (int i = 0; i < 300; ++i) {
    step = service.step(seconds(1), 2 * decode_per_second);
  }
  EXPECT_NEAR(step.queued_requests, 300 * decode_per_second, 0.05 * step.queued_requests);
  EXPECT_NEAR(in_seconds(*step.request - *step.ttft), step.queued_requests / decode_per_second, 10);
  EXPECT_LT(in_seconds(*step.ttft), 1);
}

// A cap that takes a third of the speed away for a minute, at a load that then queues.
TEST_P(FluidShape, ASlowMinuteCostsTheTokensOfTheRequestLevel) {
  const double rate = 16 * 0.85 * capacity_per_second(GetParam());
  FluidService fluid{setup(), lengths()};
  std::vector<double> fluid_tokens;
  std::vector<std::vector<double>> samples(4);
  const auto speed_at = [](int second) {
    return second > 60 && second <= 120 ? PhaseSpeed{0.65, 0.65} : PhaseSpeed{};
  };
  const std::vector<Pool> pools =
      GetParam() ? std::vector{Pool::prefill, Pool::decode} : std::vector{Pool::aggregated};
  for (std::uint64_t seed = 0; seed <= 6; ++seed) {
    InferenceService service{setup()};
    ServiceFeed feed{
        RequestStream::of_arrivals(poisson_arrivals(rate, 10'000'000, seed), lengths())};
    double output = 0;
    for (int i = 1; i <= 240; ++i) {
      for (const Pool pool : pools) {
        service.set_speed(pool, speed_at(i));
        fluid.set_speed(pool, speed_at(i));
      }
      if (seed == 0) {
        output += in_tokens(fluid.step(seconds(1), rate).output_tokens);
      } else {
        feed.advance(service, at_seconds(i));
        output = static_cast<double>(service.record().output_tokens);
      }
      if (i % 60 == 0 && seed == 0) {
        fluid_tokens.push_back(output);
      } else if (i % 60 == 0) {
        samples[static_cast<std::size_t>(i / 60 - 1)].push_back(output);
      }
    }
  }
  for (std::size_t minute = 1; minute < 4; ++minute) {
    EXPECT_NEAR(fluid_tokens[minute], estimate(samples[minute]).mean, 0.03 * fluid_tokens[minute])
        << minute;
  }
}

TEST_P(FluidShape, WithoutInstancesEverythingWaits) {
  FluidService service{setup(), lengths()};
  for (const Pool pool : {Pool::aggregated, Pool::prefill, Pool::decode}) {
    if (setup().has(pool)) {
      service.set_instances(pool, 0);
    }
  }
  FluidStep step;
  for (int i = 0; i < 10; ++i) {
    step = service.step(seconds(1), 100);
  }
  EXPECT_DOUBLE_EQ(step.queued_requests, 1000);
  EXPECT_EQ(in_tokens(step.output_tokens), 0);
  EXPECT_EQ(step.energy, Joules{});
  EXPECT_FALSE(step.ttft);
}

TEST_P(FluidShape, IdleItDrawsIdleWatts) {
  FluidService service{setup(), lengths()};
  const FluidStep step = service.step(seconds(2), 0);
  EXPECT_DOUBLE_EQ(step.energy.in_base(), 2.0 * 16 * (GetParam() ? 3 : 1) * 4 * 120);
  EXPECT_FALSE(step.request);
}

TEST_P(FluidShape, ASteadyStateDoesNotDependOnTheStep) {
  const double rate = 16 * 0.7 * capacity_per_second(GetParam());
  std::vector<double> request_seconds;
  for (const double length : {0.1, 1.0, 10.0}) {
    FluidService service{setup(), lengths()};
    FluidStep step;
    for (int i = 0; i < 600 / std::min(1.0, length); ++i) {
      step = service.step(seconds(length), rate);
    }
    request_seconds.push_back(in_seconds(*step.request));
    EXPECT_NEAR(step.completed_requests, rate * length, 1e-6 * rate * length);
  }
  EXPECT_NEAR(request_seconds[1], request_seconds[0], 1e-6 * request_seconds[0]);
  EXPECT_NEAR(request_seconds[2], request_seconds[0], 1e-6 * request_seconds[0]);
}

TEST_P(FluidShape, UsesGiveTheDemandAndTheWattsUnderACap) {
  FluidService service{setup(), lengths()};
  FluidStep step;
  for (int i = 0; i < 100; ++i) {
    step = service.step(seconds(2), 100);
  }
  Joules all;
  for (const Pool pool : {Pool::aggregated, Pool::prefill, Pool::decode}) {
    if (!setup().has(pool)) {
      continue;
    }
    const PoolUse& use = step.uses[static_cast<std::size_t>(pool)];
    EXPECT_NEAR(static_cast<double>(use.idle_nanoseconds + use.prefill_nanoseconds +
                                    use.decode_nanoseconds),
                2e9 * service.instances(pool), 3);
    const Joules energy = use.energy(setup().pool(pool).model, std::nullopt);
    EXPECT_DOUBLE_EQ(in_watts(energy / seconds(2)), in_watts(service.demand(pool)));
    EXPECT_LE(use.energy(setup().pool(pool).model, watts(300)),
              watts(300) * seconds(2) * (4.0 * service.instances(pool)));
    all += energy;
  }
  EXPECT_DOUBLE_EQ(all.in_base(), step.energy.in_base());
}

INSTANTIATE_TEST_SUITE_P(Shapes, FluidShape, testing::Bool());

TEST(ServiceFluid, RequestsOfOneTokenAreAQueueOfPrefills) {
  ServiceSetup setup = aggregated_service(8, small_model());
  FluidService service{setup, {constant_tokens(1000), constant_tokens(1)}};
  FluidStep step;
  for (int i = 0; i < 20; ++i) {
    step = service.step(seconds(1), 4);
  }
  EXPECT_DOUBLE_EQ(step.completed_requests, 4);
  EXPECT_FALSE(step.tpot);
  // M/D/8 at half load: hardly any wait above the second of the prefill.
  EXPECT_NEAR(in_seconds(*step.ttft), 1.0, 0.02);
  EXPECT_EQ(step.ttft, step.request);
}

TEST(ServiceTwin, TheSampleCarriesTheLoadOfAnInstance) {
  const ServiceSetup setup = large_service(true, 40);
  const double rate = 40 * 0.6 * capacity_per_second(true);
  ServiceTwin twin{setup, lengths(), 0.05, 7};
  EXPECT_EQ(twin.sample().instances(), 2U + 4U);
  FluidStep step;
  for (int i = 0; i < 60; ++i) {
    step = twin.step(seconds(1), rate);
  }
  static_cast<void>(twin.take_sample_record());
  double output = 0;
  for (int i = 0; i < 900; ++i) {
    step = twin.step(seconds(1), rate);
    output += in_tokens(step.output_tokens);
  }
  const LatencyRecord record = twin.take_sample_record();
  const auto sampled = static_cast<double>(record.output_tokens);
  EXPECT_NEAR(sampled, 0.05 * output, 0.03 * sampled);
  EXPECT_NEAR(in_seconds(*record.tpot.mean()), in_seconds(*step.tpot),
              0.05 * in_seconds(*step.tpot));
  EXPECT_LT(*record.ttft.quantile(0.5), *record.ttft.quantile(0.75));
  EXPECT_LT(*record.ttft.quantile(0.75), *record.ttft.quantile(0.99));
}

TEST(ServiceTwin, SpeedsAndInstancesReachTheSample) {
  ServiceTwin twin{large_service(false, 16), lengths(), 0.125, 1};
  const double rate = 16 * 0.5 * capacity_per_second(false);
  const auto tpot = [&] {
    for (int i = 0; i < 100; ++i) {
      static_cast<void>(twin.step(seconds(1), rate));
    }
    return in_seconds(*twin.take_sample_record().tpot.mean());
  };
  const double at_first = tpot();
  twin.set_speed(Pool::aggregated, {0.8, 0.8});
  const double slow = tpot();
  EXPECT_GT(slow, 1.2 * at_first);
  twin.set_speed(Pool::aggregated, {});
  twin.set_instances(Pool::aggregated, 10);
  EXPECT_GT(tpot(), 1.2 * at_first);
}

TEST(ServiceTwin, ASampleOfPartsOfInstancesIsRefused) {
  EXPECT_THROW(ServiceTwin(large_service(false, 10), lengths(), 0.25, 1), Error);
  EXPECT_THROW(ServiceTwin(large_service(false, 10), lengths(), 0.0, 1), Error);
  EXPECT_THROW(ServiceTwin(large_service(false, 10), lengths(), 2.0, 1), Error);
  EXPECT_THROW(FluidService(large_service(false, 10), {constant_tokens(0), constant_tokens(1)}),
               Error);
  EXPECT_THROW(FluidService(large_service(false, 10), lengths(), -1), Error);
}

TEST(ServiceTwin, IsDeterministic) {
  LatencyRecord records[2];
  for (LatencyRecord& record : records) {
    ServiceTwin twin{large_service(false, 16), lengths(), 0.125, 9};
    for (int i = 0; i < 60; ++i) {
      static_cast<void>(twin.step(seconds(1), 40 + i % 7));
    }
    record = twin.take_sample_record();
  }
  EXPECT_EQ(records[0], records[1]);
  EXPECT_GT(records[0].completed_requests, 100);
}

}  // namespace
}  // namespace perwatt::simulate
