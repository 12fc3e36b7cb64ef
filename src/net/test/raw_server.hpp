// A server on 127.0.0.1 whose every byte a test decides: each connection runs the script in a
// thread of its own, over blocking sockets. Shares nothing with the code under test.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <openssl/ssl.h>

namespace perwatt::net {

/// A key and a certificate that signs itself, made for the test.
class TestIdentity {
 public:
  /// `alternative_name` as OpenSSL writes them: "IP:127.0.0.1", "DNS:localhost".
  explicit TestIdentity(const std::string& alternative_name, bool is_expired = false);

  /// A file that holds the certificate as PEM, valid as long as this lives.
  [[nodiscard]] const std::string& pem_file() const { return pem_file_; }

  [[nodiscard]] SSL_CTX* context() const { return context_.get(); }

  ~TestIdentity();
  TestIdentity(const TestIdentity&) = delete;
  TestIdentity& operator=(const TestIdentity&) = delete;

 private:
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::string pem_file_;
};

/// One accepted connection.
class Peer {
 public:
  Peer(int socket, SSL* ssl, std::size_t number) : socket_{socket}, ssl_{ssl}, number_{number} {}

  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  /// 0 for the first connection that the server accepted, and so on.
  [[nodiscard]] std::size_t number() const { return number_; }

  /// Head and body of the next request; "" when the client has closed.
  std::string read_request();

  /// Up to the blank line; "" when the client has closed.
  std::string read_head();

  /// False when the client is gone.
  bool send(std::string_view bytes);

  /// As an HTTP chunk.
  bool send_chunk(std::string_view bytes);

  /// Ends the connection with RST.
  void reset();

  /// Closes TCP alone, where TLS would say goodbye first.
  void leave_without_goodbye() { says_goodbye_ = false; }

  [[nodiscard]] bool resumes_session() const { return ssl_ != nullptr && SSL_session_reused(ssl_); }

 private:
  bool fill();

  int socket_;
  SSL* ssl_;
  std::size_t number_;
  std::string unread_;
  bool says_goodbye_ = true;
};

class RawServer {
 public:
  using Script = std::function<void(Peer&)>;

  explicit RawServer(Script script, const TestIdentity* identity = nullptr);

  /// Ends every connection that is still open.
  ~RawServer();
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }

  /// "http://127.0.0.1:port" or https.
  [[nodiscard]] std::string url(const std::string& host = "127.0.0.1") const;

  [[nodiscard]] std::size_t connections() const { return connections_; }

 private:
  void accept_all();
  void serve(int socket, std::size_t number);

  Script script_;
  const TestIdentity* identity_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<std::size_t> connections_ = 0;
  std::mutex mutex_;  // guards the next two
  std::vector<int> open_sockets_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace perwatt::net
