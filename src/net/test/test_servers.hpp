// Servers that tests of the clients share.
#pragma once

#include <string>

#include "raw_server.hpp"
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perwatt/net/url.hpp"

namespace perwatt::net {

inline const std::string kChunkedHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

inline std::string answer(const std::string& body, const std::string& status = "200 OK",
                          const std::string& fields = "") {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         fields + "\r\n" + body;
}

/// Answers every request of every connection with `body`.
inline RawServer::Script always(const std::string& body) {
  return [bytes = answer(body)](Peer& peer) {
    while (!peer.read_request().empty() && peer.send(bytes)) {
    }
  };
}

inline Url url_of(const RawServer& server) {
  return parse_url(server.url(), "test");
}

/// A port on which nobody accepts: bound, and listening only when asked to.
class SilentPort {
 public:
  explicit SilentPort(bool listens) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(socket_, generic, size), 0);
    EXPECT_EQ(getsockname(socket_, generic, &size), 0);
    port_ = ntohs(address.sin_port);
    if (listens) {
      EXPECT_EQ(listen(socket_, 0), 0);
    }
  }

  ~SilentPort() { close(socket_); }

  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;

  [[nodiscard]] Url url(const std::string& host = "127.0.0.1") const {
    return parse_url("http://" + host + ":" + std::to_string(port_), "test");
  }

 private:
  int socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::uint16_t port_ = 0;
};

}  // namespace perwatt::net
