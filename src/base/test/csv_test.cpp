#include "perwatt/base/csv.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "error_of.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/error.hpp"

namespace perwatt {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string parse_error(const std::string& text) {
  return error_of([&] { static_cast<void>(CsvTable::parse(text, "t.csv")); });
}

TEST(Csv, ReadsHeaderAndRows) {
  const auto table = CsvTable::parse("a,b\n1,2\n3,\n", "t.csv");
  EXPECT_EQ(table.name(), "t.csv");
  EXPECT_THAT(table.columns(), ElementsAre("a", "b"));
  ASSERT_EQ(table.rows().size(), 2U);
  EXPECT_THAT(table.rows()[0].fields, ElementsAre("1", "2"));
  EXPECT_THAT(table.rows()[1].fields, ElementsAre("3", ""));
}

TEST(Csv, AHeaderAloneIsATableWithoutRows) {
  EXPECT_TRUE(CsvTable::parse("a,b", "t.csv").rows().empty());
  EXPECT_TRUE(CsvTable::parse("a,b\r\n", "t.csv").rows().empty());
}

TEST(Csv, LinesCountFromTheLineTheTableStartsAt) {
  const auto table = CsvTable::parse("a,b\n1,2\n", "t.csv", 5);
  EXPECT_EQ(table.where(table.rows()[0], 1), "t.csv:6: b");
  EXPECT_TRUE(error_of([&] { static_cast<void>(table.require("c")); }).starts_with("t.csv:5: "));
  EXPECT_TRUE(error_of([] {
                static_cast<void>(CsvTable::parse("a,b\n1\n", "t.csv", 5));
              }).starts_with("t.csv:6: "));
}

TEST(Csv, TheLastLineNeedsNoLineEnd) {
  EXPECT_THAT(CsvTable::parse("a,b\n1,2", "t").rows()[0].fields, ElementsAre("1", "2"));
  EXPECT_THAT(CsvTable::parse("a,b\n1,", "t").rows()[0].fields, ElementsAre("1", ""));
  EXPECT_THAT(CsvTable::parse("a,b\n1,\"x\"", "t").rows()[0].fields, ElementsAre("1", "x"));
}

TEST(Csv, QuotedFieldsKeepCommasQuotesAndLineEnds) {
  const auto table = CsvTable::parse("a,b\n\"x,\"\"y\"\"\",\"1\r\n2\"\n", "t.csv");
  EXPECT_THAT(table.rows()[0].fields, ElementsAre("x,\"y\"", "1\r\n2"));
}

TEST(Csv, LineNumbersCountTheLinesInsideFields) {
  const auto table = CsvTable::parse("\"a\nb\",c\n\"1\n2\n3\",4\n5,6\n\n7,8\n", "t.csv");
  ASSERT_EQ(table.rows().size(), 3U);
  EXPECT_EQ(table.rows()[0].line, 3U);
  EXPECT_EQ(table.rows()[1].line, 6U);
  EXPECT_EQ(table.rows()[2].line, 8U);
  EXPECT_EQ(table.where(table.rows()[2], 1), "t.csv:8: c");
}

TEST(Csv, CrLfIsALineEnd) {
  const auto table = CsvTable::parse("a,b\r\n1,2\r\n\r\n3,4\r\n", "t.csv");
  ASSERT_EQ(table.rows().size(), 2U);
  EXPECT_THAT(table.columns(), ElementsAre("a", "b"));
  EXPECT_THAT(table.rows()[1].fields, ElementsAre("3", "4"));
  EXPECT_EQ(table.rows()[1].line, 4U);
}

TEST(Csv, AByteOrderMarkIsNoPartOfTheFirstColumn) {
  EXPECT_THAT(CsvTable::parse("\xEF\xBB\xBF"
                              "a,b\n",
                              "t.csv")
                  .columns(),
              ElementsAre("a", "b"));
}

TEST(Csv, AnEmptyTextIsRefused) {
  EXPECT_THAT(parse_error(""), AllOf(StartsWith("t.csv: "), HasSubstr("empty")));
  EXPECT_THAT(parse_error("\xEF\xBB\xBF"), HasSubstr("empty"));
}

TEST(Csv, AnUnclosedQuoteIsRefusedWithTheLineOfItsRow) {
  EXPECT_THAT(parse_error("a,b\n1,2\n3,\"x\ny\n"),
              AllOf(StartsWith("t.csv:3: "), HasSubstr("never closed"), HasSubstr("double quote")));
}

TEST(Csv, TextAfterAClosingQuoteIsRefused) {
  EXPECT_THAT(parse_error("a,b\n\"x\"y,2\n"), AllOf(StartsWith("t.csv:2: "), HasSubstr("quote")));
}

TEST(Csv, ABareCarriageReturnIsRefused) {
  EXPECT_THAT(parse_error("a,b\n1\r2,3\n"),
              AllOf(StartsWith("t.csv:2: "), HasSubstr("carriage return")));
}

TEST(Csv, AWrongFieldCountIsRefusedWithBothCounts) {
  EXPECT_THAT(parse_error("a,b\n1,2\n1,2,3\n"),
              AllOf(StartsWith("t.csv:3: "), HasSubstr("3 fields where the header has 2")));
  EXPECT_THAT(parse_error("a,b\n1\n"), HasSubstr("1 fields where the header has 2"));
}

TEST(Csv, ARepeatedColumnIsRefused) {
  EXPECT_THAT(parse_error("a,b,a\n"), AllOf(StartsWith("t.csv:1: "), HasSubstr("'a'")));
}

TEST(Csv, AMissingColumnIsNamed) {
  const auto table = CsvTable::parse("a,b\n", "t.csv");
  EXPECT_EQ(table.find("b"), 1U);
  EXPECT_EQ(table.find("B"), std::nullopt);
  EXPECT_EQ(table.require("a"), 0U);
  EXPECT_THAT(error_of([&] { static_cast<void>(table.require("watts")); }),
              AllOf(StartsWith("t.csv:1: "), HasSubstr("'watts'")));
}

TEST(Csv, OnlyFieldsThatNeedItAreQuoted) {
  EXPECT_EQ(csv_line({"plain", "", "a,b", "say \"x\"", "1\n2", "cr\r"}),
            "plain,,\"a,b\",\"say \"\"x\"\"\",\"1\n2\",\"cr\r\"\n");
}

// Defect: csv_line writes a single empty field as a blank line, which parse() skips; and an
// explicit quoted empty field alone on its line is skipped too.
TEST(Csv, ASingleEmptyFieldIsARow) {
  EXPECT_EQ(CsvTable::parse("a\n" + csv_line({""}), "t.csv").rows().size(), 1U);
  EXPECT_EQ(CsvTable::parse("a\n\"\"\n", "t.csv").rows().size(), 1U);
}

// Defect: the quoted empty field is one field where two are needed, yet the row is dropped
// silently.
TEST(Csv, AQuotedEmptyFieldAloneIsNotAnEmptyLine) {
  EXPECT_THAT(parse_error("a,b\n\"\"\n"), HasSubstr("1 fields where the header has 2"));
}

rc::Gen<std::string> nasty_field() {
  return rc::gen::container<std::string>(
      rc::gen::element(',', '"', '\n', '\r', 'a', ' ', ';', '\t', '\0', '\xC3', '0'));
}

std::string header(std::size_t columns) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < columns; ++i) {
    names.push_back("c" + std::to_string(i));
  }
  return csv_line(names);
}

RC_GTEST_PROP(CsvProperty, WhatIsWrittenIsReadBack, ()) {
  const auto columns = *rc::gen::inRange<std::size_t>(2, 5);
  const auto rows = *rc::gen::container<std::vector<std::vector<std::string>>>(
      rc::gen::container<std::vector<std::string>>(columns, nasty_field()));
  std::string text = header(columns);
  std::vector<std::size_t> first_lines;
  for (const auto& row : rows) {
    first_lines.push_back(1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')));
    text += csv_line(row);
  }
  const auto table = CsvTable::parse(text, "t.csv");
  RC_ASSERT(table.rows().size() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    RC_ASSERT(table.rows()[i].fields == rows[i]);
    RC_ASSERT(table.rows()[i].line == first_lines[i]);
  }
}

RC_GTEST_PROP(CsvProperty, AnyTextIsReadOrRefusedWithAnError, ()) {
  const auto text = *nasty_field();
  try {
    const auto table = CsvTable::parse(text, "t.csv");
    for (const auto& row : table.rows()) {
      RC_ASSERT(row.fields.size() == table.columns().size());
    }
  } catch (const Error& error) {
    RC_ASSERT(error.code() == ErrorCode::bad_input);
    RC_ASSERT(std::string_view{error.what()}.starts_with("t.csv"));
  }
}

TEST(Csv, APlaceShowsNoControlCharacterOfTheHeader) {
  const auto table = CsvTable::parse("a\x1b[2J,b\n1,2\n", "t.csv");
  EXPECT_EQ(table.where(table.rows()[0], 0), "t.csv:2: a\\x1b[2J");
}

}  // namespace
}  // namespace perwatt
