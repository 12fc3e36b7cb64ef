// Many streamed HTTP/1.1 requests to one server from one thread: epoll, non-blocking sockets,
// connections kept and opened ahead of time, TLS over OpenSSL where the URL asks for it.
//
// What it is for: to measure a server without adding an error of its own. Times are taken once per
// read, right after the kernel has handed over the bytes; nothing is allocated per read; a stream
// costs a few KiB. Thread rule: one thread owns a client; only wake() may be called from others
// and from signal handlers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/net/bytes_sink.hpp"
#include "perwatt/net/fetch.hpp"
#include "perwatt/net/http_response_parser.hpp"
#include "perwatt/net/url.hpp"

namespace perwatt::net {

enum class StreamEnd {
  complete,        // the whole response arrived
  connect_failed,  // no connection: refused, unreachable, name unknown, timed out
  tls_failed,      // the certificate was not verified, or the handshake failed
  reset,           // the connection broke before the response was whole
  malformed,       // bytes that are no HTTP/1.1 response
  timed_out,       // no byte for ClientOptions::silence
  cancelled        // by cancel()
};

[[nodiscard]] std::string_view to_string(StreamEnd end);

using StreamId = std::uint64_t;

/// Called from StreamClient::poll() and open_ahead(); may call post(), cancel() and wake(), nothing
/// else of the client, and must not throw. Views are valid until the call returns. The order for a
/// request is sent, head, body, end, but an answer may come before the request is sent.
class StreamObserver {
 public:
  virtual ~StreamObserver() = default;

  /// The kernel has taken the last byte of the request: told again for one that is sent again.
  virtual void on_sent(StreamId id, Instant at) = 0;
  virtual void on_head(StreamId id, const ResponseHead& head, Instant at) = 0;
  /// Decoded body bytes; kReadablePadding readable bytes lie behind the view.
  virtual void on_body(StreamId id, std::string_view bytes, Instant at) = 0;
  /// Exactly once per posted request, and the last call for it. `detail` is for people.
  virtual void on_end(StreamId id, StreamEnd end, const std::string& detail, Instant at) = 0;
};

struct ClientOptions {
  std::size_t most_connections = 20'000;
  Seconds connect_timeout = seconds(10);
  Seconds silence = seconds(600);  // between two bytes of a response
  bool verify_tls = true;
  std::string ca_file;          // empty: the system's
  std::vector<Header> headers;  // sent with every request (Authorization, …)
};

class StreamClient {
 public:
  /// Resolves the host once; connections try its addresses in turn. `observer` must outlive the
  /// client. Throws Error(peer_failed) when the name does not resolve, Error(bad_input) when the CA
  /// file cannot be read or a header cannot be sent, and Error(peer_failed) naming the limit
  /// (ulimit -n) when descriptors run out.
  StreamClient(const Url& server, ClientOptions options, StreamObserver& observer);
  ~StreamClient();
  StreamClient(const StreamClient&) = delete;
  StreamClient& operator=(const StreamClient&) = delete;

  /// Opens connections (handshakes included) until `idle` of them stand idle, waiting at most
  /// `within`; gives up at the first that fails and after wake(). Returns how many stand.
  std::size_t open_ahead(std::size_t idle, Seconds within);

  /// Starts a POST of JSON to `path`, which is the whole request target (the path of `server` is
  /// not put before it), over an idle connection, or a new one. Never blocks: what goes wrong with
  /// the server is told by on_end. A request that finds its kept connection closed by the server
  /// before any byte of an answer is sent once more over a new one. Throws Error(bad_input) for a
  /// path or header that cannot be sent.
  StreamId post(std::string_view path, std::string_view json_body,
                const std::vector<Header>& headers = {});

  /// Ends a request now: its connection is closed, and of the observer's calls only on_end
  /// (cancelled) follows, in poll(). Nothing happens for a request that has ended.
  void cancel(StreamId id);

  /// Handles what arrives until `until`, to the microsecond where the kernel allows; returns
  /// earlier after wake(), and after a request has ended, so that the caller can start the next.
  void poll(Instant until);

  /// Makes poll() return soon. Async-signal-safe.
  void wake() noexcept;

  [[nodiscard]] std::size_t in_flight() const;

  /// Inside a callback: since when the bytes or the event at hand may have waited for this thread.
  /// The moment epoll woke, where it slept before; else the moment it was asked the time before,
  /// for what came while this thread was busy. `at - ready_since()` bounds the client's own lag.
  [[nodiscard]] Instant ready_since() const;

  /// How late poll() noticed: the longest time from one return of epoll to the next call of it
  /// since the last call of take_longest_stall(), during which arrived bytes waited for this
  /// thread. Time without a request in flight does not count.
  [[nodiscard]] Seconds take_longest_stall();

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace perwatt::net
