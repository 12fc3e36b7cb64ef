// One streamed answer on its way into a RequestRecord.
#pragma once

#include <string>
#include <string_view>

#include "content_counter.hpp"

#include "perwatt/measure/chat_chunk.hpp"
#include "perwatt/measure/request_record.hpp"
#include "perwatt/net/sse_parser.hpp"
#include "perwatt/net/stream_client.hpp"

namespace perwatt::measure {

class AnswerReader {
 public:
  AnswerReader(RequestRecord record, bool wants_text, bool keep_gaps);

  void on_sent(Instant at) { record_.sent = at; }

  void on_head(const net::ResponseHead& head);

  /// REQUIRES: net::kReadablePadding readable bytes behind `bytes`.
  void on_body(std::string_view bytes, Instant at, ChatChunkParser& parser, ContentCounter& window,
               ContentCounter& whole);

  /// The record as it stands when the request has ended.
  [[nodiscard]] RequestRecord finish(net::StreamEnd end, const std::string& detail, Instant at);

  [[nodiscard]] const RequestRecord& record() const { return record_; }

 private:
  void on_event(std::string_view data, Instant at, ChatChunkParser& parser, ContentCounter& window,
                ContentCounter& whole);
  void on_content(const ChatChunk& chunk, Instant at, ContentCounter& window,
                  ContentCounter& whole);
  void spoil(RequestOutcome outcome, const std::string& detail);
  [[nodiscard]] RequestOutcome outcome_of_whole_answer();

  RequestRecord record_;
  net::SseParser events_;
  std::string error_body_;  // the start of an answer that is no stream
  bool wants_text_;
  bool keep_gaps_;
  bool is_stream_ = false;
  bool is_spoilt_ = false;  // the outcome stands already
  bool saw_done_ = false;
};

}  // namespace perwatt::measure
