// One connection of a StreamClient: a non-blocking socket, with TLS or without.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "dial.hpp"
#include "linked_list.hpp"
#include "tls.hpp"

#include "perwatt/base/instant.hpp"

namespace perwatt::net {

struct Stream;

enum class IoStatus {
  moved,        // some bytes
  wants_read,   // nothing until the socket is readable
  wants_write,  // nothing until it is writable
  closed,       // the peer ended the stream in order
  broken        // `problem` says how
};

struct IoOutcome {
  IoStatus status = IoStatus::moved;
  std::size_t bytes = 0;
  bool may_hold_more = false;  // bytes or the end lie in memory: epoll will not tell of them
  std::string problem = {};
};

class Connection : public Link {
 public:
  enum class Phase { connecting, handshaking, idle, busy };

  Phase phase = Phase::connecting;
  Stream* stream = nullptr;  // null: opened ahead, or idle
  bool is_ahead = false;     // no request waits for it to open
  Descriptor socket;
  std::size_t first_address = 0;
  std::size_t addresses_tried = 0;
  Instant deadline;
  std::uint32_t interest = 0;  // what epoll watches
  bool reads_again = false;    // without waiting for epoll

  /// Goes from a connected socket into the handshake; handshake() is next.
  [[nodiscard]] bool start_tls(TlsContext& context);

  /// `moved` when done.
  [[nodiscard]] IoOutcome handshake();

  /// Fills `buffer` as far as one turn goes.
  [[nodiscard]] IoOutcome receive(std::span<char> buffer);

  [[nodiscard]] IoOutcome send(std::string_view bytes);

  /// Says goodbye in TLS and closes the socket.
  void close();

 private:
  [[nodiscard]] IoOutcome receive_tls(std::span<char> buffer);
  [[nodiscard]] IoOutcome tls_outcome(int returned);

  SslPointer ssl_;
  bool is_tls_broken_ = false;
};

}  // namespace perwatt::net
