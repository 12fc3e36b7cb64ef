#include "tls.hpp"

#include <cerrno>

#include "dial.hpp"
#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include "perwatt/base/error.hpp"

namespace perwatt::net {

namespace {

// OpenSSL's own socket BIO writes without MSG_NOSIGNAL: a peer that hangs up would end the process
// by SIGPIPE. This one does the same with recv and send.

int socket_of(BIO* bio) {
  return static_cast<const Descriptor*>(BIO_get_data(bio))->number();
}

bool would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

int bio_write(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const auto sent = send(socket_of(bio), bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (sent < 0 && would_block(errno)) {
    BIO_set_retry_write(bio);
  }
  return static_cast<int>(sent);
}

int bio_read(BIO* bio, char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const auto received = recv(socket_of(bio), bytes, static_cast<std::size_t>(size), 0);
  if (received < 0 && would_block(errno)) {
    BIO_set_retry_read(bio);
  }
  return static_cast<int>(received);
}

long bio_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* socket_method() {
  static BIO_METHOD* const kMethod = [] {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_ctrl(method, bio_control);
    return method;
  }();
  return kMethod;
}

bool is_address(const std::string& host) {
  in6_addr ignored{};
  return inet_pton(AF_INET, host.c_str(), &ignored) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &ignored) == 1;
}

[[noreturn]] void throw_no_tls(const Url& server) {
  throw Error{ErrorCode::internal_error, "OpenSSL gives no TLS context", server.origin(), ""};
}

void load_roots(SSL_CTX* context, const std::string& ca_file) {
  if (ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(context);
    return;
  }
  if (SSL_CTX_load_verify_locations(context, ca_file.c_str(), nullptr) != 1) {
    ERR_clear_error();
    throw_bad_input("holds no certificates that can be read", ca_file,
                    "give a file of CA certificates in PEM form");
  }
}

}  // namespace

TlsContext::TlsContext(const Url& server, bool verify, const std::string& ca_file)
    : host_{server.host}, verifies_{verify}, context_{SSL_CTX_new(TLS_client_method())} {
  static constexpr unsigned char kProtocols[] = "\x08http/1.1";
  SSL_CTX* context = context_.get();
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_alpn_protos(context, kProtocols, sizeof kProtocols - 1) != 0) {
    throw_no_tls(server);
  }
  if (!host_.empty() && host_.back() == '.') {
    host_.pop_back();  // certificates name hosts without the root's dot
  }
  load_roots(context, ca_file);
  SSL_CTX_set_verify(context, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  // Without RELEASE_BUFFERS, each idle connection would hold two buffers of 16 KiB.
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_set_app_data(context, this);
  SSL_CTX_sess_set_new_cb(context, keep_session);
}

SslPointer TlsContext::start(Descriptor& socket) {
  SslPointer ssl{SSL_new(context_.get())};
  BIO* bio = BIO_new(socket_method());
  if (!ssl || bio == nullptr) {
    BIO_free(bio);
    return nullptr;
  }
  BIO_set_data(bio, &socket);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl.get(), bio, bio);
  if (is_address(host_)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), host_.c_str());
  } else {
    SSL_set_tlsext_host_name(ssl.get(), host_.c_str());
    if (verifies_ && SSL_set1_host(ssl.get(), host_.c_str()) != 1) {
      return nullptr;
    }
  }
  if (session_) {
    SSL_set_session(ssl.get(), session_.get());
  }
  SSL_set_connect_state(ssl.get());
  return ssl;
}

int TlsContext::keep_session(SSL* ssl, SSL_SESSION* session) {
  auto* self = static_cast<TlsContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  self->session_.reset(session);
  return 1;  // the reference is ours now
}

std::string describe_tls_error(const SSL* ssl, int ssl_error) {
  const int system_error = errno;
  const long verdict = SSL_get_verify_result(ssl);
  const auto code = ERR_peek_last_error();
  std::string text;
  if (verdict != X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE) {
    text = std::string{"the server's certificate was not verified: "} +
           X509_verify_cert_error_string(verdict);
  } else if (code != 0) {
    const char* reason = ERR_reason_error_string(code);
    text = reason != nullptr ? reason : "an error without a name";
  } else if (ssl_error == SSL_ERROR_SYSCALL && system_error != 0) {
    text = describe_error(system_error);
  } else {
    text = "the connection was closed";
  }
  ERR_clear_error();
  return text;
}

}  // namespace perwatt::net
