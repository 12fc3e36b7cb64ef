#include "perwatt/net/http_response_parser.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace perwatt::net {
namespace {

using State = HttpResponseParser::State;
using ::testing::HasSubstr;

/// All that a reader of one answer can see.
struct SeenAnswer {
  State state = State::head;
  bool has_head = false;
  int status = 0;
  std::string content_type;
  bool keep_alive = false;
  std::optional<Seconds> retry_after;
  std::string body;
  std::size_t taken = 0;
  std::string problem;

  bool operator==(const SeenAnswer&) const = default;
};

/// Feeds `bytes` cut at `cuts` (ascending); with `closes` the connection ends behind them.
SeenAnswer read_answer(std::string_view bytes, const std::vector<std::size_t>& cuts = {},
                       bool closes = false, HttpResponseParser parser = {}) {
  SeenAnswer seen;
  std::size_t from = 0;
  const auto feed_to = [&](std::size_t end) {
    // A copy of exact size, so that a sanitizer sees reads beyond it.
    const std::vector<char> piece(bytes.begin() + static_cast<std::ptrdiff_t>(from),
                                  bytes.begin() + static_cast<std::ptrdiff_t>(end));
    const auto taken = parser.feed({piece.data(), piece.size()}, [&](std::string_view part) {
      EXPECT_FALSE(part.empty());
      EXPECT_TRUE(parser.has_head());
      seen.body += part;
    });
    seen.taken += taken;
    const bool is_over = parser.state() == State::complete || parser.state() == State::failed;
    EXPECT_TRUE(taken == piece.size() || is_over);
    from = end;
    return !is_over;
  };
  bool goes_on = true;
  for (auto cut = cuts.begin(); goes_on && cut != cuts.end(); ++cut) {
    goes_on = feed_to(*cut);
  }
  if (goes_on) {
    feed_to(bytes.size());
  }
  if (closes) {
    parser.end_of_stream();
  }
  seen.state = parser.state();
  seen.has_head = parser.has_head();
  if (seen.has_head) {
    seen.status = parser.head().status;
    seen.content_type = parser.head().content_type;
    seen.keep_alive = parser.head().keep_alive;
    seen.retry_after = parser.head().retry_after;
  }
  seen.problem = parser.problem();
  return seen;
}

SeenAnswer read_closed(std::string_view bytes) {
  return read_answer(bytes, {}, true);
}

const std::string kOk = "HTTP/1.1 200 OK\r\n";

std::string with_fields(const std::string& fields, const std::string& body = "") {
  return kOk + fields + "\r\n" + body;
}

const std::vector<std::string>& whole_answers() {
  static const std::vector<std::string> kAnswers = {
      with_fields("Content-Length: 5\r\n", "hello"),
      with_fields("content-LENGTH:\t5 \r\nContent-Length: 5, 5\r\n", "hello"),
      with_fields(
          "Transfer-Encoding: chunked\r\nContent-Type: text/event-stream; charset=utf-8\r\n",
          "5\r\nhello\r\n00A;name=\"a;b\"\r\n0123456789\r\n0 ;last\r\nDigest: x\r\n\r\n"),
      "HTTP/1.1 200\nTransfer-Encoding: Chunked\n\n3\nabc\n0\n\n",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: "
      "7\r\n\r\nHTTP/1.1 429 Too Many Requests\r\nRetry-After: 12\r\nContent-Length: 2\r\n\r\n{}",
      "HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n",
      "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx",
      with_fields("Connection: foo, Close\r\nContent-Length: 0\r\n"),
      with_fields("", "until the end of the connection"),
      "HTTP/1.1 502 Bad Gateway\r\nContent-Type: TEXT/HTML\r\nX-Empty:\r\n\r\n<html>\r\n\r\n",
  };
  return kAnswers;
}

TEST(HttpResponseParser, ReadsABodyOfStatedLength) {
  const auto answer = read_answer(whole_answers()[0] + "next");
  EXPECT_EQ(answer.state, State::complete);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "hello");
  EXPECT_TRUE(answer.keep_alive);
  EXPECT_EQ(answer.taken, whole_answers()[0].size()) << "bytes of the next answer stay";
}

TEST(HttpResponseParser, ReadsChunksWithExtensionsAndTrailers) {
  const auto answer = read_answer(whole_answers()[2] + "HTTP/1.1");
  EXPECT_EQ(answer.state, State::complete);
  EXPECT_EQ(answer.body, "hello0123456789");
  EXPECT_EQ(answer.content_type, "text/event-stream");
  EXPECT_EQ(answer.taken, whole_answers()[2].size());
}

TEST(HttpResponseParser, HandsOutViewsIntoTheBytesFed) {
  const std::string bytes = whole_answers()[2];
  HttpResponseParser parser;
  parser.feed(bytes, [&](std::string_view part) {
    EXPECT_GE(part.data(), bytes.data());
    EXPECT_LE(part.data() + part.size(), bytes.data() + bytes.size());
  });
}

TEST(HttpResponseParser, SkipsInterimAnswers) {
  const auto answer = read_answer(whole_answers()[4]);
  EXPECT_EQ(answer.state, State::complete);
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.body, "{}");
  ASSERT_TRUE(answer.retry_after.has_value());
  EXPECT_EQ(in_seconds(*answer.retry_after), 12.0);
}

TEST(HttpResponseParser, ADateInRetryAfterIsNotRead) {
  const auto answer = read_answer(
      with_fields("Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nContent-Length: 0\r\n"));
  EXPECT_EQ(answer.state, State::complete);
  EXPECT_FALSE(answer.retry_after.has_value());
}

TEST(HttpResponseParser, SomeStatusesHaveNoBody) {
  for (const std::size_t i : {5U, 6U}) {
    const auto answer = read_answer(whole_answers()[i]);
    EXPECT_EQ(answer.state, State::complete);
    EXPECT_EQ(answer.taken, whole_answers()[i].size());
    EXPECT_TRUE(answer.keep_alive);
  }
}

TEST(HttpResponseParser, TellsWhetherTheConnectionServesAnotherRequest) {
  const struct {
    std::string bytes;
    bool keep_alive;
  } kCases[] = {
      {with_fields("Content-Length: 0\r\n"), true},
      {with_fields("Connection: close\r\nContent-Length: 0\r\n"), false},
      {with_fields("Connection: keep-alive\r\nConnection: close\r\nContent-Length: 0\r\n"), false},
      {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false},
      {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", true},
      {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\n",
       false},
      {with_fields("Content-Length: 7\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), false},
  };

  for (const auto& test : kCases) {
    const auto answer = read_answer(test.bytes);
    EXPECT_EQ(answer.state, State::complete) << test.bytes;
    EXPECT_EQ(answer.keep_alive, test.keep_alive) << test.bytes;
  }
}

TEST(HttpResponseParser, TransferEncodingBesideContentLengthWins) {
  const auto answer = read_answer(
      with_fields("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\n\r\n"));
  EXPECT_EQ(answer.state, State::complete);
  EXPECT_EQ(answer.body, "ok");
}

TEST(HttpResponseParser, ABodyWithoutLengthLastsUntilTheEnd) {
  const auto open = read_answer(whole_answers()[9]);
  EXPECT_EQ(open.state, State::body);
  const auto closed = read_closed(whole_answers()[9]);
  EXPECT_EQ(closed.state, State::complete);
  EXPECT_EQ(closed.body, "until the end of the connection");
  EXPECT_FALSE(closed.keep_alive);
}

TEST(HttpResponseParser, ATruncatedAnswerFailsAtTheEndOfTheStream) {
  for (const auto& answer : whole_answers()) {
    const auto whole = read_closed(answer);
    ASSERT_EQ(whole.state, State::complete) << answer;
    if (!whole.keep_alive && read_answer(answer).state != State::complete) {
      continue;  // lasts until the end: every prefix of the body is a body
    }
    for (std::size_t size = 0; size < answer.size(); ++size) {
      const auto cut = read_closed(answer.substr(0, size));
      EXPECT_EQ(cut.state, State::failed) << answer.substr(0, size);
      EXPECT_THAT(cut.problem, HasSubstr("closed"));
    }
  }
}

TEST(HttpResponseParser, ReadsAnswersBehindEachOther) {
  const std::string bytes = whole_answers()[2] + whole_answers()[5] + whole_answers()[0];
  HttpResponseParser parser;
  std::string_view rest = bytes;
  std::vector<std::string> bodies;
  for (int i = 0; i < 3; ++i) {
    bodies.emplace_back();
    rest.remove_prefix(parser.feed(rest, [&](std::string_view part) { bodies.back() += part; }));
    EXPECT_EQ(parser.state(), State::complete);
    parser.reset();
    EXPECT_FALSE(parser.has_head());
  }
  EXPECT_THAT(bodies, ::testing::ElementsAre("hello0123456789", "", "hello"));
  EXPECT_TRUE(rest.empty());
}

TEST(HttpResponseParser, TakesNothingOnceComplete) {
  HttpResponseParser parser;
  const auto ignore = [](std::string_view) {};
  parser.feed(whole_answers()[0], ignore);
  EXPECT_EQ(parser.feed("HTTP/1.1 200 OK\r\n", ignore), 0U);
  parser.end_of_stream();
  EXPECT_EQ(parser.state(), State::complete);
}

struct Malformed {
  std::string bytes;
  std::string mentions;
};

const std::vector<Malformed>& malformed_answers() {
  static const std::vector<Malformed> kCases = {
      {"HTTP/2 200\r\n", "status line"},
      {"HTTP/2.0 200 OK\r\n", "status line"},
      {"http/1.1 200 OK\r\n", "status line"},
      {"HTTP/1.1  200 OK\r\n", "status line"},
      {"HTTP/1.1 20 OK\r\n", "status line"},
      {"HTTP/1.1 2000 OK\r\n", "status line"},
      {"HTTP/1.1 099 OK\r\n", "status line"},
      {"HTTP/1.1 2x0 OK\r\n", "status line"},
      {"\r\nHTTP/1.1 200 OK\r\n", "status line"},
      {"SSH-2.0-OpenSSH_9.2\r\n", "status line"},
      {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "101"},
      {"HTTP/1.1 200 OK\r\r\n", "control character"},
      {with_fields("A: b\r\n c\r\n"), "folded"},
      {with_fields("\tA: b\r\n"), "folded"},
      {with_fields("A : b\r\n"), "header field"},
      {with_fields(": b\r\n"), "header field"},
      {with_fields("no colon\r\n"), "header field"},
      {with_fields("A: b\rc\r\n"), "control character"},
      {with_fields(std::string{"A: b"} + '\0' + "\r\n"), "control character"},
      {with_fields("Content-Length: 5\r\nContent-Length: 6\r\n"), "differ"},
      {with_fields("Content-Length: 5, 6\r\n"), "differ"},
      {with_fields("Content-Length: -1\r\n"), "number of bytes"},
      {with_fields("Content-Length: +1\r\n"), "number of bytes"},
      {with_fields("Content-Length: 1 2\r\n"), "number of bytes"},
      {with_fields("Content-Length: 0x10\r\n"), "number of bytes"},
      {with_fields("Content-Length: 99999999999999999999\r\n"), "number of bytes"},
      {with_fields("Content-Length:\r\n"), "empty"},
      {with_fields("Transfer-Encoding: gzip, chunked\r\n"), "chunked"},
      {with_fields("Transfer-Encoding: chunked, chunked\r\n"), "chunked"},
      {with_fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), "chunked"},
      {with_fields("Transfer-Encoding: chunked;q=1\r\n"), "chunked"},
      {with_fields("Transfer-Encoding: identity\r\n"), "chunked"},
      {with_fields("Transfer-Encoding: ,\r\n"), "empty"},
      {with_fields("Transfer-Encoding: chunked\r\n", "\r\n"), "chunk size"},
      {with_fields("Transfer-Encoding: chunked\r\n", "g\r\n"), "chunk size"},
      {with_fields("Transfer-Encoding: chunked\r\n", "-1\r\n"), "chunk size"},
      {with_fields("Transfer-Encoding: chunked\r\n", " 5\r\n"), "chunk size"},
      {with_fields("Transfer-Encoding: chunked\r\n", "0x5\r\n"), "chunk size"},
      {with_fields("Transfer-Encoding: chunked\r\n", "5 5\r\n"), "chunk size"},
      {with_fields("Transfer-Encoding: chunked\r\n", "10000000000000000\r\n"), "too large"},
      {with_fields("Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\n"), "too large"},
      {with_fields("Transfer-Encoding: chunked\r\n", "2\r\nokay\r\n"), "longer"},
      {with_fields("Transfer-Encoding: chunked\r\n", "0\r\nno trailer\r\n"), "header field"},
      {with_fields("Transfer-Encoding: chunked\r\n", "5;a=\x01\r\n"), "control character"},
  };
  return kCases;
}

TEST(HttpResponseParser, RefusesWhatIsNoAnswer) {
  for (const auto& test : malformed_answers()) {
    const auto answer = read_answer(test.bytes);
    EXPECT_EQ(answer.state, State::failed) << test.bytes;
    EXPECT_THAT(answer.problem, HasSubstr(test.mentions)) << test.bytes;
  }
}

TEST(HttpResponseParser, BoundsTheHead) {
  constexpr std::size_t kMostHeadBytes = 64 << 10;
  const std::string name = "A: ";
  const std::string ends = "\r\n\r\n";
  const auto field_bytes = kMostHeadBytes - kOk.size() - name.size() - ends.size();
  EXPECT_EQ(read_closed(kOk + name + std::string(field_bytes, 'x') + ends).state, State::complete);
  EXPECT_EQ(read_closed(kOk + name + std::string(field_bytes + 1, 'x') + ends).state,
            State::failed);
  std::string interim;
  while (interim.size() <= kMostHeadBytes) {
    interim += "HTTP/1.1 102 Processing\r\n\r\n";
  }
  EXPECT_THAT(read_answer(interim).problem, HasSubstr("too long")) << "interim answers for ever";
}

TEST(HttpResponseParser, BoundsChunkLinesAndTrailers) {
  const auto chunked = [](const std::string& body) {
    return read_answer(with_fields("Transfer-Encoding: chunked\r\n", body));
  };
  EXPECT_EQ(chunked("1;" + std::string(1000, 'x') + "\r\n").state, State::body);
  EXPECT_THAT(chunked("1;" + std::string(1100, 'x')).problem, HasSubstr("too long"));
  EXPECT_THAT(chunked("0\r\nA: " + std::string(70'000, 'x')).problem, HasSubstr("too long"));
  std::string many;
  for (int i = 0; i < 3000; ++i) {
    many += "1;" + std::string(500, 'x') + "\r\ny\r\n";
  }
  EXPECT_EQ(chunked(many + "0\r\n\r\n").state, State::complete) << "the bound is for one line";
}

TEST(HttpResponseParser, EverySplitGivesTheSameAnswer) {
  auto inputs = whole_answers();
  for (const auto& test : malformed_answers()) {
    inputs.push_back(test.bytes);
  }
  for (const auto& bytes : inputs) {
    std::vector<std::size_t> everywhere;
    for (std::size_t i = 1; i < bytes.size(); ++i) {
      everywhere.push_back(i);
    }
    for (const bool closes : {false, true}) {
      const auto whole = read_answer(bytes, {}, closes);
      EXPECT_EQ(read_answer(bytes, everywhere, closes), whole) << bytes;
      for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
        EXPECT_EQ(read_answer(bytes, {cut}, closes), whole) << bytes << " cut at " << cut;
      }
    }
  }
}

RC_GTEST_PROP(HttpResponseParser, RandomSplitsOfRandomAnswersGiveTheSame, ()) {
  const auto pieces = *rc::gen::container<std::vector<std::string>>(
      rc::gen::container<std::string>(rc::gen::arbitrary<char>()));
  std::string bytes = with_fields("Transfer-Encoding: chunked\r\n");
  std::string body;
  for (const auto& piece : pieces) {
    if (piece.empty()) {
      continue;
    }
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
    bytes += size + piece + "\r\n";
    body += piece;
  }
  bytes += "0\r\n\r\n";
  auto cuts = *rc::gen::container<std::vector<std::size_t>>(
      rc::gen::inRange<std::size_t>(0, bytes.size() + 1));
  std::sort(cuts.begin(), cuts.end());
  const auto answer = read_answer(bytes, cuts);
  RC_ASSERT(answer.state == State::complete);
  RC_ASSERT(answer.body == body);
  RC_ASSERT(answer.taken == bytes.size());
}

}  // namespace
}  // namespace perwatt::net
