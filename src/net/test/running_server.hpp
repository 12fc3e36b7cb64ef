// A server under test and a caller whose every byte the test decides.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "raw_server.hpp"
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perwatt/net/http_server.hpp"

namespace perwatt::net {

/// A server on a thread of its own.
class RunningServer {
 public:
  RunningServer(HttpServerOptions options, HttpServer::Handler handler)
      : server_{std::move(options), std::move(handler)}, thread_{[this] { server_.run(); }} {}

  ~RunningServer() {
    server_.stop();
    thread_.join();
  }

  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;

  [[nodiscard]] std::string url() const { return server_.url(); }

  /// As HttpServer's.
  void post(std::function<void()> task) { server_.post(std::move(task)); }

  [[nodiscard]] std::uint16_t port() const {
    return static_cast<std::uint16_t>(std::stoi(url().substr(url().rfind(':') + 1)));
  }

 private:
  HttpServer server_;
  std::thread thread_;
};

/// Fails after a while.
template <class Condition>
void wait_until(Condition holds) {
  for (int tries = 0; tries < 20000 && !holds(); ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  ASSERT_TRUE(holds());
}

/// A socket whose every byte the test decides.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : socket_{::socket(AF_INET, SOCK_STREAM, 0)} {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_connected_ =
        ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    const timeval patience{20, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }

  ~RawClient() { hang_up(); }

  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void send(std::string_view bytes) const {
    ASSERT_TRUE(is_connected_);
    ASSERT_EQ(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  /// Until `end` was read, or all of it when the server hangs up.
  [[nodiscard]] std::string read_until(const std::string& end) const {
    std::string read;
    std::array<char, 65536> bytes{};
    std::size_t searched = 0;
    while (read.find(end, searched) == std::string::npos) {
      searched = read.size() - std::min(read.size(), end.size());
      const auto size = ::recv(socket_, bytes.data(), bytes.size(), 0);
      if (size <= 0) {
        break;
      }
      read.append(bytes.data(), static_cast<std::size_t>(size));
    }
    return read;
  }

  /// REQUIRES: no null byte comes.
  [[nodiscard]] std::string read_all() const { return read_until(std::string(1, '\0')); }

  void hang_up() {
    if (socket_ >= 0) {
      ::close(socket_);
      socket_ = -1;
    }
  }

 private:
  int socket_;
  bool is_connected_ = false;
};

/// The key of an identity as a file.
inline std::string key_file_of(const TestIdentity& identity) {
  const auto path = identity.pem_file() + ".key";
  auto* file = std::fopen(path.c_str(), "w");
  PEM_write_PrivateKey(file, SSL_CTX_get0_privatekey(identity.context()), nullptr, nullptr, 0,
                       nullptr, nullptr);
  std::fclose(file);
  return path;
}

}  // namespace perwatt::net
