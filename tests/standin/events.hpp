// The JSON of the servers whose bytes are imitated, and how it is put on the wire.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "settings.hpp"
#include <nlohmann/json_fwd.hpp>

namespace standin {

struct Usage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t cached_tokens = 0;
  std::uint64_t completion_tokens = 0;
};

/// JSON text of one answer's parts. Fast where it matters: the part around a delta's text is made
/// once per request.
class Events {
 public:
  /// `chat`: of /v1/chat/completions, else of /v1/completions.
  Events(const Wire& wire, bool chat, std::string id, const std::string& model,
         std::int64_t created);

  [[nodiscard]] std::string role() const;

  /// A delta with `text`. `usage` only where usage comes with every chunk; `extra` is more JSON
  /// members, each with a comma before it.
  [[nodiscard]] std::string delta(std::string_view text, bool reasoning, const Usage* usage,
                                  std::string_view extra) const;
  [[nodiscard]] std::string last(std::string_view finish_reason) const;
  [[nodiscard]] std::string usage(const Usage& usage, double prompt_seconds,
                                  double predicted_seconds) const;
  /// The answer to a request without stream.
  [[nodiscard]] std::string whole(std::string_view text, std::string_view reasoning,
                                  std::string_view finish_reason, const Usage& usage) const;

  /// `json` as an event of the stream.
  [[nodiscard]] std::string event(std::string_view json) const;

 private:
  [[nodiscard]] std::string body(std::string_view choices, std::string_view usage_member) const;
  [[nodiscard]] std::string choice(std::string_view delta, std::string_view finish_reason) const;
  [[nodiscard]] std::string delta_object(std::string_view text, bool reasoning) const;

  Wire wire_;
  bool chat_;
  std::string id_;
  std::string model_;
  std::string created_;
  std::string before_text_;  // of a delta that is not reasoning
  std::string after_text_;
};

/// As text, whatever bytes a client put into its strings.
[[nodiscard]] std::string dumped(const nlohmann::json& json);

[[nodiscard]] std::string usage_json(const Usage& usage);

/// The error object as the style's server writes it.
[[nodiscard]] std::string error_json(Style style, int status, std::string_view type,
                                     std::string_view message, std::string_view more = {});

/// `bytes` as one HTTP chunk.
[[nodiscard]] std::string http_chunk(std::string_view bytes);

}  // namespace standin
