// One chunk of a streamed answer of the OpenAI-compatible API: what of it is content, usage, an end
// or an error. Servers differ in what they send beside content (roles, nulls, empty deltas, usage
// in a chunk without choices); only text that a user would see counts as content.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace perwatt::measure {

struct Usage {
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
  std::optional<std::int64_t> cached_input_tokens;
};

struct ChatChunk {
  enum class Kind {
    data,       // a chunk of the answer, whatever it holds
    done,       // "[DONE]"
    error,      // an error object of the server
    malformed,  // not JSON, or not of this API
  };

  Kind kind = Kind::data;
  std::string_view
      answer;  // content of choice 0: delta.content, text, refusal, tool call arguments
  std::string_view reasoning;  // delta.reasoning_content or delta.reasoning
  std::optional<Usage> usage;
  std::string_view finish_reason;
  std::string message;  // of an error, or what is malformed

  [[nodiscard]] bool has_content() const { return !answer.empty() || !reasoning.empty(); }
};

/// Thread rule: one thread at a time. Holds buffers, so that parsing does not allocate.
class ChatChunkParser {
 public:
  ChatChunkParser();
  ~ChatChunkParser();
  ChatChunkParser(ChatChunkParser&&) noexcept;
  ChatChunkParser& operator=(ChatChunkParser&&) noexcept;

  /// The chunk in `data`, one event's data. Views in the answer live until the next call.
  /// REQUIRES: net::kReadablePadding readable bytes behind `data`.
  [[nodiscard]] ChatChunk parse(std::string_view data);

 private:
  struct Buffers;
  std::unique_ptr<Buffers> buffers_;
};

/// What an answer with an error status says, on one line: its error message where the body has the
/// API's error object, else its first bytes.
[[nodiscard]] std::string error_message_of(std::string_view body);

}  // namespace perwatt::measure
