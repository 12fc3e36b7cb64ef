#include <cerrno>
#include <string>
#include <utility>

#include "stream_loop.hpp"

namespace perwatt::net {

/// For `stream`, or ahead of the next request without one.
void StreamClient::Loop::open_connection(Stream* stream) {
  if (connection_count_ >= options_.most_connections) {
    if (stream != nullptr) {
      finish(*stream, StreamEnd::connect_failed,
             "all " + std::to_string(options_.most_connections) + " connections are in use",
             Instant::now());
    }
    return;
  }
  auto& connection = *new Connection;  // owned by the list it is in, then by closed_
  ++connection_count_;
  connection.first_address = good_address_;
  connection.stream = stream;
  connection.is_ahead = stream == nullptr;
  if (stream == nullptr) {
    ++opening_ahead_;
  } else {
    stream->connection = &connection;
  }
  dial(connection, {});
}

/// Tries the next address, for the reason `problem` with the one before.
void StreamClient::Loop::dial(Connection& connection, std::string problem) {
  connection.socket.close();
  connection.phase = Connection::Phase::connecting;
  while (connection.addresses_tried < addresses_.size()) {
    const auto index =
        (connection.first_address + connection.addresses_tried++) % addresses_.size();
    auto started = start_connecting(addresses_[index]);
    if (!started) {
      problem = started.reason();
      continue;
    }
    connection.socket = std::move(started).value();
    connection.interest = EPOLLIN | EPOLLOUT;
    if (!poller_.watch(connection.socket.number(), connection.interest, &connection)) {
      problem = "epoll takes no more sockets: " + describe_error(errno);
      break;
    }
    connection.deadline = Instant::now() + options_.connect_timeout;
    connecting_.move_to_back(connection);
    return;
  }
  give_up(connection, StreamEnd::connect_failed, problem);
}

void StreamClient::Loop::give_up(Connection& connection, StreamEnd end,
                                 const std::string& problem) {
  if (connection.stream != nullptr) {
    finish(*connection.stream, end, problem, Instant::now());
    return;
  }
  has_failed_ahead_ = true;
  close(connection);
}

void StreamClient::Loop::establish(Connection& connection) {
  const auto tried = connection.first_address + connection.addresses_tried - 1;
  const auto index = tried % addresses_.size();
  if (const int error = connect_error(connection.socket); error != 0) {
    dial(connection, describe_connect_error(addresses_[index], error));
    return;
  }
  good_address_ = index;
  if (!tls_) {
    watch(connection, EPOLLIN);
    make_idle(connection);
    return;
  }
  if (!connection.start_tls(*tls_)) {
    give_up(connection, StreamEnd::tls_failed, "OpenSSL starts no connection");
    return;
  }
  shake_hands(connection);
}

void StreamClient::Loop::shake_hands(Connection& connection) {
  const auto outcome = connection.handshake();
  switch (outcome.status) {
    case IoStatus::moved:
      watch(connection, EPOLLIN);
      make_idle(connection);
      return;
    case IoStatus::wants_read:
      watch(connection, EPOLLIN);
      return;
    case IoStatus::wants_write:
      watch(connection, EPOLLIN | EPOLLOUT);
      return;
    case IoStatus::closed:
      give_up(connection, StreamEnd::tls_failed, "the server ended the TLS handshake");
      return;
    case IoStatus::broken:
      give_up(connection, StreamEnd::tls_failed,
              "TLS with " + server_.origin() + ": " + outcome.problem);
      return;
  }
}

/// A connection that stands serves the request that waits for it, or waits for one.
void StreamClient::Loop::make_idle(Connection& connection) {
  const bool was_opening = connection.phase != Connection::Phase::busy;
  if (was_opening && connection.stream != nullptr) {
    use(connection, *std::exchange(connection.stream, nullptr), false);
    return;
  }
  if (was_opening) {
    --opening_ahead_;
  }
  connection.phase = Connection::Phase::idle;
  idle_.move_to_back(connection);
  ++idle_count_;
}

void StreamClient::Loop::use(Connection& connection, Stream& stream, bool was_idle) {
  if (was_idle) {
    --idle_count_;
  }
  connection.phase = Connection::Phase::busy;
  connection.stream = &stream;
  stream.phase = Stream::Phase::busy;
  stream.connection = &connection;
  stream.may_be_resent = was_idle;
  connection.deadline = Instant::now() + options_.silence;
  busy_.move_to_back(connection);
  write_request(connection);
}

/// REQUIRES: no stream uses it.
void StreamClient::Loop::close(Connection& connection) {
  switch (connection.phase) {
    case Connection::Phase::connecting:
    case Connection::Phase::handshaking:
      opening_ahead_ -= connection.is_ahead ? 1 : 0;
      break;
    case Connection::Phase::idle:
      --idle_count_;
      break;
    case Connection::Phase::busy:
      break;
  }
  connection.close();
  connection.unlink();
  if (connection.reads_again) {
    std::erase(reads_again_, &connection);
  }
  --connection_count_;
  closed_.emplace_back(&connection);
}

void StreamClient::Loop::watch(Connection& connection, std::uint32_t events) {
  if (connection.interest != events) {
    connection.interest = events;
    poller_.change(connection.socket.number(), events, &connection);
  }
}

void StreamClient::Loop::handle(Connection& connection, std::uint32_t events) {
  switch (connection.phase) {
    case Connection::Phase::connecting:
      establish(connection);
      return;
    case Connection::Phase::handshaking:
      shake_hands(connection);
      return;
    case Connection::Phase::idle:
      read_idle(connection);
      return;
    case Connection::Phase::busy:
      // One thing at a time: what else is ready is reported again.
      if ((events & connection.interest & EPOLLOUT) != 0) {
        write_request(connection);
      } else {
        read_answer(connection);
      }
      return;
  }
}

/// Session tickets may come; anything else ends the connection: a goodbye, or bytes nobody asked
/// for.
void StreamClient::Loop::read_idle(Connection& connection) {
  const auto outcome =
      connection.receive(std::span{buffer_}.first(buffer_.size() - kReadablePadding));
  if (outcome.status != IoStatus::wants_read && outcome.status != IoStatus::wants_write) {
    close(connection);
  }
}

}  // namespace perwatt::net
