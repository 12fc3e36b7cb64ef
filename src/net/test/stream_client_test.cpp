#include "perwatt/net/stream_client.hpp"

#include <atomic>
#include <set>
#include <string>
#include <thread>

#include "raw_server.hpp"
#include "stream_recorder.hpp"
#include "test_servers.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/error.hpp"
#include "perwatt/net/sse_parser.hpp"

namespace perwatt::net {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// One POST of {} to a server with this script.
Recorded post_once(RawServer::Script script, ClientOptions options = {}) {
  RawServer server{std::move(script)};
  Recorder recorder;
  StreamClient client{url_of(server), std::move(options), recorder};
  const auto id = client.post("/v1", "{}");
  finish(client);
  return recorder.streams[id];
}

TEST(StreamClient, StreamsAnAnswer) {
  std::string request;
  const auto stream = post_once([&](Peer& peer) {
    request = peer.read_request();
    peer.send(kChunkedHead);
    peer.send_chunk("data: one\n\n");
    peer.send_chunk("data: two\n\n");
    peer.send("0\r\n\r\n");
  });
  EXPECT_EQ(stream.calls, "shbe");
  EXPECT_EQ(stream.end, StreamEnd::complete);
  EXPECT_EQ(stream.head.status, 200);
  EXPECT_EQ(stream.head.content_type, "text/event-stream");
  EXPECT_EQ(stream.body, "data: one\n\ndata: two\n\n");
  EXPECT_THAT(request, StartsWith("POST /v1 HTTP/1.1\r\nHost: 127.0.0.1:"));
  EXPECT_THAT(request, HasSubstr("\r\nContent-Type: application/json\r\n"));
  EXPECT_THAT(request, EndsWith("\r\nContent-Length: 2\r\n\r\n{}"));
}

TEST(StreamClient, KeepsItsConnections) {
  RawServer server{always("ok")};
  Recorder recorder;
  StreamClient client{url_of(server), {}, recorder};
  for (int i = 0; i < 20; ++i) {
    client.post("/", "{}");
    finish(client);
  }
  EXPECT_EQ(recorder.streams.size(), 20U) << "an id is not given twice";
  EXPECT_EQ(server.connections(), 1U);
}

TEST(StreamClient, OpensAhead) {
  RawServer server{always("ok")};
  Recorder recorder;
  StreamClient client{url_of(server), {}, recorder};
  EXPECT_EQ(client.open_ahead(100, seconds(60)), 100U);
  for (int i = 0; i < 100; ++i) {
    client.post("/", "{}");
  }
  finish(client);
  EXPECT_EQ(client.open_ahead(100, seconds(60)), 100U) << "all were kept";
  EXPECT_EQ(server.connections(), 100U);
}

TEST(StreamClient, SendsAgainWhenAKeptConnectionWasClosed) {
  std::atomic<int> requests = 0;
  // Each connection answers one request and closes upon the next, which it has read.
  RawServer server{[&](Peer& peer) {
    peer.read_request();
    peer.send(answer("ok"));
    requests += peer.read_request().empty() ? 0 : 1;
  }};
  Recorder recorder;
  StreamClient client{url_of(server), {}, recorder};
  client.post("/", "{}");
  finish(client);
  const auto second = client.post("/", "{}");
  finish(client);
  EXPECT_EQ(recorder.streams[second].end, StreamEnd::complete);
  EXPECT_EQ(recorder.streams[second].calls, "sshbe");
  EXPECT_EQ(requests, 1);
  EXPECT_EQ(server.connections(), 2U);
}

TEST(StreamClient, SendsAgainOnlyOnceAndOnlyOnAKeptConnection) {
  std::atomic<int> requests = 0;
  RawServer server{[&](Peer& peer) {
    requests += peer.read_request().empty() ? 0 : 1;
    if (peer.number() == 0) {
      peer.send(answer("ok"));
      requests += peer.read_request().empty() ? 0 : 1;
    }
  }};
  Recorder recorder;
  StreamClient client{url_of(server), {}, recorder};
  client.post("/", "{}");
  finish(client);
  const auto kept = client.post("/", "{}");
  finish(client);
  EXPECT_EQ(recorder.streams[kept].end, StreamEnd::reset);
  EXPECT_EQ(requests, 3) << "the first, the second, and the second once more";
  const auto fresh = client.post("/", "{}");
  finish(client);
  EXPECT_EQ(recorder.streams[fresh].end, StreamEnd::reset);
  EXPECT_EQ(recorder.streams[fresh].calls, "se");
  EXPECT_EQ(requests, 4);
}

TEST(StreamClient, AKeptConnectionThatDiesInsideAnAnswerIsNotAskedAgain) {
  RawServer server{[&](Peer& peer) {
    peer.read_request();
    peer.send(answer("ok"));
    peer.read_request();
    peer.send("HTTP/1.1 200");
  }};
  Recorder recorder;
  StreamClient client{url_of(server), {}, recorder};
  client.post("/", "{}");
  finish(client);
  const auto second = client.post("/", "{}");
  finish(client);
  EXPECT_EQ(recorder.streams[second].end, StreamEnd::reset);
  EXPECT_EQ(server.connections(), 1U);
}

TEST(StreamClient, DropsAnIdleConnectionThatTheServerClosed) {
  std::atomic<bool> is_closed = false;
  RawServer server{[&](Peer& peer) {
    peer.read_request();
    peer.send(answer("ok"));
    if (peer.number() == 0) {
      peer.send("HTTP/1.1 408 Request Timeout\r\n\r\n");  // unasked for
      is_closed = true;
    } else {
      peer.read_request();
    }
  }};
  Recorder recorder;
  StreamClient client{url_of(server), {}, recorder};
  client.post("/", "{}");
  finish(client);
  while (!is_closed) {
    std::this_thread::yield();
  }
  // A busy machine may take its time to deliver what was sent.
  for (int i = 0; i < 10'000 && client.open_ahead(0, Seconds{}) > 0; ++i) {
    client.poll(Instant::now() + seconds(1e-3));
  }
  const auto second = client.post("/", "{}");
  finish(client);
  EXPECT_EQ(recorder.streams[second].end, StreamEnd::complete);
  EXPECT_EQ(recorder.streams[second].calls, "shbe") << "sent once";
}

TEST(StreamClient, TellsHowAnAnswerBroke) {
  const struct {
    std::string bytes;
    bool resets;
    StreamEnd end;
    std::string calls;
  } kCases[] = {
      {kChunkedHead + "5\r\nab", true, StreamEnd::reset, "shbe"},
      {kChunkedHead + "5\r\nab", false, StreamEnd::reset, "shbe"},
      {kChunkedHead + "2\r\nab\r\n", false, StreamEnd::reset, "shbe"},
      {kChunkedHead, false, StreamEnd::reset, "she"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", false, StreamEnd::reset, "shbe"},
      {"HTTP/1.1 200 OK\r\nContent-Le", false, StreamEnd::reset, "se"},
      {"", false, StreamEnd::reset, "se"},
      {"220 mail.example ESMTP\r\n", false, StreamEnd::malformed, "se"},
      {kChunkedHead + "zz\r\n", false, StreamEnd::malformed, "she"},
      {kChunkedHead + "1\r\na\r\nzz\r\n", false, StreamEnd::malformed, "shbe"},
      {"HTTP/1.0 200 OK\r\n\r\nall of it", false, StreamEnd::complete, "shbe"},
      {"HTTP/1.1 204 No Content\r\n\r\n", false, StreamEnd::complete, "she"},
      {"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", false,
       StreamEnd::complete, "she"},
  };

  for (const auto& test : kCases) {
    // The peer leaves only when the client has read all: RST may overtake bytes.
    std::atomic<bool> may_leave = false;
    RawServer server{[&](Peer& peer) {
      peer.read_request();
      peer.send(test.bytes);
      while (test.resets && !may_leave) {
        std::this_thread::yield();
      }
      if (test.resets) {
        peer.reset();
      }
    }};
    Recorder recorder;
    recorder.when_body = [&](StreamId) { may_leave = true; };
    StreamClient client{url_of(server), {}, recorder};
    const auto id = client.post("/", "{}");
    finish(client);
    const auto& stream = recorder.streams[id];
    EXPECT_EQ(stream.end, test.end) << test.bytes << to_string(stream.end);
    EXPECT_EQ(stream.calls, test.calls) << test.bytes;
    EXPECT_EQ(stream.detail.empty(), test.end == StreamEnd::complete) << test.bytes;
  }
}

TEST(StreamClient, ASilentServerTimesOut) {
  std::atomic<bool> may_leave = false;
  RawServer server{[&](Peer& peer) {
    peer.read_request();
    peer.send(kChunkedHead + "2\r\nab\r\n");
    while (!may_leave) {
      std::this_thread::yield();
    }
  }};
  Recorder recorder;
  ClientOptions options;
  options.silence = seconds(0.05);
  StreamClient client{url_of(server), options, recorder};
  const auto id = client.post("/", "{}");
  finish(client);
  may_leave = true;
  EXPECT_EQ(recorder.streams[id].end, StreamEnd::timed_out);
  EXPECT_EQ(recorder.streams[id].body, "ab");
  EXPECT_THAT(recorder.streams[id].detail, HasSubstr("0.05 s"));
}

TEST(StreamClient, TellsARefusedConnection) {
  const SilentPort port{false};
  for (const std::string host : {"127.0.0.1", "localhost"}) {
    Recorder recorder;
    StreamClient client{port.url(host), {}, recorder};
    EXPECT_EQ(client.open_ahead(3, seconds(60)), 0U);
    const auto id = client.post("/", "{}");
    finish(client);
    EXPECT_EQ(recorder.streams[id].end, StreamEnd::connect_failed);
    EXPECT_THAT(recorder.streams[id].detail, HasSubstr("refused"));
  }
}

TEST(StreamClient, TellsAConnectionThatDoesNotComeInTime) {
  const SilentPort port{true};
  Recorder recorder;
  ClientOptions options;
  options.connect_timeout = seconds(0.1);
  options.silence = seconds(0.1);
  StreamClient client{port.url(), options, recorder};
  for (int i = 0; i < 8; ++i) {  // the first ones find room in the queue
    client.post("/", "{}");
  }
  finish(client);
  std::set<StreamEnd> ends;
  for (const auto& [id, stream] : recorder.streams) {
    ends.insert(stream.end);
  }
  EXPECT_EQ(ends, (std::set{StreamEnd::connect_failed, StreamEnd::timed_out}));
}

TEST(StreamClient, TriesTheNextAddress) {
  RawServer server{always("ok")};  // on 127.0.0.1 only; "localhost" is often ::1 first
  Recorder recorder;
  StreamClient client{parse_url(server.url("localhost"), "test"), {}, recorder};
  const auto id = client.post("/", "{}");
  finish(client);
  EXPECT_EQ(recorder.streams[id].end, StreamEnd::complete);
}

TEST(StreamClient, RefusesANameThatDoesNotResolve) {
  Recorder recorder;
  try {
    StreamClient client{parse_url("http://no-such-host.invalid", "test"), {}, recorder};
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::peer_failed);
    EXPECT_THAT(error.what(), HasSubstr("no-such-host.invalid"));
  }
}

TEST(StreamClient, TheObserverMayCancelAnywhere) {
  for (const char where : {'s', 'h', 'b'}) {
    for (const bool cancels_the_other : {false, true}) {
      RawServer server{[&](Peer& peer) {
        peer.read_request();
        peer.send(kChunkedHead);
        while (peer.send_chunk("data: x\n\n")) {
          std::this_thread::yield();
        }
      }};
      Recorder recorder;
      StreamClient client{url_of(server), {}, recorder};
      std::vector<StreamId> ids;
      const auto cancel = [&](StreamId id) {
        client.cancel(cancels_the_other ? ids[id == ids[0] ? 1 : 0] : id);
      };
      (where == 's'   ? recorder.when_sent
       : where == 'h' ? recorder.when_head
                      : recorder.when_body) = cancel;
      recorder.when_end = [&](StreamId id) {
        for (const auto other : ids) {  // ended ones are left alone
          client.cancel(other);
        }
        EXPECT_NE(id, 0U);
      };
      ids = {client.post("/", "{}"), client.post("/", "{}")};
      finish(client);
      for (const auto id : ids) {
        EXPECT_EQ(recorder.streams[id].end, StreamEnd::cancelled);
      }
    }
  }
}

TEST(StreamClient, CancelsWhatIsNotYetConnected) {
  RawServer server{always("ok")};
  Recorder recorder;
  StreamClient client{url_of(server), {}, recorder};
  const auto id = client.post("/", "{}");
  client.cancel(id);
  client.cancel(id);
  client.cancel(id + 1);
  finish(client);
  EXPECT_EQ(recorder.streams[id].calls, "e");
  EXPECT_EQ(recorder.streams[id].end, StreamEnd::cancelled);
  const auto next = client.post("/", "{}");
  finish(client);
  client.cancel(next);
  EXPECT_EQ(recorder.streams[next].end, StreamEnd::complete);
}

TEST(StreamClient, TheObserverMayPostAnywhere) {
  RawServer server{always("ok")};
  Recorder recorder;
  StreamClient client{url_of(server), {}, recorder};
  int left = 200;
  const auto post = [&](StreamId) {
    if (left > 0) {
      --left;
      client.post("/", "{}");
    }
  };
  recorder.when_sent = post;
  recorder.when_head = post;
  recorder.when_body = post;
  recorder.when_end = post;
  client.post("/", "{}");
  finish(client);
  EXPECT_EQ(recorder.streams.size(), 201U);
  for (const auto& [id, stream] : recorder.streams) {
    EXPECT_EQ(stream.calls, "shbe");
    EXPECT_EQ(stream.end, StreamEnd::complete);
  }
}

TEST(StreamClient, AnObserverThatAnswersFailureWithAPostDoesNotLock) {
  RawServer server{always("ok")};
  Recorder recorder;
  ClientOptions options;
  options.most_connections = 0;
  StreamClient client{url_of(server), options, recorder};
  recorder.when_end = [&](StreamId) { client.post("/", "{}"); };
  client.post("/", "{}");
  for (int i = 0; i < 10; ++i) {
    client.poll(Instant::now() + seconds(60));
  }
  EXPECT_EQ(client.in_flight(), 1U);
  EXPECT_GE(recorder.streams.size(), 10U);
  EXPECT_THAT(recorder.streams.begin()->second.detail, HasSubstr("0 connections"));
}

TEST(StreamClient, SendsLargeBodies) {
  std::string body(8 << 20, ' ');
  for (std::size_t i = 0; i < body.size(); i += 7) {
    body[i] = static_cast<char>('a' + i % 23);
  }
  std::string received;
  const auto stream = [&] {
    RawServer server{[&](Peer& peer) {
      const auto request = peer.read_request();
      received = request.substr(request.find("\r\n\r\n") + 4);
      peer.send(answer(received));
    }};
    Recorder recorder;
    StreamClient client{url_of(server), {}, recorder};
    const auto id = client.post("/", body);
    finish(client);
    return recorder.streams[id];
  }();
  EXPECT_TRUE(received == body);
  EXPECT_TRUE(stream.body == body);
  EXPECT_EQ(stream.calls, "shbe");
}

TEST(StreamClient, ReadsAnAnswerThatComesBeforeTheRequestIsSent) {
  for (const bool leaves_bytes_unread : {false, true}) {
    RawServer server{[&](Peer& peer) {
      peer.read_head();
      peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
      if (!leaves_bytes_unread) {
        peer.read_head();  // until the client closes
      }
    }};
    Recorder recorder;
    StreamClient client{url_of(server), {}, recorder};
    const auto id = client.post("/", std::string(64 << 20, 'x'));
    finish(client);
    const auto& stream = recorder.streams[id];
    if (leaves_bytes_unread && stream.end == StreamEnd::reset) {
      continue;  // RST may overtake the answer; SIGPIPE would have ended the test
    }
    EXPECT_EQ(stream.end, StreamEnd::complete) << stream.detail;
    EXPECT_EQ(stream.head.status, 413);
  }
}

TEST(StreamClient, CarriesFiveHundredStreams) {
  constexpr std::size_t kStreams = 500;
  RawServer server{[](Peer& peer) {
    const auto request = peer.read_request();
    const auto text = request.substr(request.find("\r\n\r\n") + 4);
    std::string events = kChunkedHead;
    for (int i = 0; i < 20; ++i) {
      events += "10\r\ndata: " + text + "\n\n\r\n";  // text is of eight characters
    }
    events += "0\r\n\r\n";
    for (std::size_t at = 0; at < events.size(); at += 37) {
      peer.send(std::string_view{events}.substr(at, 37));
    }
    peer.read_request();
  }};
  Recorder recorder;
  StreamClient client{url_of(server), {}, recorder};
  EXPECT_EQ(client.open_ahead(kStreams / 2, seconds(60)), kStreams / 2);
  std::map<StreamId, std::string> expected;
  for (std::size_t i = 0; i < kStreams; ++i) {
    const auto text = std::to_string(10'000'000 + i);
    expected[client.post("/", text)] = text;
  }
  EXPECT_EQ(client.in_flight(), kStreams);
  finish(client);
  for (const auto& [id, text] : expected) {
    SseParser parser;
    int events = 0;
    auto body = recorder.streams[id].body;
    const auto size = body.size();
    body.append(kReadablePadding, '\0');
    parser.feed(
        std::string_view{body}.substr(0, size),
        [&events, &wanted = text](std::string_view data) { events += data == wanted ? 1 : 0; });
    EXPECT_EQ(events, 20);
  }
}

}  // namespace
}  // namespace perwatt::net
