#include "perwatt/measure/chat_chunk.hpp"

#include <gtest/gtest.h>

#include "perwatt/net/sse_parser.hpp"

namespace perwatt::measure {
namespace {

/// The text with the padding that the parser may read.
class Padded {
 public:
  explicit Padded(const std::string& text)
      : size_{text.size()}, bytes_{text + std::string(net::kReadablePadding, '#')} {}

  [[nodiscard]] std::string_view view() const { return std::string_view{bytes_}.substr(0, size_); }

 private:
  std::size_t size_;
  std::string bytes_;
};

struct Case {
  const char* name;
  const char* data;
  ChatChunk::Kind kind;
  const char* answer;
  const char* reasoning;
};

class Chunks : public testing::TestWithParam<Case> {};

TEST_P(Chunks, SayWhatIsContent) {
  ChatChunkParser parser;
  const Padded data{GetParam().data};
  const auto chunk = parser.parse(data.view());
  EXPECT_EQ(static_cast<int>(chunk.kind), static_cast<int>(GetParam().kind)) << chunk.message;
  EXPECT_EQ(chunk.answer, GetParam().answer);
  EXPECT_EQ(chunk.reasoning, GetParam().reasoning);
}

using Kind = ChatChunk::Kind;

INSTANTIATE_TEST_SUITE_P(
    Shapes, Chunks,
    testing::Values(
        Case{"content", R"({"choices":[{"index":0,"delta":{"content":"Hi"}}]})", Kind::data, "Hi",
             ""},
        Case{"role_only", R"({"choices":[{"delta":{"role":"assistant","content":null}}]})",
             Kind::data, "", ""},
        Case{"empty_content", R"({"choices":[{"delta":{"content":""}}]})", Kind::data, "", ""},
        Case{"empty_delta", R"({"choices":[{"delta":{},"finish_reason":"stop"}]})", Kind::data, "",
             ""},
        Case{"null_delta", R"({"choices":[{"delta":null}]})", Kind::data, "", ""},
        Case{"reasoning_content", R"({"choices":[{"delta":{"reasoning_content":"hm"}}]})",
             Kind::data, "", "hm"},
        Case{"reasoning", R"({"choices":[{"delta":{"content":"","reasoning":"hm"}}]})", Kind::data,
             "", "hm"},
        Case{"completion_text", R"({"choices":[{"text":" a","logprobs":null}]})", Kind::data, " a",
             ""},
        Case{"escapes", R"({"choices":[{"delta":{"content":"\"\n\u00e9"}}]})", Kind::data,
             "\"\n\xc3\xa9", ""},
        Case{"tool_call",
             R"({"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{\"a\":"}}]}}]})",
             Kind::data, "{\"a\":", ""},
        Case{"usage_only", R"({"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}})",
             Kind::data, "", ""},
        Case{"second_choice_is_not_counted",
             R"({"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]})", Kind::data,
             "a", ""},
        Case{"done", "[DONE]", Kind::done, "", ""},
        Case{"error_object", R"({"error":{"message":"out of memory","type":"x"}})", Kind::error, "",
             ""},
        Case{"error_text", R"({"error":"busy"})", Kind::error, "", ""},
        Case{"null_error_is_none", R"({"error":null,"choices":[]})", Kind::data, "", ""},
        Case{"other_json", R"({"object":"ping"})", Kind::malformed, "", ""},
        Case{"array", "[1,2]", Kind::malformed, "", ""},
        Case{"cut", R"({"choices":[{"delta":{"content":"H)", Kind::malformed, "", ""},
        Case{"two_values", R"({"choices":[]}{"choices":[]})", Kind::malformed, "", ""},
        Case{"empty", "", Kind::malformed, "", ""}, Case{"text", "hello", Kind::malformed, "", ""}),
    [](const auto& chunk) { return std::string{chunk.param.name}; });

TEST(ChatChunkParser, ReadsUsageWithCachedTokens) {
  ChatChunkParser parser;
  const Padded data{
      R"({"choices":[],"usage":{"prompt_tokens":10,"total_tokens":17,"completion_tokens":7,)"
      R"("prompt_tokens_details":{"cached_tokens":4}}})"};
  const auto chunk = parser.parse(data.view());
  ASSERT_TRUE(chunk.usage);
  EXPECT_EQ(chunk.usage->input_tokens, 10);
  EXPECT_EQ(chunk.usage->output_tokens, 7);
  EXPECT_EQ(chunk.usage->cached_input_tokens, 4);
}

TEST(ChatChunkParser, ContinuousUsageStandsBesideContent) {
  ChatChunkParser parser;
  const Padded data{R"({"choices":[{"delta":{"content":"x"},"finish_reason":null}],)"
                    R"("usage":{"prompt_tokens":10,"completion_tokens":1}})"};
  const auto chunk = parser.parse(data.view());
  EXPECT_EQ(chunk.answer, "x");
  EXPECT_TRUE(chunk.usage);
  EXPECT_TRUE(chunk.finish_reason.empty());
}

TEST(ChatChunkParser, UsageThatIsNullOrHalfIsNone) {
  ChatChunkParser parser;
  for (const auto* text :
       {R"({"choices":[],"usage":null})", R"({"choices":[],"usage":{"prompt_tokens":3}})",
        R"({"choices":[],"usage":{"prompt_tokens":-3,"completion_tokens":1}})"}) {
    const Padded data{text};
    EXPECT_FALSE(parser.parse(data.view()).usage) << text;
  }
}

TEST(ErrorMessage, OfTheServersThatPerwattMeets) {
  EXPECT_EQ(error_message_of(R"({"error":{"code":400,"message":"too long","type":"x"}})"),
            "too long");
  EXPECT_EQ(error_message_of(R"({"object":"error","message":"no such model"})"), "no such model");
  EXPECT_EQ(error_message_of(R"({"detail":"Not Found"})"), "Not Found");
  EXPECT_EQ(error_message_of("<html>busy\n</html>"), "<html>busy\\x0a</html>");
  EXPECT_EQ(error_message_of(""), "");
}

}  // namespace
}  // namespace perwatt::measure
