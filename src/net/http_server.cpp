#include "perwatt/net/http_server.hpp"

#include <csignal>
#include <map>
#include <vector>

#include "http_connection.hpp"
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/ssl/context.hpp>
#include <nlohmann/json.hpp>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::net {

namespace {

using asio::ip::tcp;

/// Callers beyond HttpServerOptions::most_connections that are told so; more are hung up on.
constexpr std::size_t kMostToldOff = 256;

/// For streams to take what waits when the server stops.
constexpr std::chrono::seconds kFarewell{1};

constexpr unsigned char kSessionContext[] = "perwatt";

asio::ip::address parse_address(const std::string& text) {
  boost::system::error_code failure;
  auto address = asio::ip::make_address(text, failure);
  if (failure) {
    throw_bad_input("'" + printable(text) + "' is no address", "listen",
                    "give an IPv4 or IPv6 address, such as 127.0.0.1 or ::1");
  }
  return address;
}

/// One step of setting up TLS; `file` is what it reads.
template <class Step>
void tls_step(const std::string& file, const char* wanted, Step step) {
  boost::system::error_code failure;
  step(failure);
  if (failure) {
    throw_bad_input(failure.message(), file, std::string{"give "} + wanted + " as PEM");
  }
}

std::unique_ptr<asio::ssl::context> make_tls(const HttpServerOptions& options) {
  if (options.certificate_file.empty()) {
    if (!options.key_file.empty() || !options.client_ca_file.empty()) {
      throw Error{ErrorCode::usage, "TLS without a certificate", "listen",
                  "give the server's certificate and key"};
    }
    return nullptr;
  }
  if (options.key_file.empty()) {
    throw Error{ErrorCode::usage, "a certificate without its key", "listen", "give the key"};
  }
  auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  context->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                       asio::ssl::context::no_tlsv1_1);
  tls_step(options.certificate_file, "a certificate", [&](auto& failure) {
    context->use_certificate_chain_file(options.certificate_file, failure);
  });
  tls_step(options.key_file, "the certificate's key", [&](auto& failure) {
    context->use_private_key_file(options.key_file, asio::ssl::context::pem, failure);
  });
  if (!options.client_ca_file.empty()) {
    tls_step(options.client_ca_file, "the roots of the callers' certificates",
             [&](auto& failure) { context->load_verify_file(options.client_ca_file, failure); });
    context->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
    // Without it OpenSSL refuses to resume sessions of callers whose certificate was verified.
    SSL_CTX_set_session_id_context(context->native_handle(), kSessionContext,
                                   sizeof kSessionContext - 1);
  }
  return context;
}

/// Empty for text that is no base64.
std::string base64_decoded(std::string_view text) {
  std::string bytes(text.size(), '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  const auto padding = text.size() - text.substr(0, text.find('=')).size();
  bytes.resize(size < 0 || padding > 2 ? 0 : static_cast<std::size_t>(size) - padding);
  return bytes;
}

bool same_secret(std::string_view given, const std::string& secret) {
  return given.size() == secret.size() &&
         CRYPTO_memcmp(given.data(), secret.data(), secret.size()) == 0;
}

}  // namespace

bool authorizes(std::string_view field, const std::string& token) {
  const auto space = field.find(' ');
  if (space == std::string_view::npos) {
    return false;
  }
  const auto scheme = lower_case(field.substr(0, space));
  const auto given = trimmed(field.substr(space));
  if (scheme == "bearer") {
    return same_secret(given, token);
  }
  if (scheme == "basic") {
    const auto pair = base64_decoded(given);
    const auto colon = pair.find(':');
    return colon != std::string::npos &&
           same_secret(std::string_view{pair}.substr(colon + 1), token);
  }
  return false;
}

std::string detail_json(const std::string& reason) {
  const nlohmann::json json{{"detail", reason}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  const auto hex = [](char digit) {
    const std::string_view kDigits = "0123456789abcdef";
    return kDigits.find(lower_case(std::string_view{&digit, 1}));
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) < 16 && hex(text[i + 2]) < 16) {
      decoded += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

HttpReply::HttpReply(std::shared_ptr<Answerer> answerer) : answerer_{std::move(answerer)} {}

void HttpReply::send(HttpAnswer answer, Done done) const {
  answerer_->send(std::move(answer), std::move(done));
}

bool HttpReply::is_open() const {
  return answerer_->is_open();
}

HttpStream HttpReply::open_stream() const {
  return answerer_->open_stream();
}

HttpStream::HttpStream(std::weak_ptr<HttpConnection> connection)
    : connection_{std::move(connection)} {}

HttpStream::Sent HttpStream::send(std::string_view event) const {
  const auto connection = connection_.lock();
  return connection ? connection->push(event) : Sent::closed;
}

void HttpStream::end() const {
  if (const auto connection = connection_.lock()) {
    connection->end_stream();
  }
}

bool HttpStream::is_open() const {
  const auto connection = connection_.lock();
  return connection && connection->is_stream_open();
}

bool HttpReply::Answerer::is_open() const {
  const auto connection = connection_.lock();
  return connection && connection->is_open();
}

HttpReply::Answerer::~Answerer() {
  send({500, detail_json("no answer was given")}, {});
}

void HttpReply::Answerer::send(HttpAnswer answer, Done done) {
  if (std::exchange(is_sent_, true)) {
    return;
  }
  if (const auto connection = connection_.lock()) {
    connection->answer(std::move(answer), std::move(done));
  } else if (done) {
    done(false);
  }
}

HttpStream HttpReply::Answerer::open_stream() {
  const auto connection = connection_.lock();
  if (std::exchange(is_sent_, true) || !connection || !connection->open_stream()) {
    return {};
  }
  return HttpStream{connection_};
}

bool names_loopback(std::string_view host) {
  if (host.starts_with('[')) {
    host = host.substr(1, host.find(']') - 1);
  } else {
    host = host.substr(0, host.find(':'));
  }
  boost::system::error_code failure;
  const auto address = asio::ip::make_address(std::string{host}, failure);
  return host == "localhost" || (!failure && address.is_loopback());
}

struct HttpServer::Listener final : ConnectionHost {
  Listener(HttpServerOptions given, Handler wanted)
      : settings{std::move(given)}, handler{std::move(wanted)}, tls{make_tls(settings)} {
    const auto address = parse_address(settings.address);
    if (!address.is_loopback() && settings.token.empty() && settings.client_ca_file.empty()) {
      throw Error{ErrorCode::usage, settings.address + " can be reached by anyone", "listen",
                  "give a token or the roots of the callers' certificates, or listen on 127.0.0.1"};
    }
    try {
      const tcp::endpoint endpoint{address, settings.port};
      acceptor.open(endpoint.protocol());
      acceptor.set_option(tcp::acceptor::reuse_address{true});
      acceptor.bind(endpoint);
      acceptor.listen();
    } catch (const boost::system::system_error& problem) {
      throw Error{ErrorCode::peer_failed, problem.code().message(),
                  settings.address + ":" + std::to_string(settings.port),
                  "stop what listens there, or choose another port"};
    }
  }

  [[nodiscard]] const HttpServerOptions& options() const override { return settings; }

  void handle(const HttpRequest& request, const HttpReply& reply) override {
    try {
      handler(request, reply);
    } catch (const std::exception& problem) {
      reply.send({500, detail_json(problem.what())});
    }
  }

  void closed(const HttpConnection& connection) override {
    const auto gone = connections.find(&connection);
    served -= gone->second.is_told_off ? 0 : 1;
    streams -= gone->second.is_stream ? 1 : 0;
    connections.erase(gone);
    if (is_stopping && streams == 0) {
      io.stop();
    }
  }

  bool takes_stream(const HttpConnection& connection) override {
    if (streams >= settings.most_streams || is_stopping) {
      return false;
    }
    connections.at(&connection).is_stream = true;
    ++streams;
    return true;
  }

  void say_goodbye() {
    if (std::exchange(is_stopping, true)) {
      return;
    }
    boost::system::error_code ignored;
    acceptor.close(ignored);
    std::vector<std::shared_ptr<HttpConnection>> open;
    for (const auto& [key, one] : connections) {
      if (one.is_stream) {
        open.push_back(one.connection);
      }
    }
    for (const auto& connection : open) {
      connection->end_stream();
    }
    if (streams == 0) {
      io.stop();
      return;
    }
    retry.expires_after(kFarewell);
    retry.async_wait([this](boost::system::error_code) { io.stop(); });
  }

  void accept() {
    acceptor.async_accept([this](boost::system::error_code failure, tcp::socket socket) {
      if (failure == asio::error::operation_aborted || !acceptor.is_open()) {
        return;
      }
      if (failure) {  // no descriptor is left, or the caller is gone already
        retry.expires_after(std::chrono::milliseconds{100});
        retry.async_wait([this](boost::system::error_code cancelled) {
          if (!cancelled && !is_stopping) {
            accept();
          }
        });
        return;
      }
      if (connections.size() < settings.most_connections + kMostToldOff) {
        welcome(std::move(socket));
      }
      accept();
    });
  }

  void welcome(tcp::socket socket) {
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay{true}, ignored);
    socket.set_option(asio::socket_base::keep_alive{true}, ignored);
    std::shared_ptr<HttpConnection> connection;
    if (tls) {
      connection = std::make_shared<StreamConnection<asio::ssl::stream<tcp::socket>>>(
          *this, std::move(socket), *tls);
    } else {
      connection = std::make_shared<StreamConnection<tcp::socket>>(*this, std::move(socket));
    }
    const bool is_full = served >= settings.most_connections;
    served += is_full ? 0 : 1;
    connections.emplace(connection.get(), Welcomed{connection, is_full, false});
    if (is_full) {
      connection->refuse(
          {503, detail_json("there are " + std::to_string(settings.most_connections) +
                            " callers, as many as this server takes; come again")});
    } else {
      connection->start();
    }
  }

  HttpServerOptions settings;
  Handler handler;
  std::unique_ptr<asio::ssl::context> tls;
  asio::io_context io;
  tcp::acceptor acceptor{io};
  asio::steady_timer retry{io};

  struct Welcomed {
    std::shared_ptr<HttpConnection> connection;
    bool is_told_off;
    bool is_stream;
  };

  std::map<const HttpConnection*, Welcomed> connections;
  std::size_t served = 0;   // of them, without those told off
  std::size_t streams = 0;  // of them
  bool is_stopping = false;
};

HttpServer::HttpServer(HttpServerOptions options, Handler handler)
    : listener_{std::make_shared<Listener>(std::move(options), std::move(handler))} {}

HttpServer::~HttpServer() = default;

std::string HttpServer::url() const {
  const auto end = listener_->acceptor.local_endpoint();
  const auto host =
      end.address().is_v6() ? "[" + end.address().to_string() + "]" : end.address().to_string();
  return (listener_->tls ? "https://" : "http://") + host + ":" + std::to_string(end.port());
}

void HttpServer::run(bool until_signal) {
  asio::signal_set signals{listener_->io};
  if (until_signal) {
    signals.add(SIGINT);
    signals.add(SIGTERM);
    signals.async_wait([this](boost::system::error_code failure, int) {
      if (!failure) {
        listener_->say_goodbye();
      }
    });
  }
  listener_->accept();
  listener_->io.run();
}

void HttpServer::stop() {
  asio::post(listener_->io, [this] { listener_->say_goodbye(); });
}

void HttpServer::post(std::function<void()> task) {
  asio::post(listener_->io, std::move(task));
}

}  // namespace perwatt::net
