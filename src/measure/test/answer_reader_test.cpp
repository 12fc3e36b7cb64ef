#include "../answer_reader.hpp"

#include "measurement_testing.hpp"
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace perwatt::measure {
namespace {

/// A whole answer in the way of vLLM, event by event.
std::vector<std::string> answer_events() {
  return {R"(data: {"choices":[{"delta":{"role":"assistant","content":""}}]})"
          "\n\n",
          R"(data: {"choices":[{"delta":{"reasoning_content":"hm"}}]})"
          "\n\n",
          ": keep-alive\n\n",
          R"(data: {"choices":[{"delta":{"content":"a"}}]})"
          "\n\n",
          R"(data: {"choices":[{"delta":{"content":"b"},"finish_reason":"length"}]})"
          "\n\n",
          R"(data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":6}})"
          "\n\n",
          "data: [DONE]\n\n"};
}

class Reading {
 public:
  explicit Reading(bool wants_text = false) : reader_{record_of_request(), wants_text, true} {
    window_.open(at_ms(0));
    whole_.open(at_ms(0));
    reader_.on_sent(at_ms(1));
  }

  void head(int status = 200, const std::string& type = "text/event-stream") {
    reader_.on_head({status, type, true, std::nullopt});
  }

  void body(std::string bytes, std::int64_t milliseconds) {
    const auto size = bytes.size();
    bytes += std::string(net::kReadablePadding, '#');
    reader_.on_body(std::string_view{bytes}.substr(0, size), at_ms(milliseconds), parser_, window_,
                    whole_);
  }

  RequestRecord end(net::StreamEnd end = net::StreamEnd::complete) {
    return reader_.finish(end, "why", at_ms(1000));
  }

  ContentCounter& window() { return window_; }

 private:
  static RequestRecord record_of_request() {
    RequestRecord record;
    record.intended = at_ms(0);
    return record;
  }

  ChatChunkParser parser_;
  ContentCounter window_;
  ContentCounter whole_;
  AnswerReader reader_;
};

TEST(AnswerReader, TimesAndTokensOfAWholeAnswer) {
  Reading reading{true};
  reading.head();
  std::int64_t now = 0;
  for (const auto& event : answer_events()) {
    reading.body(event, now += 10);
  }
  const auto record = reading.end();
  EXPECT_EQ(to_string(record.outcome), "ok");
  EXPECT_EQ(record.first_content, at_ms(20));  // reasoning counts, the role does not
  EXPECT_EQ(record.first_answer, at_ms(40));
  EXPECT_EQ(record.second_content, at_ms(40));
  EXPECT_EQ(record.last_content, at_ms(50));
  EXPECT_EQ(record.content_chunks, 3);
  EXPECT_EQ(record.output_tokens, 6);
  EXPECT_EQ(record.output_source, TokenSource::usage);
  EXPECT_EQ(record.input_tokens, 9);
  EXPECT_EQ(record.text, "ab");
  EXPECT_EQ(record.longest_gap, seconds(0.020));
  ASSERT_TRUE(tpot(record));
  EXPECT_DOUBLE_EQ(in_seconds(*tpot(record)), 0.030 / 5);
  EXPECT_DOUBLE_EQ(in_seconds(*ttft(record)), 0.019);
  EXPECT_DOUBLE_EQ(in_seconds(*ttft_from_intended(record)), 0.020);
}

RC_GTEST_PROP(AnswerReader, AnySplitOfTheBytesGivesTheSameCounts, ()) {
  std::string whole;
  for (const auto& event : answer_events()) {
    whole += event;
  }
  Reading reading;
  reading.head();
  std::size_t from = 0;
  while (from < whole.size()) {
    const auto size = *rc::gen::inRange<std::size_t>(1, 40);
    reading.body(whole.substr(from, size), 10);
    from += size;
  }
  const auto record = reading.end();
  RC_ASSERT(record.outcome == RequestOutcome::ok);
  RC_ASSERT(record.content_chunks == 3);
  RC_ASSERT(record.output_tokens == 6);
}

TEST(AnswerReader, OnlyChunksInsideTheWindowCountThere) {
  Reading reading;
  reading.head();
  const auto events = answer_events();
  reading.body(events[1], 10);
  reading.window().close(at_ms(15));
  reading.body(events[3], 20);
  reading.body(events[4] + events[6], 30);
  const auto record = reading.end();
  EXPECT_EQ(record.content_chunks, 3);
  EXPECT_EQ(record.content_chunks_in_window, 1);
  EXPECT_EQ(record.output_source, TokenSource::chunks);  // no usage came
  EXPECT_EQ(record.output_tokens, 3);
}

TEST(AnswerReader, ACutStreamIsTruncatedAndKeepsItsTokens) {
  for (const auto end : {net::StreamEnd::reset, net::StreamEnd::complete}) {
    Reading reading;
    reading.head();
    reading.body(answer_events()[1] + answer_events()[3], 10);
    const auto record = reading.end(end);
    EXPECT_EQ(to_string(record.outcome), "truncated");
    EXPECT_EQ(record.output_tokens, 2);
    EXPECT_FALSE(record.detail.empty());
  }
}

TEST(AnswerReader, AResetAfterDoneIsAWholeAnswer) {
  Reading reading;
  reading.head();
  reading.body(answer_events()[3] + "data: [DONE]\n\n", 10);
  EXPECT_EQ(to_string(reading.end(net::StreamEnd::reset).outcome), "ok");
}

TEST(AnswerReader, WhatTheServerRefusesIsTold) {
  Reading reading;
  reading.head(429, "application/json");
  reading.body(R"({"error":{"message":"slow down"}})", 10);
  const auto record = reading.end();
  EXPECT_EQ(to_string(record.outcome), "http_error");
  EXPECT_EQ(record.http_status, 429);
  EXPECT_EQ(record.detail, "status 429: slow down");
}

TEST(AnswerReader, AnErrorInsideTheStreamStandsWhateverFollows) {
  Reading reading;
  reading.head();
  reading.body(answer_events()[3] + "data: {\"error\":{\"message\":\"cuda\"}}\n\ndata: [DONE]\n\n",
               10);
  const auto record = reading.end();
  EXPECT_EQ(to_string(record.outcome), "server_error");
  EXPECT_EQ(record.detail, "cuda");
  EXPECT_EQ(record.output_tokens, 1);
}

TEST(AnswerReader, MalformedEventsAndAnswersThatDoNotStream) {
  Reading broken;
  broken.head();
  broken.body("data: {\"choices\":[}\n\n", 10);
  EXPECT_EQ(to_string(broken.end().outcome), "malformed");
  Reading plain;
  plain.head(200, "application/json");
  plain.body(R"({"choices":[{"message":{"content":"a"}}]})", 10);
  const auto record = plain.end();
  EXPECT_EQ(to_string(record.outcome), "malformed");
  EXPECT_NE(record.detail.find("does not stream"), std::string::npos);
}

TEST(AnswerReader, AStreamWithoutContentIsEmpty) {
  Reading reading;
  reading.head();
  reading.body(answer_events()[0] + "data: [DONE]\n\n", 10);
  EXPECT_EQ(to_string(reading.end().outcome), "empty");
}

TEST(AnswerReader, WhatEndsAConnectionNamesTheOutcome) {
  for (const auto& [end, outcome] : {std::pair{net::StreamEnd::connect_failed, "connect_failed"},
                                     std::pair{net::StreamEnd::tls_failed, "tls_failed"},
                                     std::pair{net::StreamEnd::timed_out, "timed_out"},
                                     std::pair{net::StreamEnd::cancelled, "cancelled"},
                                     std::pair{net::StreamEnd::malformed, "malformed"}}) {
    Reading reading;
    EXPECT_EQ(to_string(reading.end(end).outcome), outcome);
  }
}

}  // namespace
}  // namespace perwatt::measure
