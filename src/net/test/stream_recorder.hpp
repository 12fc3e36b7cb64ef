// An observer that writes down what it is told, and the wait for a client to be done.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "perwatt/net/stream_client.hpp"

namespace perwatt::net {

struct Recorded {
  std::string calls;  // s, h, b, e in their order; repeated b only once
  ResponseHead head;
  std::string body;
  StreamEnd end = StreamEnd::cancelled;
  std::string detail;
  std::vector<Instant> times;
};

class Recorder : public StreamObserver {
 public:
  std::map<StreamId, Recorded> streams;
  std::function<void(StreamId)> when_sent = [](StreamId) {};
  std::function<void(StreamId)> when_head = [](StreamId) {};
  std::function<void(StreamId)> when_body = [](StreamId) {};
  std::function<void(StreamId)> when_end = [](StreamId) {};

  void on_sent(StreamId id, Instant at) override {
    note(id, 's', at);
    when_sent(id);
  }

  void on_head(StreamId id, const ResponseHead& head, Instant at) override {
    note(id, 'h', at).head = head;
    when_head(id);
  }

  void on_body(StreamId id, std::string_view bytes, Instant at) override {
    EXPECT_FALSE(bytes.empty());
    volatile char last = 0;  // a sanitizer sees padding that is not there
    for (std::size_t i = 0; i < kReadablePadding; ++i) {
      last = bytes.data()[bytes.size() + i];
    }
    static_cast<void>(last);
    note(id, 'b', at).body += bytes;
    when_body(id);
  }

  void on_end(StreamId id, StreamEnd end, const std::string& detail, Instant at) override {
    auto& stream = note(id, 'e', at);
    stream.end = end;
    stream.detail = detail;
    when_end(id);
  }

 private:
  Recorded& note(StreamId id, char call, Instant at) {
    auto& stream = streams[id];
    EXPECT_TRUE(stream.calls.empty() || stream.calls.back() != 'e') << "a call after the end";
    EXPECT_TRUE(stream.times.empty() || stream.times.back() <= at);
    EXPECT_LE(at, Instant::now());
    if (call != 'b' || stream.calls.empty() || stream.calls.back() != 'b') {
      stream.calls += call;
    }
    stream.times.push_back(at);
    return stream;
  }
};

/// Polls until nothing is in flight; a test that hangs fails.
inline void finish(StreamClient& client) {
  const auto until = Instant::now() + seconds(60);
  while (client.in_flight() > 0 && Instant::now() < until) {
    client.poll(until);
  }
  EXPECT_EQ(client.in_flight(), 0U);
}

}  // namespace perwatt::net
