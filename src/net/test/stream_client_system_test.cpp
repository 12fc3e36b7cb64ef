// StreamClient and the system around it: time, wakes, limits, headers.
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "raw_server.hpp"
#include "stream_recorder.hpp"
#include "test_servers.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "perwatt/base/error.hpp"
#include "perwatt/net/stream_client.hpp"

namespace perwatt::net {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(StreamClient, WakesFromAnotherThread) {
  const SilentPort port{true};
  Recorder recorder;
  StreamClient client{port.url(), {}, recorder};
  client.wake();
  const auto until = Instant::now() + seconds(300);
  client.poll(until);
  std::thread other{[&] { client.wake(); }};
  client.poll(until);
  other.join();
  EXPECT_LT(Instant::now(), until);
}

StreamClient* g_client_of_handler = nullptr;

TEST(StreamClient, WakesFromASignalHandler) {
  const SilentPort port{true};
  Recorder recorder;
  StreamClient client{port.url(), {}, recorder};
  g_client_of_handler = &client;

  struct sigaction action {};

  struct sigaction before {};

  action.sa_handler = [](int) { g_client_of_handler->wake(); };
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  const auto until = Instant::now() + seconds(300);
  std::thread other{[owner = pthread_self()] { pthread_kill(owner, SIGUSR1); }};
  client.poll(until);
  other.join();
  EXPECT_LT(Instant::now(), until);
  sigaction(SIGUSR1, &before, nullptr);
}

TEST(StreamClient, PollLastsUntilItsTime) {
  const SilentPort port{true};
  Recorder recorder;
  StreamClient client{port.url(), {}, recorder};
  for (const double wait : {0.0, 0.0003, 0.02}) {
    const auto until = Instant::now() + seconds(wait);
    client.poll(until);
    EXPECT_GE(Instant::now(), until);
  }
}

/// Makes epoll_pwait2 fail with ENOSYS in the calling thread, as in old kernels and some
/// containers.
bool forbid_epoll_pwait2() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{.len = std::size(program), .filter = program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

TEST(StreamClient, WaitsWithoutEpollPwait2) {
  bool is_forbidden = false;
  std::thread owner{[&] {  // the filter ends with the thread
    epoll_event event{};
    is_forbidden = forbid_epoll_pwait2() && epoll_pwait2(-1, &event, 1, nullptr, nullptr) == -1 &&
                   errno == ENOSYS;
    RawServer server{always("ok")};
    Recorder recorder;
    StreamClient client{url_of(server), {}, recorder};
    const auto id = client.post("/", "{}");
    finish(client);
    EXPECT_EQ(recorder.streams[id].end, StreamEnd::complete);
    const auto until = Instant::now() + seconds(0.02);
    client.poll(until);
    EXPECT_GE(Instant::now(), until);
  }};
  owner.join();
  if (!is_forbidden) {
    GTEST_SKIP() << "this system takes no seccomp filter";
  }
}

TEST(StreamClient, TellsItsLongestStall) {
  RawServer server{always("ok")};
  Recorder recorder;
  StreamClient client{url_of(server), {}, recorder};
  constexpr auto kNap = std::chrono::milliseconds{30};
  std::this_thread::sleep_for(kNap);  // nothing is in flight
  recorder.when_body = [&](StreamId) { std::this_thread::sleep_for(kNap); };
  client.post("/", "{}");
  EXPECT_LT(client.take_longest_stall(), seconds(0.03));
  client.post("/", "{}");
  finish(client);
  EXPECT_GE(client.take_longest_stall(), seconds(0.03));
  EXPECT_EQ(client.take_longest_stall(), Seconds{});
}

TEST(StreamClient, TellsTheLimitOfOpenFiles) {
#ifdef PERWATT_SANITIZED
  GTEST_SKIP() << "the sanitizer opens files of its own to look at objects";
#endif
  Recorder recorder;
  StreamClient client{parse_url("http://127.0.0.1:9", "test"), {}, recorder};
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 3;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  const auto id = client.post("/", "{}");
  std::string what;
  try {
    const StreamClient another{parse_url("http://127.0.0.1", "test"), {}, recorder};
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::peer_failed);
    what = error.what();
  }
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  finish(client);
  EXPECT_THAT(what, HasSubstr("ulimit -n"));
  EXPECT_EQ(recorder.streams[id].end, StreamEnd::connect_failed);
  EXPECT_THAT(recorder.streams[id].detail, HasSubstr("ulimit -n"));
}

TEST(StreamClient, SendsTheHeadersGiven) {
  std::string request;
  RawServer server{[&](Peer& peer) {
    request = peer.read_request();
    peer.send(answer("ok"));
  }};
  Recorder recorder;
  ClientOptions options;
  options.headers = {{"Authorization", "Bearer secret"}, {"accept", "text/plain"}};
  StreamClient client{url_of(server), options, recorder};
  client.post("/a?b=c", "{}", {{"X-Run", "7"}});
  finish(client);
  EXPECT_THAT(request, StartsWith("POST /a?b=c HTTP/1.1\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nAuthorization: Bearer secret\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\naccept: text/plain\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nX-Run: 7\r\n"));
  EXPECT_EQ(request.find("text/event-stream"), std::string::npos) << "Accept was replaced";
}

TEST(StreamClient, RefusesWhatCannotBeSentAndPrintsNoKey) {
  RawServer server{always("ok")};
  Recorder recorder;
  for (const Header& header :
       {Header{"Authorization", "Bearer secret\n"}, Header{"A b", "secret"}, Header{"", "secret"},
        Header{"Content-Length", "3"}, Header{"connection", "close"},
        Header{"A", std::string{"secret\0", 7}}}) {
    ClientOptions options;
    options.headers = {header};
    StreamClient client{url_of(server), {}, recorder};
    for (const auto& attempt : std::vector<std::function<void()>>{
             [&] { const StreamClient refused(url_of(server), options, recorder); },
             [&] { client.post("/", "{}", options.headers); }}) {
      try {
        attempt();
        ADD_FAILURE() << header.name;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::bad_input);
        EXPECT_THAT(error.what(), ::testing::Not(HasSubstr("secret")));
      }
    }
    for (const std::string path : {"", "v1", "/a b", "/a\r\nX: y"}) {
      EXPECT_THROW(client.post(path, "{}"), Error) << path;
    }
    EXPECT_EQ(client.in_flight(), 0U);
  }
}

}  // namespace
}  // namespace perwatt::net
