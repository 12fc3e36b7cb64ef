// Service level objectives as users write them.
#pragma once

#include <string>
#include <string_view>

#include "perwatt/measure/measurement.hpp"

namespace perwatt::measure {

/// "ttft:200ms tpot:50ms": limits with units, blanks or commas between. Names: ttft, tpot, itl, e2e
/// and what vLLM and AIPerf call them (e2el, time_to_first_token, inter_token_latency,
/// inter_chunk_latency, request_latency). Throws Error(usage) naming `where` for another name, a
/// bare number, a limit of 0 or a repeated name.
[[nodiscard]] Slo parse_slo(std::string_view text, std::string_view where);

/// "ttft 0.2 s, tpot 0.05 s"; empty without limits.
[[nodiscard]] std::string to_string(const Slo& slo);

}  // namespace perwatt::measure
