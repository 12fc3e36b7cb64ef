// Messages of the agent's wire: what is encoded is read back to the bit, what is cut, changed or
// nonsense is refused, and a refused request changes nothing.
#include "perwatt/agent/agent_wire.hpp"

#include <functional>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/random.hpp"

namespace perwatt::agent {
namespace {

using testing::HasSubstr;

constexpr LeaseLimits kWireLimits{watts(100), watts(700), watts(300), seconds(2)};

Instant wire_time(double time_seconds) {
  return Instant{} + seconds(time_seconds);
}

std::vector<Request> requests_of_every_kind() {
  StartRequest start{3, wire_time(1), {{0, kWireLimits}, {2, kWireLimits}}};
  LookRequest look{wire_time(3), {{wire_time(2), 2, {7, {3, 1}, watts(612.5), seconds(10.25)}}}};
  return {BeginRequest{3}, start, StopRequest{{2, 1}}, look,
          SpeakRequest{wire_time(4), {watts(1), watts(2), watts(0.1)}}};
}

std::vector<Reply> replies_of_every_kind() {
  SpokenReply spoken{{{1, {2, 9}, {2, 77, false, true, watts(512.5)}}}};
  return {DoneReply{}, CapsReply{{{0, watts(300)}, {1, watts(0.3)}}}, spoken, RefusedReply{"why"}};
}

std::string reason_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "";
}

TEST(AgentWire, EveryMessageComesBackToTheByte) {
  for (const auto& request : requests_of_every_kind()) {
    const auto bytes = encode(request);
    const auto back = decode_request(bytes);
    EXPECT_EQ(back.index(), request.index());
    EXPECT_EQ(encode(back), bytes);
  }
  for (const auto& reply : replies_of_every_kind()) {
    const auto bytes = encode(reply);
    const auto back = decode_reply(bytes);
    EXPECT_EQ(back.index(), reply.index());
    EXPECT_EQ(encode(back), bytes);
  }
  const auto look = std::get<LookRequest>(decode_request(encode(requests_of_every_kind()[3])));
  EXPECT_EQ(look.grants[0].device, 2U);
  EXPECT_EQ(look.grants[0].grant.cap, watts(612.5));
  EXPECT_EQ(look.grants[0].at, wire_time(2));
}

TEST(AgentWire, WhatIsCutOrGoesOnIsRefused) {
  for (const auto& request : requests_of_every_kind()) {
    const auto bytes = encode(request);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_NE(reason_of([&] { static_cast<void>(decode_request(bytes.substr(0, size))); }), "");
    }
    EXPECT_THAT(reason_of([&] { static_cast<void>(decode_request(bytes + "x")); }),
                HasSubstr("goes on behind its end"));
  }
  EXPECT_THAT(reason_of([] { static_cast<void>(decode_request("\x02\x01")); }),
              HasSubstr("version 2"));
  EXPECT_THAT(reason_of([] { static_cast<void>(decode_request("\x01\x33")); }),
              HasSubstr("no request"));
  EXPECT_THAT(reason_of([] { static_cast<void>(decode_reply("\x01\x01")); }),
              HasSubstr("no reply"));
  EXPECT_THAT(reason_of([] { static_cast<void>(length_in("\xff\xff\xff\xff")); }),
              HasSubstr("more than"));
}

TEST(AgentWire, ASessionRefusesWhatNoCallerCanMeanAndStaysAsItWas) {
  AgentSession session;
  const auto refused = [&](const Request& request) {
    return reason_of([&] { static_cast<void>(session.answer(encode(request))); });
  };
  EXPECT_THAT(refused(StopRequest{{}}), HasSubstr("has not begun"));
  EXPECT_THAT(refused(BeginRequest{kMostDevices + 1}), HasSubstr("more than an agent takes"));
  static_cast<void>(session.answer(encode(Request{BeginRequest{2}})));
  EXPECT_THAT(refused(BeginRequest{2}), HasSubstr("begun before"));
  const auto started = [](device::AgentEpoch epoch, std::uint32_t device, LeaseLimits limits) {
    return StartRequest{epoch, wire_time(5), {{device, limits}}};
  };
  EXPECT_THAT(refused(started(1, 2, kWireLimits)), HasSubstr("no device 2"));
  EXPECT_THAT(refused(started(1, 0, {watts(400), watts(700), watts(300), seconds(2)})),
              HasSubstr("not in order"));
  EXPECT_THAT(refused(started(1, 0, {watts(1), watts(3), watts(2), seconds(1e300)})),
              HasSubstr("not in order"));
  static_cast<void>(session.answer(encode(Request{started(1, 0, kWireLimits)})));
  EXPECT_THAT(refused(started(1, 0, kWireLimits)), HasSubstr("not above"));
  EXPECT_THAT(refused(LookRequest{wire_time(4), {}}), HasSubstr("runs back"));
  EXPECT_THAT(refused(LookRequest{wire_time(6), {{wire_time(7), 0, {}}}}), HasSubstr("two looks"));
  EXPECT_THAT(refused(SpeakRequest{wire_time(6), {watts(1)}}), HasSubstr("read back"));
  const auto reply = std::get<CapsReply>(
      decode_reply(session.answer(encode(Request{LookRequest{wire_time(5), {}}}))));
  ASSERT_EQ(reply.caps.size(), 1U);
  EXPECT_EQ(reply.caps[0].cap, watts(300));
}

TEST(AgentWire, RandomChangesNeverDoMoreThanBeRefused) {
  std::mt19937_64 random{1};
  int taken = 0;
  int refused = 0;
  for (int k = 0; k < 20'000; ++k) {
    AgentSession session;
    try {
      for (const auto& request : requests_of_every_kind()) {
        auto bytes = encode(request);
        if (uniform_below(random, 3) == 0) {
          bytes[uniform_below(random, bytes.size())] =
              static_cast<char>(uniform_below(random, 256));
        }
        if (std::holds_alternative<BeginRequest>(request)) {
          bytes = encode(request);
        }
        static_cast<void>(decode_reply(session.answer(bytes)));
        ++taken;
      }
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      ++refused;
    }
  }
  EXPECT_GT(taken, 10'000);
  EXPECT_GT(refused, 3'000);
}

}  // namespace
}  // namespace perwatt::agent
