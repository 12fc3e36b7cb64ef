#include "events.hpp"

#include <array>
#include <charconv>
#include <utility>

#include <nlohmann/json.hpp>

namespace standin {
namespace {

constexpr char kMark = '\x01';

std::string json_string(std::string_view text) {
  return dumped(nlohmann::json(text));
}

std::string number(std::uint64_t value) {
  return std::to_string(value);
}

}  // namespace

std::string dumped(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string usage_json(const Usage& usage) {
  return "{\"prompt_tokens\":" + number(usage.prompt_tokens) +
         ",\"completion_tokens\":" + number(usage.completion_tokens) +
         ",\"total_tokens\":" + number(usage.prompt_tokens + usage.completion_tokens) +
         ",\"prompt_tokens_details\":{\"cached_tokens\":" + number(usage.cached_tokens) + "}}";
}

std::string error_json(Style style, int status, std::string_view type, std::string_view message,
                       std::string_view more) {
  const std::string body = "\"message\":" + json_string(message) + ",\"type\":" + json_string(type);
  const std::string code = ",\"code\":" + std::to_string(status);
  if (style == Style::tgi) {
    return "{\"error\":" + json_string(message) + ",\"error_type\":" + json_string(type) + "}";
  }
  if (style == Style::llama) {
    return "{\"error\":{" + code.substr(1) + "," + body + std::string(more) + "}}";
  }
  return "{\"error\":{" + body + ",\"param\":null" + code + std::string(more) + "}}";
}

std::string http_chunk(std::string_view bytes) {
  std::array<char, 20> size;
  const auto end = std::to_chars(size.data(), size.data() + size.size(), bytes.size(), 16).ptr;
  std::string chunk(size.data(), end);
  chunk.reserve(bytes.size() + 12);
  return chunk.append("\r\n").append(bytes).append("\r\n");
}

Events::Events(const Wire& wire, bool chat, std::string id, const std::string& model,
               std::int64_t created)
    : wire_(wire),
      chat_(chat),
      id_(std::move(id)),
      model_(json_string(model)),
      created_(std::to_string(created)) {
  const std::string text = body(choice(delta_object(std::string(1, kMark), false), ""), "");
  const std::size_t mark = text.find(kMark);
  before_text_ = text.substr(0, mark);
  after_text_ = text.substr(mark + 1);
}

std::string Events::body(std::string_view choices, std::string_view usage_member) const {
  const std::string object = chat_ ? "\"chat.completion.chunk\"" : "\"text_completion\"";
  std::string text;
  if (wire_.style == Style::llama) {
    text = "{\"choices\":[" + std::string(choices) + "],\"created\":" + created_ + ",\"id\":\"" +
           id_ + "\",\"model\":" + model_ +
           ",\"system_fingerprint\":\"b1-standin\",\"object\":" + object;
  } else if (wire_.style == Style::tgi) {
    text = "{\"object\":" + object + ",\"id\":\"\",\"created\":" + created_ +
           ",\"model\":" + model_ + ",\"system_fingerprint\":\"3.0.0-standin\",\"choices\":[" +
           std::string(choices) + "]";
  } else {
    text = "{\"id\":\"" + id_ + "\",\"object\":" + object + ",\"created\":" + created_ +
           ",\"model\":" + model_ + ",\"choices\":[" + std::string(choices) + "]";
  }
  if (!usage_member.empty()) {
    text.append(",\"usage\":").append(usage_member);
  } else if (wire_.style == Style::tgi || wire_.style == Style::sglang) {
    text.append(",\"usage\":null");
  }
  return text + "}";
}

std::string Events::choice(std::string_view delta, std::string_view finish_reason) const {
  const std::string finish =
      finish_reason.empty() ? "null" : "\"" + std::string(finish_reason) + "\"";
  const std::string what = (chat_ ? "\"delta\":" : "\"text\":") + std::string(delta);
  switch (wire_.style) {
    case Style::llama:
      return "{\"finish_reason\":" + finish + ",\"index\":0," + what + "}";
    case Style::sglang:
      return "{\"index\":0," + what + ",\"logprobs\":null,\"finish_reason\":" + finish +
             ",\"matched_stop\":null}";
    default:
      return "{\"index\":0," + what + ",\"logprobs\":null,\"finish_reason\":" + finish + "}";
  }
}

std::string Events::delta_object(std::string_view text, bool reasoning) const {
  // Words of an answer hold nothing that JSON would escape, the mark least of all.
  std::string value = "\"" + std::string(text) + "\"";
  if (!chat_) {
    return value;
  }
  const std::string role = wire_.style == Style::tgi ? "\"role\":\"assistant\"," : "";
  if (reasoning) {
    return "{" + role + "\"" + wire_.reasoning_field + "\":" + value + "}";
  }
  if (wire_.style == Style::sglang) {
    return "{\"role\":null,\"content\":" + value +
           ",\"reasoning_content\":null,\"tool_calls\":null}";
  }
  return "{" + role + "\"content\":" + value + "}";
}

std::string Events::role() const {
  const std::string content = wire_.null_content ? "null" : "\"\"";
  return body(choice("{\"role\":\"assistant\",\"content\":" + content + "}", ""), "");
}

std::string Events::delta(std::string_view text, bool reasoning, const Usage* usage,
                          std::string_view extra) const {
  std::string result;
  if (reasoning || usage != nullptr) {
    result =
        body(choice(delta_object(text, reasoning), ""), usage == nullptr ? "" : usage_json(*usage));
  } else {
    result.reserve(before_text_.size() + text.size() + after_text_.size() + extra.size());
    result.append(before_text_).append(text).append(after_text_);
  }
  if (!extra.empty()) {
    result.pop_back();
    result.append(extra).append("}");
  }
  return result;
}

std::string Events::last(std::string_view finish_reason) const {
  const bool bare = wire_.style == Style::llama;
  return body(choice(!chat_ ? "\"\"" : bare ? "{}" : delta_object("", false), finish_reason), "");
}

std::string Events::usage(const Usage& usage, double prompt_seconds,
                          double predicted_seconds) const {
  std::string text = body("", usage_json(usage));
  if (wire_.style == Style::llama) {
    const std::uint64_t computed = usage.prompt_tokens - usage.cached_tokens;
    text.pop_back();
    text += ",\"timings\":{\"cache_n\":" + number(usage.cached_tokens) +
            ",\"prompt_n\":" + number(computed) +
            ",\"prompt_ms\":" + std::to_string(prompt_seconds * 1e3) +
            ",\"predicted_n\":" + number(usage.completion_tokens) +
            ",\"predicted_ms\":" + std::to_string(predicted_seconds * 1e3) + "}}";
  }
  return text;
}

std::string Events::whole(std::string_view text, std::string_view reasoning,
                          std::string_view finish_reason, const Usage& usage) const {
  const std::string finish = ",\"finish_reason\":\"" + std::string(finish_reason) + "\"}";
  std::string message = "\"text\":" + json_string(text);
  if (chat_) {
    message = "\"message\":{\"role\":\"assistant\",\"content\":" + json_string(text);
    if (!reasoning.empty()) {
      message += ",\"" + wire_.reasoning_field + "\":" + json_string(reasoning);
    }
    message += "}";
  }
  return "{\"id\":\"" + id_ +
         "\",\"object\":" + (chat_ ? "\"chat.completion\"" : "\"text_completion\"") +
         ",\"created\":" + created_ + ",\"model\":" + model_ + ",\"choices\":[{\"index\":0," +
         message + finish + "],\"usage\":" + usage_json(usage) + "}";
}

std::string Events::event(std::string_view json) const {
  const std::string_view end = wire_.crlf ? "\r\n\r\n" : "\n\n";
  std::string text = wire_.data_blank ? "data: " : "data:";
  text.reserve(text.size() + json.size() + end.size());
  return text.append(json).append(end);
}

}  // namespace standin
