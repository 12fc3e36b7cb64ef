// TLS of a client's connections over OpenSSL: verification, session reuse, errors in words.
#pragma once

#include <memory>
#include <string>

#include "dial.hpp"
#include <openssl/ssl.h>

#include "perwatt/net/url.hpp"

namespace perwatt::net {

struct SslDeleter {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }

  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }

  void operator()(SSL_SESSION* session) const noexcept { SSL_SESSION_free(session); }
};

using SslPointer = std::unique_ptr<SSL, SslDeleter>;

/// What the connections to one server share. Stays where it is: OpenSSL holds its address.
class TlsContext {
 public:
  /// With `verify`, the chain must lead to a root of `ca_file` (the system's when empty) and name
  /// the server's host or address. Throws Error(bad_input) when the file cannot be read.
  TlsContext(const Url& server, bool verify, const std::string& ca_file);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext() = default;

  /// A client's end over a connected socket, which must outlive it where it is; no byte is sent
  /// yet.
  [[nodiscard]] SslPointer start(Descriptor& socket);

 private:
  static int keep_session(SSL* ssl, SSL_SESSION* session);

  std::string host_;
  bool verifies_;
  std::unique_ptr<SSL_CTX, SslDeleter> context_;
  std::unique_ptr<SSL_SESSION, SslDeleter> session_;  // the newest one the server gave
};

/// Why the last call on `ssl` failed, in words. `ssl_error` is what SSL_get_error() said.
[[nodiscard]] std::string describe_tls_error(const SSL* ssl, int ssl_error);

}  // namespace perwatt::net
