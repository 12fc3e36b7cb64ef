#include "device_options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::allocate {
namespace {

using ::testing::ElementsAre;

SiteCurve curve_of(std::vector<Setting> settings, bool is_discrete) {
  return {"c", std::move(settings), is_discrete, "cap", "site.toml:1: id"};
}

std::vector<std::pair<double, double>> pairs(const std::vector<CurvePoint>& hull) {
  std::vector<std::pair<double, double>> list;
  for (const auto& point : hull) {
    list.emplace_back(in_watts(point.power), point.value);
  }
  return list;
}

const std::vector<Setting> kFour{{"low", watts(100), 10},
                                 {"bad", watts(150), 5},   // takes more, yields less
                                 {"dip", watts(200), 12},  // below the hull
                                 {"high", watts(300), 30}};

TEST(DeviceOptions, SettingsBelowTheHullCanBeTakenButNotMixed) {
  const auto options = device_options(curve_of(kFour, true), watts(50), watts(400), 2);
  ASSERT_TRUE(options);
  ASSERT_EQ(options->options.size(), 3U);
  EXPECT_EQ(options->options[1].setting, 2U);
  EXPECT_EQ(options->options[1].power, watts(400));  // root watts
  EXPECT_THAT(pairs(options->hull), ElementsAre(std::pair{200.0, 10.0}, std::pair{600.0, 30.0}));
}

TEST(DeviceOptions, BelowTheLeastCapWorkTakesTheLeastCap) {
  const auto options = device_options(curve_of(kFour, true), watts(160), watts(250), 1);
  ASSERT_TRUE(options);
  EXPECT_THAT(pairs(options->hull), ElementsAre(std::pair{160.0, 10.0}, std::pair{200.0, 12.0}));
  const auto all_below = device_options(curve_of(kFour, true), watts(350), watts(400), 1);
  ASSERT_TRUE(all_below);
  EXPECT_THAT(pairs(all_below->hull), ElementsAre(std::pair{350.0, 30.0}));
}

TEST(DeviceOptions, NoneWhenAllTakeMoreThanTheDeviceMay) {
  EXPECT_FALSE(device_options(curve_of(kFour, true), watts(0), watts(99), 1));
  EXPECT_FALSE(device_options(curve_of(kFour, false), watts(0), watts(99), 1));
}

TEST(DeviceOptions, ACurveOfAnyWattsIsCutAtTheBounds) {
  const auto options = device_options(curve_of(kFour, false), watts(150), watts(250), 1);
  ASSERT_TRUE(options);
  EXPECT_TRUE(options->options.empty());
  EXPECT_THAT(pairs(options->hull), ElementsAre(std::pair{150.0, 15.0}, std::pair{250.0, 25.0}));
  const auto whole = device_options(curve_of(kFour, false), watts(50), watts(400), 1);
  EXPECT_THAT(pairs(whole->hull), ElementsAre(std::pair{100.0, 10.0}, std::pair{300.0, 30.0}));
  const auto above = device_options(curve_of(kFour, false), watts(350), watts(400), 1);
  EXPECT_THAT(pairs(above->hull), ElementsAre(std::pair{350.0, 30.0}));
  const auto at_end = device_options(curve_of(kFour, false), watts(100), watts(100), 1);
  EXPECT_THAT(pairs(at_end->hull), ElementsAre(std::pair{100.0, 10.0}));
}

}  // namespace
}  // namespace perwatt::allocate
