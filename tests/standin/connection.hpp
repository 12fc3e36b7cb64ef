// HTTP/1.1 as a server sees it: listeners, connections, requests in, raw bytes out. What is sent is
// up to the caller to the last byte, so that a broken answer is as easy as a good one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "loop.hpp"
#include <openssl/ssl.h>

namespace standin {

struct Request {
  std::string method;
  std::string path;
  std::string query;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  Nanos arrived = 0;  // its last byte was read

  [[nodiscard]] std::string_view header(std::string_view name) const;
  /// A number from the query, or `otherwise`.
  [[nodiscard]] double number(std::string_view name, double otherwise) const;
};

/// What is being answered on a connection.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual void on_peer_gone() = 0;
};

class Connection;

class Handler {
 public:
  virtual ~Handler() = default;
  virtual void on_request(Connection& connection, Request request) = 0;
};

class Listener;

class Connection final : public Watcher,
                         public Timed,
                         public std::enable_shared_from_this<Connection> {
 public:
  Connection(Loop& loop, Listener& listener, int fd, SSL* tls);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Queues raw bytes and writes what the kernel takes.
  void send(std::string_view bytes);

  /// A whole answer with Content-Length; `headers` are lines with CRLF.
  void respond(int status, std::string_view content_type, std::string_view body,
               std::string_view headers = {});

  /// The answer at hand is complete: the next request may be read.
  void finish();

  /// Closes once everything queued is written.
  void close_when_sent();

  /// Closes now with a TCP reset.
  void reset();

  /// From now on `bytes` per `every` until `total` bytes have gone out; then at once again.
  void drip(std::size_t bytes, Nanos every, std::size_t total);

  void set_exchange(std::shared_ptr<Exchange> exchange) { exchange_ = std::move(exchange); }

  void on_ready(std::uint32_t events) override;
  void on_due(Nanos due, std::uint64_t ticket) override;

  /// Ends the connection now.
  void drop();

 private:
  bool handshake();
  void read();
  void take_requests();
  bool parse_head(std::size_t head_end);
  void flush();
  [[nodiscard]] long write_some(std::string_view bytes);
  void arm();

  Loop& loop_;
  Listener* listener_;
  int fd_;
  SSL* tls_;
  bool shaken_;
  bool wants_write_ = false;
  bool writing_armed_ = false;
  bool busy_ = false;  // a request is being answered
  bool closing_ = false;
  std::string in_;
  std::string out_;
  std::size_t out_done_ = 0;
  std::size_t drip_bytes_ = 0;  // 0: no drip
  Nanos drip_every_ = 0;
  std::size_t drip_left_ = 0;
  Request request_;
  std::size_t body_bytes_ = 0;
  bool head_read_ = false;
  std::shared_ptr<Exchange> exchange_;
};

/// A listening socket on 127.0.0.1 and its connections.
class Listener final : public Watcher {
 public:
  /// Port 0: the kernel picks. `tls` may be null.
  Listener(Loop& loop, Handler& handler, std::uint16_t port, SSL_CTX* tls);
  ~Listener() override;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }

  /// Refuses connections from now on, and drops those that stand.
  void go_dead();
  void come_alive();

  [[nodiscard]] bool dead() const { return fd_ < 0; }

  [[nodiscard]] std::size_t connections() const { return connections_.size(); }

  [[nodiscard]] Handler& handler() const { return handler_; }

  void remove(const std::shared_ptr<Connection>& connection);
  void on_ready(std::uint32_t events) override;

 private:
  void open();

  Loop& loop_;
  Handler& handler_;
  std::uint16_t port_;
  SSL_CTX* tls_;
  int fd_ = -1;
  std::unordered_set<std::shared_ptr<Connection>> connections_;
};

[[nodiscard]] std::string_view reason_phrase(int status);

}  // namespace standin
