#include "perwatt/measure/request_record.hpp"

namespace perwatt::measure {

namespace {

std::optional<Seconds> between(const std::optional<Instant>& from,
                               const std::optional<Instant>& to) {
  if (!from || !to) {
    return std::nullopt;
  }
  return *to - *from;
}

}  // namespace

std::string_view to_string(RequestOutcome outcome) {
  switch (outcome) {
    case RequestOutcome::ok:
      return "ok";
    case RequestOutcome::http_error:
      return "http_error";
    case RequestOutcome::server_error:
      return "server_error";
    case RequestOutcome::connect_failed:
      return "connect_failed";
    case RequestOutcome::tls_failed:
      return "tls_failed";
    case RequestOutcome::truncated:
      return "truncated";
    case RequestOutcome::malformed:
      return "malformed";
    case RequestOutcome::timed_out:
      return "timed_out";
    case RequestOutcome::cancelled:
      return "cancelled";
    case RequestOutcome::empty:
      return "empty";
  }
  return "";
}

std::string_view to_string(TokenSource source) {
  switch (source) {
    case TokenSource::usage:
      return "usage";
    case TokenSource::chunks:
      return "chunks";
    case TokenSource::tokenizer:
      return "tokenizer";
  }
  return "";
}

std::optional<Seconds> ttft(const RequestRecord& record) {
  return between(record.sent, record.first_content);
}

std::optional<Seconds> ttft_from_intended(const RequestRecord& record) {
  return between(record.intended, record.first_content);
}

std::optional<Seconds> ttfo(const RequestRecord& record) {
  return between(record.sent, record.first_answer);
}

std::optional<Seconds> tpot(const RequestRecord& record) {
  if (!record.first_content || !record.last_content || record.output_tokens < 2) {
    return std::nullopt;
  }
  return (*record.last_content - *record.first_content) /
         static_cast<double>(record.output_tokens - 1);
}

std::optional<Seconds> e2e(const RequestRecord& record) {
  return between(record.sent, record.last_content);
}

std::optional<Seconds> e2e_from_intended(const RequestRecord& record) {
  return between(record.intended, record.last_content);
}

}  // namespace perwatt::measure
