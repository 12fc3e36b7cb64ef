// Names to addresses, addresses to sockets that connect on their own.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <sys/socket.h>

#include "perwatt/base/result.hpp"
#include "perwatt/net/url.hpp"

namespace perwatt::net {

/// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;

  explicit Descriptor(int number) : number_{number} {}

  Descriptor(Descriptor&& other) noexcept : number_{std::exchange(other.number_, -1)} {}

  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }

  ~Descriptor() { close(); }

  void close() noexcept;

  [[nodiscard]] int number() const { return number_; }

  [[nodiscard]] bool is_open() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  std::string text;  // "127.0.0.1:8000"
};

/// The addresses of a server in the order the system prefers, at least one. Throws
/// Error(peer_failed) when the name does not resolve.
[[nodiscard]] std::vector<Address> resolve(const Url& server);

/// A non-blocking socket whose connection is under way or stands.
[[nodiscard]] Result<Descriptor> start_connecting(const Address& address);

/// What a connecting socket met, once it is writable: 0 when it stands, else an errno.
[[nodiscard]] int connect_error(const Descriptor& socket);

/// For people, with what to do where a limit of this machine was met.
[[nodiscard]] std::string describe_connect_error(const Address& address, int error);

/// The system's words for an errno.
[[nodiscard]] std::string describe_error(int error);

}  // namespace perwatt::net
