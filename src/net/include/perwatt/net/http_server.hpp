// An HTTP/1.1 server for few routes and many callers that may wait: an answer is given in the
// handler or long after it, so that a caller can be kept waiting without a thread of its own; or it
// stays open and takes server-sent events (HttpStream).
//
// Thread rule: everything happens on the thread of run(): the handler is called there, and answers
// and events are sent there. Only stop() and post() may be called from others; post() is how
// another thread has something sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "perwatt/base/units.hpp"

namespace perwatt::net {

struct HttpServerOptions {
  std::string address = "127.0.0.1";  // IPv4 or IPv6
  std::uint16_t port = 0;             // 0: any that is free
  /// Callers must send it as 'Authorization: Bearer TOKEN', or as the password of Basic
  /// authentication. Empty: none is asked for.
  std::string token;
  std::string certificate_file;  // PEM chain: the server speaks TLS (1.2 or later) only
  std::string key_file;          // PEM
  std::string client_ca_file;    // PEM: callers must show a certificate of one of these roots
  std::size_t most_body_bytes = 4 << 20;
  std::size_t most_connections = 16384;     // callers beyond are told so (503) and hung up on
  std::size_t most_streams = 1024;          // of them; callers beyond get 503
  std::size_t most_stream_bytes = 1 << 20;  // of events that wait for one caller: HttpStream
  Seconds idle_timeout = seconds(60);       // to send a whole request, or to take an answer
};

struct HttpRequest {
  std::string method;
  std::string path;   // as sent, without the query: not yet decoded
  std::string query;  // without the question mark
  std::string body;
  std::string content_type;  // as sent; empty where absent
  bool is_local = false;     // from a loopback address, and to one by its Host
};

struct HttpAnswer {
  int status = 200;
  std::string body{};
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> fields{};  // more of the head
};

/// One server-sent event as it is written to a stream. REQUIRES: no line end in `name`.
[[nodiscard]] std::string event_text(std::string_view name, std::string_view data);

class HttpConnection;

/// An answer of type text/event-stream that stays open. Copies share it.
///
/// A caller that reads slowly holds nothing up: its events wait in a buffer of most_stream_bytes
/// (one event always has room), and from the first that finds no room on all are lost until the
/// caller has taken what waits; then an event `lost` with the data {"events":N} tells it so. One
/// that takes nothing for idle_timeout is hung up on.
class HttpStream {
 public:
  enum class Sent { taken, lost, closed };

  /// Closed from the start.
  HttpStream() = default;
  explicit HttpStream(std::weak_ptr<HttpConnection> connection);

  /// `event` of event_text().
  Sent send(std::string_view event) const;

  /// After what waits.
  void end() const;

  /// False once the caller has hung up, or after end().
  [[nodiscard]] bool is_open() const;

 private:
  std::weak_ptr<HttpConnection> connection_;
};

/// The right to answer one request. Copies share it; when the last one goes without an answer, the
/// caller gets status 500.
class HttpReply {
 public:
  /// Called with true when the whole answer was handed to the system, with false when the caller
  /// was gone.
  using Done = std::function<void(bool)>;

  class Answerer;

  explicit HttpReply(std::shared_ptr<Answerer> answerer);

  /// The first answer counts; later ones are dropped.
  void send(HttpAnswer answer, Done done = {}) const;

  /// Answers with a stream. It is closed from the start for a HEAD request, where there are
  /// most_streams already (the caller gets 503), and after an answer.
  [[nodiscard]] HttpStream open_stream() const;

  /// False once the caller has hung up, its sending side included: a caller that has ended and one
  /// that only stops sending look the same.
  [[nodiscard]] bool is_open() const;

 private:
  std::shared_ptr<Answerer> answerer_;
};

/// Bodies of the server's own refusals: {"detail": "…"}.
[[nodiscard]] std::string detail_json(const std::string& reason);

/// "a%20b" as "a b"; nothing decoded where the escape is none.
[[nodiscard]] std::string percent_decoded(std::string_view text);

class HttpServer {
 public:
  using Handler = std::function<void(const HttpRequest&, HttpReply)>;

  /// Listens from now on. What the handler throws becomes status 500 with the reason. Throws
  /// Error(usage) for an address other than a loopback one without a token or client_ca_file,
  /// Error(bad_input) for an address or a PEM file that is none, and Error(peer_failed) when the
  /// port is taken.
  HttpServer(HttpServerOptions options, Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// "http://127.0.0.1:7787"
  [[nodiscard]] std::string url() const;

  /// Serves until stop() or, with `until_signal`, until SIGINT or SIGTERM. Streams are ended then,
  /// and have a second to take what waits. Throws what a posted task throws.
  void run(bool until_signal = false);

  void stop();

  /// Has `task` run on the thread of run(), in the order of calls; never after stop().
  void post(std::function<void()> task);

 private:
  struct Listener;
  std::shared_ptr<Listener> listener_;
};

}  // namespace perwatt::net
