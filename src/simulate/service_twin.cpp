#include "perwatt/simulate/service_twin.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "perwatt/base/error.hpp"
#include "perwatt/base/random.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::simulate {

namespace {

std::optional<PoolSetup> sampled_pool(std::optional<PoolSetup> pool, double sample_ratio) {
  if (!pool) {
    return pool;
  }
  constexpr double kRounding = 1e-9;
  const double wanted = pool->instances * sample_ratio;
  const double whole = std::round(wanted);
  if (!(sample_ratio > 0 && sample_ratio <= 1) || whole < 1 ||
      std::abs(wanted - whole) > kRounding * whole) {
    throw_bad_input("a sample of " + shortest(sample_ratio) + " of " +
                        std::to_string(pool->instances) + " instances",
                    "", "give a ratio that leaves a whole number of each pool, 1 or more");
  }
  pool->instances = static_cast<int>(whole);
  return pool;
}

ServiceSetup sampled_setup(const ServiceSetup& setup, double sample_ratio) {
  setup.check();
  ServiceSetup sample = setup;
  sample.aggregated = sampled_pool(setup.aggregated, sample_ratio);
  sample.prefill = sampled_pool(setup.prefill, sample_ratio);
  sample.decode = sampled_pool(setup.decode, sample_ratio);
  return sample;
}

}  // namespace

ServiceTwin::ServiceTwin(const ServiceSetup& setup, const TokenLaws& laws, double sample_ratio,
                         std::uint64_t seed)
    : first_{setup.has(Pool::aggregated) ? Pool::aggregated : Pool::prefill},
      laws_{laws},
      fluid_{setup, laws},
      sample_{sampled_setup(setup, sample_ratio)},
      sample_instances_{std::round(setup.pool(first_).instances * sample_ratio)},
      gaps_{seed},
      lengths_{seed + 1},
      next_{unit_exponential(gaps_)} {}

void ServiceTwin::set_speed(Pool pool, PhaseSpeed speed) {
  fluid_.set_speed(pool, speed);
  sample_.set_speed(pool, speed);
}

void ServiceTwin::set_instances(Pool pool, int instances) {
  fluid_.set_instances(pool, instances);
}

void ServiceTwin::offer_arrivals(Instant start, Seconds length, double rate_per_second) {
  const double expected = rate_per_second * in_seconds(length);
  const Instant end = start + length;
  while (next_ < expected) {
    const Instant arrival = std::min(end, start + seconds(next_ / rate_per_second));
    const std::int64_t input = draw_tokens(laws_.input, lengths_);
    sample_.offer({arrival, input, draw_tokens(laws_.output, lengths_)});
    next_ += unit_exponential(gaps_);
  }
  next_ -= expected;
}

FluidStep ServiceTwin::step(Seconds length, double rate_per_second) {
  const Instant start = sample_.now();
  const int active = fluid_.instances(first_);
  if (active > 0) {
    offer_arrivals(start, length, rate_per_second * sample_instances_ / active);
  }
  sample_.advance_to(start + length);
  return fluid_.step(length, rate_per_second);
}

}  // namespace perwatt::simulate
