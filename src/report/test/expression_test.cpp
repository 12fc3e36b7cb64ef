#include "claims/expression.hpp"

#include <string>

#include "error_of.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace perwatt::report {
namespace {

using testing::HasSubstr;

double value_of(const std::string& text) {
  return evaluate_expression(text, {{"a", 6}, {"b_2", 1.5}}, "x.toml:3: step");
}

std::string error_in(const std::string& text) {
  return error_of([&] { static_cast<void>(value_of(text)); });
}

TEST(Expression, FollowsPrecedenceAndAssociativity) {
  EXPECT_DOUBLE_EQ(value_of("1 + 2 * 3"), 7);
  EXPECT_DOUBLE_EQ(value_of("(1 + 2) * 3"), 9);
  EXPECT_DOUBLE_EQ(value_of("10 - 4 - 3"), 3);
  EXPECT_DOUBLE_EQ(value_of("24 / 4 / 2"), 3);
  EXPECT_DOUBLE_EQ(value_of("2 - -3"), 5);
  EXPECT_DOUBLE_EQ(value_of("-a / b_2"), -4);
  EXPECT_DOUBLE_EQ(value_of("1.2e1+1e-1*.5"), 12.05);
  EXPECT_DOUBLE_EQ(value_of(" ( ( a ) ) "), 6);
}

TEST(Expression, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(error_in("1 +"), HasSubstr("character 4: ends where"));
  EXPECT_THAT(error_in(""), HasSubstr("ends where"));
  EXPECT_THAT(error_in("(1 + 2"), HasSubstr("a parenthesis is not closed"));
  EXPECT_THAT(error_in("1 + 2)"), HasSubstr("character 6: ')' is not expected"));
  EXPECT_THAT(error_in("a b_2"), HasSubstr("character 3"));
  EXPECT_THAT(error_in("b_3 * 2"), HasSubstr("did you mean 'b_2'"));
  EXPECT_THAT(error_in("a / (a - 6)"), HasSubstr("divides by zero"));
  EXPECT_THAT(error_in("1.2.3"), HasSubstr("'1.2.3' is no decimal number"));
  EXPECT_THAT(error_in("2^3"), HasSubstr("'^' is not expected"));
  EXPECT_THAT(error_in("1e308 * 10"), HasSubstr("not finite"));
  EXPECT_THAT(error_in("1"
                       "e999"),
              HasSubstr("no decimal number"));
  EXPECT_THAT(error_in("2x"), HasSubstr("'2x'"));
  EXPECT_THAT(error_in("a +"), HasSubstr("x.toml:3: step"));
}

TEST(Expression, RefusesToNestWithoutBound) {
  EXPECT_THAT(error_in(std::string(100000, '(')), HasSubstr("nests more than 100"));
  EXPECT_THAT(error_in(std::string(100000, '-') + "1"), HasSubstr("nests more than 100"));
  EXPECT_DOUBLE_EQ(value_of(std::string(90, '(') + "1" + std::string(90, ')')), 1);
}

TEST(Expression, NamesBeginWithALetter) {
  EXPECT_TRUE(is_value_name("gpus_2"));
  EXPECT_FALSE(is_value_name("2gpus"));
  EXPECT_FALSE(is_value_name("_x"));
  EXPECT_FALSE(is_value_name("a-b"));
  EXPECT_FALSE(is_value_name(""));
}

/// A random expression with its value, built bottom up by C++'s own arithmetic.
struct Built {
  std::string text;
  double value;
};

Built build(int depth) {
  if (depth == 0) {
    const int number = *rc::gen::inRange(1, 100);
    return {std::to_string(number), static_cast<double>(number)};
  }
  const auto left = build(depth - 1);
  const auto right = build(*rc::gen::inRange(0, depth));
  const auto wrap = [](const Built& part) { return "(" + part.text + ")"; };
  switch (*rc::gen::inRange(0, 4)) {
    case 0:
      return {wrap(left) + "+" + wrap(right), left.value + right.value};
    case 1:
      return {wrap(left) + " - " + wrap(right), left.value - right.value};
    case 2:
      return {wrap(left) + " *" + wrap(right), left.value * right.value};
    default:
      return right.value == 0 ? left
                              : Built{wrap(left) + "/ " + wrap(right), left.value / right.value};
  }
}

RC_GTEST_PROP(Expression, EqualsWhatItWasBuiltFrom, ()) {
  const auto built = build(*rc::gen::inRange(0, 5));
  RC_ASSERT(value_of(built.text) == built.value);
}

}  // namespace
}  // namespace perwatt::report
