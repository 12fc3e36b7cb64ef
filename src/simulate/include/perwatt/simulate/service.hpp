// An inference service, request by request, under speeds that change while it runs.
//
// One FIFO queue feeds the instance with the fewest sequences that can take a request; the queue
// waits where none can. Decode pools have a second FIFO queue behind the prefill pool.
//   aggregated  prefill first: a waiting prompt starts when the step under way ends, and no step
//   runs
//               until it is done (the default of vLLM's first engine, without chunked prefill: "By
//               default, vLLM scheduler prioritizes prefills", github.com/vllm-project/vllm, pull
//               request 7874)
//   pools       the first token is the prefill pool's; the transfer of the cache takes no time, and
//               the sequence joins at the end of the step under way (Splitwise, ISCA 2024)
// A request decodes output_tokens - 1 steps after its prefill. A new speed holds at once for the
// work left. Simulated time is in whole nanoseconds; ends are rounded up to one. States between
// calls do not depend on how often advance_to() is called. Equal calls give equal results. Not
// thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/simulate/latency_record.hpp"
#include "perwatt/simulate/request_stream.hpp"
#include "perwatt/simulate/service_setup.hpp"

namespace perwatt::simulate {

enum class InstanceState {
  active,
  paused,    // keeps what it has, frozen
  draining,  // takes nothing more; off when done
  off        // drained or failed: draws no watts
};

/// arrived = queued + in_flight + completed at every moment.
struct RequestCounts {
  std::int64_t arrived = 0;
  std::int64_t queued = 0;
  std::int64_t in_flight = 0;  // with an instance, or between prefill and decode
  std::int64_t completed = 0;
};

class InferenceService {
 public:
  /// Starts at time 0, at full speed. Throws Error(bad_input) as ServiceSetup::check().
  explicit InferenceService(const ServiceSetup& setup);
  ~InferenceService();
  InferenceService(InferenceService&&) noexcept;
  InferenceService& operator=(InferenceService&&) noexcept;

  /// A request that will arrive. REQUIRES: its arrival is not before now() nor before that of the
  /// last one offered; tokens of at least 1. Throws Error (internal) otherwise.
  void offer(const Request& request);

  /// Does what happens up to and at `time`. Throws Error (internal) if it lies before now().
  void advance_to(Instant time);

  [[nodiscard]] Instant now() const;

  /// From now on, of the instances that the pool has now, or of one. Throws Error (internal) unless
  /// both speeds are in (0, 1].
  void set_speed(Pool pool, PhaseSpeed speed);
  void set_speed(std::size_t instance, PhaseSpeed speed);

  // Instances are numbered through all pools: aggregated ones from 0, or prefill before decode,
  // then added ones. Calls that do not fit the state of an instance do nothing. Throw Error
  // (internal) for a number that is none.

  /// An active instance more, at full speed; its number. REQUIRES: the setup has the pool.
  std::size_t add_instance(Pool pool);

  void drain(std::size_t instance);
  void pause(std::size_t instance);

  /// Active again, from paused, draining or off.
  void resume(std::size_t instance);

  /// Off at once. Its requests go back to the queue, in order of arrival, and start over.
  void fail(std::size_t instance);

  [[nodiscard]] InstanceState state(std::size_t instance) const;
  [[nodiscard]] Pool pool_of(std::size_t instance) const;
  [[nodiscard]] std::size_t instances() const;

  /// Decoding now, the one that is prefilled and those assigned included.
  [[nodiscard]] std::size_t sequences(std::size_t instance) const;

  /// What each GPU of the instance would draw now without a cap.
  [[nodiscard]] Watts gpu_demand(std::size_t instance) const;

  /// What all GPUs of the pool would draw now without caps.
  [[nodiscard]] Watts demand(Pool pool) const;

  [[nodiscard]] RequestCounts counts() const;

  /// Since the last take_record().
  [[nodiscard]] const LatencyRecord& record() const;
  [[nodiscard]] LatencyRecord take_record();

  /// Since the last take_use() of the pool.
  [[nodiscard]] PoolUse take_use(Pool pool);

  /// Likewise of one instance; what is taken here is in the pool's use too.
  [[nodiscard]] PoolUse take_use(std::size_t instance);

 private:
  class Engine;
  std::unique_ptr<Engine> engine_;
};

/// Hands a service the requests of a stream as time goes on.
class ServiceFeed {
 public:
  explicit ServiceFeed(RequestStream stream);

  /// Offers what arrives up to `time`, then advances the service to it.
  void advance(InferenceService& service, Instant time);

  /// Nothing more will come.
  [[nodiscard]] bool is_done() const { return !next_; }

 private:
  RequestStream stream_;
  std::optional<Request> next_;
};

}  // namespace perwatt::simulate
