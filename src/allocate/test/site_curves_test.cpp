#include "perwatt/allocate/site_curves.hpp"

#include <map>

#include "error_of.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/topology/read_topology.hpp"

namespace perwatt::allocate {
namespace {

using ::testing::HasSubstr;

constexpr const char* kTree = R"(
[[topology.node]]
id = "rack"
limits = [{ power = "1kW" }]
[[topology.device]]
id = "gpu"
parent = "rack"
max = "700W"
curve = "decode"
[[topology.device]]
id = "cpu"
parent = "rack"
max = "100W"
)";

SiteCurves read(const std::string& curves) {
  const auto text = kTree + curves;
  const std::map<std::string, std::string> files{
      {"a.csv", "cap_watts,value,value_unit\n300,10,tok/s\n700,20,tok/s\n"},
      {"c.csv", "cap_watts,draw_watts,value,value_unit\n300,250,10,tok/s\n,500,20,tok/s\n"},
      {"d.csv", "cap_watts,draw_watts,value,value_unit\n300,,10,tok/s\n,500,20,tok/s\n"},
      {"b.csv", "draw_watts,value,value_unit\n300,2,iterations/s\n"}};
  return read_site_curves(text, "site.toml", topology::read_topology(text, "site.toml"),
                          [&](const std::string& path) { return files.at(path); });
}

std::string fault_of(const std::string& curves) {
  return error_of([&] { static_cast<void>(read(curves)); });
}

TEST(SiteCurves, DevicesFindTheirs) {
  const auto site = read("[[topology.curve]]\nid = \"decode\"\nfile = \"a.csv\"\n");
  ASSERT_EQ(site.curves.size(), 1U);
  EXPECT_EQ(site.value_unit, "tok/s");
  EXPECT_TRUE(site.curves[0].is_discrete);
  EXPECT_EQ(site.curves[0].settings[1].power, watts(700));
  EXPECT_EQ(site.curve_of[0], 0U);
  EXPECT_EQ(site.curve_of[1], std::nullopt);
}

TEST(SiteCurves, AWorthMakesUnitsComparable) {
  const auto site = read(
      "[[topology.curve]]\nid = \"decode\"\nfile = \"a.csv\"\nworth = 0.5\nworth_unit = \"USD/h\"\n"
      "[[topology.curve]]\nid = \"train\"\nfile = \"b.csv\"\nworth = 3\nworth_unit = \"USD/h\"\n"
      "settings = \"any\"\n");
  EXPECT_EQ(site.value_unit, "USD/h");
  EXPECT_EQ(site.curves[0].settings[0].value, 5);
  EXPECT_EQ(site.curves[1].settings[0].value, 6);
  EXPECT_FALSE(site.curves[1].is_discrete);
}

TEST(SiteCurves, AllSettingsTakeOneKindOfWatts) {
  const std::string curve = "[[topology.curve]]\nid = \"decode\"\nfile = ";
  EXPECT_EQ(read(curve + "\"a.csv\"\n").curves[0].watts, "cap");
  // One row has no cap: the mean draws are what all have.
  const auto draws = read(curve + "\"c.csv\"\n").curves[0];
  EXPECT_EQ(draws.watts, "draw");
  EXPECT_EQ(draws.settings[0].power, watts(250));
  EXPECT_EQ(draws.settings[1].power, watts(500));
  EXPECT_THAT(fault_of(curve + "\"c.csv\"\nwatts = \"cap\"\n"),
              HasSubstr("c.csv:3 has no cap_watts"));
  EXPECT_THAT(fault_of(curve + "\"c.csv\"\nwatts = \"tail\"\n"), HasSubstr("has no tail_watts"));
  EXPECT_THAT(fault_of(curve + "\"c.csv\"\nwatts = \"mean\"\n"), HasSubstr("'mean' is not known"));
  EXPECT_THAT(fault_of(curve + "\"d.csv\"\n"), HasSubstr("no kind of watts is in every row"));
}

TEST(SiteCurves, FaultsNameTheKey) {
  EXPECT_THAT(fault_of(""), HasSubstr("there is no [[topology.curve]] 'decode'"));
  const std::string decode = "[[topology.curve]]\nid = \"decode\"\nfile = \"a.csv\"\n";
  EXPECT_THAT(fault_of(decode + decode), HasSubstr("'decode' is given twice"));
  EXPECT_THAT(fault_of(decode + "worth = 2\n"), HasSubstr("worth_unit: is missing"));
  EXPECT_THAT(fault_of(decode + "worth_unit = \"USD/h\"\n"), HasSubstr("worth: is missing"));
  EXPECT_THAT(fault_of(decode + "settings = \"some\"\n"), HasSubstr("'some' is not known"));
  EXPECT_THAT(fault_of(decode + "colour = \"red\"\n"), HasSubstr("colour"));
  EXPECT_THAT(fault_of(decode + "[[topology.curve]]\nid = \"train\"\nfile = \"b.csv\"\n"),
              HasSubstr("yields iterations/s, 'decode' tok/s"));
}

}  // namespace
}  // namespace perwatt::allocate
