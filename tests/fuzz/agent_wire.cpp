// Frames to an agent: each is answered or refused on one line; and read as replies likewise. What
// is answered can be read, and what was read is written as it came.
#include "perwatt/agent/agent_wire.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "fuzz_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perwatt;
  std::string_view left{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] {
    agent::AgentSession session;
    while (left.size() >= agent::kFrameHead) {
      const auto length = agent::length_in(left.substr(0, agent::kFrameHead));
      const auto message = left.substr(agent::kFrameHead, length);
      left.remove_prefix(agent::kFrameHead + message.size());
      fuzz::demand_answer_or_error([&] {
        const auto reply = agent::decode_reply(message);
        const bool has_text = std::holds_alternative<agent::RefusedReply>(reply);  // made printable
        fuzz::demand(has_text || agent::encode(reply).size() == message.size(),
                     "a reply is not written as long as it was read");
      });
      const auto answer = session.answer(message);
      fuzz::demand(agent::encode(agent::decode_request(message)) == message,
                   "a request is not written as it was read");
      static_cast<void>(agent::decode_reply(answer));
    }
  });
  return 0;
}
