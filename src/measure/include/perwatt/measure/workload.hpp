// What is asked of an endpoint: requests with their texts, lengths and, for traces, their times.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/units.hpp"
#include "perwatt/measure/prompt.hpp"
#include "perwatt/measure/request_record.hpp"
#include "perwatt/net/fetch.hpp"

namespace perwatt::measure {

enum class EndpointKind { chat, completions };

/// How requests are put to the server.
struct RequestShape {
  EndpointKind endpoint = EndpointKind::chat;
  std::string api_path = "/v1";  // in front of /chat/completions or /completions
  std::string model;
  bool ignore_eos = true;       // answers reach their length; sent only with a wanted length
  std::string extra_body_json;  // an object merged into every body; empty: none
  PromptScale scale;
};

struct PlannedRequest {
  std::uint64_t session = 0;
  std::uint32_t turn = 0;
  bool wants_text = false;  // the answer is needed: for scoring, or for the next turn
  std::string tenant;
  std::vector<net::Header> headers;
  std::string body;
  std::string expected;    // the right answer of a scored prompt
  std::size_t prompt = 0;  // which of a fixed prompt set
};

/// Thread rule: one thread at a time. The same seed gives the same requests in the same order.
class Workload {
 public:
  virtual ~Workload() = default;

  /// The next session's first request; nothing when the set is used up.
  [[nodiscard]] virtual std::optional<PlannedRequest> next() = 0;

  /// The next turn of a session after `record`, due `delay()` after its end; nothing when the
  /// session is over or its last turn failed.
  [[nodiscard]] virtual std::optional<PlannedRequest> follow_up(const RequestRecord& record);

  [[nodiscard]] virtual Seconds delay() const { return {}; }

  /// Requests of a finite set; nothing when it never ends.
  [[nodiscard]] virtual std::optional<std::size_t> size() const { return std::nullopt; }

  /// Traces: when the request that next() gives is due, since the start of the load.
  [[nodiscard]] virtual std::optional<Seconds> next_offset() const { return std::nullopt; }
};

/// Lengths in tokens: `mean`, spread by a normal law of `stddev` cut at 1, or uniform between the
/// two ratios of the mean.
struct LengthLaw {
  std::int64_t mean = 0;
  double stddev = 0.0;
  double low_ratio = 1.0;
  double high_ratio = 1.0;
};

struct SyntheticSpec {
  LengthLaw input;
  std::optional<LengthLaw> output;  // absent: as long as the model answers
  int turns = 1;                    // requests of one conversation; each sees the answers before it
  Seconds turn_delay;
  std::vector<std::string> tenants;  // sessions take them in turn; empty: none
  std::uint64_t seed = 0;
  std::uint64_t first_serial = 0;  // of prompts, so that runs after one another share no prompt
};

[[nodiscard]] std::unique_ptr<Workload> synthetic_workload(const RequestShape& shape,
                                                           const SyntheticSpec& spec);

/// A JSON Lines file of prompts: {"prompt": …} or {"messages": […]}, with optional output_tokens,
/// tenant and expected. Repeats from the top when `repeat` is set. Throws Error(bad_input) with the
/// line. `output` stands for lines without output_tokens.
[[nodiscard]] std::unique_ptr<Workload> prompt_file_workload(const RequestShape& shape,
                                                             const std::filesystem::path& file,
                                                             const std::optional<LengthLaw>& output,
                                                             bool repeat);

/// A trace of arrivals: CSV of the Azure LLM inference traces (TIMESTAMP, ContextTokens,
/// GeneratedTokens) or Mooncake JSON Lines (timestamp in ms, input_length, output_length, hash_ids:
/// blocks of 512 tokens; equal ids give equal text, so that prefix caches see what the trace saw).
/// Times are divided by `speed_ratio`. Throws Error(bad_input) with the line.
[[nodiscard]] std::unique_ptr<Workload> trace_workload(const RequestShape& shape,
                                                       const std::filesystem::path& file,
                                                       double speed_ratio, std::uint64_t seed);

/// The body of one request: what all workloads send. `messages_json` is a JSON array for chat, a
/// JSON string for completions.
[[nodiscard]] std::string request_body(const RequestShape& shape, std::string_view prompt_json,
                                       const std::optional<std::int64_t>& output_tokens);

/// `text` as a prompt in JSON: a chat of one user message, or the string itself.
[[nodiscard]] std::string prompt_json(EndpointKind endpoint, std::string_view text);

}  // namespace perwatt::measure
