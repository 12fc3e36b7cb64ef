// Chunks of streamed answers: an answer for any bytes, the same however often it is asked for, and
// of whatever a second JSON library accepts the same content, usage and end.
#include "perwatt/measure/chat_chunk.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "fuzz_check.hpp"
#include <nlohmann/json.hpp>

#include "perwatt/net/sse_parser.hpp"

namespace {

using namespace perwatt;
using measure::ChatChunk;
using nlohmann::json;

/// A chunk with its own copies of the texts.
struct Read {
  ChatChunk chunk;
  std::string answer;
  std::string reasoning;
  std::string finish_reason;
};

Read read(measure::ChatChunkParser& parser, std::string_view data) {
  // Memory of exact size, so that a sanitizer sees reads beyond the padding.
  std::vector<char> bytes(data.begin(), data.end());
  bytes.resize(bytes.size() + net::kReadablePadding, '"');
  Read result{parser.parse({bytes.data(), data.size()}), {}, {}, {}};
  result.answer = result.chunk.answer;
  result.reasoning = result.chunk.reasoning;
  result.finish_reason = result.chunk.finish_reason;
  fuzz::demand_one_line(result.chunk.message);
  const bool has_message = result.chunk.kind == ChatChunk::Kind::malformed;
  fuzz::demand(!has_message || !result.chunk.message.empty(), "malformed without a message");
  return result;
}

/// The document, when it is an object that names no key twice in one place (which of two counts is
/// left open by JSON) and needs no more than `kDeepest` levels.
json unambiguous(std::string_view data) {
  constexpr int kDeepest = 500;  // simdjson's own bound is 1024
  std::vector<std::set<std::string>> keys;
  bool is_unambiguous = true;
  const auto document = json::parse(
      data,
      [&](int depth, json::parse_event_t event, json& value) {
        if (event == json::parse_event_t::object_start) {
          keys.emplace_back();
        } else if (event == json::parse_event_t::object_end) {
          keys.pop_back();
        } else if (event == json::parse_event_t::key) {
          is_unambiguous &= keys.back().insert(value.get<std::string>()).second;
        }
        is_unambiguous &= depth < kDeepest;
        return true;
      },
      false);
  // The library takes a zero byte for the end of its input.
  is_unambiguous &= data.find('\0') == std::string_view::npos;
  return is_unambiguous && document.is_object() ? document : json(json::value_t::discarded);
}

const json& at(const json& object, const char* key) {
  static const json absent;
  return object.is_object() && object.contains(key) ? object[key] : absent;
}

std::string text(const json& value) {
  return value.is_string() ? value.get<std::string>() : std::string{};
}

bool is_count(const json& value) {
  return value.is_number_integer() && value <= INT64_MAX && value >= 0;
}

void demand_same(const Read& read, const json& document) {
  const auto& choices = at(document, "choices");
  const auto& choice = choices.is_array() && !choices.empty() ? choices[0] : json{};
  const auto& delta = at(choice, "delta");
  const auto& error = at(document, "error");
  const auto& usage = at(document, "usage");
  const bool has_usage =
      is_count(at(usage, "prompt_tokens")) && is_count(at(usage, "completion_tokens"));
  const bool is_of_this_api = document.contains("choices") || has_usage || !error.is_null();
  const auto expected = !error.is_null() ? ChatChunk::Kind::error
                        : is_of_this_api ? ChatChunk::Kind::data
                                         : ChatChunk::Kind::malformed;
  fuzz::demand(read.chunk.kind == expected, "another kind than the document's");
  if (expected != ChatChunk::Kind::data) {
    return;
  }
  fuzz::demand(read.finish_reason == text(at(choice, "finish_reason")), "another finish_reason");
  fuzz::demand(read.chunk.usage.has_value() == has_usage, "usage where there is none, or none");
  if (has_usage) {
    fuzz::demand(read.chunk.usage->input_tokens == usage["prompt_tokens"] &&
                     read.chunk.usage->output_tokens == usage["completion_tokens"],
                 "other counts than the usage's");
  }
  // Where one text only can be meant, it is that one.
  std::vector<std::string> answers{text(at(choice, "text"))};
  for (const char* key : {"content", "refusal"}) {
    answers.push_back(text(at(delta, key)));
  }
  std::erase(answers, std::string{});
  if (at(delta, "tool_calls").is_null() && answers.size() < 2) {
    fuzz::demand(read.answer == (answers.empty() ? "" : answers.front()), "another answer");
  }
  const auto thought = text(at(delta, "reasoning_content"));
  const auto also = text(at(delta, "reasoning"));
  if (thought.empty() || also.empty()) {
    fuzz::demand(read.reasoning == thought + also, "another reasoning");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  measure::ChatChunkParser parser;
  const auto first = read(parser, bytes);
  static_cast<void>(read(parser, R"({"choices":[{"delta":{"content":"between"}}]})"));
  const auto again = read(parser, bytes);
  fuzz::demand(first.chunk.kind == again.chunk.kind && first.answer == again.answer &&
                   first.chunk.message == again.chunk.message,
               "another answer the second time");
  fuzz::demand((first.chunk.kind == ChatChunk::Kind::done) == (bytes == "[DONE]"),
               "an end where there is none, or none");
  fuzz::demand_one_line(measure::error_message_of(bytes));
  if (const auto document = unambiguous(bytes); !document.is_discarded()) {
    demand_same(first, document);
  }
  return 0;
}
