#include "perwatt/net/sse_parser.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace perwatt::net {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Events = std::vector<std::string>;

struct SeenEvents {
  Events events;
  bool is_within_bound = true;
  bool holds_unfinished = false;

  bool operator==(const SeenEvents&) const = default;
};

/// Reads the bytes behind a view, so that a sanitizer sees padding that is not there.
void touch_padding(std::string_view view) {
  volatile char last = 0;
  for (std::size_t i = 0; i < kReadablePadding; ++i) {
    last = view.data()[view.size() + i];
  }
  static_cast<void>(last);
}

/// Feeds `text` cut at `cuts` (ascending), each piece in memory of exact size with the padding.
SeenEvents read_events(std::string_view text, const std::vector<std::size_t>& cuts = {},
                       SseParser parser = SseParser{}) {
  SeenEvents seen;
  std::size_t from = 0;
  const auto feed_to = [&](std::size_t end) {
    std::vector<char> piece(text.begin() + static_cast<std::ptrdiff_t>(from),
                            text.begin() + static_cast<std::ptrdiff_t>(end));
    piece.resize(piece.size() + kReadablePadding, '\n');
    const std::string_view bytes{piece.data(), end - from};
    seen.is_within_bound = parser.feed(bytes, [&](std::string_view data) {
      touch_padding(data);
      seen.events.emplace_back(data);
    });
    from = end;
  };
  for (const auto cut : cuts) {
    feed_to(cut);
  }
  feed_to(text.size());
  seen.holds_unfinished = parser.holds_unfinished();
  return seen;
}

struct Case {
  std::string text;
  Events events;
  bool holds_unfinished;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {"", {}, false},
      {"data: one\n\n", {"one"}, false},
      {"data:one\r\n\r\ndata:  two\r\rdata: three\n\r\n", {"one", " two", "three"}, false},
      {"data: a\ndata: b\r\ndata\ndata:c\n\n", {"a\nb\n\nc"}, false},
      {"data\n\n", {""}, false},
      {"data:\n\ndata: \n\n", {"", ""}, false},
      {"data: one", {}, true},
      {"data: one\n", {}, true},
      {"data: one\n\n:", {"one"}, true},
      {"data: one\n\n: waits\n", {"one"}, false},
      {": comment\nevent: message\nid: 7\nretry: 3\ndata: x\n\n", {"x"}, false},
      {"event: ping\n\ndata: y\n\n", {"y"}, false},
      {"event: ping\n", {}, true},
      {"Data: no\ndatax: no\n data: no\ndat: no\nunknown\n\n", {}, false},
      {"data: a:b: c\n\n", {"a:b: c"}, false},
      {"\xef\xbb\xbf"
       "data: marked\n\n",
       {"marked"},
       false},
      {"\xef\xbb\xbf", {}, false},
      {"\xef\xbb", {}, true},
      {"\xef\xbb"
       "data: no mark\n\ndata: z\n\n",
       {"z"},
       false},
      {"\xef"
       "data: no mark\n\n\xef\xbb\xbf"
       "data: no mark here\n\n",
       {},
       false},
      {"\n\n\r\n\r\r\n", {}, false},
      {"data: {\"choices\":[{\"delta\":{\"content\":\"\\n\"}}]}\n\ndata: [DONE]\n\n",
       {"{\"choices\":[{\"delta\":{\"content\":\"\\n\"}}]}", "[DONE]"},
       false},
      {std::string{"data: a"} + '\0' + "b\n\n", {std::string{"a"} + '\0' + "b"}, false},
  };
  return kCases;
}

TEST(SseParser, ReadsEvents) {
  for (const auto& test : cases()) {
    const auto outcome = read_events(test.text);
    EXPECT_EQ(outcome.events, test.events) << test.text;
    EXPECT_EQ(outcome.holds_unfinished, test.holds_unfinished) << test.text;
    EXPECT_TRUE(outcome.is_within_bound);
  }
}

TEST(SseParser, EverySplitGivesTheSameEvents) {
  for (const auto& test : cases()) {
    const SeenEvents whole = read_events(test.text);
    std::vector<std::size_t> everywhere;
    for (std::size_t cut = 0; cut <= test.text.size(); ++cut) {
      everywhere.push_back(cut);
      EXPECT_EQ(read_events(test.text, {cut}), whole) << test.text << " cut at " << cut;
      for (std::size_t second = cut; second <= test.text.size(); ++second) {
        EXPECT_EQ(read_events(test.text, {cut, second}), whole) << test.text;
      }
    }
    EXPECT_EQ(read_events(test.text, everywhere), whole) << test.text;
  }
}

TEST(SseParser, AWholeEventIsNotCopied) {
  std::string text = "data: one\n\ndata: two\r\n\r\n";
  const auto size = text.size();
  text.append(kReadablePadding, '\0');
  int events = 0;
  SseParser parser;
  parser.feed(std::string_view{text}.substr(0, size), [&](std::string_view data) {
    ++events;
    EXPECT_TRUE(data.data() > text.data() && data.data() < text.data() + size);
  });
  EXPECT_EQ(events, 2);
}

TEST(SseParser, AnEventLongerThanTheBoundEndsTheStream) {
  constexpr std::size_t kBound = 16;
  const std::string fits = "data: 0123456789\n\n";       // a line of 16
  const std::string too_long = "data: 0123456789a\n\n";  // of 17
  EXPECT_THAT(read_events(fits, {}, SseParser{kBound}).events, ElementsAre("0123456789"));
  for (const std::string& long_text :
       {too_long, std::string{"data: 0123456789\ndata: 012345\n\n"}, std::string(17, ':')}) {
    const auto text = fits + long_text + fits;
    const auto whole = read_events(text, {}, SseParser{kBound});
    EXPECT_FALSE(whole.is_within_bound) << long_text;
    EXPECT_THAT(whole.events, ElementsAre("0123456789")) << long_text;
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
      const auto split = read_events(text, {cut}, SseParser{kBound});
      EXPECT_EQ(split.events, whole.events);
      EXPECT_FALSE(split.is_within_bound);
    }
  }
}

TEST(SseParser, ManyShortLinesOfOneEventCountTogether) {
  SseParser parser{64};
  std::string text;
  for (int i = 0; i < 100; ++i) {
    text += "data: x\n";
  }
  EXPECT_FALSE(read_events(text, {}, parser).is_within_bound);
  EXPECT_TRUE(read_events(std::string(100, '\n') + "data: x\n\n", {}, parser).is_within_bound);
}

/// An independent reading of the format, line by line over the whole text.
Events reference(const std::string& text) {
  std::string lines;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_pair = text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n';
    lines += is_pair || text[i] == '\r' ? '\n' : text[i];
    i += is_pair ? 1 : 0;
  }
  Events events;
  std::string data;
  bool has_data = false;
  for (std::size_t end = 0; (end = lines.find('\n')) != std::string::npos;
       lines.erase(0, end + 1)) {
    const auto line = lines.substr(0, end);
    const auto colon = line.find(':');
    if (line.empty()) {
      if (has_data) {
        events.push_back(data.substr(0, data.size() - 1));
      }
      data.clear();
      has_data = false;
    } else if (line.substr(0, colon) == "data") {
      const auto value = colon == std::string::npos ? "" : line.substr(colon + 1);
      data += (value.substr(0, 1) == " " ? value.substr(1) : value) + "\n";
      has_data = true;
    }
  }
  return events;
}

RC_GTEST_PROP(SseParser, RandomTextInRandomSplitsReadsAsTheReferenceDoes, ()) {
  const auto parts = *rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(
      std::vector<std::string>{"data", "data:", "data: ", ":", " ", "\n", "\n", "\n\n", "\r",
                               "\r\n", "id: 1", "x", "{\"a\":1}", "dat"}));
  std::string text;
  for (const auto& part : parts) {
    text += part;
  }
  auto cuts = *rc::gen::container<std::vector<std::size_t>>(
      rc::gen::inRange<std::size_t>(0, text.size() + 1));
  std::sort(cuts.begin(), cuts.end());
  RC_ASSERT(read_events(text, cuts).events == reference(text));
}

TEST(SseParser, HoldsNothingAtTheStart) {
  EXPECT_FALSE(SseParser{}.holds_unfinished());
  EXPECT_THAT(read_events("\n").events, IsEmpty());
}

}  // namespace
}  // namespace perwatt::net
