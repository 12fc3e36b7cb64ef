// The same service as masses that flow: constant work per step, whatever the load and the size.
//
// State: requests that wait for a prefill (Q), that wait for a decode instance (Qd, pools only),
// that decode (n). In a step of length T with N instances, at the present speeds,
//   s = mean input / prefill_rate              seconds of a prefill
//   d(b) = step_base + b step_per_sequence     seconds of a decode step
//   X = min(Q + arrivals, N T / s, room)       requests prefilled; p = X s / (N T), share of time
//   b = n / N + p (1 - 1 / N)                  sequences of an instance while it decodes
//   mu = (1 - p) b N / n / (d(b) (mean output - 1))   rate at which a sequence ends; p = 0 in pools
//   n' = n exp(-mu T) + X (1 - exp(-mu T)) / (mu T)
// room is what keeps n' at N most_sequences. A steady state is that of the mean field: X leaves
// as it comes, by Little's law n = rate mu^-1. b is above the mean since a prompt goes to an
// instance with one sequence less than the mean (the shortest queue of many, where a departure
// makes the place for the next arrival): its pauses hit fewer sequences. Mean times add what
// randomness does: an arrival waits half a step for the one under way, and for a free instance by
// Sakasegawa's approximation of G/G/N (Ann. Inst. Statist. Math. 29, 1977)
//   W = (ca^2 + cs^2) / 2 * h rho^(sqrt(2 (N + 1)) - 1) / (N (1 - rho))
// with h the time an arrival holds an instance and rho = X h / (N T), at most 0.98; waiting mass Q
// comes on top.
// The share of instances that decode is E[min(K, N)] / N of a number K that is normal with mean and
// variance n (of Poisson arrivals to the shortest queue), which counts only where b is near 1 or
// below. Holds: N of 8 or more, Poisson arrivals, and rates that change slowly against a request's
// time (lives in the mass are exponential). With N of 4 mean times are up to 1 % short, with N of 1
// up to 5 %, and its TTFT by half near capacity; with b below 3 watts are up to 3 % off. Compared
// with the request level: test/service_fluid_test.cpp; bench/service_bench.cpp prints the
// differences. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "perwatt/base/units.hpp"
#include "perwatt/simulate/request_stream.hpp"
#include "perwatt/simulate/service_setup.hpp"

namespace perwatt::simulate {

/// Counts of requests are masses: they need not be whole. Mean times are those of arrivals at the
/// step's end.
struct FluidStep {
  double arrived_requests = 0.0;
  double completed_requests = 0.0;
  double queued_requests = 0.0;      // at the end, for a prefill or a decode instance
  double decoding_requests = 0.0;    // at the end
  Tokens input_tokens;               // prefilled
  Tokens output_tokens;              // produced
  std::optional<Seconds> ttft;       // absent when nothing moves
  std::optional<Seconds> tpot;       // over tokens; absent too where no request has two of them
  std::optional<Seconds> request;    // from arrival to the last token
  std::array<PoolUse, kPools> uses;  // by Pool; watts under a cap: PoolUse::energy
  Joules energy;                     // of all GPUs, without caps
};

class FluidService {
 public:
  /// Empty, at full speed. `arrival_squared_variation` is that of the gaps: 1 for Poisson. Throws
  /// Error(bad_input) as ServiceSetup::check() and TokenLaws::check(), or for a negative or
  /// infinite variation.
  FluidService(const ServiceSetup& setup, const TokenLaws& laws,
               double arrival_squared_variation = 1.0);

  /// From the next step on. Throws Error (internal) unless both speeds are in (0, 1].
  void set_speed(Pool pool, PhaseSpeed speed);

  /// Active instances from the next step on; sequences of those that went move to the rest, as a
  /// drain without loss. Throws Error (internal) for a negative number or a pool it does not have.
  void set_instances(Pool pool, int instances);

  /// The next `length` at a steady rate. REQUIRES: length > 0, rate >= 0.
  FluidStep step(Seconds length, double rate_per_second);

  /// What all GPUs of the pool drew on average in the last step, without caps; idle before.
  [[nodiscard]] Watts demand(Pool pool) const;

  [[nodiscard]] int instances(Pool pool) const;

 private:
  struct PoolState {
    PhaseSpeed speed;
    int instances = 0;
    Watts demand;
  };

  struct Flow;

  [[nodiscard]] PoolState& state(Pool pool);
  [[nodiscard]] Flow prefill(Pool pool, double length_seconds, double arrived);
  void decode(Pool pool, double length_seconds, Flow& flow);
  [[nodiscard]] double random_wait_seconds(const Flow& flow, double instances,
                                           double length_seconds) const;
  [[nodiscard]] double batch(Pool pool, double prefill_ratio) const;
  [[nodiscard]] double step_seconds(Pool pool, double sequences) const;
  [[nodiscard]] double end_rate_per_second(Pool pool, double prefill_ratio) const;
  [[nodiscard]] PoolUse use(Pool pool, double length_seconds, double prefill_ratio,
                            double sequences) const;
  void tell_uses(double length_seconds, const Flow& flow, FluidStep& out);
  void tell_times(Pool decoding, double length_seconds, const Flow& flow, FluidStep& out) const;

  ServiceSetup setup_;
  double mean_input_ = 0.0;  // tokens
  double mean_steps_ = 0.0;  // decode steps of a request
  double input_variation_ = 0.0;
  double arrival_variation_ = 1.0;
  std::array<PoolState, kPools> pools_;
  double queued_ = 0.0;
  double handed_over_ = 0.0;  // wait for a decode instance
  double decoding_ = 0.0;
};

}  // namespace perwatt::simulate
