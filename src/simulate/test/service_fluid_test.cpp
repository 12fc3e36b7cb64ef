// The fluid against the request level: several seeds, means with their confidence limits.
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

}  // namespace
}  // namespace perwatt::simulate
