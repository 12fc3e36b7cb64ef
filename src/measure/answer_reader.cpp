#include "answer_reader.hpp"

#include <algorithm>

namespace perwatt::measure {

namespace {

constexpr std::size_t kMostErrorBytes = 4096;

RequestOutcome outcome_of(net::StreamEnd end) {
  switch (end) {
    case net::StreamEnd::connect_failed:
      return RequestOutcome::connect_failed;
    case net::StreamEnd::tls_failed:
      return RequestOutcome::tls_failed;
    case net::StreamEnd::malformed:
      return RequestOutcome::malformed;
    case net::StreamEnd::timed_out:
      return RequestOutcome::timed_out;
    case net::StreamEnd::cancelled:
      return RequestOutcome::cancelled;
    case net::StreamEnd::reset:
    case net::StreamEnd::complete:
      break;
  }
  return RequestOutcome::truncated;
}

}  // namespace

AnswerReader::AnswerReader(RequestRecord record, bool wants_text, bool keep_gaps)
    : record_{std::move(record)}, wants_text_{wants_text}, keep_gaps_{keep_gaps} {}

void AnswerReader::on_head(const net::ResponseHead& head) {
  record_.http_status = head.status;
  // Some servers give no content type; what is no stream shows in its bytes then.
  is_stream_ = head.status == net::kStatusOk &&
               (head.content_type.empty() || head.content_type == "text/event-stream");
  if (head.status == net::kStatusOk && !is_stream_) {
    spoil(RequestOutcome::malformed, "the server answered " + head.content_type +
                                         " instead of text/event-stream: it does not stream");
  }
}

void AnswerReader::on_body(std::string_view bytes, Instant at, ChatChunkParser& parser,
                           ContentCounter& window, ContentCounter& whole) {
  if (!is_stream_) {
    const auto room = kMostErrorBytes - std::min(kMostErrorBytes, error_body_.size());
    error_body_ += bytes.substr(0, room);
    return;
  }
  const bool fits = events_.feed(
      bytes, [&](std::string_view data) { on_event(data, at, parser, window, whole); });
  if (!fits) {
    spoil(RequestOutcome::malformed, "an event is longer than this client takes");
  }
}

void AnswerReader::on_event(std::string_view data, Instant at, ChatChunkParser& parser,
                            ContentCounter& window, ContentCounter& whole) {
  const auto chunk = parser.parse(data);
  switch (chunk.kind) {
    case ChatChunk::Kind::done:
      saw_done_ = true;
      return;
    case ChatChunk::Kind::error:
      spoil(RequestOutcome::server_error, chunk.message);
      return;
    case ChatChunk::Kind::malformed:
      spoil(RequestOutcome::malformed, chunk.message);
      return;
    case ChatChunk::Kind::data:
      break;
  }
  if (chunk.has_content()) {
    on_content(chunk, at, window, whole);
  }
  if (chunk.usage) {
    record_.input_tokens = chunk.usage->input_tokens;
    record_.cached_input_tokens = chunk.usage->cached_input_tokens;
    record_.output_tokens = chunk.usage->output_tokens;
    record_.output_source = TokenSource::usage;
  }
  if (!chunk.finish_reason.empty()) {
    record_.finish_reason = chunk.finish_reason;
  }
}

void AnswerReader::on_content(const ChatChunk& chunk, Instant at, ContentCounter& window,
                              ContentCounter& whole) {
  std::optional<Seconds> gap;
  if (record_.last_content) {
    gap = at - *record_.last_content;
    record_.longest_gap = std::max(record_.longest_gap, *gap);
    if (keep_gaps_) {
      record_.content_gaps_seconds.push_back(static_cast<float>(in_seconds(*gap)));
    }
    if (!record_.second_content) {
      record_.second_content = at;
    }
  } else {
    record_.first_content = at;
  }
  if (!record_.first_answer && !chunk.answer.empty()) {
    record_.first_answer = at;
  }
  record_.last_content = at;
  ++record_.content_chunks;
  whole.count(at, gap);
  if (window.count(at, gap)) {
    ++record_.content_chunks_in_window;
  }
  if (wants_text_) {
    record_.text += chunk.answer;
  }
}

void AnswerReader::spoil(RequestOutcome outcome, const std::string& detail) {
  if (!is_spoilt_) {
    is_spoilt_ = true;
    record_.outcome = outcome;
    record_.detail = detail;
  }
}

RequestOutcome AnswerReader::outcome_of_whole_answer() {
  if (!saw_done_ && record_.finish_reason.empty()) {
    record_.detail = "the stream ended without [DONE] or a finish reason";
    return RequestOutcome::truncated;
  }
  if (record_.content_chunks == 0) {
    record_.detail = "the stream holds no content";
    return RequestOutcome::empty;
  }
  return RequestOutcome::ok;
}

RequestRecord AnswerReader::finish(net::StreamEnd end, const std::string& detail, Instant at) {
  record_.end = at;
  if (record_.output_source == TokenSource::chunks) {
    record_.output_tokens = record_.content_chunks;
  }
  const bool answered_with_error =
      record_.http_status != 0 && record_.http_status != net::kStatusOk;
  if (is_spoilt_) {  // stands
  } else if (answered_with_error) {
    record_.outcome = RequestOutcome::http_error;
    record_.detail =
        "status " + std::to_string(record_.http_status) + ": " + error_message_of(error_body_);
  } else if (end == net::StreamEnd::complete || saw_done_) {
    record_.outcome = outcome_of_whole_answer();
  } else {
    record_.outcome = outcome_of(end);
    record_.detail = detail;
  }
  return std::move(record_);
}

}  // namespace perwatt::measure
