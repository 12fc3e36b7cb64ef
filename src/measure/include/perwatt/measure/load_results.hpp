// From what a load runner saw to the load side of a Measurement.
#pragma once

#include <span>

#include "perwatt/measure/load_runner.hpp"
#include "perwatt/measure/measurement.hpp"

namespace perwatt::measure {

/// When a run's client, not its server, was measured.
struct ClientBounds {
  Seconds lag_p99 = seconds(0.005);
  Seconds schedule_error_p99 = seconds(0.005);
};

/// Fills the load side: counts, tokens, rates, latencies, goodput, client health, `valid` and its
/// reasons. Requests are those intended inside the window, whatever became of them; output tokens
/// are those that arrived inside it. Uses slo, osl_tokens and concurrency of `measurement`.
void add_load_results(const LoadRun& run, const ClientBounds& bounds, Measurement& measurement);

/// Output tokens that arrived in each second of the window: content chunks times tokens per chunk.
[[nodiscard]] std::vector<Tokens> output_tokens_per_second(const LoadRun& run);

/// True when the request met every limit of the SLO. A limit on what is unknown is not met.
[[nodiscard]] bool is_good(const RequestRecord& record, const Slo& slo);

/// Output tokens of one request that arrived inside the window.
[[nodiscard]] Tokens output_in_window(const RequestRecord& record);

}  // namespace perwatt::measure
