// Small services and runs for the tests of simulate.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "perwatt/simulate/service.hpp"

namespace perwatt::simulate {

inline Instant at_seconds(double s) {
  return Instant{} + seconds(s);
}

inline Request request_at(double arrival_seconds, std::int64_t input, std::int64_t output) {
  return {at_seconds(arrival_seconds), input, output};
}

/// 1,000 tok/s of prefill, steps of 10 ms and 1 ms per sequence.
inline InstanceModel small_model(int most_sequences = 8) {
  InstanceModel model;
  model.gpus = 2;
  model.prefill_rate = tokens_per_second(1000);
  model.step_base = seconds(0.010);
  model.step_per_sequence = seconds(0.001);
  model.most_sequences = most_sequences;
  model.power = {watts(100), watts(600), watts(200), watts(10), 16};
  return model;
}

inline ServiceSetup aggregated_service(int instances, const InstanceModel& model = small_model()) {
  ServiceSetup setup;
  setup.aggregated = PoolSetup{model, instances};
  return setup;
}

inline ServiceSetup pooled_service(int prefill, int decode,
                                   const InstanceModel& model = small_model()) {
  ServiceSetup setup;
  setup.prefill = PoolSetup{model, prefill};
  setup.decode = PoolSetup{model, decode};
  return setup;
}

inline TokenLaw constant_tokens(double count) {
  return {TokenLaw::Kind::constant, tokens(count), 0};
}

inline TokenLaw exponential_tokens(double mean) {
  return {TokenLaw::Kind::exponential, tokens(mean), 0};
}

inline ArrivalPlan poisson_arrivals(double rate_per_second, std::int64_t count,
                                    std::uint64_t seed) {
  ArrivalPlan plan;
  plan.rate_per_second = rate_per_second;
  plan.count = count;
  plan.seed = seed;
  return plan;
}

/// Mean and its standard error over values taken as independent.
struct Estimate {
  double mean = 0;
  double standard_error = 0;
};

inline Estimate estimate(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  double sum = 0;
  for (const double v : values) {
    sum += v;
  }
  const double mean = sum / n;
  double squares = 0;
  for (const double v : values) {
    squares += (v - mean) * (v - mean);
  }
  return {mean, std::sqrt(squares / (n - 1) / n)};
}

}  // namespace perwatt::simulate
