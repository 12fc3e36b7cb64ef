// The guardian: a forked process that restores caps when its parent is gone.
//
// Parent and guardian speak over a socket pair of packets. The parent sends one packet for each
// device with what stood, then "remembered". Before it lowers a cap it sends "lowering" and waits
// for "ready"; "restored" takes that back. "done" ends the guardian; the end of the parent's side
// without it means that the parent died, and what it had lowered is restored.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perwatt/base/text.hpp"
#include "perwatt/device/power_cap.hpp"

namespace perwatt::device {

namespace {

constexpr std::string_view kRemembered = "remembered";
constexpr std::string_view kReady = "ready";
constexpr std::string_view kLowering = "lowering";
constexpr std::string_view kRestored = "restored";
constexpr std::string_view kDone = "done";
constexpr std::string_view kCap = "cap ";
constexpr std::size_t kMostPacket = 1024;

using StoodCaps = std::vector<std::pair<std::string, Watts>>;

bool send_packet(int socket, std::string_view text) {
  ssize_t sent = 0;
  do {
    sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(text.size());
}

/// Nothing at the end of the other side.
std::optional<std::string> receive_packet(int socket) {
  std::string text(kMostPacket, '\0');
  ssize_t count = 0;
  do {
    count = ::recv(socket, text.data(), text.size(), 0);
  } while (count < 0 && errno == EINTR);
  if (count <= 0) {
    return std::nullopt;
  }
  text.resize(static_cast<std::size_t>(count));
  return text;
}

std::vector<std::string> restore_caps(CapControl& control, const StoodCaps& stood) {
  std::vector<std::string> failed;
  for (const auto& [id, cap] : stood) {
    const auto restored = control.set_cap(id, cap);
    if (!restored) {
      failed.push_back(id + ": " + restored.reason());
    }
  }
  return failed;
}

/// Leaves nothing behind of the parent: its terminal, its pipes (a reader of the parent's output
/// would wait for this process too), its sockets.
void detach(int keep) {
  ::setsid();
  for (const int ignored : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) {
    ::signal(ignored, SIG_IGN);
  }
  const int null = ::open("/dev/null", O_RDWR);
  for (int file = 0; file <= 2; ++file) {
    ::dup2(null, file);
  }
  constexpr unsigned kFirst = 3;
  const auto kept = static_cast<unsigned>(keep);
  if (kept > kFirst) {
    ::close_range(kFirst, kept - 1, 0);
  }
  ::close_range(kept + 1, ~0U, 0);
}

[[noreturn]] void guard(int socket, CapControl& control) {
  constexpr int kTries = 5;
  constexpr useconds_t kPauseMicroseconds = 999'999;
  detach(socket);
  StoodCaps stood;
  bool is_lowered = false;
  while (auto packet = receive_packet(socket)) {
    if (*packet == kDone) {
      ::_exit(0);
    }
    if (*packet == kRemembered || *packet == kLowering) {
      is_lowered = is_lowered || *packet == kLowering;
      send_packet(socket, kReady);
      continue;
    }
    if (*packet == kRestored) {
      is_lowered = false;
      continue;
    }
    const auto space = packet->rfind(' ');
    if (packet->starts_with(kCap) && space > kCap.size()) {
      const auto cap = parse_number(std::string_view{*packet}.substr(space + 1));
      stood.emplace_back(packet->substr(kCap.size(), space - kCap.size()), watts(cap.value_or(0)));
    }
  }
  for (int tries = is_lowered ? kTries : 0; tries > 0; --tries) {
    if (restore_caps(control, stood).empty()) {
      break;
    }
    ::usleep(kPauseMicroseconds);  // a driver that is busy with the death of its user may refuse at
                                   // first
  }
  ::_exit(0);
}

class ForkedGuard : public CapGuard {
 public:
  ForkedGuard(CapControl& control, int socket, pid_t guardian)
      : control_{control}, socket_{socket}, guardian_{guardian} {}

  ~ForkedGuard() override {
    if (ForkedGuard::restore().empty()) {
      send_packet(socket_, kDone);
    }
    // Without "done" the guardian sees the end of this side and tries itself.
    ::close(socket_);
    while (::waitpid(guardian_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  ForkedGuard(const ForkedGuard&) = delete;
  ForkedGuard& operator=(const ForkedGuard&) = delete;

  /// Returns what went wrong, or "".
  std::string remember() {
    const auto devices = control_.devices();
    if (!devices) {
      return devices.reason();
    }
    devices_ = devices.value();
    for (const auto& device : devices_) {
      const auto packet =
          std::string{kCap} + device.id + " " + shortest(in_watts(device.requested));
      if (packet.size() > kMostPacket || !send_packet(socket_, packet)) {
        return "the guardian of the caps does not listen";
      }
    }
    if (!send_packet(socket_, kRemembered) || receive_packet(socket_) != kReady) {
      return "the guardian of the caps did not start";
    }
    return {};
  }

  Result<Watts> lower_to(Watts cap) override {
    for (const auto& device : devices_) {
      if (std::min(cap, device.requested) < device.least) {
        return Failure{device.id + " takes no cap below " + shortest(in_watts(device.least)) +
                       " W; " + shortest(in_watts(cap)) + " W was asked for"};
      }
    }
    // A guardian that was killed would leave the caps lowered for ever.
    if (!send_packet(socket_, kLowering) || receive_packet(socket_) != kReady) {
      return Failure{"the guardian of the caps is gone: no cap was lowered"};
    }
    Watts highest;
    for (const auto& device : devices_) {
      is_lowered_ = true;
      const auto enforced = control_.set_cap(device.id, std::min(cap, device.requested));
      if (!enforced) {
        return Failure{enforced.reason()};
      }
      highest = std::max(highest, enforced.value());
    }
    return highest;
  }

  std::vector<std::string> restore() override {
    if (!is_lowered_) {
      return {};
    }
    StoodCaps stood;
    for (const auto& device : devices_) {
      stood.emplace_back(device.id, device.requested);
    }
    auto failed = restore_caps(control_, stood);
    is_lowered_ = !failed.empty();
    if (!is_lowered_) {
      send_packet(socket_, kRestored);
    }
    return failed;
  }

 private:
  CapControl& control_;
  int socket_;
  pid_t guardian_;
  std::vector<CapDevice> devices_;
  bool is_lowered_ = false;
};

}  // namespace

Result<std::unique_ptr<CapGuard>> CapGuard::start(CapControl& control) {
  int sockets[2] = {-1, -1};
  const auto failed = [](const std::string& doing) {
    return Failure{doing +
                   " for the guardian of the caps: " + std::generic_category().message(errno)};
  };
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
    return failed("no sockets");
  }
  const pid_t guardian = ::fork();
  if (guardian < 0) {
    const auto failure = failed("no process");
    ::close(sockets[0]);
    ::close(sockets[1]);
    return failure;
  }
  if (guardian == 0) {
    guard(sockets[1], control);
  }
  ::close(sockets[1]);
  auto started = std::make_unique<ForkedGuard>(control, sockets[0], guardian);
  if (const auto problem = started->remember(); !problem.empty()) {
    return Failure{problem};
  }
  return std::unique_ptr<CapGuard>{std::move(started)};
}

}  // namespace perwatt::device
