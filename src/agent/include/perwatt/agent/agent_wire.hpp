// The messages between an agent that is a process of its own and whoever has the devices, in bytes.
//
//     frame   = length (4 bytes, of the message), message
//     message = version, kind, then its fields
//
// Numbers little-endian and exact (perwatt/base/bytes.hpp); lists have their length before them. A
// request gets one reply. What each means: perwatt/agent/node_agent.hpp. decode_*() throw
// Error(bad_input), saying why, for bytes that are no such message; counts are held against the
// bytes that are there before anything is made of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "perwatt/agent/node_agent.hpp"

namespace perwatt::agent {

/// The first request of a session, and no later one.
struct BeginRequest {
  std::uint32_t devices = 0;
};

struct StartRequest {
  device::AgentEpoch epoch = 0;
  Instant now;
  std::vector<StartedDevice> devices;
};

struct StopRequest {
  std::vector<std::uint32_t> devices;
};

struct LookRequest {
  Instant now;
  std::vector<TakenGrant> grants;
};

struct SpeakRequest {
  Instant now;
  std::vector<Watts> enforced;  // by device
};

using Request = std::variant<BeginRequest, StartRequest, StopRequest, LookRequest, SpeakRequest>;

struct DoneReply {};

struct CapsReply {
  std::vector<device::CapCommand> caps;
};

struct SpokenReply {
  std::vector<Spoken> spoken;
};

/// The request was not done; the session is over.
struct RefusedReply {
  std::string reason;
};

using Reply = std::variant<DoneReply, CapsReply, SpokenReply, RefusedReply>;

[[nodiscard]] std::string encode(const Request& request);
[[nodiscard]] std::string encode(const Reply& reply);
[[nodiscard]] Request decode_request(std::string_view message);
[[nodiscard]] Reply decode_reply(std::string_view message);

inline constexpr std::size_t kFrameHead = 4;
inline constexpr std::size_t kMostMessage = std::size_t{128} << 20;  // a message of kMostDevices

/// REQUIRES: message.size() <= kMostMessage.
[[nodiscard]] std::string frame_of(std::string_view message);

/// The length of the message behind a head. Throws Error(bad_input) where it is too long. REQUIRES:
/// head.size() == kFrameHead.
[[nodiscard]] std::size_t length_in(std::string_view head);

/// The agent's end of the wire.
class AgentSession {
 public:
  /// The reply to a request. Throws Error(bad_input), with nothing done, for one that cannot be.
  [[nodiscard]] std::string answer(std::string_view message);

 private:
  std::optional<NodeAgent> agent_;
};

}  // namespace perwatt::agent
