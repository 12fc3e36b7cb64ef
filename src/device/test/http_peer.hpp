// A small HTTP server on 127.0.0.1 for tests; one request after the other, one per connection.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace perwatt::test {

struct PeerRequest {
  std::string head;    // the request line and the headers
  std::string target;  // path and query
};

struct PeerAnswer {
  std::string body;
  int status = 200;
  bool is_silent = false;   // takes the request and never answers
  bool is_cut_off = false;  // promises more bytes than it sends
};

class HttpPeer {
 public:
  using Handler = std::function<PeerAnswer(const PeerRequest&)>;

  explicit HttpPeer(Handler handler) : handler_{std::move(handler)} {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(listener_, 64);
    socklen_t length = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread{[this] { serve(); }};
  }

  ~HttpPeer() {
    stops_ = true;
    thread_.join();
    ::close(listener_);
  }

  HttpPeer(const HttpPeer&) = delete;
  HttpPeer& operator=(const HttpPeer&) = delete;

  [[nodiscard]] std::string url(const std::string& path = {}) const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }

  [[nodiscard]] int requests() const { return requests_; }

 private:
  void serve() {
    while (!stops_) {
      pollfd waiting{listener_, POLLIN, 0};
      if (::poll(&waiting, 1, 20) <= 0) {
        continue;
      }
      const int peer = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (peer >= 0) {
        answer(peer);
        ::close(peer);
      }
    }
  }

  void answer(int peer) {
    PeerRequest request;
    char bytes[4096];
    while (request.head.find("\r\n\r\n") == std::string::npos) {
      const auto count = ::recv(peer, bytes, sizeof bytes, 0);
      if (count <= 0) {
        return;
      }
      request.head.append(bytes, static_cast<std::size_t>(count));
    }
    const auto first = request.head.find(' ') + 1;
    request.target = request.head.substr(first, request.head.find(' ', first) - first);
    ++requests_;
    const auto answer = handler_(request);
    if (answer.is_silent) {
      while (!stops_ && ::recv(peer, bytes, sizeof bytes, MSG_DONTWAIT) != 0) {
        ::usleep(5000);
      }
      return;
    }
    const auto promised = answer.body.size() + (answer.is_cut_off ? 100 : 0);
    const std::string text = "HTTP/1.1 " + std::to_string(answer.status) +
                             " Status\r\nConnection: close\r\nContent-Type: text/plain\r\n"
                             "Content-Length: " +
                             std::to_string(promised) + "\r\n\r\n" + answer.body;
    for (std::size_t sent = 0; sent < text.size();) {
      const auto count = ::send(peer, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) {
        return;
      }
      sent += static_cast<std::size_t>(count);
    }
  }

  Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stops_ = false;
  std::atomic<int> requests_ = 0;
  std::thread thread_;
};

}  // namespace perwatt::test
