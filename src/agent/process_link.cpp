// The agent in a child process, over a socket pair.
#include <array>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>
#include <utility>
#include <variant>
#include <vector>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perwatt/agent/agent_link.hpp"
#include "perwatt/agent/agent_wire.hpp"
#include "perwatt/base/error.hpp"

namespace perwatt::agent {

namespace {

/// In the child, between fork and exec: nothing that may take a lock. Does not return.
[[noreturn]] void become(const char* file, char* const* arguments, int socket, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) {
    ::_exit(1);  // it died before that was asked for
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGINT, SIG_IGN);
  constexpr unsigned kFirst = 3;
  socket = ::fcntl(socket, F_DUPFD, kFirst);  // it may be one of those that are replaced
  ::dup2(socket, STDIN_FILENO);
  ::dup2(socket, STDOUT_FILENO);
  ::close_range(kFirst, ~0U, 0);
  ::execv(file, arguments);
  ::_exit(1);
}

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EINTR) {
      return false;
    }
    bytes.remove_prefix(count < 0 ? 0 : static_cast<std::size_t>(count));
  }
  return true;
}

bool receive_all(int socket, char* to, std::size_t size) {
  for (std::size_t done = 0; done < size;) {
    const auto count = ::recv(socket, to + done, size - done, 0);
    if (count == 0 || (count < 0 && errno != EINTR)) {
      if (count == 0) {
        errno = 0;
      }
      return false;
    }
    done += count < 0 ? 0 : static_cast<std::size_t>(count);
  }
  return true;
}

/// Of the last call on the socket.
std::string why_it_failed() {
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    return "it does not answer";
  }
  return errno == 0 || errno == EPIPE || errno == ECONNRESET ? "it has ended"
                                                             : std::strerror(errno);
}

class ProcessLink final : public AgentLink {
 public:
  explicit ProcessLink(AgentProgram program) : program_{std::move(program)} {}

  ~ProcessLink() override { ProcessLink::kill(); }

  ProcessLink(const ProcessLink&) = delete;
  ProcessLink& operator=(const ProcessLink&) = delete;

  Fault renew(std::uint32_t devices) override {
    kill();
    devices_ = devices;
    if (auto fault = spawn()) {
      return fault;
    }
    return do_now(BeginRequest{devices});
  }

  void kill() override {
    if (child_ <= 0) {
      return;
    }
    ::close(std::exchange(socket_, -1));
    ::kill(child_, SIGKILL);  // it holds nothing that would be lost
    while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
    }
    child_ = -1;
  }

  Fault start(std::span<const StartedDevice> devices, device::AgentEpoch epoch,
              Instant now) override {
    return do_now(StartRequest{epoch, now, {devices.begin(), devices.end()}});
  }

  Fault stop(std::span<const std::uint32_t> devices) override {
    return do_now(StopRequest{{devices.begin(), devices.end()}});
  }

  Result<std::span<const device::CapCommand>> look(Instant now,
                                                   std::span<const TakenGrant> grants) override {
    auto reply = exchange<CapsReply>(LookRequest{now, {grants.begin(), grants.end()}});
    if (!reply) {
      return Failure{reply.reason()};
    }
    caps_ = std::move(reply).value().caps;
    for (const auto& one : caps_) {
      if (one.device >= devices_ || !std::isfinite(one.cap.in_base())) {
        return lost("it tells a cap that is none");
      }
    }
    return std::span<const device::CapCommand>{caps_};
  }

  Result<std::span<const Spoken>> speak(Instant now, std::span<const Watts> enforced) override {
    auto reply = exchange<SpokenReply>(SpeakRequest{now, {enforced.begin(), enforced.end()}});
    if (!reply) {
      return Failure{reply.reason()};
    }
    spoken_ = std::move(reply).value().spoken;
    for (const auto& one : spoken_) {
      if (one.device >= devices_) {
        return lost("it speaks for a device that is not there");
      }
    }
    return std::span<const Spoken>{spoken_};
  }

 private:
  Failure lost(const std::string& why) {
    kill();
    return {why};
  }

  Fault spawn() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      return Failure{std::string{"no socket for it: "} + std::strerror(errno)};
    }
    const double wait_seconds = in_seconds(program_.longest_answer);
    timeval wait{};
    wait.tv_sec = static_cast<time_t>(wait_seconds);
    wait.tv_usec = static_cast<suseconds_t>((wait_seconds - std::floor(wait_seconds)) * 1e6);
    ::setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    ::setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    std::string file = program_.file.string();
    std::string verb = program_.verb;
    std::array<char*, 3> arguments{file.data(), verb.empty() ? nullptr : verb.data(), nullptr};
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child == 0) {
      become(file.c_str(), arguments.data(), ends[1], parent);
    }
    ::close(ends[1]);
    if (child < 0) {
      ::close(ends[0]);
      return Failure{std::string{"no process for it: "} + std::strerror(errno)};
    }
    child_ = child;
    socket_ = ends[0];
    return std::nullopt;
  }

  /// Nothing: the reply is in `message_`.
  Fault send_and_receive(const Request& request) {
    if (child_ <= 0) {
      return Failure{"it was killed, or has not begun"};
    }
    std::array<char, kFrameHead> head{};
    if (!send_all(socket_, frame_of(encode(request))) ||
        !receive_all(socket_, head.data(), head.size())) {
      return lost(why_it_failed());
    }
    try {
      message_.resize(length_in({head.data(), head.size()}));
    } catch (const Error& error) {
      return lost(error.what());
    }
    if (!receive_all(socket_, message_.data(), message_.size())) {
      return lost(why_it_failed());
    }
    return std::nullopt;
  }

  template <class Wanted>
  Result<Wanted> exchange(const Request& request) {
    if (auto fault = send_and_receive(request)) {
      return *std::move(fault);
    }
    try {
      auto reply = decode_reply(message_);
      if (auto* wanted = std::get_if<Wanted>(&reply)) {
        return std::move(*wanted);
      }
      const auto* refused = std::get_if<RefusedReply>(&reply);
      return lost(refused != nullptr ? "it refuses: " + refused->reason
                                     : "it answers what was not asked");
    } catch (const Error& error) {
      return lost(error.what());
    }
  }

  Fault do_now(const Request& request) {
    auto reply = exchange<DoneReply>(request);
    return reply ? Fault{} : Fault{Failure{reply.reason()}};
  }

  AgentProgram program_;
  pid_t child_ = -1;
  int socket_ = -1;
  std::uint32_t devices_ = 0;
  std::string message_;
  std::vector<device::CapCommand> caps_;
  std::vector<Spoken> spoken_;
};

}  // namespace

std::unique_ptr<AgentLink> make_process_link(AgentProgram program) {
  return std::make_unique<ProcessLink>(std::move(program));
}

}  // namespace perwatt::agent
