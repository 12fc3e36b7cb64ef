// Requests, notes and time; connections are in stream_loop_connections.cpp.
#include "stream_loop.hpp"

#include <algorithm>
#include <limits>
#include <span>
#include <utility>

#include "perwatt/base/text.hpp"

namespace perwatt::net {

namespace {

/// One turn of a connection: enough for an answer of 50,000 tokens in one piece, and a bound for
/// what the other streams wait.
constexpr std::size_t kReadBytes = 256 << 10;

constexpr unsigned kIndexBits = 32;

}  // namespace

StreamClient::Loop::Loop(const Url& server, ClientOptions options, StreamObserver& observer)
    : server_{server},
      options_{std::move(options)},
      observer_{observer},
      addresses_{resolve(server)},
      writer_{server, options_.headers},
      tls_{server.tls ? std::make_unique<TlsContext>(server, options_.verify_tls, options_.ca_file)
                      : nullptr},
      buffer_(kReadBytes + kReadablePadding) {}

StreamClient::Loop::~Loop() {
  for (auto* list : {&connecting_, &busy_, &idle_}) {
    while (!list->empty()) {
      close(list->front());
    }
  }
}

std::size_t StreamClient::Loop::open_ahead(std::size_t idle, Seconds within) {
  // More at once would overflow the queues of servers that accept slowly, and wait for seconds.
  constexpr std::size_t kMostAtOnce = 64;
  const auto until = Instant::now() + within;
  has_failed_ahead_ = false;
  while (idle_count_ < idle && !is_woken_ && Instant::now() < until) {
    while (!has_failed_ahead_ && opening_ahead_ < kMostAtOnce &&
           idle_count_ + opening_ahead_ < idle && connection_count_ < options_.most_connections) {
      open_connection(nullptr);
    }
    if (opening_ahead_ == 0) {
      break;
    }
    step(until);
    tell_notes();
  }
  return idle_count_;
}

StreamId StreamClient::Loop::post(std::string_view path, std::string_view json_body,
                                  const std::vector<Header>& headers) {
  check_headers(headers);
  auto request = writer_.post(path, json_body, headers);
  auto& stream = new_stream();
  stream.request = std::move(request);
  stream.request_bytes = stream.request.size();
  if (in_flight_++ == 0) {
    last_return_ = Instant::now();
  }
  const auto id = stream.id;
  if (idle_.empty()) {
    stream.phase = Stream::Phase::waiting;
    open_connection(&stream);
  } else {
    // The one used last: the server is the least likely to have closed it.
    use(idle_.back(), stream, true);
  }
  return id;
}

void StreamClient::Loop::cancel(StreamId id) {
  auto* stream = find(id);
  if (stream != nullptr && stream->phase != Stream::Phase::ended) {
    finish(*stream, StreamEnd::cancelled, "cancelled", Instant::now());
  }
}

void StreamClient::Loop::poll(Instant until) {
  if (tell_notes()) {
    until = Instant{};
  }
  bool has_ended = false;
  do {
    step(until);
    has_ended = tell_notes();
  } while (!has_ended && !is_woken_ && Instant::now() < until);
  is_woken_ = false;
}

Seconds StreamClient::Loop::take_longest_stall() {
  return std::exchange(longest_stall_, Seconds{});
}

/// Waits once, for the first thing that happens, and handles what has happened.
void StreamClient::Loop::step(Instant until) {
  auto now = Instant::now();
  if (in_flight_ > 0) {
    count_stall(now);
  }
  // Calls are still to be made for what the observer did while it was told, or bytes lie in memory.
  const bool must_not_wait = !notes_.empty() || !reads_again_.empty();
  const auto events = poller_.wait(now, must_not_wait ? now : std::min(until, next_deadline()));
  now = Instant::now();
  if (poller_.has_overslept() && in_flight_ > 0) {
    longest_stall_ = std::max(longest_stall_, now - poller_.ready_since());
  }
  last_return_ = now;
  const bool was_in_flight = in_flight_ > 0;
  is_woken_ = poller_.take_woken() || is_woken_;
  for (auto* connection : std::exchange(reads_again_, {})) {
    connection->reads_again = false;
    if (connection->socket.is_open()) {
      handle(*connection, EPOLLIN);
    }
  }
  for (const auto& event : events) {
    auto& connection = *static_cast<Connection*>(event.data.ptr);
    if (connection.socket.is_open()) {
      handle(connection, event.events);
    }
  }
  expire(now);
  closed_.clear();
  if (was_in_flight) {
    count_stall(Instant::now());  // the last bytes of this turn waited for the first
  }
}

/// Returns whether a request has ended. What the observer starts meanwhile is told the next time:
/// or one that answers each failure with a request that fails at once would never come back.
bool StreamClient::Loop::tell_notes() {
  bool has_ended = false;
  std::swap(notes_, notes_told_);
  for (const auto& note : notes_told_) {
    auto& stream = *find(note.id);
    if (!note.end) {
      tell_sent(stream);
      continue;
    }
    has_ended = true;
    --in_flight_;
    observer_.on_end(note.id, *note.end, note.detail, note.at);
    stream.phase = Stream::Phase::free;
    free_streams_.push_back(static_cast<std::uint32_t>(note.id));
  }
  notes_told_.clear();
  return has_ended;
}

void StreamClient::Loop::count_stall(Instant now) {
  longest_stall_ = std::max(longest_stall_, now - last_return_);
}

Instant StreamClient::Loop::next_deadline() const {
  auto next = Instant::from_nanoseconds(std::numeric_limits<std::int64_t>::max());
  for (const auto* list : {&connecting_, &busy_}) {
    if (!list->empty()) {
      next = std::min(next, list->front().deadline);
    }
  }
  return next;
}

void StreamClient::Loop::expire(Instant now) {
  while (!connecting_.empty() && connecting_.front().deadline <= now) {
    auto& connection = connecting_.front();
    const auto waited = shortest(in_seconds(options_.connect_timeout)) + " s";
    if (connection.phase == Connection::Phase::handshaking) {
      give_up(connection, StreamEnd::connect_failed, "no TLS handshake within " + waited);
    } else {
      dial(connection, "no connection within " + waited);
    }
  }
  while (!busy_.empty() && busy_.front().deadline <= now) {
    finish(*busy_.front().stream, StreamEnd::timed_out,
           "no byte for " + shortest(in_seconds(options_.silence)) + " s", now);
  }
}

Stream& StreamClient::Loop::new_stream() {
  std::uint32_t index = 0;
  StreamId generation = 1;
  if (free_streams_.empty()) {
    index = static_cast<std::uint32_t>(streams_.size());
    streams_.emplace_back();
  } else {
    index = free_streams_.back();
    free_streams_.pop_back();
    generation = (streams_[index].id >> kIndexBits) + 1;
  }
  auto& stream = streams_[index];
  stream.id = (generation << kIndexBits) | index;
  stream.phase = Stream::Phase::waiting;
  stream.connection = nullptr;
  stream.parser.reset();
  stream.sent_bytes = 0;
  stream.may_be_resent = false;
  stream.has_answer = false;
  stream.is_head_told = false;
  stream.owes_sent = false;
  return stream;
}

Stream* StreamClient::Loop::find(StreamId id) {
  const auto index = static_cast<std::uint32_t>(id);
  if (index >= streams_.size()) {
    return nullptr;
  }
  auto& stream = streams_[index];
  return stream.id == id && stream.phase != Stream::Phase::free ? &stream : nullptr;
}

/// The stream's connection, if it still has one, is closed.
void StreamClient::Loop::finish(Stream& stream, StreamEnd end, std::string detail, Instant at) {
  stream.phase = Stream::Phase::ended;
  stream.request = {};
  if (auto* connection = std::exchange(stream.connection, nullptr)) {
    connection->stream = nullptr;
    close(*connection);
  }
  notes_.push_back({stream.id, end, std::move(detail), at});
}

/// Writes one turn's worth; epoll tells when more can go.
void StreamClient::Loop::write_request(Connection& connection) {
  auto& stream = *connection.stream;
  const auto turn_end = std::min(stream.request_bytes, stream.sent_bytes + kReadBytes);
  while (stream.sent_bytes < turn_end) {
    const auto left = std::string_view{stream.request}.substr(stream.sent_bytes);
    const auto outcome = connection.send(left.substr(0, turn_end - stream.sent_bytes));
    if (outcome.status == IoStatus::closed || outcome.status == IoStatus::broken) {
      watch(connection, EPOLLIN);  // an answer may lie there already; else reading tells the end
      return;
    }
    if (outcome.status != IoStatus::moved) {
      break;
    }
    stream.sent_bytes += outcome.bytes;
  }
  const auto at = Instant::now();
  connection.deadline = at + options_.silence;
  busy_.move_to_back(connection);
  if (stream.sent_bytes < stream.request_bytes) {
    watch(connection, EPOLLIN | EPOLLOUT);
    return;
  }
  watch(connection, EPOLLIN);
  stream.owes_sent = true;
  stream.sent_at = at;
  notes_.push_back({.id = stream.id});
  if (!stream.may_be_resent) {
    stream.request = {};
  }
}

void StreamClient::Loop::read_answer(Connection& connection) {
  const auto outcome =
      connection.receive(std::span{buffer_}.first(buffer_.size() - kReadablePadding));
  const auto at = Instant::now();
  switch (outcome.status) {
    case IoStatus::moved:
      if (outcome.may_hold_more) {
        connection.reads_again = true;
        reads_again_.push_back(&connection);
      }
      consume(connection, {buffer_.data(), outcome.bytes}, at);
      return;
    case IoStatus::wants_read:
    case IoStatus::wants_write:
      return;
    case IoStatus::closed:
    case IoStatus::broken:
      lose_answer(connection, outcome, at);
      return;
  }
}

void StreamClient::Loop::consume(Connection& connection, std::string_view bytes, Instant at) {
  auto& stream = *connection.stream;
  if (!stream.has_answer) {
    stream.has_answer = true;
    if (stream.may_be_resent && stream.sent_bytes == stream.request_bytes) {
      stream.request = {};
    }
  }
  connection.deadline = at + options_.silence;
  busy_.move_to_back(connection);
  const auto taken = stream.parser.feed(bytes, [&](std::string_view part) {
    tell_head(stream, at);
    if (stream.phase == Stream::Phase::busy) {
      observer_.on_body(stream.id, part, at);
    }
  });
  if (stream.phase == Stream::Phase::busy && stream.parser.has_head()) {
    tell_head(stream, at);
  }
  if (stream.phase != Stream::Phase::busy) {
    return;  // cancelled by the observer
  }
  if (stream.parser.state() == HttpResponseParser::State::failed) {
    finish(stream, StreamEnd::malformed, stream.parser.problem(), at);
  } else if (stream.parser.state() == HttpResponseParser::State::complete) {
    const bool is_whole_exchange = stream.sent_bytes == stream.request_bytes;
    if (stream.parser.head().keep_alive && is_whole_exchange && taken == bytes.size()) {
      stream.connection = nullptr;
      connection.stream = nullptr;
      make_idle(connection);
    }
    finish(stream, StreamEnd::complete, {}, at);
  }
}

void StreamClient::Loop::tell_sent(Stream& stream) {
  if (std::exchange(stream.owes_sent, false)) {
    observer_.on_sent(stream.id, stream.sent_at);
  }
}

void StreamClient::Loop::tell_head(Stream& stream, Instant at) {
  tell_sent(stream);
  if (!stream.is_head_told && stream.phase == Stream::Phase::busy) {
    stream.is_head_told = true;
    observer_.on_head(stream.id, stream.parser.head(), at);
  }
}

/// The connection is gone: the answer may last until then, may be asked for once more, or is lost.
void StreamClient::Loop::lose_answer(Connection& connection, const IoOutcome& outcome, Instant at) {
  auto& stream = *connection.stream;
  if (stream.may_be_resent && !stream.has_answer) {
    connection.stream = nullptr;
    close(connection);
    stream.connection = nullptr;
    stream.phase = Stream::Phase::waiting;
    stream.may_be_resent = false;
    stream.sent_bytes = 0;
    open_connection(&stream);
    return;
  }
  if (outcome.status == IoStatus::broken) {
    finish(stream, StreamEnd::reset, "the connection broke: " + outcome.problem, at);
    return;
  }
  stream.parser.end_of_stream();
  if (stream.parser.state() == HttpResponseParser::State::complete) {
    finish(stream, StreamEnd::complete, {}, at);
  } else {
    finish(stream, StreamEnd::reset, stream.parser.problem(), at);
  }
}

}  // namespace perwatt::net
