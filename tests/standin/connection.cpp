#include "connection.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <system_error>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace standin {
namespace {

constexpr std::size_t kMostHeadBytes = 65'536;
constexpr std::uint64_t kDripTicket = 0;
constexpr std::uint64_t kTakeTicket = 1;

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

}  // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 404:
      return "Not Found";
    case 411:
      return "Length Required";
    case 429:
      return "Too Many Requests";
    case 503:
      return "Service Unavailable";
    default:
      return status < 500 ? "Refused" : "Internal Server Error";
  }
}

std::string_view Request::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) {
      return value;
    }
  }
  return {};
}

double Request::number(std::string_view name, double otherwise) const {
  std::string_view rest = query;
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    if (pair.size() > name.size() && pair.substr(0, name.size()) == name &&
        pair[name.size()] == '=') {
      return std::strtod(std::string(pair.substr(name.size() + 1)).c_str(), nullptr);
    }
  }
  return otherwise;
}

Connection::Connection(Loop& loop, Listener& listener, int fd, SSL* tls)
    : loop_(loop), listener_(&listener), fd_(fd), tls_(tls), shaken_(tls == nullptr) {
  if (tls_ != nullptr) {
    SSL_set_fd(tls_, fd_);
    SSL_set_accept_state(tls_);
    SSL_set_mode(tls_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  }
}

Connection::~Connection() {
  if (tls_ != nullptr) {
    SSL_free(tls_);
  }
  if (fd_ >= 0) {
    close(fd_);
  }
}

void Connection::drop() {
  if (fd_ < 0) {
    return;
  }
  loop_.forget(fd_);
  close(fd_);
  fd_ = -1;
  const std::shared_ptr<Connection> self = shared_from_this();
  loop_.bury(self);
  listener_->remove(self);
  if (const std::shared_ptr<Exchange> exchange = std::move(exchange_)) {
    exchange->on_peer_gone();
  }
}

void Connection::reset() {
  const linger now_without_fin{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now_without_fin, sizeof now_without_fin);
  drop();
}

void Connection::close_when_sent() {
  closing_ = true;
  flush();
}

void Connection::drip(std::size_t bytes, Nanos every, std::size_t total) {
  drip_bytes_ = bytes;
  drip_every_ = every;
  drip_left_ = total;
  loop_.at(now(), weak_from_this(), kDripTicket);
}

void Connection::on_due(Nanos due, std::uint64_t ticket) {
  if (ticket == kTakeTicket) {
    take_requests();
    return;
  }
  if (fd_ < 0 || drip_bytes_ == 0) {
    return;
  }
  const std::string_view ready =
      std::string_view(out_).substr(out_done_, std::min(drip_bytes_, drip_left_));
  const long written = ready.empty() ? 0 : write_some(ready);
  if (written > 0) {
    out_done_ += static_cast<std::size_t>(written);
    drip_left_ -= static_cast<std::size_t>(written);
  }
  if (fd_ < 0) {
    return;
  }
  if (drip_left_ == 0) {
    drip_bytes_ = 0;
    flush();
  } else if (out_done_ == out_.size() && closing_) {
    drop();
  } else {
    loop_.at(std::max(due + drip_every_, now()), weak_from_this(), kDripTicket);
  }
}

long Connection::write_some(std::string_view bytes) {
  if (tls_ != nullptr) {
    std::size_t written = 0;
    if (SSL_write_ex(tls_, bytes.data(), bytes.size(), &written) == 1) {
      return static_cast<long>(written);
    }
    const int error = SSL_get_error(tls_, 0);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
      return 0;
    }
    drop();
    return -1;
  }
  const ssize_t written = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (written >= 0) {
    return written;
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
    return 0;
  }
  drop();
  return -1;
}

void Connection::send(std::string_view bytes) {
  if (fd_ < 0) {
    return;
  }
  if (shaken_ && drip_bytes_ == 0 && out_done_ == out_.size()) {
    const long written = write_some(bytes);
    if (written < 0) {
      return;
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
    if (bytes.empty()) {
      return;
    }
    out_.clear();
    out_done_ = 0;
  }
  out_.append(bytes);
  if (drip_bytes_ == 0) {
    flush();
  }
}

void Connection::flush() {
  if (fd_ < 0 || drip_bytes_ != 0 || !shaken_) {
    return;
  }
  while (out_done_ < out_.size()) {
    const long written = write_some(std::string_view(out_).substr(out_done_));
    if (written < 0) {
      return;
    }
    if (written == 0) {
      break;
    }
    out_done_ += static_cast<std::size_t>(written);
  }
  if (out_done_ == out_.size()) {
    out_.clear();
    out_done_ = 0;
    if (closing_) {
      drop();
      return;
    }
  }
  wants_write_ = out_done_ < out_.size();
  arm();
}

void Connection::arm() {
  if (fd_ >= 0 && wants_write_ != writing_armed_) {
    writing_armed_ = wants_write_;
    loop_.change(fd_, EPOLLIN | EPOLLRDHUP | (wants_write_ ? EPOLLOUT : 0U), *this);
  }
}

bool Connection::handshake() {
  const int done = SSL_do_handshake(tls_);
  if (done == 1) {
    shaken_ = true;
    return true;
  }
  const int error = SSL_get_error(tls_, done);
  if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
    drop();
  }
  return false;
}

void Connection::on_ready(std::uint32_t events) {
  if (fd_ < 0) {
    return;
  }
  const std::shared_ptr<Connection> self = shared_from_this();
  if (!shaken_ && !handshake()) {
    return;
  }
  if ((events & EPOLLOUT) != 0) {
    flush();
  }
  if (fd_ >= 0 && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
    read();
  }
}

void Connection::read() {
  std::array<char, 65'536> buffer;
  while (fd_ >= 0) {
    std::size_t got = 0;
    if (tls_ != nullptr) {
      if (SSL_read_ex(tls_, buffer.data(), buffer.size(), &got) != 1) {
        const int error = SSL_get_error(tls_, 0);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
          drop();
        }
        return;
      }
    } else {
      const ssize_t count = recv(fd_, buffer.data(), buffer.size(), 0);
      if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
      }
      if (count <= 0) {
        drop();
        return;
      }
      got = static_cast<std::size_t>(count);
    }
    in_.append(buffer.data(), got);
    take_requests();
    if (tls_ == nullptr && got < buffer.size()) {
      return;
    }
  }
}

bool Connection::parse_head(std::size_t head_end) {
  request_ = Request{};
  std::string_view head = std::string_view(in_).substr(0, head_end);
  const std::string_view first = head.substr(0, head.find("\r\n"));
  const std::size_t method_end = first.find(' ');
  const std::size_t target_end = first.rfind(' ');
  if (method_end == std::string_view::npos || target_end <= method_end) {
    return false;
  }
  request_.method = first.substr(0, method_end);
  const std::string_view target = first.substr(method_end + 1, target_end - method_end - 1);
  const std::size_t question = target.find('?');
  request_.path = target.substr(0, question);
  request_.query = question == std::string_view::npos ? "" : target.substr(question + 1);
  head.remove_prefix(std::min(head.size(), first.size() + 2));
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(head.size(), line.size() + 2));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
      return false;
    }
    request_.headers.emplace_back(lower(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
  }
  const std::string_view length = request_.header("content-length");
  body_bytes_ = 0;
  if (!length.empty()) {
    const auto [end, error] =
        std::from_chars(length.data(), length.data() + length.size(), body_bytes_);
    return error == std::errc() && end == length.data() + length.size();
  }
  return request_.header("transfer-encoding").empty();
}

void Connection::take_requests() {
  while (fd_ >= 0 && !busy_ && !closing_) {
    if (!head_read_) {
      const std::size_t end = in_.find("\r\n\r\n");
      if (end == std::string::npos) {
        if (in_.size() > kMostHeadBytes) {
          drop();
        }
        return;
      }
      if (!parse_head(end)) {
        busy_ = true;
        respond(400, "text/plain", "not a request this server reads\n", "Connection: close\r\n");
        close_when_sent();
        return;
      }
      in_.erase(0, end + 4);
      head_read_ = true;
      if (lower(request_.header("expect")) == "100-continue") {
        send("HTTP/1.1 100 Continue\r\n\r\n");
      }
    }
    if (in_.size() < body_bytes_) {
      return;
    }
    request_.body = in_.substr(0, body_bytes_);
    in_.erase(0, body_bytes_);
    request_.arrived = now();
    head_read_ = false;
    busy_ = true;
    listener_->handler().on_request(*this, std::move(request_));
  }
}

void Connection::respond(int status, std::string_view content_type, std::string_view body,
                         std::string_view headers) {
  std::string answer = "HTTP/1.1 " + std::to_string(status) + " ";
  answer.append(reason_phrase(status)).append("\r\nContent-Type: ").append(content_type);
  answer.append("\r\nContent-Length: ").append(std::to_string(body.size())).append("\r\n");
  answer.append(headers).append("\r\n").append(body);
  send(answer);
  finish();
}

void Connection::finish() {
  exchange_.reset();
  busy_ = false;
  if (!in_.empty()) {
    // Not from here: a client that pipelines would make the stack as deep as its requests.
    loop_.at(now(), weak_from_this(), kTakeTicket);
  }
}

Listener::Listener(Loop& loop, Handler& handler, std::uint16_t port, SSL_CTX* tls)
    : loop_(loop), handler_(handler), port_(port), tls_(tls) {
  open();
}

Listener::~Listener() {
  go_dead();
}

void Listener::open() {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int yes = 1;
  setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port_);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd_, generic, size) != 0 || listen(fd_, SOMAXCONN) != 0 ||
      getsockname(fd_, generic, &size) != 0) {
    throw std::system_error(errno, std::generic_category(), "listen on 127.0.0.1");
  }
  port_ = ntohs(address.sin_port);
  loop_.watch(fd_, EPOLLIN, *this);
}

void Listener::go_dead() {
  if (fd_ >= 0) {
    loop_.forget(fd_);
    close(fd_);
    fd_ = -1;
  }
  while (!connections_.empty()) {
    (*connections_.begin())->drop();
  }
}

void Listener::come_alive() {
  if (fd_ < 0) {
    open();
  }
}

void Listener::remove(const std::shared_ptr<Connection>& connection) {
  connections_.erase(connection);
}

void Listener::on_ready(std::uint32_t /*events*/) {
  while (fd_ >= 0) {
    const int fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      return;
    }
    const int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    SSL* const tls = tls_ == nullptr ? nullptr : SSL_new(tls_);
    const auto connection = std::make_shared<Connection>(loop_, *this, fd, tls);
    connections_.insert(connection);
    loop_.watch(fd, EPOLLIN | EPOLLRDHUP, *connection);
  }
}

}  // namespace standin
