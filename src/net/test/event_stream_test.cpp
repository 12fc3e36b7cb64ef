// Answers that stay open: HttpStream.
#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <regex>
#include <string>
#include <vector>

#include "event_queue.hpp"
#include "running_server.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/net/fetch.hpp"
#include "perwatt/net/http_server.hpp"

namespace perwatt::net {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// Opens a stream for every request of /events.
class StreamingServer {
 public:
  explicit StreamingServer(HttpServerOptions options = {})
      : server_{std::move(options), [this](const HttpRequest& request, const HttpReply& reply) {
                  if (request.path == "/events") {
                    streams_.push_back(reply.open_stream());
                    ++opened_;
                  } else {
                    reply.send({200, "<p>", "text/html; charset=utf-8", {{"X-One", "two"}}});
                  }
                }} {}

  [[nodiscard]] std::uint16_t port() const { return server_.port(); }

  [[nodiscard]] std::string url() const { return server_.url(); }

  void wait_for_streams(int count) {
    wait_until([&] { return opened_ == count; });
  }

  /// On the thread of the server, for the streams that are open; waits for its end.
  template <class Use>
  auto use_streams(Use use) {
    std::promise<decltype(use(streams_))> done;
    server_.post([&] { done.set_value(use(streams_)); });
    return done.get_future().get();
  }

  /// How many took it.
  std::size_t send(const std::string& name, const std::string& data) {
    return use_streams([&](auto& streams) {
      std::size_t taken = 0;
      for (const auto& stream : streams) {
        taken += stream.send(event_text(name, data)) == HttpStream::Sent::taken ? 1 : 0;
      }
      return taken;
    });
  }

  [[nodiscard]] std::size_t open() {
    return use_streams([](auto& streams) {
      return static_cast<std::size_t>(
          std::count_if(streams.begin(), streams.end(), [](auto& one) { return one.is_open(); }));
    });
  }

 private:
  std::vector<HttpStream> streams_;  // of the server's thread
  std::atomic<int> opened_ = 0;
  RunningServer server_;
};

const std::string kAsk = "GET /events HTTP/1.1\r\n\r\n";

TEST(EventText, SplitsLinesOfData) {
  EXPECT_EQ(event_text("a", "b"), "event: a\ndata: b\n\n");
  EXPECT_EQ(event_text("a", ""), "event: a\ndata: \n\n");
  EXPECT_EQ(event_text("a", "1\n2\r\n3\r4\n"),
            "event: a\ndata: 1\ndata: 2\ndata: 3\ndata: 4\ndata: \n\n");
}

TEST(EventQueue, LosesFromTheFirstWithoutRoomAndSaysSo) {
  EventQueue queue{10, false};
  EXPECT_TRUE(queue.add("123456789012345")) << "one always has room";
  EXPECT_FALSE(queue.add("1"));
  EXPECT_EQ(queue.take(), "123456789012345" + event_text("lost", R"({"events":1})"));
  EXPECT_EQ(queue.take(), "");
  EXPECT_TRUE(queue.add("12345"));
  EXPECT_TRUE(queue.add("67890"));
  EXPECT_FALSE(queue.add("1"));
  EXPECT_FALSE(queue.add("")) << "none overtakes a lost one";
  EXPECT_EQ(queue.take(), "1234567890" + event_text("lost", R"({"events":2})"));
}

TEST(EventQueue, WritesChunksAndOneEnd) {
  EventQueue queue{100, true};
  EXPECT_TRUE(queue.add("0123456789abcdefg"));
  EXPECT_EQ(queue.take(), "11\r\n0123456789abcdefg\r\n");
  EXPECT_TRUE(queue.add("x"));
  queue.end();
  EXPECT_EQ(queue.take(), "1\r\nx\r\n0\r\n\r\n");
  EXPECT_EQ(queue.take(), "");
}

TEST(HttpStream, SendsEventsToManyCallers) {
  StreamingServer server;
  std::vector<std::unique_ptr<RawClient>> callers;
  for (int i = 0; i < 200; ++i) {
    callers.push_back(std::make_unique<RawClient>(server.port()));
    callers.back()->send(kAsk);
  }
  server.wait_for_streams(200);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(server.send("state", std::to_string(i)), 200U);
  }
  for (const auto& caller : callers) {
    const auto read = caller->read_until("data: 19\n\n");
    EXPECT_THAT(read, AllOf(StartsWith("HTTP/1.1 200 OK\r\n"),
                            HasSubstr("Content-Type: text/event-stream; charset=utf-8\r\n"),
                            HasSubstr("Cache-Control: no-store\r\n"),
                            HasSubstr("event: state\ndata: 0\n\n"), HasSubstr("data: 18\n\n"),
                            Not(HasSubstr("lost"))));
  }
}

TEST(HttpStream, EndsAfterWhatWaits) {
  StreamingServer server;
  const RawClient caller{server.port()};
  caller.send(kAsk);
  const RawClient old{server.port()};
  old.send("GET /events HTTP/1.0\r\n\r\n");
  server.wait_for_streams(2);
  server.use_streams([](auto& streams) {
    for (const auto& stream : streams) {
      EXPECT_TRUE(stream.is_open());
      stream.send(event_text("last", std::string(500000, 'x')));
      stream.end();
      EXPECT_FALSE(stream.is_open());
      EXPECT_EQ(stream.send("late"), HttpStream::Sent::closed);
    }
    return 0;
  });
  EXPECT_THAT(caller.read_all(), EndsWith("x\n\n\r\n0\r\n\r\n"));
  EXPECT_THAT(old.read_all(), AllOf(EndsWith("x\n\n"), Not(HasSubstr("chunked"))));
}

TEST(HttpStream, LosesEventsOfASlowCallerAlone) {
  HttpServerOptions options;
  options.most_stream_bytes = 100000;
  StreamingServer server{options};
  const RawClient slow{server.port()};
  slow.send(kAsk);
  const RawClient quick{server.port()};
  quick.send(kAsk);
  server.wait_for_streams(2);
  const std::string much(50000, 'x');
  std::size_t lost = 0;
  for (int i = 0; i < 400; ++i) {  // 20 MB: more than the system keeps
    lost += 2 - server.send("state", std::to_string(i) + much);
    EXPECT_THAT(quick.read_until("x\n\n"), HasSubstr("data: " + std::to_string(i) + "x"));
  }
  EXPECT_GT(lost, 100U);
  auto read = slow.read_until("event: lost\n");
  EXPECT_THAT(read, AllOf(HasSubstr("data: 0x"), Not(HasSubstr("data: 399x"))));
  read.erase(0, read.find("event: lost"));
  while (server.send("state", "after") != 2) {
    ++lost;
  }
  read += slow.read_until("after");
  const std::regex told{R"(\{"events":(\d+)\})"};
  std::size_t told_lost = 0;
  for (auto one = std::sregex_iterator{read.begin(), read.end(), told};
       one != std::sregex_iterator{}; ++one) {
    told_lost += std::stoul((*one)[1]);
  }
  EXPECT_EQ(told_lost, lost);
}

TEST(HttpStream, DropsCallersThatHangUpOrTakeNothing) {
  HttpServerOptions options;
  options.idle_timeout = seconds(1);
  StreamingServer server{options};
  RawClient gone{server.port()};
  gone.send(kAsk);
  const RawClient stuck{server.port()};
  stuck.send(kAsk);
  const RawClient patient{server.port()};
  patient.send(kAsk);
  server.wait_for_streams(3);
  EXPECT_EQ(server.open(), 3U);
  gone.hang_up();
  wait_until([&] { return server.open() == 2; });
  EXPECT_EQ(server.send("state", "small"), 2U);
  EXPECT_THAT(patient.read_until("small\n\n"), HasSubstr("small"));
  std::this_thread::sleep_for(std::chrono::milliseconds{1200});
  EXPECT_EQ(server.open(), 2U) << "a stream may be silent";
  server.use_streams([](auto& streams) {
    return streams[1].send(event_text("state", std::string(30 << 20, 'x')));
  });
  wait_until([&] { return server.open() == 1; });
}

TEST(HttpStream, TellsCallersThatThereAreTooMany) {
  HttpServerOptions options;
  options.most_streams = 2;
  StreamingServer server{options};
  RawClient first{server.port()};
  first.send(kAsk);
  const RawClient second{server.port()};
  second.send(kAsk);
  server.wait_for_streams(2);
  const RawClient third{server.port()};
  third.send(kAsk + "GET /page HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(third.read_all(), AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("there are 2 streams"),
                                      HasSubstr("<p>")));
  EXPECT_EQ(server.open(), 2U);
  first.hang_up();
  wait_until([&] { return server.open() == 1; });
  const RawClient fourth{server.port()};
  fourth.send(kAsk);
  server.wait_for_streams(4);
  EXPECT_EQ(server.send("state", "hello"), 2U);
  EXPECT_THAT(fourth.read_until("hello"), HasSubstr("hello"));
}

TEST(HttpStream, AnswersHeadWithoutAStream) {
  StreamingServer server;
  const RawClient head{server.port()};
  head.send("HEAD /events HTTP/1.1\r\n\r\n");
  EXPECT_THAT(head.read_all(), AllOf(HasSubstr("text/event-stream"), EndsWith("\r\n\r\n"),
                                     Not(HasSubstr("0\r\n\r\n"))));
  EXPECT_EQ(server.open(), 0U);
  const RawClient page{server.port()};
  page.send("GET /page HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(page.read_all(), AllOf(HasSubstr("Content-Type: text/html; charset=utf-8\r\n"),
                                     HasSubstr("X-One: two\r\n"), EndsWith("<p>")));
}

TEST(HttpStream, IsEndedWhenTheServerStops) {
  auto server = std::make_unique<StreamingServer>();
  const RawClient caller{server->port()};
  caller.send(kAsk);
  const RawClient stuck{server->port()};
  stuck.send(kAsk);
  server->wait_for_streams(2);
  server->use_streams([](auto& streams) {
    return streams[1].send(event_text("state", std::string(30 << 20, 'x')));
  });
  EXPECT_EQ(server->send("state", "bye"), 2U);
  server.reset();  // although one takes nothing
  EXPECT_THAT(caller.read_all(), EndsWith("data: bye\n\n\r\n0\r\n\r\n"));
}

TEST(HttpStream, SpeaksTls) {
  const TestIdentity own{"IP:127.0.0.1"};
  HttpServerOptions options;
  options.certificate_file = own.pem_file();
  options.key_file = key_file_of(own);
  StreamingServer server{options};
  auto answer = std::async(std::launch::async, [&] {
    FetchOptions trusting;
    trusting.ca_file = own.pem_file();
    return Fetcher{trusting}.fetch(server.url() + "/events");
  });
  server.wait_for_streams(1);
  EXPECT_EQ(server.send("state", std::string(300000, 'x')), 1U);
  server.use_streams([](auto& streams) {
    streams[0].end();
    return 0;
  });
  const auto got = answer.get();
  ASSERT_TRUE(got.ok()) << got.reason();
  EXPECT_EQ(got.value().body, event_text("state", std::string(300000, 'x')));
}

}  // namespace
}  // namespace perwatt::net
