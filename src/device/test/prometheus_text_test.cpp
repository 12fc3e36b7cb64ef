#include "prometheus_text.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace perwatt::device {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Result<std::vector<PrometheusSample>> parse_page(const std::string& page) {
  return parse_prometheus_text(page, [](std::string_view) { return true; });
}

std::vector<PrometheusSample> samples(const std::string& page) {
  auto result = parse_page(page);
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.reason());
  return result.ok() ? std::move(result).value() : std::vector<PrometheusSample>{};
}

TEST(PrometheusText, ReadsNamesLabelsValuesAndTimes) {
  const auto read = samples(
      "# HELP a what \\ it is\n# TYPE a gauge\n"
      "a 1\n"
      "a:b_c{x=\"1\",y=\"two\",} -2.5e3 1700000000123\n"
      "  spaced\t { x = \"1\" , y=\"2\" }\t 3  \n"
      "\n"
      "crlf{z=\"\"} +7\r\n");
  ASSERT_THAT(read, SizeIs(4));
  EXPECT_EQ(read[0].name, "a");
  EXPECT_EQ(read[0].value, 1.0);
  EXPECT_FALSE(read[0].unix_time);
  EXPECT_EQ(read[1].name, "a:b_c");
  EXPECT_EQ(read[1].label("y"), "two");
  EXPECT_EQ(read[1].label("absent"), "");
  EXPECT_EQ(read[1].value, -2500.0);
  EXPECT_DOUBLE_EQ(in_seconds(*read[1].unix_time), 1700000000.123);
  EXPECT_EQ(read[2].label("x"), "1");
  EXPECT_EQ(read[2].value, 3.0);
  EXPECT_EQ(read[3].value, 7.0);
}

TEST(PrometheusText, UnescapesLabels) {
  const auto read = samples("a{x=\"q\\\"b\\\\n\\nend,}\"} 1\n");
  ASSERT_THAT(read, SizeIs(1));
  EXPECT_EQ(read[0].label("x"), "q\"b\\n\nend,}");
}

TEST(PrometheusText, WhatIsNotFiniteIsAbsent) {
  const auto read = samples("a NaN\na nan\na +Inf\na -Inf\na Inf\n");
  ASSERT_THAT(read, SizeIs(5));
  for (const auto& sample : read) {
    EXPECT_FALSE(sample.value);
  }
}

TEST(PrometheusText, OpenMetricsGivesSecondsAndExemplars) {
  const auto read = samples(
      "# TYPE j counter\n# UNIT j joules\n"
      "j_total 17.5 1700000000.25 # {trace_id=\"x\"} 1 1699999999\n"
      "j_created 1 # {} 2\n# EOF\n");
  ASSERT_THAT(read, SizeIs(2));
  EXPECT_EQ(read[0].value, 17.5);
  EXPECT_DOUBLE_EQ(in_seconds(*read[0].unix_time), 1700000000.25);
  EXPECT_FALSE(read[1].unix_time);
}

TEST(PrometheusText, GivesOnlyWhatIsWanted) {
  const auto result =
      parse_prometheus_text("a 1\nb 2\na 3\n", [](std::string_view name) { return name == "a"; });
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(result.value(), SizeIs(2));
}

TEST(PrometheusText, OneMalformedLineFailsThePageAndIsNamed) {
  for (const std::string line :
       {"1a 2", "a", "a{", "a{x}", "a{x=1} 2", "a{x=\"1} 2", "a{x=\"\\t\"} 2",
        "a{x=\"1\"y=\"2\"} 3", "a two", "a 0x1p3z", "a +-1", "a ++1", "a 1 then", "a 1 2 3",
        "a 1 NaN", "a{x=\"1\\", "{} 1", "a{=\"1\"} 1", "a 1e999"}) {
    const auto result = parse_page("ok 1\n" + line + "\nok 2\n");
    ASSERT_FALSE(result.ok()) << line;
    EXPECT_THAT(result.reason(), HasSubstr("line 2: ")) << line;
  }
}

TEST(PrometheusText, APageThatWasCutOffFails) {
  EXPECT_FALSE(parse_page("a 1\na 25").ok());
  EXPECT_TRUE(parse_page("a 1\n# EOF").ok());
  EXPECT_THAT(samples(""), IsEmpty());
}

TEST(PrometheusText, LabelsAreBounded) {
  std::string line = "a{";
  for (int i = 0; i < 129; ++i) {
    line += "l" + std::to_string(i) + "=\"\",";
  }
  EXPECT_THAT(parse_page(line + "} 1\n").reason(), HasSubstr("128 labels"));
}

RC_GTEST_PROP(PrometheusText, ReadsBackWhatWasWritten, (const std::string& value, double number)) {
  std::string escaped;
  for (const char c : value) {
    if (c == '\\' || c == '"') {
      escaped += '\\';
    }
    escaped += c == '\n' ? "\\n" : std::string(1, c);
  }
  const auto result = parse_page("m{l=\"" + escaped + "\"} " + std::to_string(number) + "\n");
  RC_ASSERT(result.ok());
  RC_ASSERT(result.value().at(0).label("l") == value);
  RC_ASSERT(*result.value()[0].value == std::stod(std::to_string(number)));
}

RC_GTEST_PROP(PrometheusText, AnyBytesGiveAnAnswer, (const std::string& page)) {
  static_cast<void>(parse_page(page));
}

}  // namespace
}  // namespace perwatt::device
