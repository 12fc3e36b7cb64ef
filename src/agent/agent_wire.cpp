#include "perwatt/agent/agent_wire.hpp"

#include <cstring>
#include <utility>

#include "perwatt/base/bytes.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::agent {

namespace {

constexpr std::uint8_t kWireVersion = 1;
constexpr const char* kWireRemedy = "speak as docs/model/control.md#agents says";

enum class MessageKind : std::uint8_t {
  begin = 1,
  start,
  stop,
  look,
  speak,
  done = 64,
  caps,
  spoken,
  refused
};

// Bytes that one of a list takes at least.
constexpr std::size_t kStartedBytes = 4 + 4 * 8;
constexpr std::size_t kGrantBytes = 8 + 4 + 8 + 4 + 8 + 8 + 8;
constexpr std::size_t kCapBytes = 4 + 8;
constexpr std::size_t kSpokenBytes = 4 + (4 + 8) + (4 + 8 + 1 + 1 + 8);

ByteWriter begin_message(MessageKind kind) {
  ByteWriter to;
  to.put(kWireVersion);
  to.put(static_cast<std::uint8_t>(kind));
  return to;
}

template <class List>
void put_count(ByteWriter& to, const List& list) {
  to.put(static_cast<std::uint32_t>(list.size()));
}

std::string bytes_of(const BeginRequest& begin) {
  auto to = begin_message(MessageKind::begin);
  to.put(begin.devices);
  return to.take();
}

std::string bytes_of(const StartRequest& start) {
  auto to = begin_message(MessageKind::start);
  to.put(start.epoch);
  to.put(start.now);
  put_count(to, start.devices);
  for (const auto& [device, limits] : start.devices) {
    to.put(device);
    to.put(limits.least);
    to.put(limits.most);
    to.put(limits.fail_safe);
    to.put(limits.settle);
  }
  return to.take();
}

std::string bytes_of(const StopRequest& stop) {
  auto to = begin_message(MessageKind::stop);
  put_count(to, stop.devices);
  for (const auto device : stop.devices) {
    to.put(device);
  }
  return to.take();
}

std::string bytes_of(const LookRequest& look) {
  auto to = begin_message(MessageKind::look);
  to.put(look.now);
  put_count(to, look.grants);
  for (const auto& [at, device, grant] : look.grants) {
    to.put(at);
    to.put(device);
    to.put(grant.id);
    to.put(grant.answers.epoch);
    to.put(grant.answers.number);
    to.put(grant.cap);
    to.put(grant.duration);
  }
  return to.take();
}

std::string bytes_of(const SpeakRequest& speak) {
  auto to = begin_message(MessageKind::speak);
  to.put(speak.now);
  put_count(to, speak.enforced);
  for (const auto cap : speak.enforced) {
    to.put(cap);
  }
  return to.take();
}

std::string bytes_of(const DoneReply& /*done*/) {
  return begin_message(MessageKind::done).take();
}

std::string bytes_of(const CapsReply& reply) {
  auto to = begin_message(MessageKind::caps);
  put_count(to, reply.caps);
  for (const auto& [device, cap] : reply.caps) {
    to.put(device);
    to.put(cap);
  }
  return to.take();
}

std::string bytes_of(const SpokenReply& reply) {
  auto to = begin_message(MessageKind::spoken);
  put_count(to, reply.spoken);
  for (const auto& [device, ask, report] : reply.spoken) {
    to.put(device);
    to.put(ask.epoch);
    to.put(ask.number);
    to.put(report.epoch);
    to.put(report.accepted);
    to.put(std::uint8_t{report.is_lapsed});
    to.put(std::uint8_t{report.is_settled});
    to.put(report.enforced);
  }
  return to.take();
}

std::string bytes_of(const RefusedReply& refused) {
  return begin_message(MessageKind::refused).take() + refused.reason;
}

StartRequest read_start(ByteReader& from) {
  StartRequest start;
  start.epoch = from.get<device::AgentEpoch>();
  start.now = from.instant();
  start.devices.resize(from.count(kStartedBytes));
  for (auto& [device, limits] : start.devices) {
    device = from.get<std::uint32_t>();
    limits.least = from.watts();
    limits.most = from.watts();
    limits.fail_safe = from.watts();
    limits.settle = from.seconds();
  }
  return start;
}

StopRequest read_stop(ByteReader& from) {
  StopRequest stop;
  stop.devices.resize(from.count(sizeof(std::uint32_t)));
  for (auto& device : stop.devices) {
    device = from.get<std::uint32_t>();
  }
  return stop;
}

LookRequest read_look(ByteReader& from) {
  LookRequest look;
  look.now = from.instant();
  look.grants.resize(from.count(kGrantBytes));
  for (auto& [at, device, grant] : look.grants) {
    at = from.instant();
    device = from.get<std::uint32_t>();
    grant.id = from.get<device::GrantId>();
    grant.answers.epoch = from.get<device::AgentEpoch>();
    grant.answers.number = from.get<std::uint64_t>();
    grant.cap = from.watts();
    grant.duration = from.seconds();
  }
  return look;
}

SpeakRequest read_speak(ByteReader& from) {
  SpeakRequest speak;
  speak.now = from.instant();
  speak.enforced.resize(from.count(sizeof(double)));
  for (auto& cap : speak.enforced) {
    cap = from.watts();
  }
  return speak;
}

CapsReply read_caps(ByteReader& from) {
  CapsReply reply;
  reply.caps.resize(from.count(kCapBytes));
  for (auto& [device, cap] : reply.caps) {
    device = from.get<std::uint32_t>();
    cap = from.watts();
  }
  return reply;
}

SpokenReply read_spoken(ByteReader& from) {
  SpokenReply reply;
  reply.spoken.resize(from.count(kSpokenBytes));
  for (auto& [device, ask, report] : reply.spoken) {
    device = from.get<std::uint32_t>();
    ask.epoch = from.get<device::AgentEpoch>();
    ask.number = from.get<std::uint64_t>();
    report.epoch = from.get<device::AgentEpoch>();
    report.accepted = from.get<device::GrantId>();
    report.is_lapsed = from.get<std::uint8_t>() != 0;
    report.is_settled = from.get<std::uint8_t>() != 0;
    report.enforced = from.watts();
  }
  return reply;
}

MessageKind read_head(ByteReader& from) {
  if (const auto version = from.get<std::uint8_t>(); version != kWireVersion) {
    from.fail("it is of version " + std::to_string(version) + ", not " +
              std::to_string(kWireVersion));
  }
  return static_cast<MessageKind>(from.get<std::uint8_t>());
}

Request read_request(ByteReader& from) {
  switch (read_head(from)) {
    case MessageKind::begin:
      return BeginRequest{from.get<std::uint32_t>()};
    case MessageKind::start:
      return read_start(from);
    case MessageKind::stop:
      return read_stop(from);
    case MessageKind::look:
      return read_look(from);
    case MessageKind::speak:
      return read_speak(from);
    default:
      from.fail("it is no request");
  }
}

Reply read_reply(ByteReader& from) {
  switch (read_head(from)) {
    case MessageKind::done:
      return DoneReply{};
    case MessageKind::caps:
      return read_caps(from);
    case MessageKind::spoken:
      return read_spoken(from);
    case MessageKind::refused:
      return RefusedReply{printable(from.rest())};
    default:
      from.fail("it is no reply");
  }
}

template <class Message>
Message whole(ByteReader& from, Message message) {
  if (!from.is_at_end()) {
    from.fail("it goes on behind its end");
  }
  return message;
}

/// Does what a request asks and says what came of it.
class Answering {
 public:
  explicit Answering(std::optional<NodeAgent>& agent) : agent_{agent} {}

  Reply operator()(const BeginRequest& begin) const {
    if (agent_) {
      throw_bad_input("the session has begun before", "agent", kWireRemedy);
    }
    agent_.emplace(begin.devices);
    return DoneReply{};
  }

  Reply operator()(const StartRequest& start) const {
    agent().start(start.devices, start.epoch, start.now);
    return DoneReply{};
  }

  Reply operator()(const StopRequest& stop) const {
    agent().stop(stop.devices);
    return DoneReply{};
  }

  Reply operator()(const LookRequest& look) const {
    const auto caps = agent().look(look.now, look.grants);
    return CapsReply{{caps.begin(), caps.end()}};
  }

  Reply operator()(const SpeakRequest& speak) const {
    const auto spoken = agent().speak(speak.now, speak.enforced);
    return SpokenReply{{spoken.begin(), spoken.end()}};
  }

 private:
  [[nodiscard]] NodeAgent& agent() const {
    if (!agent_) {
      throw_bad_input("the session has not begun", "agent", kWireRemedy);
    }
    return *agent_;
  }

  std::optional<NodeAgent>& agent_;
};

}  // namespace

std::string encode(const Request& request) {
  return std::visit([](const auto& one) { return bytes_of(one); }, request);
}

std::string encode(const Reply& reply) {
  return std::visit([](const auto& one) { return bytes_of(one); }, reply);
}

Request decode_request(std::string_view message) {
  ByteReader from{message, "a message to an agent", kWireRemedy};
  return whole(from, read_request(from));
}

Reply decode_reply(std::string_view message) {
  ByteReader from{message, "a message of an agent", kWireRemedy};
  return whole(from, read_reply(from));
}

std::string frame_of(std::string_view message) {
  ByteWriter to;
  to.put(static_cast<std::uint32_t>(message.size()));
  return to.take().append(message);
}

std::size_t length_in(std::string_view head) {
  ByteReader from{head, "a message between an agent and its caller", kWireRemedy};
  const std::size_t length = from.get<std::uint32_t>();
  if (length > kMostMessage) {
    from.fail("it has " + std::to_string(length) + " bytes, more than " +
              std::to_string(kMostMessage));
  }
  return length;
}

std::string AgentSession::answer(std::string_view message) {
  return encode(std::visit(Answering{agent_}, decode_request(message)));
}

}  // namespace perwatt::agent
