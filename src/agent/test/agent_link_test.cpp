// An agent in this process and one in a child give the same, bit for bit; a child may be killed at
// any moment, is then gone until it is renewed, and never outlives who began it.
#include "perwatt/agent/agent_link.hpp"

#include <csignal>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "child_processes.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perwatt/agent/agent_wire.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/random.hpp"

namespace perwatt::agent {
namespace {

using testing::HasSubstr;

constexpr std::uint32_t kLinkDevices = 5;
constexpr LeaseLimits kLinkLimits{watts(100), watts(700), watts(300), seconds(2)};

Instant link_time(double time_seconds) {
  return Instant{} + seconds(time_seconds);
}

std::vector<StartedDevice> all_started() {
  std::vector<StartedDevice> all;
  for (std::uint32_t d = 0; d < kLinkDevices; ++d) {
    all.push_back({d, kLinkLimits});
  }
  return all;
}

std::unique_ptr<AgentLink> child_link(Seconds longest_answer = seconds(10)) {
  return make_process_link({PERWATT_AGENT_CHILD, "", longest_answer});
}

/// Grants, caps and reports of random steps, as they come, in one string of bytes.
std::string protocol_of(AgentLink& link) {
  std::mt19937_64 random{7};
  std::string all;
  EXPECT_FALSE(link.renew(kLinkDevices));
  EXPECT_FALSE(link.start(all_started(), 1, link_time(0)));
  std::vector<device::LeaseAsk> asks(kLinkDevices);
  std::vector<TakenGrant> grants;
  std::vector<Watts> enforced(kLinkDevices, watts(300));
  device::GrantId id = 0;
  for (int step = 1; step < 300; ++step) {
    const auto now = link_time(0.37 * step);
    if (step == 100) {
      EXPECT_FALSE(link.stop(std::vector<std::uint32_t>{1, 3}));
    }
    if (step == 150) {
      EXPECT_FALSE(link.start(std::vector<StartedDevice>{{3, kLinkLimits}}, 2, now));
    }
    const auto caps = link.look(now, grants);
    grants.clear();
    if (!caps) {
      ADD_FAILURE() << caps.reason();
      return all;
    }
    all += encode(Reply{CapsReply{{caps.value().begin(), caps.value().end()}}});
    for (const auto& one : caps.value()) {
      enforced[one.device] = one.cap;
    }
    const auto spoken = link.speak(now, enforced);
    all += encode(Reply{SpokenReply{{spoken.value().begin(), spoken.value().end()}}});
    for (const auto& one : spoken.value()) {
      asks[one.device] = one.ask;
    }
    const auto device = static_cast<std::uint32_t>(uniform_below(random, kLinkDevices));
    grants.push_back({now,
                      device,
                      {++id, asks[device], watts(100 + 600 * uniform_unit(random)),
                       seconds(5 * uniform_unit(random))}});
  }
  return all;
}

TEST(AgentLink, AChildGivesTheSameBytesAsAnAgentInThisProcess) {
  const auto local = make_local_link();
  const auto child = child_link();
  const auto bytes = protocol_of(*local);
  EXPECT_GT(bytes.size(), 50'000U);
  EXPECT_EQ(bytes, protocol_of(*child));
}

TEST(AgentLink, BothAreGoneOnceKilledUntilTheyAreRenewed) {
  for (const bool is_child : {false, true}) {
    const auto link = is_child ? child_link() : make_local_link();
    EXPECT_FALSE(link->look(link_time(0), {}));
    ASSERT_FALSE(link->renew(kLinkDevices));
    ASSERT_FALSE(link->start(all_started(), 1, link_time(0)));
    link->kill();
    EXPECT_FALSE(link->look(link_time(1), {}));
    EXPECT_FALSE(link->speak(link_time(1), std::vector<Watts>(kLinkDevices)));
    EXPECT_TRUE(link->start(all_started(), 2, link_time(1)));
    EXPECT_TRUE(link->stop({}));
    ASSERT_FALSE(link->renew(kLinkDevices));
    ASSERT_FALSE(link->start(all_started(), 2, link_time(1)));
    const auto caps = link->look(link_time(1), {});
    ASSERT_TRUE(caps);
    EXPECT_EQ(caps.value().size(), kLinkDevices);
  }
}

/// Kills by the process's id, at random moments, while it is spoken to.
TEST(AgentLink, AKilledChildIsNoticedReapedAndRenewed) {
  std::mt19937_64 random{3};
  const auto link = child_link();
  device::AgentEpoch epoch = 0;
  int noticed = 0;
  double now_seconds = 0;
  for (int k = 0; k < 40; ++k) {
    ASSERT_FALSE(link->renew(kLinkDevices));
    ASSERT_FALSE(link->start(all_started(), ++epoch, link_time(now_seconds)));
    const auto alive = child_processes();
    ASSERT_EQ(alive.size(), 1U);
    const auto wait_microseconds = uniform_below(random, 3000);
    std::thread killer{[&] {
      ::usleep(static_cast<useconds_t>(wait_microseconds));
      ::kill(alive[0], SIGKILL);
    }};
    for (;;) {
      now_seconds += 0.1;
      const auto caps = link->look(link_time(now_seconds), {});
      if (!caps) {
        ++noticed;
        EXPECT_THAT(caps.reason(), HasSubstr("ended"));
        break;
      }
      for (const auto& one : caps.value()) {
        EXPECT_EQ(one.cap, watts(300));
      }
    }
    killer.join();
    EXPECT_TRUE(child_processes().empty());
  }
  EXPECT_EQ(noticed, 40);
}

TEST(AgentLink, AChildThatHangsIsGone) {
  const auto link = child_link(seconds(0.2));
  ASSERT_FALSE(link->renew(kLinkDevices));
  const auto alive = child_processes();
  ASSERT_EQ(alive.size(), 1U);
  ::kill(alive[0], SIGSTOP);
  const auto caps = link->look(link_time(0), {});
  ASSERT_FALSE(caps);
  EXPECT_THAT(caps.reason(), HasSubstr("does not answer"));
  EXPECT_TRUE(child_processes().empty());
}

TEST(AgentLink, AProgramThatIsNoAgentIsGoneAtOnce) {
  for (const char* file : {"/bin/true", "/bin/echo", "/no/such/file"}) {
    const auto link = make_process_link({file, "hello", seconds(10)});
    EXPECT_TRUE(link->renew(kLinkDevices)) << file;
    EXPECT_TRUE(child_processes().empty());
  }
}

/// Whether the process is there and no zombie.
bool is_running(pid_t process) {
  std::ifstream status{"/proc/" + std::to_string(process) + "/stat"};
  std::string text;
  std::getline(status, text);
  const auto end = text.rfind(')');
  return end != std::string::npos && text[end + 2] != 'Z';
}

TEST(AgentLink, AChildEndsWithWhoBeganIt) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const auto parent = ::fork();
  if (parent == 0) {
    const auto link = child_link();
    const bool has_begun = !link->renew(kLinkDevices);
    const auto alive = child_processes();
    const pid_t child = has_begun && alive.size() == 1 ? alive[0] : 0;
    if (::write(ends[1], &child, sizeof child) != sizeof child) {
      ::_exit(1);
    }
    ::pause();
    ::_exit(0);
  }
  pid_t child = 0;
  ASSERT_EQ(::read(ends[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
  ASSERT_GT(child, 0);
  EXPECT_TRUE(is_running(child));
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  for (int tries = 0; tries < 200 && is_running(child); ++tries) {
    ::usleep(10'000);
  }
  EXPECT_FALSE(is_running(child));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(AgentLink, TheServingEndSaysWhyItRefusesAndEnds) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const std::string frame = frame_of(encode(Request{BeginRequest{1}})) + frame_of("\x09");
  ASSERT_EQ(::write(ends[0], frame.data(), frame.size()), static_cast<ssize_t>(frame.size()));
  EXPECT_THROW(serve_agent(ends[1], ends[1]), Error);
  std::string answer(4096, '\0');
  answer.resize(static_cast<std::size_t>(::read(ends[0], answer.data(), answer.size())));
  const auto done = frame_of(encode(Reply{DoneReply{}}));
  ASSERT_TRUE(answer.starts_with(done));
  const auto last = std::string_view{answer}.substr(done.size() + kFrameHead);
  EXPECT_THAT(std::get<RefusedReply>(decode_reply(last)).reason, HasSubstr("version 9"));
  const std::string half = frame.substr(0, 6);
  ASSERT_EQ(::write(ends[0], half.data(), half.size()), static_cast<ssize_t>(half.size()));
  ::shutdown(ends[0], SHUT_WR);
  EXPECT_THROW(serve_agent(ends[1], ends[1]), Error);
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace perwatt::agent
