// Requests one by one through one deployment: prefill in chunks between steps of decode, batches in
// flight, memory for caches, pools and the transfer between them. Step times are those of
// StepModel, so means agree with the closed form (model.hpp); percentiles come from the arrivals
// and lengths. Rules and checks: docs/model/serving.md#arrivals.
#pragma once

#include <cstddef>
#include <vector>

#include "perwatt/base/arrivals.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/inference/serving/model.hpp"

namespace perwatt::inference::serving {

/// Lengths of requests about the mean of Setup.
struct LengthLaw {
  enum class Kind { fixed, uniform, lognormal };

  Kind kind = Kind::fixed;
  double spread = 0;  // over the mean; uniform: half the width, at most 1; lognormal: deviation
};

/// Uniform between 0.8 and 1.0 of the nominal length, 0.9 of it on average.
inline constexpr LengthLaw kBenchmarkLengths{LengthLaw::Kind::uniform, 1.0 / 9};

struct Traffic {
  ArrivalPlan arrivals;  // at the deployment; with a count
  int concurrency = 1;   // closed loop only: requests kept in the deployment
  LengthLaw input;
  LengthLaw output;
};

/// Of nearest rank.
struct Quantiles {
  Seconds p50;
  Seconds p90;
  Seconds p99;
};

/// Times of the server itself; what client, network and API add is not in them.
struct TrafficResult {
  Quantiles ttft;
  Quantiles tpot;                  // mean of each request
  Quantiles request;               // from arrival to the last token
  double requests_per_second = 0;  // finished, from the first arrival to the last end
  double mean_sequences = 0;       // decoded at once on an instance while it decodes
  std::size_t peak_sequences = 0;  // decoded at once on an instance, or with a prompt computed
  std::size_t requests = 0;        // finished and counted: of an open loop without the first tenth
};

/// Requests/s of mean length beyond which a queue grows without end. REQUIRES: model.fits().
[[nodiscard]] double sustained_requests_per_second(const Setup& setup, const ServingModel& model);

/// Deterministic. Throws as ArrivalProcess for arrivals that are none.
/// REQUIRES: model.fits(), a count above 0, concurrency above 0 for a closed loop.
[[nodiscard]] TrafficResult simulate_requests(const Setup& setup, const ServingModel& model,
                                              const Traffic& traffic);

}  // namespace perwatt::inference::serving
