// One caller's connection to an HttpServer, plain or over TLS.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "event_queue.hpp"
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http.hpp>

#include "perwatt/net/http_server.hpp"

namespace perwatt::net {

namespace asio = boost::asio;
namespace http = boost::beast::http;

/// "localhost", "127.0.0.1:8600", "[::1]:8600": a page of another name that leads here is not.
[[nodiscard]] bool names_loopback(std::string_view host);

class HttpConnection {
 public:
  virtual ~HttpConnection() = default;
  virtual void start() = 0;
  /// Answers the first request with `refusal` and closes.
  virtual void refuse(HttpAnswer refusal) = 0;
  virtual void answer(HttpAnswer answer, HttpReply::Done done) = 0;
  [[nodiscard]] virtual bool is_open() const = 0;
  /// Answers the request under way; false where no event can follow.
  virtual bool open_stream() = 0;
  virtual HttpStream::Sent push(std::string_view event) = 0;
  /// No effect but on a stream.
  virtual void end_stream() = 0;
  [[nodiscard]] virtual bool is_stream_open() const = 0;
};

/// What a connection needs of its server, which owns it until it has closed.
class ConnectionHost {
 public:
  virtual ~ConnectionHost() = default;
  [[nodiscard]] virtual const HttpServerOptions& options() const = 0;
  virtual void handle(const HttpRequest& request, const HttpReply& reply) = 0;
  /// False where there are too many streams already.
  virtual bool takes_stream(const HttpConnection& connection) = 0;
  virtual void closed(const HttpConnection& connection) = 0;
};

class HttpReply::Answerer {
 public:
  explicit Answerer(std::weak_ptr<HttpConnection> connection)
      : connection_{std::move(connection)} {}

  ~Answerer();
  Answerer(const Answerer&) = delete;
  Answerer& operator=(const Answerer&) = delete;

  void send(HttpAnswer answer, HttpReply::Done done);

  [[nodiscard]] HttpStream open_stream();

  [[nodiscard]] bool is_open() const;

 private:
  std::weak_ptr<HttpConnection> connection_;
  bool is_sent_ = false;
};

/// True where `field`, an Authorization header, carries the token.
[[nodiscard]] bool authorizes(std::string_view field, const std::string& token);

/// While one request waits for its answer the next is read already: that is how a caller that hangs
/// up is noticed.
template <class Stream>
class StreamConnection final : public HttpConnection,
                               public std::enable_shared_from_this<StreamConnection<Stream>> {
 public:
  template <class... Arguments>
  StreamConnection(ConnectionHost& host, Arguments&&... arguments)
      : host_{host},
        stream_{std::forward<Arguments>(arguments)...},
        timer_{stream_.get_executor()} {}

  void start() override {
    arm();
    if constexpr (kIsTls) {
      stream_.async_handshake(asio::ssl::stream_base::server,
                              [self = this->shared_from_this()](boost::system::error_code failure) {
                                failure ? self->close() : self->read();
                              });
    } else {
      read();
    }
  }

  void refuse(HttpAnswer refusal) override {
    unconditional_refusal_ = std::move(refusal);
    start();
  }

  [[nodiscard]] bool is_open() const override { return is_open_; }

  void answer(HttpAnswer answer, HttpReply::Done done) override {
    if (!is_open_) {
      if (done) {
        done(false);
      }
      return;
    }
    response_ = {};
    response_.version(11);
    response_.result(static_cast<unsigned>(answer.status));
    response_.set(http::field::content_type, answer.content_type);
    for (const auto& [name, value] : answer.fields) {
      response_.set(name, value);
    }
    if (answer.status == 401) {
      response_.insert(http::field::www_authenticate, "Bearer");
      response_.insert(http::field::www_authenticate, R"(Basic realm="perwatt")");  // for browsers
    }
    response_.keep_alive(keeps_alive_);
    if (!is_head_) {
      response_.body() = std::move(answer.body);
    }
    response_.prepare_payload();
    arm();
    http::async_write(stream_, response_,
                      [self = this->shared_from_this(), done = std::move(done)](
                          boost::system::error_code failure, std::size_t) {
                        if (done) {
                          done(!failure);
                        }
                        failure ? self->close() : self->answered();
                      });
  }

  bool open_stream() override {
    if (!is_open_) {
      return false;
    }
    if (!is_head_ && !host_.takes_stream(*this)) {
      answer({503, detail_json("there are " + std::to_string(host_.options().most_streams) +
                               " streams, as many as this server keeps; come again")},
             {});
      return false;
    }
    keeps_alive_ = false;
    events_.emplace(host_.options().most_stream_bytes, is_chunked_);
    if (is_head_) {
      events_->end();
    }
    write_stream(EventQueue::head(is_chunked_));
    return !is_head_;
  }

  HttpStream::Sent push(std::string_view event) override {
    if (!is_stream_open()) {
      return HttpStream::Sent::closed;
    }
    if (!events_->add(event)) {
      return HttpStream::Sent::lost;
    }
    if (writing_.empty()) {
      write_stream(events_->take());
    }
    return HttpStream::Sent::taken;
  }

  void end_stream() override {
    if (is_stream_open()) {
      events_->end();
      if (writing_.empty()) {
        write_stream(events_->take());
      }
    }
  }

  [[nodiscard]] bool is_stream_open() const override {
    return is_open_ && events_ && !events_->is_ended();
  }

 private:
  static constexpr bool kIsTls = !std::is_same_v<Stream, asio::ip::tcp::socket>;
  static constexpr std::uint32_t kMostHeaderBytes = 16384;
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

  void read() {
    parser_.emplace();
    parser_->header_limit(kMostHeaderBytes);
    parser_->body_limit(host_.options().most_body_bytes);
    http::async_read_header(
        stream_, buffer_, *parser_,
        [self = this->shared_from_this()](boost::system::error_code failure, std::size_t) {
          self->has_read_head(failure);
        });
  }

  /// Strangers are refused before their body is read.
  void has_read_head(boost::system::error_code failure) {
    if (failure || !is_open_) {
      has_read(failure);
      return;
    }
    const auto& head = parser_->get();
    if (unconditional_refusal_) {
      refusal_ = unconditional_refusal_;
    } else if (!host_.options().token.empty() &&
               !authorizes(std::string{head[http::field::authorization]}, host_.options().token)) {
      refusal_ = {401, detail_json("no valid token; send 'Authorization: Bearer TOKEN', or the "
                                   "token as password")};
    }
    if (refusal_) {
      has_read({});
    } else if (!is_answering_ && boost::beast::iequals(head[http::field::expect], "100-continue")) {
      asio::async_write(
          stream_, asio::buffer(kContinue),
          [self = this->shared_from_this()](boost::system::error_code broken, std::size_t) {
            broken ? self->close() : self->read_body();
          });
    } else {
      read_body();
    }
  }

  void read_body() {
    http::async_read(stream_, buffer_, *parser_,
                     [self = this->shared_from_this()](boost::system::error_code failure,
                                                       std::size_t) { self->has_read(failure); });
  }

  void has_read(boost::system::error_code failure) {
    if (!is_open_) {
      return;
    }
    if (failure) {
      refusal_ = refusal_of(failure);
      if (!refusal_) {
        close();
        return;
      }
    }
    is_read_ = true;
    if (!is_answering_) {
      dispatch();
    }
  }

  /// Nothing for a caller that hung up.
  [[nodiscard]] std::optional<HttpAnswer> refusal_of(boost::system::error_code failure) const {
    if (failure == http::error::body_limit) {
      return HttpAnswer{
          413, detail_json("the body has more than " +
                           std::to_string(host_.options().most_body_bytes) + " bytes; send less")};
    }
    if (failure == http::error::header_limit) {
      return HttpAnswer{431, detail_json("the head has more than " +
                                         std::to_string(kMostHeaderBytes) + " bytes; send less")};
    }
    const bool is_malformed =
        failure.category() == http::make_error_code(http::error::bad_method).category() &&
        failure != http::error::end_of_stream && failure != http::error::partial_message;
    if (is_malformed) {
      return HttpAnswer{400, detail_json("not HTTP/1.1: " + failure.message())};
    }
    return std::nullopt;
  }

  void dispatch() {
    is_read_ = false;
    is_answering_ = true;
    timer_.cancel();
    const HttpReply reply{std::make_shared<HttpReply::Answerer>(
        std::weak_ptr<HttpConnection>{this->shared_from_this()})};
    if (refusal_) {
      keeps_alive_ = false;
      is_refused_ = true;
      reply.send(*std::exchange(refusal_, std::nullopt));
      return;
    }
    keeps_alive_ = parser_->keep_alive();
    auto message = parser_->release();
    is_head_ = message.method() == http::verb::head;
    is_chunked_ = message.version() >= 11;
    HttpRequest request;
    request.method = std::string{message.method_string()};
    const std::string target{message.target()};
    const auto mark = target.find('?');
    request.path = target.substr(0, mark);
    request.query = mark == std::string::npos ? "" : target.substr(mark + 1);
    request.body = std::move(message.body());
    request.content_type = std::string{message[http::field::content_type]};
    request.is_local =
        is_from_loopback() && names_loopback(std::string{message[http::field::host]});
    read();
    host_.handle(request, reply);
  }

  [[nodiscard]] bool is_from_loopback() const {
    boost::system::error_code failure;
    const auto caller = boost::beast::get_lowest_layer(stream_).remote_endpoint(failure);
    return !failure && caller.address().is_loopback();
  }

  /// Writes `bytes`, then what came meanwhile; closes after the end.
  void write_stream(std::string bytes) {
    writing_ = std::move(bytes);
    if (writing_.empty()) {
      if (events_->is_ended()) {
        close();
      }
      return;
    }
    arm();
    asio::async_write(
        stream_, asio::buffer(writing_),
        [self = this->shared_from_this()](boost::system::error_code failure, std::size_t) {
          if (failure) {
            self->close();
            return;
          }
          self->timer_.cancel();
          self->write_stream(self->is_head_ ? std::string{} : self->events_->take());
        });
  }

  void answered() {
    is_answering_ = false;
    if (is_refused_) {
      arm();
      boost::system::error_code ignored;
      boost::beast::get_lowest_layer(stream_).shutdown(asio::ip::tcp::socket::shutdown_send,
                                                       ignored);
      drain();
    } else if (!keeps_alive_) {
      close();
    } else if (is_read_) {
      dispatch();
    } else {
      arm();
    }
  }

  /// Reads on until the caller hangs up or the time is over: closing on bytes not yet read would
  /// take the answer away from a caller that is still sending.
  void drain() {
    boost::beast::get_lowest_layer(stream_).async_read_some(
        asio::buffer(drained_),
        [self = this->shared_from_this()](boost::system::error_code failure, std::size_t) {
          failure ? self->close() : self->drain();
        });
  }

  /// Closes the connection unless it is cancelled or armed anew in time.
  void arm() {
    timer_.expires_after(std::chrono::milliseconds{
        static_cast<int>(in_seconds(host_.options().idle_timeout) * 1e3)});
    timer_.async_wait([weak = this->weak_from_this()](boost::system::error_code failure) {
      const auto self = weak.lock();
      if (!failure && self && self->timer_.expiry() <= std::chrono::steady_clock::now()) {
        self->close();
      }
    });
  }

  /// REQUIRES: the caller shares in the ownership.
  void close() {
    if (!std::exchange(is_open_, false)) {
      return;
    }
    timer_.cancel();
    boost::system::error_code ignored;
    auto& socket = boost::beast::get_lowest_layer(stream_);
    socket.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
    socket.close(ignored);
    host_.closed(*this);
  }

  ConnectionHost& host_;
  Stream stream_;
  asio::steady_timer timer_;
  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  std::optional<HttpAnswer> refusal_;  // of the request just read
  std::optional<HttpAnswer> unconditional_refusal_;
  std::array<char, 4096> drained_{};
  std::optional<EventQueue> events_;  // once the answer is a stream
  std::string writing_;               // to the stream, now
  bool is_open_ = true;
  bool is_refused_ = false;  // what came was no request, or too long
  bool keeps_alive_ = true;
  bool is_head_ = false;       // the request under way wants no body
  bool is_chunked_ = true;     // likewise speaks HTTP/1.1
  bool is_answering_ = false;  // from a request handed on to its answer written
  bool is_read_ = false;       // the next request, whole
};

}  // namespace perwatt::net
