#include "raw_server.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

namespace perwatt::net {

namespace {

void require(bool holds, const char* what) {
  if (!holds) {
    throw std::runtime_error{what};
  }
}

std::size_t content_length(const std::string& head) {
  const std::string name = "Content-Length: ";
  const auto at = head.find(name);
  return at == std::string::npos ? 0 : std::stoul(head.substr(at + name.size()));
}

}  // namespace

TestIdentity::TestIdentity(const std::string& alternative_name, bool is_expired)
    : context_{SSL_CTX_new(TLS_server_method()), &SSL_CTX_free} {
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key{EVP_EC_gen("P-256"), &EVP_PKEY_free};
  const std::unique_ptr<X509, void (*)(X509*)> certificate{X509_new(), &X509_free};
  require(context_ && key && certificate, "no key");
  auto* cert = certificate.get();
  constexpr long kDay = 86400;
  X509_set_version(cert, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
  X509_gmtime_adj(X509_getm_notBefore(cert), -2 * kDay);
  X509_gmtime_adj(X509_getm_notAfter(cert), is_expired ? -kDay : kDay);
  X509_set_pubkey(cert, key.get());
  auto* name = X509_get_subject_name(cert);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("perwatt test"), -1, -1, 0);
  X509_set_issuer_name(cert, name);
  const std::pair<int, std::string> extensions[] = {{NID_basic_constraints, "critical,CA:TRUE"},
                                                    {NID_subject_alt_name, alternative_name}};
  for (const auto& [nid, value] : extensions) {
    auto* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
    require(extension != nullptr && X509_add_ext(cert, extension, -1) == 1, "no extension");
    X509_EXTENSION_free(extension);
  }
  require(X509_sign(cert, key.get(), EVP_sha256()) > 0, "no signature");
  require(SSL_CTX_use_certificate(context_.get(), cert) == 1 &&
              SSL_CTX_use_PrivateKey(context_.get(), key.get()) == 1,
          "the key does not fit");
  char path[] = "/tmp/perwatt-test-XXXXXX";
  const int file = mkstemp(path);
  require(file >= 0, "no temporary file");
  pem_file_ = path;
  auto* stream = fdopen(file, "w");
  require(PEM_write_X509(stream, cert) == 1, "no PEM");
  std::fclose(stream);
}

TestIdentity::~TestIdentity() {
  unlink(pem_file_.c_str());
}

Peer::~Peer() {
  if (ssl_ != nullptr) {
    if (says_goodbye_) {
      SSL_shutdown(ssl_);
    }
    SSL_free(ssl_);
  }
}

bool Peer::fill() {
  char bytes[64 << 10];
  const auto count =
      ssl_ != nullptr ? SSL_read(ssl_, bytes, sizeof bytes) : recv(socket_, bytes, sizeof bytes, 0);
  if (count <= 0) {
    return false;
  }
  unread_.append(bytes, static_cast<std::size_t>(count));
  return true;
}

std::string Peer::read_head() {
  std::size_t end = std::string::npos;
  while ((end = unread_.find("\r\n\r\n")) == std::string::npos) {
    if (!fill()) {
      return {};
    }
  }
  auto head = unread_.substr(0, end + 4);
  unread_.erase(0, end + 4);
  return head;
}

std::string Peer::read_request() {
  auto request = read_head();
  const auto length = content_length(request);
  while (unread_.size() < length) {
    if (!fill()) {
      return {};
    }
  }
  request += unread_.substr(0, length);
  unread_.erase(0, length);
  return request;
}

bool Peer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = ssl_ != nullptr
                           ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                           : ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

bool Peer::send_chunk(std::string_view bytes) {
  char size[32];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return send(size + std::string{bytes} + "\r\n");
}

void Peer::reset() {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

RawServer::RawServer(Script script, const TestIdentity* identity)
    : script_{std::move(script)}, identity_{identity} {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  require(bind(listener_, generic, size) == 0 && listen(listener_, 1024) == 0 &&
              getsockname(listener_, generic, &size) == 0,
          "no port");
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread{[this] { accept_all(); }};
}

RawServer::~RawServer() {
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  close(listener_);
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock{mutex_};
    for (const int open : open_sockets_) {
      shutdown(open, SHUT_RDWR);
    }
    threads.swap(threads_);
  }
  for (auto& thread : threads) {
    thread.join();
  }
}

std::string RawServer::url(const std::string& host) const {
  return (identity_ != nullptr ? "https://" : "http://") + host + ":" + std::to_string(port_);
}

void RawServer::accept_all() {
  for (;;) {
    const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) {
      return;
    }
    const int on = 1;
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const auto number = connections_++;
    const std::lock_guard lock{mutex_};
    open_sockets_.push_back(connection);
    threads_.emplace_back([this, connection, number] { serve(connection, number); });
  }
}

void RawServer::serve(int connection, std::size_t number) {
  // The server's own TLS writes may meet SIGPIPE; the client's thread keeps the default, so that a
  // client that is not safe from it ends the test.
  sigset_t pipe_signal;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);
  SSL* ssl = nullptr;
  bool is_ready = true;
  if (identity_ != nullptr) {
    ssl = SSL_new(identity_->context());
    SSL_set_fd(ssl, connection);
    is_ready = SSL_accept(ssl) == 1;
  }
  {
    Peer peer{connection, ssl, number};
    if (is_ready) {
      script_(peer);
    }
  }
  const std::lock_guard lock{mutex_};
  open_sockets_.erase(std::find(open_sockets_.begin(), open_sockets_.end(), connection));
  close(connection);
}

}  // namespace perwatt::net
