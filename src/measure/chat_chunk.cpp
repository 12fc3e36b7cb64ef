#include "perwatt/measure/chat_chunk.hpp"

#include <simdjson.h>

#include "perwatt/base/text.hpp"
#include "perwatt/net/sse_parser.hpp"

namespace perwatt::measure {

namespace {

namespace od = simdjson::ondemand;

static_assert(net::kReadablePadding >= simdjson::SIMDJSON_PADDING);

/// A string's text; empty for null and for whatever is no string.
std::string_view text_of(od::value& value) {
  std::string_view text;
  if (value.type() != od::json_type::string || value.get_string().get(text) != simdjson::SUCCESS) {
    return {};
  }
  return text;
}

std::optional<std::int64_t> count_of(od::value& value) {
  std::int64_t count = 0;
  if (value.type() != od::json_type::number || value.get_int64().get(count) != simdjson::SUCCESS ||
      count < 0) {
    return std::nullopt;
  }
  return count;
}

bool is_object(od::value& value) {
  return value.type() == od::json_type::object;
}

std::optional<Usage> usage_of(od::value& value) {
  if (!is_object(value)) {
    return std::nullopt;
  }
  std::optional<std::int64_t> input;
  std::optional<std::int64_t> output;
  std::optional<std::int64_t> cached;
  for (auto field : value.get_object()) {
    const std::string_view key = field.unescaped_key();
    od::value inner = field.value();
    if (key == "prompt_tokens") {
      input = count_of(inner);
    } else if (key == "completion_tokens") {
      output = count_of(inner);
    } else if (key == "prompt_tokens_details" && is_object(inner)) {
      for (auto detail : inner.get_object()) {
        const std::string_view name = detail.unescaped_key();
        od::value amount = detail.value();
        if (name == "cached_tokens") {
          cached = count_of(amount);
        }
      }
    }
  }
  if (!input || !output) {
    return std::nullopt;
  }
  return Usage{*input, *output, cached};
}

/// Tool calls are answers too: their arguments stream as text.
std::string_view tool_text_of(od::value& calls) {
  std::string_view text;
  if (calls.type() != od::json_type::array) {
    return text;
  }
  for (auto call : calls.get_array()) {
    od::value entry = call.value();
    if (!is_object(entry)) {
      continue;
    }
    for (auto field : entry.get_object()) {
      const std::string_view key = field.unescaped_key();
      od::value function = field.value();
      if (key != "function" || !is_object(function)) {
        continue;
      }
      for (auto part : function.get_object()) {
        const std::string_view name = part.unescaped_key();
        od::value content = part.value();
        if (name == "arguments" || name == "name") {
          const auto piece = text_of(content);
          text = piece.empty() ? text : piece;
        }
      }
    }
  }
  return text;
}

void read_delta(od::value& delta, ChatChunk& chunk) {
  if (!is_object(delta)) {
    return;
  }
  for (auto field : delta.get_object()) {
    const std::string_view key = field.unescaped_key();
    od::value value = field.value();
    std::string_view text;
    if (key == "content" || key == "refusal") {
      text = text_of(value);
      chunk.answer = text.empty() ? chunk.answer : text;
    } else if (key == "reasoning_content" || key == "reasoning") {
      text = text_of(value);
      chunk.reasoning = text.empty() ? chunk.reasoning : text;
    } else if (key == "tool_calls") {
      text = tool_text_of(value);
      chunk.answer = text.empty() ? chunk.answer : text;
    }
  }
}

void read_choice(od::value& choice, ChatChunk& chunk) {
  if (!is_object(choice)) {
    return;
  }
  for (auto field : choice.get_object()) {
    const std::string_view key = field.unescaped_key();
    od::value value = field.value();
    if (key == "delta") {
      read_delta(value, chunk);
    } else if (key == "text") {
      chunk.answer = text_of(value);
    } else if (key == "finish_reason") {
      chunk.finish_reason = text_of(value);
    }
  }
}

void read_choices(od::value& choices, ChatChunk& chunk) {
  if (choices.type() != od::json_type::array) {
    return;
  }
  bool first = true;
  for (auto element : choices.get_array()) {
    od::value choice = element.value();
    if (first) {
      read_choice(choice, chunk);
    }
    first = false;
  }
}

std::string message_of(od::value& error) {
  if (!is_object(error)) {
    return printable(text_of(error));
  }
  std::string message;
  for (auto field : error.get_object()) {
    const std::string_view key = field.unescaped_key();
    od::value value = field.value();
    if (key == "message") {
      message = printable(text_of(value), 200);
    }
  }
  return message;
}

void read_document(od::document& document, ChatChunk& chunk) {
  bool is_of_this_api = false;
  for (auto field : document.get_object()) {
    const std::string_view key = field.unescaped_key();
    od::value value = field.value();
    if (key == "choices") {
      is_of_this_api = true;
      read_choices(value, chunk);
    } else if (key == "usage") {
      const auto usage = usage_of(value);
      is_of_this_api = is_of_this_api || usage.has_value();
      chunk.usage = usage;
    } else if (key == "error" && value.type() != od::json_type::null) {
      chunk.kind = ChatChunk::Kind::error;
      chunk.message = message_of(value);
    }
  }
  const char* behind = nullptr;
  if (document.current_location().get(behind) == simdjson::SUCCESS) {
    chunk.kind = ChatChunk::Kind::malformed;
    chunk.message = "more than one JSON value in one event";
  } else if (!is_of_this_api && chunk.kind == ChatChunk::Kind::data) {
    chunk.kind = ChatChunk::Kind::malformed;
    chunk.message = "an event without choices, usage or error";
  }
}

}  // namespace

struct ChatChunkParser::Buffers {
  od::parser parser;
};

ChatChunkParser::ChatChunkParser() : buffers_{std::make_unique<Buffers>()} {}

ChatChunkParser::~ChatChunkParser() = default;
ChatChunkParser::ChatChunkParser(ChatChunkParser&&) noexcept = default;
ChatChunkParser& ChatChunkParser::operator=(ChatChunkParser&&) noexcept = default;

ChatChunk ChatChunkParser::parse(std::string_view data) {
  ChatChunk chunk;
  if (data == "[DONE]") {
    chunk.kind = ChatChunk::Kind::done;
    return chunk;
  }
  try {
    od::document document = buffers_->parser.iterate(
        simdjson::padded_string_view{data, data.size() + simdjson::SIMDJSON_PADDING});
    read_document(document, chunk);
  } catch (const simdjson::simdjson_error& error) {
    chunk = {};
    chunk.kind = ChatChunk::Kind::malformed;
    chunk.message = std::string{"no JSON of this API: "} + error.what() + " in " + printable(data);
  }
  return chunk;
}

std::string error_message_of(std::string_view body) {
  try {
    const simdjson::padded_string padded{body};
    od::parser parser;
    od::document document = parser.iterate(padded);
    for (auto field : document.get_object()) {
      const std::string_view key = field.unescaped_key();
      od::value value = field.value();
      if (key == "error" || key == "message" || key == "detail") {
        auto message = message_of(value);
        if (!message.empty()) {
          return message;
        }
      }
    }
  } catch (const simdjson::simdjson_error&) {  // not JSON: shown as it is
  }
  return printable(trimmed(body), 200);
}

}  // namespace perwatt::measure
