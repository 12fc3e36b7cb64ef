#include "perwatt/base/text.hpp"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"

namespace perwatt {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::vector<std::string> kNames = {"envelope", "model", "max_ttft"};

TEST(Text, ParseNumberTakesWholeFiniteNumbersOnly) {
  EXPECT_EQ(parse_number("1.5"), 1.5);
  EXPECT_EQ(parse_number("-2e3"), -2000.0);
  for (const char* text :
       {"", " 1", "1 ", "1,5", "1W", "+1", "nan", "inf", "-inf", "1e999", "0x10"}) {
    EXPECT_EQ(parse_number(text), std::nullopt) << text;
  }
}

TEST(Text, ParseIntegerTakesWholeIntegersOnly) {
  EXPECT_EQ(parse_integer("-42"), -42);
  EXPECT_EQ(parse_integer("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
  for (const char* text : {"", "1.0", "1e3", "9223372036854775808", " 1", "+1"}) {
    EXPECT_EQ(parse_integer(text), std::nullopt) << text;
  }
}

TEST(Text, ShortestIsReadable) {
  EXPECT_EQ(shortest(0.1), "0.1");
  EXPECT_EQ(shortest(1e30), "1e+30");
  EXPECT_EQ(shortest(1300), "1300");
}

TEST(Text, TrimmedAndLowerCase) {
  EXPECT_EQ(trimmed(" \t a b \r\n"), "a b");
  EXPECT_EQ(trimmed(" \n "), "");
  EXPECT_EQ(lower_case("Qwen/QWEN3-14B \xC3\x84"), "qwen/qwen3-14b \xC3\x84");
}

TEST(Text, SplitKeepsEmptyParts) {
  EXPECT_THAT(split("a,,b,", ','), ElementsAre("a", "", "b", ""));
  EXPECT_THAT(split("", ','), ElementsAre(""));
}

TEST(Text, JoinPutsTheSeparatorBetweenParts) {
  const std::vector<std::string> parts = {"a", "b", "c"};
  EXPECT_EQ(join(parts, ", "), "a, b, c");
  EXPECT_EQ(join({}, ", "), "");
}

// Defect: no separator follows empty leading parts: join({"", "a"}, ",") is "a", not ",a".
RC_GTEST_PROP(TextProperty, JoinUndoesSplit, ()) {
  const auto text = *rc::gen::container<std::string>(rc::gen::element(',', 'a', 'b'));
  RC_ASSERT(join(split(text, ','), ",") == text);
}

TEST(Text, SuggestionNamesTheNearestOrListsAll) {
  EXPECT_EQ(suggestion("enveloppe", kNames), "did you mean 'envelope'?");
  EXPECT_EQ(suggestion("MODEL", kNames), "did you mean 'model'?");
  EXPECT_EQ(suggestion("zzzzzz", kNames), "one of: envelope, model, max_ttft");
  EXPECT_EQ(suggestion("x", {}), "none is known");
}

TEST(Text, SuggestionListsAtMostTwelve) {
  const std::vector<std::string> many(30, "candidate");
  const auto shown = suggestion("zzz", many);
  EXPECT_EQ(split(shown, 'c').size() - 1, 12U);
  EXPECT_THAT(shown, HasSubstr("…"));
  EXPECT_THAT(suggestion(std::string(100'000, 'x'), kNames), StartsWith("one of: "));
}

TEST(Text, PrintableEscapesControlAndForeignBytes) {
  EXPECT_EQ(printable("a\nb\x1b\x7f"), "a\\x0ab\\x1b\\x7f");
  EXPECT_EQ(printable("Größe €"), "Größe €");
  EXPECT_EQ(printable("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(printable("\xC3"), "\\xc3");
}

TEST(Text, PrintableCutsLongText) {
  EXPECT_EQ(printable(std::string(80, 'x')), std::string(80, 'x'));
  EXPECT_EQ(printable(std::string(81, 'x')), std::string(80, 'x') + "…");
}

// Defect: overlong forms, surrogates and code points above U+10FFFF are not UTF-8 but pass; JSON
// writers refuse them.
TEST(Text, PrintableEscapesIllFormedUtf8) {
  EXPECT_EQ(printable("\xE0\x80\x80"), "\\xe0\\x80\\x80");
  EXPECT_EQ(printable("\xED\xA0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(printable("\xF0\x80\x80\x80"), "\\xf0\\x80\\x80\\x80");
  EXPECT_EQ(printable("\xF4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

// Defect: U+0080..U+009F are control characters; U+009B starts a terminal sequence as ESC [ does.
TEST(Text, PrintableEscapesC1Controls) {
  EXPECT_EQ(printable("\xC2\x9B"
                      "31m"),
            "\\xc2\\x9b31m");
}

RC_GTEST_PROP(TextProperty, ShortestReadsBackAsTheSameDouble, (double value)) {
  RC_PRE(std::isfinite(value));
  RC_ASSERT(parse_number(shortest(value)) == value);
}

RC_GTEST_PROP(TextProperty, PrintableHoldsNoControlBytes, (const std::string& text)) {
  for (const char c : printable(text)) {
    const auto byte = static_cast<unsigned char>(c);
    RC_ASSERT(byte >= 0x20 && byte != 0x7F);
  }
}

RC_GTEST_PROP(TextProperty, ASuggestionIsAlwaysAnOffer, (const std::string& wrong)) {
  RC_ASSERT(!suggestion(wrong, kNames).empty());
}

// ---- errors and files -------------------------------------------------------------------------

TEST(ErrorText, JoinsPlaceProblemAndRemedy) {
  const Error full{ErrorCode::bad_input, "is 7", "a.toml:3: x", "write 8"};
  EXPECT_STREQ(full.what(), "a.toml:3: x: is 7; write 8");
  EXPECT_EQ(full.code(), ErrorCode::bad_input);
  EXPECT_STREQ((Error{ErrorCode::usage, "is 7", "", ""}.what()), "is 7");
}

class FileTest : public ::testing::Test {
 protected:
  FileTest() {
    folder_ = fs::temp_directory_path() / ("perwatt_file_test_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }

  ~FileTest() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string read_error(const fs::path& path) const {
    try {
      static_cast<void>(read_file(path));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      return error.what();
    }
    return "no error";
  }

  fs::path folder_;
};

TEST_F(FileTest, WritesAndReadsBytes) {
  const std::string bytes{"a\0b\r\n\xff", 6};
  write_file(folder_ / "x", bytes);
  EXPECT_EQ(read_file(folder_ / "x"), bytes);
  write_file(folder_ / "x", "");
  EXPECT_EQ(read_file(folder_ / "x"), "");
}

TEST_F(FileTest, LeavesNoScratchFileBehind) {
  write_file(folder_ / "x", "1");
  write_file(folder_ / "x", "2");
  EXPECT_EQ(std::distance(fs::directory_iterator{folder_}, fs::directory_iterator{}), 1);
}

TEST_F(FileTest, AnAbsentFileAndAFolderAreRefusedByPath) {
  EXPECT_THAT(read_error(folder_ / "none"), AllOf(HasSubstr("none"), HasSubstr("no such file")));
  EXPECT_THAT(read_error(folder_), AllOf(HasSubstr(folder_.string()), HasSubstr("regular file")));
  EXPECT_THAT(read_error("/dev/zero"), HasSubstr("regular file"));
}

TEST_F(FileTest, WritingWhereNoFolderIsFailsWithTheReason) {
  try {
    write_file(folder_ / "none" / "x", "1");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::peer_failed);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("none"), HasSubstr("No such file")));
  }
}

TEST_F(FileTest, TheDataFolderCanBeNamedAndIsChecked) {
  ::setenv("PERWATT_DATA_DIR", PERWATT_TEST_DATA_DIR, 1);
  EXPECT_EQ(data_dir(), fs::path{PERWATT_TEST_DATA_DIR});
  ::setenv("PERWATT_DATA_DIR", folder_.c_str(), 1);
  EXPECT_THROW(static_cast<void>(data_dir()), Error);
  ::unsetenv("PERWATT_DATA_DIR");
  EXPECT_TRUE(fs::exists(data_dir() / "catalog" / "accelerators.toml"));
}

TEST(IsoDate, HasAMonthAndADayThatExist) {
  EXPECT_TRUE(is_iso_date("2026"));
  EXPECT_TRUE(is_iso_date("2026-12"));
  EXPECT_TRUE(is_iso_date("2026-12-31"));
  for (const auto* text : {"", "26", "2026-1", "2026-13", "2026-00", "2026-01-00", "2026-01-32",
                           "2026/01/02", "2026-01-1", "2026-01-011"}) {
    EXPECT_FALSE(is_iso_date(text)) << text;
  }
}

}  // namespace
}  // namespace perwatt
