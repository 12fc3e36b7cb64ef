#include "perwatt/measure/workload.hpp"

#include <fstream>
#include <set>

#include "error_of.hpp"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace perwatt::measure {
namespace {

/// A file in the test's own folder, removed at the end.
class TextFile {
 public:
  explicit TextFile(const std::string& text)
      : path_{std::filesystem::path{testing::TempDir()} /
              ("workload-" + std::to_string(getpid()) + "-" +
               testing::UnitTest::GetInstance()->current_test_info()->name())} {
    std::ofstream{path_} << text;
  }

  ~TextFile() { std::filesystem::remove(path_); }

  TextFile(const TextFile&) = delete;
  TextFile& operator=(const TextFile&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

RequestShape chat_shape() {
  RequestShape shape;
  shape.model = "m";
  return shape;
}

std::size_t words_in(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), ' ')) + 1;
}

TEST(PromptScale, TwoProbesGiveBaseAndSlope) {
  // 7 tokens of template and 1.25 tokens a word.
  const auto scale = PromptScale::from_probes(64, 87, 320, 407);
  EXPECT_TRUE(scale.is_measured);
  EXPECT_DOUBLE_EQ(scale.tokens_per_word, 1.25);
  EXPECT_DOUBLE_EQ(scale.base_tokens, 7);
  EXPECT_EQ(scale.words_for(1007), 800);
  EXPECT_EQ(scale.words_for(1), 1);
}

TEST(PromptScale, WithoutUsageAWordIsAToken) {
  const auto scale = PromptScale::from_probes(64, 0, 320, 0);
  EXPECT_FALSE(scale.is_measured);
  EXPECT_EQ(scale.words_for(100), 100);
}

TEST(SyntheticPrompt, HasItsWordsAndNoPrefixInCommon) {
  std::set<std::string> starts;
  for (std::uint64_t serial = 0; serial < 20'000; ++serial) {
    const auto text = synthetic_prompt(12, serial, 7);
    ASSERT_EQ(words_in(text), 12);
    // A prefix cache works in blocks of 16 tokens or more: the first eight words tell all apart.
    std::size_t end = 0;
    for (int word = 0; word < 8; ++word) {
      end = text.find(' ', end) + 1;
    }
    starts.insert(text.substr(0, end));
  }
  EXPECT_EQ(starts.size(), 20'000);
  EXPECT_EQ(synthetic_prompt(30, 5, 7), synthetic_prompt(30, 5, 7));
  EXPECT_NE(synthetic_prompt(30, 5, 7), synthetic_prompt(30, 5, 8));
}

TEST(RequestBody, AsksForUsageAndForTheLength) {
  auto shape = chat_shape();
  shape.extra_body_json = R"({"temperature":0,"max_tokens":3})";
  const auto body =
      nlohmann::json::parse(request_body(shape, prompt_json(shape.endpoint, "say \"hi\"\n"), 9));
  EXPECT_EQ(body["messages"][0]["content"], "say \"hi\"\n");
  EXPECT_EQ(body["stream_options"]["include_usage"], true);
  EXPECT_EQ(body["ignore_eos"], true);
  EXPECT_EQ(body["max_tokens"], 3);  // the user's word stands
  EXPECT_EQ(body["temperature"], 0);
  shape = chat_shape();
  shape.endpoint = EndpointKind::completions;
  const auto plain =
      nlohmann::json::parse(request_body(shape, prompt_json(shape.endpoint, "hi"), std::nullopt));
  EXPECT_EQ(plain["prompt"], "hi");
  EXPECT_FALSE(plain.contains("max_tokens"));
  EXPECT_FALSE(plain.contains("ignore_eos"));
}

TEST(SyntheticWorkload, LengthsFollowTheirLaws) {
  SyntheticSpec spec;
  spec.input = {100, 20, 1, 1};
  spec.output = LengthLaw{50, 0, 0.8, 1.0};
  const auto workload = synthetic_workload(chat_shape(), spec);
  constexpr int kRequests = 4000;
  double input = 0;
  double input_squares = 0;
  double output = 0;
  std::int64_t least = 1000;
  std::int64_t most = 0;
  for (int i = 0; i < kRequests; ++i) {
    const auto body = nlohmann::json::parse(workload->next()->body);
    const auto words =
        static_cast<double>(words_in(body["messages"][0]["content"].get<std::string>()));
    input += words;
    input_squares += words * words;
    const auto tokens = body["max_tokens"].get<std::int64_t>();
    output += static_cast<double>(tokens);
    least = std::min(least, tokens);
    most = std::max(most, tokens);
  }
  const double mean = input / kRequests;
  EXPECT_NEAR(mean, 100, 1.5);
  EXPECT_NEAR(std::sqrt(input_squares / kRequests - mean * mean), 20, 1);
  EXPECT_NEAR(output / kRequests, 45, 0.5);
  EXPECT_EQ(least, 40);
  EXPECT_EQ(most, 50);
}

TEST(SyntheticWorkload, AConversationCarriesItsAnswers) {
  SyntheticSpec spec;
  spec.input = {5, 0, 1, 1};
  spec.turns = 3;
  const auto workload = synthetic_workload(chat_shape(), spec);
  const auto first = *workload->next();
  EXPECT_TRUE(first.wants_text);
  RequestRecord record;
  record.session = first.session;
  record.outcome = RequestOutcome::ok;
  record.text = "one";
  const auto second = *workload->follow_up(record);
  EXPECT_EQ(second.turn, 1U);
  const auto messages = nlohmann::json::parse(second.body)["messages"];
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_EQ(messages[0], nlohmann::json::parse(first.body)["messages"][0]);
  EXPECT_EQ(messages[1], (nlohmann::json{{"role", "assistant"}, {"content", "one"}}));
  record.turn = 1;
  const auto third = *workload->follow_up(record);
  EXPECT_FALSE(third.wants_text);
  record.turn = 2;
  EXPECT_FALSE(workload->follow_up(record));
}

TEST(SyntheticWorkload, AFailedTurnEndsItsConversation) {
  SyntheticSpec spec;
  spec.input = {5, 0, 1, 1};
  spec.turns = 3;
  const auto workload = synthetic_workload(chat_shape(), spec);
  RequestRecord record;
  record.session = workload->next()->session;
  record.outcome = RequestOutcome::http_error;
  EXPECT_FALSE(workload->follow_up(record));
}

TEST(SyntheticWorkload, TenantsTakeTurnsAndSeedsRepeat) {
  SyntheticSpec spec;
  spec.input = {50, 10, 1, 1};
  spec.tenants = {"a", "b"};
  const auto one = synthetic_workload(chat_shape(), spec);
  const auto other = synthetic_workload(chat_shape(), spec);
  EXPECT_EQ(one->next()->tenant, "a");
  EXPECT_EQ(one->next()->tenant, "b");
  EXPECT_EQ(one->next()->tenant, "a");
  (void)other->next();
  (void)other->next();
  (void)other->next();
  EXPECT_EQ(one->next()->body, other->next()->body);
}

TEST(PromptFile, LinesBecomeRequests) {
  const TextFile file{
      R"({"prompt":"2+2?","output_tokens":4,"expected":"4","tenant":"t"})"
      "\n\n"
      R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}]})"
      "\n"};
  const auto workload =
      prompt_file_workload(chat_shape(), file.path(), LengthLaw{7, 0, 1, 1}, false);
  EXPECT_EQ(workload->size(), 2U);
  const auto first = *workload->next();
  EXPECT_EQ(first.expected, "4");
  EXPECT_EQ(first.tenant, "t");
  EXPECT_TRUE(first.wants_text);
  EXPECT_EQ(nlohmann::json::parse(first.body)["max_tokens"], 4);
  const auto second = nlohmann::json::parse(workload->next()->body);
  EXPECT_EQ(second["messages"].size(), 2U);
  EXPECT_EQ(second["max_tokens"], 7);
  EXPECT_FALSE(workload->next());
}

TEST(PromptFile, SaysWhichLineIsWrong) {
  for (const auto& [text, wanted] :
       {std::pair{"{\"prompt\":\"a\"}\n{\"prompt\":1}\n", ":2: 'prompt' is no text"},
        std::pair{"{}\n", ":1: a line needs either"},
        std::pair{"[]\n", ":1: '[]' is no JSON object"},
        std::pair{"{\"prompt\":\"a\",\"output_tokens\":0}\n", "output_tokens 0 is no count"},
        std::pair{"{\"messages\":[]}\n", "no list of messages"}, std::pair{"\n", "no prompt"}}) {
    const TextFile file{text};
    const auto message = error_of(
        [&] { (void)prompt_file_workload(chat_shape(), file.path(), std::nullopt, false); });
    EXPECT_NE(message.find(wanted), std::string::npos) << message;
  }
}

TEST(Trace, AzureTimesAndLengths) {
  const TextFile file{
      "TIMESTAMP,ContextTokens,GeneratedTokens\n"
      "2023-11-16 18:17:03.9799600,12,10\n"
      "2023-11-16 18:17:04.0319600,3,0\n"
      "2023-11-17 00:00:00.0000000,1,2\n"};
  const auto workload = trace_workload(chat_shape(), file.path(), 2.0, 1);
  EXPECT_EQ(workload->size(), 3U);
  EXPECT_NEAR(in_seconds(*workload->next_offset()), 0, 1e-9);
  EXPECT_EQ(words_in(nlohmann::json::parse(workload->next()->body)["messages"][0]["content"]), 12);
  EXPECT_NEAR(in_seconds(*workload->next_offset()), 0.026, 1e-6);
  EXPECT_EQ(nlohmann::json::parse(workload->next()->body)["max_tokens"], 1);
  EXPECT_NEAR(in_seconds(*workload->next_offset()), (5 * 3600 + 42 * 60 + 56.02004) / 2, 1e-5);
  (void)workload->next();
  EXPECT_FALSE(workload->next_offset());
  EXPECT_FALSE(workload->next());
}

TEST(Trace, MooncakeBlocksShareTheirText) {
  const TextFile file{R"({"timestamp":1000,"input_length":600,"output_length":5,"hash_ids":[1,2]})"
                      "\n"
                      R"({"timestamp":500,"input_length":700,"output_length":6,"hash_ids":[1,3]})"
                      "\n"};
  const auto workload = trace_workload(chat_shape(), file.path(), 1.0, 1);
  const auto text_of_next = [&] {
    return nlohmann::json::parse(workload->next()->body)["messages"][0]["content"]
        .get<std::string>();
  };
  EXPECT_NEAR(in_seconds(*workload->next_offset()), 0, 1e-12);
  const auto first = text_of_next();  // the earlier one
  EXPECT_NEAR(in_seconds(*workload->next_offset()), 0.5, 1e-12);
  const auto second = text_of_next();
  EXPECT_EQ(words_in(first), 700);
  EXPECT_EQ(words_in(second), 600);
  std::size_t common = 0;
  while (common < second.size() && first[common] == second[common]) {
    ++common;
  }
  const auto shared_words = words_in(second.substr(0, common)) - 1;
  EXPECT_GE(shared_words, 511);
  EXPECT_LE(shared_words, 514);
}

TEST(Trace, SaysWhichLineIsWrong) {
  for (const auto& [text, wanted] :
       {std::pair{"TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,1,2\n", ":2: TIMESTAMP"},
        std::pair{"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,x,2\n",
                  ":2: ContextTokens: 'x' is no token count"},
        std::pair{"TIMESTAMP,ContextTokens\n2023-11-16 18:17:03,1\n", "GeneratedTokens"},
        std::pair{"{\"timestamp\":1}\n", ":1: no number 'input_length'"},
        std::pair{"{\"timestamp\":1,\"input_length\":-4,\"output_length\":1}\n",
                  "'-4' is no token count"}}) {
    const TextFile file{text};
    const auto message = error_of([&] { (void)trace_workload(chat_shape(), file.path(), 1.0, 1); });
    EXPECT_NE(message.find(wanted), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace perwatt::measure
