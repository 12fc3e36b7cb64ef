// When requests are meant to be sent: offsets from the start of the load.
//
// A renewal process in operational time with gaps of mean 1, carried to real time by the inverse of
// the ramp's integral (time change; Cinlar, Introduction to Stochastic Processes, 1975, ch. 4.7; no
// thinning, so that a ramp costs no draws and constant arrivals stay regular):
//     u_k = g_1 + ... + g_k,   t_k = L^-1(u_k),   L(t) = integral of rate(s) ds over 0..t.
//   constant   g = 1
//   poisson    g exponential
//   gamma      g = Gamma(shape = burstiness) / burstiness: mean 1, squared coefficient of variation
//              1 / burstiness. 1 is Poisson, infinity constant (the meaning of vLLM's --burstiness)
//   bursts     size requests at once: u_k = size floor((k - 1) / size), so one burst at 0 and, at
//              a steady rate, one each size / rate
// Except for bursts the first request comes after a first gap, so that the k-th of a constant
// process stands at k / rate and counts of a Poisson process are Poisson.
// Ramps of duration T from r0 to r1, r1 afterwards:
//   linear       L(t) = r0 t + (r1 - r0) t^2 / (2 T)
//   exponential  L(t) = r0 T (g^(t/T) - 1) / ln g,   g = r1 / r0
// Every offset is computed from the start: a late send or a rounded gap moves no later one.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string_view>

#include "perwatt/base/units.hpp"

namespace perwatt {

enum class ArrivalPattern {
  constant,
  poisson,
  gamma,
  bursts,
  closed_loop  // no schedule: a request is meant for the moment a slot of the concurrency is free
};

[[nodiscard]] std::string_view to_string(ArrivalPattern pattern);

struct RateRamp {
  enum class Shape { linear, exponential };

  Shape shape = Shape::linear;
  double initial_rate_per_second = 0.0;  // requests/s; exponential: above 0
  Seconds duration;                      // above 0
};

struct ArrivalPlan {
  ArrivalPattern pattern = ArrivalPattern::poisson;
  double rate_per_second = 0.0;  // requests/s, after the ramp; not read for closed_loop
  double burstiness = 1.0;       // gamma only: above 0, may be infinite
  std::int64_t burst_size = 1;   // bursts only
  std::optional<RateRamp> ramp;
  std::optional<std::int64_t> count;  // at most so many requests
  std::optional<Seconds> duration;    // only offsets below it
  std::uint64_t seed = 0;
};

struct Arrival {
  /// Absent for closed_loop.
  std::optional<Seconds> offset;
};

class ArrivalProcess {
 public:
  /// Throws Error (bad input): no positive finite rate, a negative or infinite ramp, burstiness or
  /// burst size that is not positive, neither count nor duration (both may be given; for
  /// closed_loop the client watches the duration itself, as no offset can), ramp of a closed loop.
  explicit ArrivalProcess(const ArrivalPlan& plan);

  /// The next request; offsets never fall. Absent when count or duration is reached.
  [[nodiscard]] std::optional<Arrival> next();

  /// L(at): how many requests are meant for 0..at on average. REQUIRES: no closed loop, at >= 0.
  [[nodiscard]] double expected_count(Seconds at) const;

 private:
  [[nodiscard]] Seconds real_time(double operational) const;

  ArrivalPlan plan_;
  std::mt19937_64 generator_;
  std::int64_t made_ = 0;
  double operational_ = 0.0;  // u of the last request
};

}  // namespace perwatt
