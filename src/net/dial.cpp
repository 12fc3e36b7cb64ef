#include "dial.hpp"

#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>

#include "perwatt/base/error.hpp"

namespace perwatt::net {

namespace {

std::string text_of(const sockaddr* address, socklen_t size) {
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (getnameinfo(address, size, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "an address";
  }
  const bool is_ipv6 = address->sa_family == AF_INET6;
  return (is_ipv6 ? "[" + std::string{host} + "]" : std::string{host}) + ":" + port;
}

}  // namespace

void Descriptor::close() noexcept {
  if (is_open()) {
    ::close(std::exchange(number_, -1));
  }
}

std::vector<Address> resolve(const Url& server) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int problem =
      getaddrinfo(server.host.c_str(), std::to_string(server.port).c_str(), &hints, &found);
  if (problem != 0) {
    throw Error{ErrorCode::peer_failed,
                "the name '" + server.host + "' does not resolve: " + gai_strerror(problem),
                server.origin(), "check the host's name and the name server"};
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner{found, &freeaddrinfo};
  std::vector<Address> addresses;
  for (const auto* entry = found; entry != nullptr; entry = entry->ai_next) {
    Address address;
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.size = entry->ai_addrlen;
    address.text = text_of(entry->ai_addr, entry->ai_addrlen);
    addresses.push_back(address);
  }
  return addresses;
}

Result<Descriptor> start_connecting(const Address& address) {
  Descriptor socket{
      ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!socket.is_open()) {
    return Failure{describe_connect_error(address, errno)};
  }
  // A request leaves as soon as it is written: delayed segments would be taken for server time.
  const int on = 1;
  setsockopt(socket.number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const auto* target = reinterpret_cast<const sockaddr*>(&address.storage);
  if (connect(socket.number(), target, address.size) != 0 && errno != EINPROGRESS) {
    return Failure{describe_connect_error(address, errno)};
  }
  return socket;
}

int connect_error(const Descriptor& socket) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(socket.number(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

std::string describe_connect_error(const Address& address, int error) {
  auto what = "no connection to " + address.text + ": " + describe_error(error);
  if (error == EMFILE || error == ENFILE) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    return what + " (the limit is " + std::to_string(limit.rlim_cur) +
           ": raise it with ulimit -n, or use fewer streams)";
  }
  if (error == EADDRNOTAVAIL) {
    return what +
           " (this machine has no free port left towards this address: use fewer streams, or more "
           "ports by net.ipv4.ip_local_port_range)";
  }
  return what;
}

std::string describe_error(int error) {
  return std::generic_category().message(error);
}

}  // namespace perwatt::net
