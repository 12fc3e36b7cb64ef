#include "perwatt/base/config.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "error_of.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

ConfigTable parse(const std::string& text) {
  return ConfigTable::parse(text, "site.toml");
}

/// The error of one getter on a document.
template <class Getter>
std::string error_in(const std::string& text, Getter getter) {
  const auto table = parse(text);
  return error_of([&] { static_cast<void>(getter(table)); });
}

TEST(Config, ReadsEveryKindOfValue) {
  const auto table = parse(R"(
name = "site A"
share = 0.5
count = 72
on = true
envelope = "100MW"
rate = "50tok/s"
limit = "2s"
supply = "45 °C"
names = ["a", "b"]
axis = [0, 0.5, 1]
)");
  EXPECT_EQ(table.text("name"), "site A");
  EXPECT_EQ(table.number("share", kRatio), 0.5);
  EXPECT_EQ(table.number("count", kPositive), 72);
  EXPECT_EQ(table.integer("count", 0, 100), 72);
  EXPECT_EQ(table.optional_flag("on"), true);
  EXPECT_EQ(table.power("envelope"), megawatts(100));
  EXPECT_EQ(table.optional_rate("rate"), tokens_per_second(50));
  EXPECT_EQ(table.optional_duration("limit"), seconds(2));
  EXPECT_EQ(table.optional_temperature("supply"), celsius(45));
  EXPECT_THAT(table.texts("names"), ElementsAre("a", "b"));
  EXPECT_THAT(table.numbers("axis", kRatio), ElementsAre(0, 0.5, 1));
  EXPECT_THAT(table.unread_keys(), IsEmpty());
  EXPECT_NO_THROW(table.reject_unknown_keys());
}

TEST(Config, AnAbsentOptionalKeyIsNothing) {
  const auto table = parse("");
  EXPECT_EQ(table.optional_text("k"), std::nullopt);
  EXPECT_EQ(table.optional_number("k", kRatio), std::nullopt);
  EXPECT_EQ(table.optional_integer("k", 0, 1), std::nullopt);
  EXPECT_EQ(table.optional_flag("k"), std::nullopt);
  EXPECT_EQ(table.optional_rate("k"), std::nullopt);
  EXPECT_EQ(table.optional_duration("k"), std::nullopt);
  EXPECT_EQ(table.optional_temperature("k"), std::nullopt);
  EXPECT_FALSE(table.optional_table("k"));
  EXPECT_THAT(table.tables("k"), IsEmpty());
  EXPECT_THAT(table.texts("k"), IsEmpty());
  EXPECT_FALSE(table.has("k"));
}

struct GetterCase {
  const char* name;
  std::function<void(const ConfigTable&)> get;  // of the key "k"
  const char* wrong_value;                      // TOML of a wrong type or out of range
  const char* shown;                            // how the message shows it
  const char* remedy;
  bool required;
};

void PrintTo(const GetterCase& c, std::ostream* out) {
  *out << c.name;
}

class ConfigGetter : public ::testing::TestWithParam<GetterCase> {};

TEST_P(ConfigGetter, AWrongValueIsRefusedWithPlacePathValueAndRemedy) {
  const auto& c = GetParam();
  const auto document = parse(
      "\n[[site.hall]]\n\n[[site.hall]]\nother = 1\nk = " + std::string{c.wrong_value} + "\n");
  const auto hall = document.optional_table("site")->tables("hall").at(1);
  EXPECT_THAT(error_of([&] { c.get(hall); }), AllOf(StartsWith("site.toml:6: site.hall[2].k: "),
                                                    HasSubstr(c.shown), HasSubstr(c.remedy)));
}

TEST_P(ConfigGetter, AMissingKeyIsRefusedAtItsTableOrNothing) {
  const auto& c = GetParam();
  const auto document = parse("\n[site]\nother = 1\n");
  const auto site = *document.optional_table("site");
  if (!c.required) {
    EXPECT_NO_THROW(c.get(site));
    return;
  }
  EXPECT_THAT(error_of([&] { c.get(site); }),
              AllOf(StartsWith("site.toml:2: site.k: is missing; "), HasSubstr(" ")));
}

const std::vector<GetterCase> kGetterCases = {
    {"text_number", [](const auto& t) { (void)t.text("k"); }, "7", "is 7", "double quotes", true},
    {"text_array", [](const auto& t) { (void)t.text("k"); }, "[1]", "an array", "double quotes",
     true},
    {"text_date", [](const auto& t) { (void)t.text("k"); }, "2026-01-02", "a date", "double quotes",
     true},
    {"text_blank", [](const auto& t) { (void)t.text("k"); }, "\" \"", "empty string", "a value",
     true},
    {"optional_text", [](const auto& t) { (void)t.optional_text("k"); }, "true", "is true",
     "double quotes", false},
    {"number_text", [](const auto& t) { (void)t.number("k", kRatio); }, "\"0.5\"", "'0.5'",
     "between 0 and 1", true},
    {"number_nan", [](const auto& t) { (void)t.number("k", kRatio); }, "nan", "nan",
     "between 0 and 1", true},
    {"number_inf", [](const auto& t) { (void)t.number("k", kPositive); }, "inf", "inf", "above 0",
     true},
    {"number_high", [](const auto& t) { (void)t.number("k", kRatio); }, "1.01", "is 1.01",
     "between 0 and 1", true},
    {"number_zero", [](const auto& t) { (void)t.number("k", kPositive); }, "0", "is 0", "above 0",
     true},
    {"number_negative", [](const auto& t) { (void)t.number("k", kNotNegative); }, "-0.1", "is -0.1",
     "at least 0", true},
    {"optional_number", [](const auto& t) { (void)t.optional_number("k", kRatio); }, "-1", "is -1",
     "between 0 and 1", false},
    {"integer_float", [](const auto& t) { (void)t.integer("k", 1, 8); }, "2.0", "2",
     "whole number between 1 and 8", true},
    {"integer_low", [](const auto& t) { (void)t.integer("k", 1, 8); }, "0", "is 0",
     "whole number between 1 and 8", true},
    {"integer_high", [](const auto& t) { (void)t.integer("k", 1, 8); }, "9", "is 9",
     "whole number between 1 and 8", true},
    {"optional_integer", [](const auto& t) { (void)t.optional_integer("k", 1, 8); }, "\"4\"", "'4'",
     "whole number between 1 and 8", false},
    {"flag", [](const auto& t) { (void)t.optional_flag("k"); }, "1", "is 1", "true or false",
     false},
    {"power_number", [](const auto& t) { (void)t.power("k"); }, "100", "is 100 without a unit",
     "100MW", true},
    {"power_bare", [](const auto& t) { (void)t.power("k"); }, "\"100\"", "'100' has no unit",
     "100MW", true},
    {"rate_number", [](const auto& t) { (void)t.optional_rate("k"); }, "50.5", "is 50.5", "50tok/s",
     false},
    {"rate_unit", [](const auto& t) { (void)t.optional_rate("k"); }, "\"50W\"", "unknown unit 'W'",
     "50tok/s", false},
    {"duration_number", [](const auto& t) { (void)t.optional_duration("k"); }, "2", "is 2", "2s",
     false},
    {"duration_negative", [](const auto& t) { (void)t.optional_duration("k"); }, "\"-2s\"",
     "'-2s' is negative", "2s", false},
    {"temperature_number", [](const auto& t) { (void)t.optional_temperature("k"); }, "45", "is 45",
     "45C", false},
    {"temperature_hot", [](const auto& t) { (void)t.optional_temperature("k"); }, "\"95C\"",
     "'95C' is out of range", "between -60 and 90", false},
    {"texts_text", [](const auto& t) { (void)t.texts("k"); }, "\"a\"", "'a'", "array of strings",
     false},
    {"texts_element", [](const auto& t) { (void)t.texts("k"); }, "[\"a\", 3]", "holds 3",
     "array of strings", false},
    {"numbers_number", [](const auto& t) { (void)t.numbers("k", kRatio); }, "1", "is 1",
     "array of numbers", true},
    {"numbers_element", [](const auto& t) { (void)t.numbers("k", kRatio); }, "[0.5, \"x\"]",
     "holds 'x'", "between 0 and 1", true},
    {"numbers_range", [](const auto& t) { (void)t.numbers("k", kRatio); }, "[0.5, 2]", "holds 2",
     "between 0 and 1", true},
    {"table", [](const auto& t) { (void)t.optional_table("k"); }, "3", "is 3", "[k]", false},
    {"tables_table", [](const auto& t) { (void)t.tables("k"); }, "{ a = 1 }", "a table", "[[k]]",
     false},
    {"tables_element", [](const auto& t) { (void)t.tables("k"); }, "[{ a = 1 }, 5]", "holds 5",
     "[[k]]", false},
};

INSTANTIATE_TEST_SUITE_P(All, ConfigGetter, ::testing::ValuesIn(kGetterCases),
                         [](const auto& param_info) { return param_info.param.name; });

TEST(Config, RangeEndsAreInside) {
  EXPECT_EQ(parse("k = 0").number("k", kRatio), 0);
  EXPECT_EQ(parse("k = 1").number("k", kRatio), 1);
  EXPECT_EQ(parse("k = 8").integer("k", 1, 8), 8);
  EXPECT_EQ(parse("k = 1").integer("k", 1, 8), 1);
}

TEST(Config, AMisspeltKeyIsRefusedWithTheNearestKnownOne) {
  const auto table = parse("\n[site]\nenvelope = \"1MW\"\nenvelop_e = 3\n");
  const auto site = *table.optional_table("site");
  EXPECT_EQ(site.power("envelope"), megawatts(1));
  EXPECT_THAT(site.unread_keys(), ElementsAre("envelop_e"));
  EXPECT_THAT(
      error_of([&] { site.reject_unknown_keys(); }),
      AllOf(StartsWith("site.toml:4: site.envelop_e: "), HasSubstr("did you mean 'envelope'?")));
}

TEST(Config, UnreadKeysAreInAlphabeticalOrder) {
  EXPECT_THAT(parse("c = 1\na = 2\nb = 3").unread_keys(), ElementsAre("a", "b", "c"));
}

TEST(Config, AskingWhetherAKeyIsThereDoesNotReadIt) {
  const auto table = parse("a = 1");
  EXPECT_TRUE(table.has("a"));
  EXPECT_THROW(table.reject_unknown_keys(), Error);
}

TEST(Config, ArraysOfTablesNestAndCountFromOne) {
  const auto table = parse("[[hall]]\n[[hall.row]]\nx = 1\n[[hall.row]]\nx = 2\n[[hall]]\n");
  const auto halls = table.tables("hall");
  ASSERT_EQ(halls.size(), 2U);
  const auto rows = halls[0].tables("row");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[1].integer("x", 0, 9), 2);
  EXPECT_EQ(rows[1].where("x"), "site.toml:5: hall[1].row[2].x");
  EXPECT_THAT(halls[1].tables("row"), IsEmpty());
}

TEST(Config, AChildTableOutlivesItsDocument) {
  const auto child = [] { return *parse("[a]\nx = \"y\"\n").optional_table("a"); }();
  EXPECT_EQ(child.text("x"), "y");
}

TEST(Config, BrokenTomlIsRefusedWithItsLine) {
  const auto message = error_of([] { static_cast<void>(parse("a = 1\nb = = 2\n")); });
  EXPECT_THAT(message, AllOf(StartsWith("site.toml:2: "), HasSubstr("correct the TOML syntax")));
  EXPECT_THAT(error_of([] { static_cast<void>(parse("a = 1\na = 2\n")); }),
              StartsWith("site.toml:2: "));
  EXPECT_THAT(error_of([] { static_cast<void>(parse("a = \"\xff\"\n")); }),
              StartsWith("site.toml:1: "));
}

TEST(Config, FailNamesThePlaceOfTheKey) {
  EXPECT_EQ(error_in("x = 1\ny = 2\n",
                     [](const ConfigTable& t) -> int { t.fail("y", "is wrong", "mend it"); }),
            "site.toml:2: y: is wrong; mend it");
}

RC_GTEST_PROP(ConfigProperty, NumbersRoundTripThroughADocument, ()) {
  const double value = *rc::gen::suchThat(rc::gen::arbitrary<double>(),
                                          [](double v) { return v > -1e300 && v < 1e300; });
  auto text = shortest(value);
  if (text.find_first_of(".e") == std::string::npos) {
    text += ".0";
  }
  RC_ASSERT(parse("k = " + text).number("k", Range{}) == value);
}

RC_GTEST_PROP(ConfigProperty, AnyTextIsReadOrRefusedWithAnError, (const std::string& text)) {
  try {
    static_cast<void>(parse(text));
  } catch (const Error& error) {
    RC_ASSERT(error.code() == ErrorCode::bad_input);
  }
}

}  // namespace
}  // namespace perwatt
