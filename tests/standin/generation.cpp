#include "generation.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>
#include <utility>

namespace standin {
namespace {

enum GenerationTicket : std::uint64_t { token, head, resume };

constexpr std::string_view kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";

}  // namespace

Generation::Generation(Service& service, Connection& connection, GenerationRequest request)
    : service_(service),
      connection_(&connection),
      request_(std::move(request)),
      events_(request_.wire, request_.chat,
              (request_.chat ? "chatcmpl-" : "cmpl-") + std::to_string(request_.index),
              request_.model, std::time(nullptr)) {}

double Generation::jitter() {
  const double r = request_.timing.jitter_ratio;
  return r <= 0 ? 1.0 : 1.0 + r * (2 * uniform(service_.seed(), request_.index, ++draws_) - 1);
}

Usage Generation::usage() const {
  Usage usage{request_.prompt_tokens, request_.cached_tokens, static_cast<std::uint64_t>(sent_)};
  if (is_fault(FaultKind::wrong_usage)) {
    usage.completion_tokens += static_cast<std::uint64_t>(request_.fault.tokens);
  }
  return usage;
}

void Generation::admit() {
  in_slot_ = true;
  const Nanos present = now();
  service_.record(request_.index).admitted = present;
  if (!is_fault(FaultKind::stall_head)) {
    begin();
  } else if (request_.fault.seconds > 0) {
    service_.loop().at(present + nanos_of(request_.fault.seconds), weak_from_this(), head);
  }
}

void Generation::begin() {
  if (is_fault(FaultKind::drip)) {
    connection_->drip(static_cast<std::size_t>(request_.fault.bytes),
                      nanos_of(request_.fault.seconds), std::numeric_limits<std::size_t>::max());
  } else if (is_fault(FaultKind::slow_head)) {
    connection_->drip(1, nanos_of(request_.fault.seconds), kStreamHead.size());
  }
  const std::shared_ptr<Generation> self = shared_from_this();
  if (request_.stream) {
    connection_->send(kStreamHead);
    const Wire& wire = request_.wire;
    if (!gone() && request_.chat && wire.role_first && wire.role_early) {
      send_event(events_.role());
    }
  }
  const Timing& timing = request_.timing;
  const double prefill = timing.prefill_seconds_per_token *
                         static_cast<double>(request_.prompt_tokens - request_.cached_tokens);
  service_.loop().at(now() + nanos_of((timing.ttft_seconds + prefill) * jitter()), weak_from_this(),
                     token);
}

void Generation::on_due(Nanos due, std::uint64_t ticket) {
  if (gone()) {
    return;
  }
  const std::shared_ptr<Generation> self = shared_from_this();
  if (ticket == head) {
    begin();
    return;
  }
  if (ticket == token && sent_ >= request_.fault.after_tokens && !fault_done_) {
    fault_done_ = true;
    if (!break_stream(due)) {
      return;
    }
  }
  produce(due);
}

std::string Generation::words(int count) {
  if (!request_.answer.empty()) {
    return request_.answer;
  }
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += answer_word(request_.text_seed,
                        static_cast<std::uint64_t>(sent_) + static_cast<std::uint64_t>(i));
  }
  return text;
}

void Generation::produce(Nanos due) {
  Record& record = service_.record(request_.index);
  const Timing& timing = request_.timing;
  const bool first = sent_ == 0;
  if (first) {
    service_.ledger().add_prompt(request_.prompt_tokens, request_.cached_tokens);
    record.prompt_tokens = request_.prompt_tokens;
    record.cached_tokens = request_.cached_tokens;
    if (request_.stream && request_.chat && request_.wire.role_first && !request_.wire.role_early) {
      send_event(events_.role());
    }
  }
  const bool reasoning = sent_ < request_.wire.reasoning_tokens;
  const int left = (reasoning ? std::min(request_.wire.reasoning_tokens, request_.most_tokens)
                              : request_.most_tokens) -
                   sent_;
  const int count = std::min(timing.tokens_per_chunk, left);
  const std::string text = is_fault(FaultKind::empty_content) ? "" : words(count);
  sent_ += count;
  const Nanos sent = now();
  service_.ledger().add_output(static_cast<std::uint64_t>(count));
  record.output_tokens += static_cast<std::uint64_t>(count);
  record.first = first ? sent : record.first;
  record.last = sent;
  service_.count_chunk(due, sent);
  if (request_.stream) {
    const Usage running = usage();
    const std::string stamp =
        request_.wire.stamp ? ",\"standin_sent\":" + std::to_string(seconds_of(sent)) : "";
    send_event(
        events_.delta(text, reasoning, request_.continuous_usage ? &running : nullptr, stamp));
  } else {
    (reasoning ? reasoning_ : text_) += text;
  }
  if (gone()) {
    return;
  }
  const bool stops =
      !request_.answer.empty() || (!request_.ignore_eos && timing.stop_probability > 0 &&
                                   uniform(service_.seed() + 1, request_.index, ++draws_) <
                                       1 - std::pow(1 - timing.stop_probability, count));
  if (stops || sent_ >= request_.most_tokens) {
    complete();
    return;
  }
  const int next = std::min(timing.tokens_per_chunk, request_.most_tokens - sent_);
  const double itl = timing.itl_seconds + timing.itl_seconds_per_request * service_.running();
  service_.loop().at(due + nanos_of(itl * next * jitter()), weak_from_this(), token);
}

void Generation::cut() {
  end(Outcome::faulted);
  Connection* const connection = std::exchange(connection_, nullptr);
  connection->set_exchange(nullptr);
  connection->close_when_sent();
}

bool Generation::break_stream(Nanos due) {
  const Fault& fault = request_.fault;
  const std::string some = events_.event(events_.delta(" cut", false, nullptr, ""));
  switch (fault.kind) {
    case FaultKind::stall:
      if (fault.seconds > 0) {
        service_.loop().at(due + nanos_of(fault.seconds), weak_from_this(), resume);
      }
      return false;
    case FaultKind::reset: {
      end(Outcome::faulted);
      Connection* const connection = std::exchange(connection_, nullptr);
      connection->set_exchange(nullptr);
      connection->reset();
      return false;
    }
    case FaultKind::close:
      cut();
      return false;
    case FaultKind::no_done: {
      connection_->send("0\r\n\r\n");
      end(Outcome::faulted);
      if (Connection* const connection = std::exchange(connection_, nullptr)) {
        connection->finish();
      }
      return false;
    }
    case FaultKind::truncated_chunk:
      connection_->send(http_chunk(some).substr(0, some.size() / 2));
      break;
    case FaultKind::bad_chunk_size:
      connection_->send("zz\r\n" + some + "\r\n");
      break;
    case FaultKind::malformed_sse:
      send_raw("\xFF{not a field\n\n");
      return !gone();
    case FaultKind::malformed_json:
      send_event("{\"choices\":[{\"delta\":{\"content\":\"x\"}");
      return !gone();
    case FaultKind::huge_event:
      send_event(events_.delta(
          "", false, nullptr,
          ",\"padding\":\"" + std::string(static_cast<std::size_t>(fault.bytes), 'x') + "\""));
      return !gone();
    case FaultKind::error_event:
      send_event(error_json(request_.wire.style, 500, "InternalServerError",
                            "the stand-in was told to fail here"));
      if (!gone()) {
        connection_->send(http_chunk(events_.event("[DONE]")) + "0\r\n\r\n");
      }
      end(Outcome::faulted);
      if (Connection* const connection = std::exchange(connection_, nullptr)) {
        connection->finish();
      }
      return false;
    default:
      return true;
  }
  if (!gone()) {
    cut();
  }
  return false;
}

void Generation::send_event(std::string_view json) {
  std::string event;
  ++events_sent_;
  if (request_.wire.comment_every > 0 && events_sent_ % request_.wire.comment_every == 0) {
    event = request_.wire.crlf ? ": ping\r\n\r\n" : ": ping\n\n";
  }
  event += events_.event(json);
  if (is_fault(FaultKind::coalesce)) {
    held_ += event;
    if (++held_events_ >= request_.fault.tokens) {
      flush_held();
    }
    return;
  }
  send_raw(event);
}

void Generation::flush_held() {
  const std::string events = std::exchange(held_, {});
  held_events_ = 0;
  if (!events.empty()) {
    send_raw(events);
  }
}

void Generation::send_raw(const std::string& events) {
  if (gone()) {
    return;
  }
  if (!is_fault(FaultKind::split)) {
    connection_->send(http_chunk(events));
    return;
  }
  const auto piece = static_cast<std::size_t>(request_.fault.bytes);
  for (std::size_t i = 0; i < events.size() && !gone(); i += piece) {
    connection_->send(http_chunk(std::string_view(events).substr(i, piece)));
  }
}

void Generation::complete() {
  const bool stopped = sent_ < request_.most_tokens || !request_.answer.empty();
  const std::string_view reason = stopped ? "stop" : "length";
  const Record& record = service_.record(request_.index);
  if (request_.stream) {
    send_event(events_.last(reason));
    if ((request_.include_usage || request_.wire.usage_always) && !is_fault(FaultKind::no_usage)) {
      send_event(events_.usage(usage(), seconds_of(record.first - record.admitted),
                               seconds_of(record.last - record.first)));
    }
    if (request_.wire.done) {
      send_event("[DONE]");
    }
    flush_held();
    if (!gone()) {
      connection_->send("0\r\n\r\n");
    }
  } else {
    connection_->send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n");
    const std::string body = events_.whole(text_, reasoning_, reason, usage());
    if (!gone()) {
      connection_->send("Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    }
  }
  if (Connection* const connection = std::exchange(connection_, nullptr)) {
    end(Outcome::completed);
    connection->finish();
  }
}

void Generation::end(Outcome outcome) {
  Record& record = service_.record(request_.index);
  if (record.outcome != Outcome::running) {
    return;
  }
  record.outcome = outcome;
  record.ended = now();
  if (in_slot_) {
    in_slot_ = false;
    service_.release();
  }
}

void Generation::on_peer_gone() {
  connection_ = nullptr;
  end(Outcome::cancelled);
}

}  // namespace standin
