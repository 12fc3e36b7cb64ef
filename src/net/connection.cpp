#include "connection.hpp"

#include <cerrno>

#include <openssl/err.h>

namespace perwatt::net {

namespace {

IoOutcome plain_outcome(ssize_t returned, IoStatus when_blocked) {
  if (returned >= 0) {
    return {.bytes = static_cast<std::size_t>(returned)};
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
    return {.status = when_blocked};
  }
  return {.status = IoStatus::broken, .problem = describe_error(errno)};
}

}  // namespace

bool Connection::start_tls(TlsContext& context) {
  ssl_ = context.start(socket);
  is_tls_broken_ = false;
  phase = Phase::handshaking;
  return ssl_ != nullptr;
}

IoOutcome Connection::handshake() {
  ERR_clear_error();
  return tls_outcome(SSL_do_handshake(ssl_.get()));
}

IoOutcome Connection::receive(std::span<char> buffer) {
  if (ssl_) {
    return receive_tls(buffer);
  }
  auto outcome =
      plain_outcome(recv(socket.number(), buffer.data(), buffer.size(), 0), IoStatus::wants_read);
  if (outcome.status == IoStatus::moved && outcome.bytes == 0) {
    outcome.status = IoStatus::closed;
  }
  return outcome;
}

// Records are at most 16 KiB: several are taken in one turn.
IoOutcome Connection::receive_tls(std::span<char> buffer) {
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    ERR_clear_error();
    std::size_t bytes = 0;
    const int returned =
        SSL_read_ex(ssl_.get(), buffer.data() + filled, buffer.size() - filled, &bytes);
    if (returned == 1) {
      filled += bytes;
      continue;
    }
    auto outcome = tls_outcome(returned);
    if (filled == 0) {
      return outcome;
    }
    // What ended this turn is met again by the next one.
    const bool is_over = outcome.status == IoStatus::closed || outcome.status == IoStatus::broken;
    return {.bytes = filled, .may_hold_more = is_over};
  }
  return {.bytes = filled, .may_hold_more = true};
}

IoOutcome Connection::send(std::string_view bytes) {
  if (!ssl_) {
    return plain_outcome(::send(socket.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
                         IoStatus::wants_write);
  }
  ERR_clear_error();
  std::size_t sent = 0;
  const int returned = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &sent);
  if (returned == 1) {
    return {.bytes = sent};
  }
  return tls_outcome(returned);
}

IoOutcome Connection::tls_outcome(int returned) {
  if (returned == 1) {
    return {};
  }
  const int error = SSL_get_error(ssl_.get(), returned);
  switch (error) {
    case SSL_ERROR_WANT_READ:
      return {.status = IoStatus::wants_read};
    case SSL_ERROR_WANT_WRITE:
      return {.status = IoStatus::wants_write};
    case SSL_ERROR_ZERO_RETURN:
      return {.status = IoStatus::closed};
    default:
      is_tls_broken_ = true;
      return {.status = IoStatus::broken, .problem = describe_tls_error(ssl_.get(), error)};
  }
}

void Connection::close() {
  if (ssl_ && SSL_is_init_finished(ssl_.get()) == 1 && !is_tls_broken_) {
    // Also keeps OpenSSL from dropping the session, which the next connection resumes.
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  ssl_.reset();
  socket.close();
}

}  // namespace perwatt::net
