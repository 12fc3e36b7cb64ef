#include "perwatt/curve/curve_file.hpp"

#include <string>

#include "error_of.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::curve {
namespace {

using ::testing::HasSubstr;

std::string fault_of(const std::string& csv) {
  return error_of([&] { static_cast<void>(read_curve_file(csv, "c.csv")); });
}

TEST(CurveFile, EachRowHasItsOwnWatts) {
  const auto file = read_curve_file(
      "setting,value,cap_watts,draw_watts,tail_watts,value_unit\n"
      "a,10,700,500,650,tok/s\n"
      "b,8,,400,550,tok/s\n"
      "c,5,,300,,tok/s\n",
      "c.csv");
  ASSERT_EQ(file.rows.size(), 3U);
  EXPECT_EQ(file.value_unit, "tok/s");
  EXPECT_EQ(file.rows[0].cap, watts(700));
  EXPECT_EQ(file.rows[1].cap, std::nullopt);
  EXPECT_EQ(file.rows[1].tail, watts(550));
  EXPECT_EQ(file.rows[2].draw, watts(300));
  EXPECT_EQ(file.rows[2].line, 4U);
  EXPECT_EQ(file.rows[2].setting, "c");
}

TEST(CurveFile, WhatIsWrittenIsRead) {
  CurveFile file;
  file.value_unit = "USD/h";
  file.rows = {{"one, two", watts(0.1), std::nullopt, std::nullopt, 1.0 / 3, 0},
               {"", std::nullopt, watts(200), watts(250.5), 0, 0}};
  const auto text = curve_file_text(file);
  EXPECT_THAT(text, HasSubstr("setting,cap_watts,draw_watts,tail_watts,value,value_unit\n"));
  const auto read = read_curve_file(text, "c.csv");
  ASSERT_EQ(read.rows.size(), 2U);
  EXPECT_EQ(read.rows[0].setting, "one, two");
  EXPECT_EQ(read.rows[0].cap, file.rows[0].cap);
  EXPECT_EQ(read.rows[0].value, file.rows[0].value);
  EXPECT_EQ(read.rows[1].tail, file.rows[1].tail);
  EXPECT_EQ(read.rows[1].cap, std::nullopt);
  EXPECT_EQ(read.value_unit, "USD/h");
}

TEST(CurveFile, FaultsNameLineAndColumn) {
  EXPECT_THAT(fault_of("draw_watts,value\n1,2\n"), HasSubstr("value_unit"));
  EXPECT_THAT(fault_of("draw_watts,value_unit\n1,u\n"), HasSubstr("value"));
  EXPECT_THAT(fault_of("draw_watts,value,value_unit\n"), HasSubstr("a curve without a row"));
  EXPECT_THAT(fault_of("draw_watts,value,value_unit\n,2,u\n"),
              AllOf(HasSubstr("c.csv:2"), HasSubstr("a setting without watts")));
  EXPECT_THAT(fault_of("draw_watts,value,value_unit\n1,2,u\n-1,2,u\n"),
              AllOf(HasSubstr("c.csv:3: draw_watts"), HasSubstr("'-1'")));
  EXPECT_THAT(fault_of("draw_watts,value,value_unit\n1,nan,u\n"), HasSubstr("c.csv:2: value"));
  EXPECT_THAT(fault_of("draw_watts,value,value_unit\n1,1e16,u\n"), HasSubstr("0 to 1e15"));
  EXPECT_THAT(fault_of("draw_watts,value,value_unit\n1,2,u\n1,2,v\n"), HasSubstr("c.csv:3"));
  EXPECT_THAT(fault_of("draw_watts,tail_watts,value,value_unit\n2,1,2,u\n"),
              HasSubstr("tail_watts are below draw_watts"));
}

}  // namespace
}  // namespace perwatt::curve
