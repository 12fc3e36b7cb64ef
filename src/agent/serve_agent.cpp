// The agent's end of the wire: a loop over requests.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include <unistd.h>

#include "perwatt/agent/agent_link.hpp"
#include "perwatt/agent/agent_wire.hpp"
#include "perwatt/base/error.hpp"

namespace perwatt::agent {

namespace {

[[noreturn]] void fail(const char* what) {
  throw Error{ErrorCode::peer_failed, std::string{what} + ": " + std::strerror(errno), "agent", ""};
}

/// As many as there are until the end; fewer only at the end.
std::size_t read_all(int input, char* to, std::size_t size) {
  std::size_t done = 0;
  while (done < size) {
    const auto count = ::read(input, to + done, size - done);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      fail("its input cannot be read");
    }
    if (count == 0) {
      break;
    }
    done += static_cast<std::size_t>(count);
  }
  return done;
}

[[noreturn]] void fail_cut_short() {
  throw_bad_input("the input ends within a message", "agent",
                  "speak to it as docs/model/control.md#agents says");
}

/// False at the end.
bool read_message(int input, std::string& message) {
  std::array<char, kFrameHead> head{};
  const auto count = read_all(input, head.data(), head.size());
  if (count == 0) {
    return false;
  }
  if (count < head.size()) {
    fail_cut_short();
  }
  const auto length = length_in({head.data(), head.size()});
  constexpr std::size_t kPiece = std::size_t{1} << 20;  // no more than comes is held
  message.clear();
  while (message.size() < length) {
    const auto piece = std::min(kPiece, length - message.size());
    const auto begin = message.size();
    message.resize(begin + piece);
    if (read_all(input, message.data() + begin, piece) < piece) {
      fail_cut_short();
    }
  }
  return true;
}

void write_message(int output, const std::string& message) {
  const auto frame = frame_of(message);
  for (std::size_t done = 0; done < frame.size();) {
    const auto count = ::write(output, frame.data() + done, frame.size() - done);
    if (count < 0 && errno != EINTR) {
      fail("its output cannot be written");
    }
    done += count < 0 ? 0 : static_cast<std::size_t>(count);
  }
}

}  // namespace

void serve_agent(int input, int output) {
  AgentSession session;
  try {
    std::string message;
    while (read_message(input, message)) {
      write_message(output, session.answer(message));
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::bad_input) {
      write_message(output, encode(Reply{RefusedReply{error.what()}}));
    }
    throw;
  }
}

}  // namespace perwatt::agent
