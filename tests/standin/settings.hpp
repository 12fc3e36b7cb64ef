// What a stand-in does: token timing, the shape of its bytes, and its faults; all read from JSON,
// whether it comes from a flag, the control endpoint or a request.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace standin {

/// Uniform in [0, 1) from a counter: the same for the same inputs.
[[nodiscard]] double uniform(std::uint64_t seed, std::uint64_t index, std::uint64_t draw);

struct Timing {
  double ttft_seconds = 0.05;              // before the first token, once a slot is free
  double prefill_seconds_per_token = 0.0;  // for each input token that no cache holds
  double itl_seconds = 0.02;               // between tokens: itl + batch x running requests
  double itl_seconds_per_request = 0.0;    //
  int tokens_per_chunk = 1;       // all tokens of a chunk take their time, then come as one
  double jitter_ratio = 0.0;      // each time is multiplied by uniform(1 - r, 1 + r)
  double stop_probability = 0.0;  // of an early end per token, unless ignore_eos
};

enum class Style { vllm, llama, sglang, tgi };

struct Wire {
  Style style = Style::vllm;
  bool crlf = false;          // lines of the event stream end in CRLF
  bool data_blank = true;     // "data: {" and not "data:{"
  bool role_first = true;     // a delta with the role alone comes first
  bool role_early = true;     // … as soon as a slot is free, before the prefill
  bool null_content = false;  // … and says "content":null; llama always does
  int comment_every = 0;      // a comment line before each n-th event
  int reasoning_tokens = 0;   // the first ones are reasoning
  std::string reasoning_field = "reasoning_content";  // or "reasoning"
  bool usage_always = false;                          // a usage chunk also where none was asked for
  bool done = true;                                   // data: [DONE] at the end
  bool stamp = false;  // each chunk carries "standin_sent": CLOCK_MONOTONIC seconds
};

enum class FaultKind {
  none,
  stall_head,       // seconds (0: for ever) before the head
  slow_head,        // the head comes a byte each `seconds`
  stall,            // after_tokens, for seconds (0: for ever)
  reset,            // TCP reset after after_tokens
  close,            // connection closed after after_tokens: no last chunk, no [DONE]
  no_done,          // the body ends whole, without finish, usage and [DONE]
  truncated_chunk,  // after after_tokens: half of a chunk, then closed
  bad_chunk_size,   // after after_tokens: a chunk-size line that is no number
  malformed_sse,    // after after_tokens: a line that is no field of an event
  malformed_json,   // after after_tokens: an event whose JSON is broken
  error_event,      // after after_tokens: an error object, then the end
  status,           // status, retry_after_seconds
  exceed_context,   // 400, as llama-server says it
  split,            // HTTP chunks of `bytes` bytes, each written alone
  drip,             // `bytes` bytes of the raw answer each `seconds`
  coalesce,         // as many events as tokens in one HTTP chunk
  huge_event,       // after after_tokens: an event with `bytes` bytes more
  empty_content,    // every delta has content ""
  no_usage,         // although asked for
  wrong_usage       // completion_tokens are `tokens` more than were sent
};

struct Fault {
  FaultKind kind = FaultKind::none;
  double share = 1.0;      // of the requests
  std::int64_t most = -1;  // requests it hits at most; -1: any number
  int after_tokens = 3;
  double seconds = 0.0;
  int bytes = 1;
  int tokens = 7;
  int status = 500;
  double retry_after_seconds = -1.0;  // negative: no such header
};

struct Limits {
  int slots = 0;               // requests served at once; 0: any number
  int context_tokens = 0;      // 0: no limit
  bool strict_model = false;   // other models than the served one are refused
  double correct_share = 1.0;  // of the answers to prompts that hold "answer=WORD"
};

/// What applies to one request.
struct Settings {
  Timing timing;
  Wire wire;
  Limits limits;
  std::vector<Fault> faults;  // the first one that hits a request applies
};

/// Overwrites what `json` names: timing, wire, limits, faults. Throws std::invalid_argument for a
/// name or value it does not know.
void apply_json(const nlohmann::json& json, Settings& settings);

/// Takes known keys from an object; complains about the others. One place reads all settings.
class Keys {
 public:
  Keys(const nlohmann::json& object, std::string where);

  template <typename Value>
  void take(const char* name, Value& target);

  /// Throws std::invalid_argument when a key was not taken.
  void finish() const;

 private:
  [[nodiscard]] const nlohmann::json* find(const char* name);

  const nlohmann::json& object_;
  std::string where_;
  std::size_t taken_ = 0;
};

}  // namespace standin
