// The inside of StreamClient. Requests (Stream) and connections (Connection) are apart: a
// connection outlives the request it serves, a request may need a second connection.
//
// Calls of the observer about sending and ending are noted first and made at one place
// (tell_notes), so that post() and cancel() are safe everywhere; on_head and on_body are called
// while bytes are read, and a stream that ends meanwhile is only marked.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "connection.hpp"
#include "dial.hpp"
#include "linked_list.hpp"
#include "poller.hpp"
#include "request_head.hpp"
#include "tls.hpp"

#include "perwatt/base/instant.hpp"
#include "perwatt/net/http_response_parser.hpp"
#include "perwatt/net/stream_client.hpp"

namespace perwatt::net {

/// A request from post() until on_end.
struct Stream {
  enum class Phase { free, waiting, busy, ended };

  StreamId id = 0;
  Phase phase = Phase::free;
  Connection* connection = nullptr;  // while waiting and busy
  HttpResponseParser parser;
  std::string request;  // kept as long as it may have to be sent again
  std::size_t request_bytes = 0;
  std::size_t sent_bytes = 0;
  bool may_be_resent = false;  // its connection stood idle before, and may have been closed
  bool has_answer = false;     // some byte of it
  bool is_head_told = false;
  bool owes_sent = false;  // on_sent is still to be called, for
  Instant sent_at;
};

class StreamClient::Loop {
 public:
  Loop(const Url& server, ClientOptions options, StreamObserver& observer);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  std::size_t open_ahead(std::size_t idle, Seconds within);
  StreamId post(std::string_view path, std::string_view json_body,
                const std::vector<Header>& headers);
  void cancel(StreamId id);
  void poll(Instant until);

  void wake() noexcept { poller_.wake(); }

  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }

  [[nodiscard]] Instant ready_since() const { return poller_.ready_since(); }

  [[nodiscard]] Seconds take_longest_stall();

 private:
  /// A call of the observer that is still to be made.
  struct Note {
    StreamId id = 0;
    std::optional<StreamEnd> end = {};  // nothing: the request was sent
    std::string detail = {};
    Instant at = {};
  };

  void step(Instant until);
  bool tell_notes();
  void count_stall(Instant now);
  [[nodiscard]] Instant next_deadline() const;
  void expire(Instant now);

  Stream& new_stream();
  [[nodiscard]] Stream* find(StreamId id);
  void finish(Stream& stream, StreamEnd end, std::string detail, Instant at);

  void open_connection(Stream* stream);
  void dial(Connection& connection, std::string problem);
  void give_up(Connection& connection, StreamEnd end, const std::string& problem);
  void establish(Connection& connection);
  void shake_hands(Connection& connection);
  void make_idle(Connection& connection);
  void use(Connection& connection, Stream& stream, bool was_idle);
  void close(Connection& connection);
  void watch(Connection& connection, std::uint32_t events);

  void handle(Connection& connection, std::uint32_t events);
  void write_request(Connection& connection);
  void read_answer(Connection& connection);
  void read_idle(Connection& connection);
  void consume(Connection& connection, std::string_view bytes, Instant at);
  void tell_sent(Stream& stream);
  void tell_head(Stream& stream, Instant at);
  void lose_answer(Connection& connection, const IoOutcome& outcome, Instant at);

  Url server_;
  ClientOptions options_;
  StreamObserver& observer_;
  std::vector<Address> addresses_;
  RequestWriter writer_;
  std::unique_ptr<TlsContext> tls_;
  Poller poller_;
  std::vector<char> buffer_;

  std::deque<Stream> streams_;  // addresses stay; slots are used again
  std::vector<std::uint32_t> free_streams_;
  std::size_t in_flight_ = 0;

  // Each connection is in one of these; the first two are in the order of their deadlines, since
  // all in one list wait equally long.
  LinkedList<Connection> connecting_;
  LinkedList<Connection> busy_;
  LinkedList<Connection> idle_;
  std::size_t connection_count_ = 0;
  std::size_t idle_count_ = 0;
  std::size_t opening_ahead_ = 0;
  std::size_t good_address_ = 0;  // the last one that took a connection
  bool has_failed_ahead_ = false;
  std::vector<Connection*> reads_again_;
  std::vector<std::unique_ptr<Connection>> closed_;  // events at hand may still name them

  std::vector<Note> notes_;
  std::vector<Note> notes_told_;
  bool is_woken_ = false;
  Instant last_return_;  // of the wait, or since when a request is in flight again
  Seconds longest_stall_;
};

}  // namespace perwatt::net
