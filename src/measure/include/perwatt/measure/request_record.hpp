// What happened to one request, by the client's clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::measure {

enum class RequestOutcome {
  ok,            // the whole stream arrived, with content
  http_error,    // a status other than 200
  server_error,  // an error object inside the stream
  connect_failed,
  tls_failed,
  truncated,  // the stream ended before it was whole
  malformed,  // bytes that are no HTTP, SSE or JSON of this API
  timed_out,
  cancelled,  // still running when the run ended
  empty       // a whole stream without content
};

[[nodiscard]] std::string_view to_string(RequestOutcome outcome);

/// Where a token count comes from.
enum class TokenSource {
  usage,      // the server's own count
  chunks,     // content chunks counted here: a lower bound where a chunk holds several tokens
  tokenizer,  // another tool's count with its own tokenizer; only in imported results
};

[[nodiscard]] std::string_view to_string(TokenSource source);

struct RequestRecord {
  std::uint64_t index = 0;    // in order of the intended times
  std::uint64_t session = 0;  // conversation; of its own for a single request
  std::uint32_t turn = 0;     // 0, 1, … within the session
  std::string tenant;         // whom its energy is billed to; may be empty

  Instant intended;                      // when the schedule wanted it sent
  std::optional<Instant> sent;           // the kernel took its last byte
  std::optional<Instant> first_content;  // first chunk with content, reasoning included
  std::optional<Instant> first_answer;   // first chunk with content that is not reasoning
  std::optional<Instant> second_content;
  std::optional<Instant> last_content;
  Instant end;                              // the last byte, or when it failed
  Seconds longest_gap;                      // between two content chunks
  std::vector<float> content_gaps_seconds;  // between content chunks; only when asked for

  RequestOutcome outcome = RequestOutcome::cancelled;
  int http_status = 0;  // 0: no answer
  std::string detail;   // why it failed, one line

  std::optional<std::int64_t> input_tokens;  // by usage
  std::optional<std::int64_t> cached_input_tokens;
  std::int64_t output_tokens = 0;  // delivered, also by a request that failed
  std::int64_t content_chunks = 0;
  std::int64_t content_chunks_in_window = 0;
  bool held_back = false;  // a concurrency limit delayed it beyond its intended time
  TokenSource output_source = TokenSource::chunks;
  std::string finish_reason;
  std::size_t prompt = 0;  // which of a fixed prompt set
  std::string expected;    // its right answer
  std::string text;        // the answer, only when asked for (scoring, multi-turn)
};

// Formulas (facts: AIPerf metrics reference; vLLM benchmarks/serve.py). All are absent where an
// instant they need is absent.

/// first_content - sent.
[[nodiscard]] std::optional<Seconds> ttft(const RequestRecord& record);

/// first_content - intended: what a user who came at the intended time waited.
[[nodiscard]] std::optional<Seconds> ttft_from_intended(const RequestRecord& record);

/// first_answer - sent.
[[nodiscard]] std::optional<Seconds> ttfo(const RequestRecord& record);

/// (last_content - first_content) / (output_tokens - 1); absent below two tokens.
[[nodiscard]] std::optional<Seconds> tpot(const RequestRecord& record);

/// last_content - sent.
[[nodiscard]] std::optional<Seconds> e2e(const RequestRecord& record);

/// last_content - intended.
[[nodiscard]] std::optional<Seconds> e2e_from_intended(const RequestRecord& record);

}  // namespace perwatt::measure
