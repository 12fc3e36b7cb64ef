// A large service: masses for the whole, a few of its instances request by request for percentiles.
//
// The sample is a service of its own with the same load per instance: Poisson arrivals at the
// site's rate times sample instances over active ones, the same lengths, the same speeds. Fewer
// instances behind one queue wait longer than many: where waiting counts, its percentiles are above
// the site's. Work per step is that of the sample. Not thread-safe.
#pragma once

#include <cstdint>
#include <random>

#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/simulate/fluid_service.hpp"
#include "perwatt/simulate/latency_record.hpp"
#include "perwatt/simulate/request_stream.hpp"
#include "perwatt/simulate/service.hpp"
#include "perwatt/simulate/service_setup.hpp"

namespace perwatt::simulate {

class ServiceTwin {
 public:
  /// The sample has `sample_ratio` of the instances of each pool. Throws Error(bad_input) as
  /// ServiceSetup::check(), or unless that is a whole number of 1 or more for each pool.
  ServiceTwin(const ServiceSetup& setup, const TokenLaws& laws, double sample_ratio,
              std::uint64_t seed);

  /// As FluidService; the sample keeps its number of instances, and its load follows that of the
  /// pool that prefills.
  void set_speed(Pool pool, PhaseSpeed speed);
  void set_instances(Pool pool, int instances);

  /// The next `length` at a steady rate, of both. REQUIRES: length > 0, rate >= 0.
  FluidStep step(Seconds length, double rate_per_second);

  [[nodiscard]] const FluidService& fluid() const { return fluid_; }

  [[nodiscard]] const InferenceService& sample() const { return sample_; }

  /// Of the sample, since the last call.
  [[nodiscard]] LatencyRecord take_sample_record() { return sample_.take_record(); }

 private:
  void offer_arrivals(Instant start, Seconds length, double rate_per_second);

  Pool first_;  // the pool that prefills
  TokenLaws laws_;
  FluidService fluid_;
  InferenceService sample_;
  double sample_instances_;
  std::mt19937_64 gaps_;
  std::mt19937_64 lengths_;
  double next_ = 0.0;  // operational time to the next arrival
};

}  // namespace perwatt::simulate
