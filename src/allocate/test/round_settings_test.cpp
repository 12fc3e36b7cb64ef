#include "round_settings.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace perwatt::allocate {
namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();

DeviceOptions options_of(std::vector<std::pair<double, double>> points) {
  DeviceOptions options;
  for (std::size_t i = 0; i < points.size(); ++i) {
    options.options.push_back({watts(points[i].first), points[i].second, i});
  }
  return options;
}

TEST(RoundSettings, AlikeDevicesThatShareARestDoNotAllFallBack) {
  const auto options = options_of({{100, 1}, {300, 5}});
  std::vector<NestedSum> sums{{kNoSum}};
  // Ten devices were given 200 W each of a limit of 2,000 W: five fit at 300 W.
  std::vector<DiscreteDevice> devices(10, DiscreteDevice{&options, 0, {}, watts(200), 0});
  Room room{{0}, {}};
  EXPECT_TRUE(round_settings(sums, devices, room));
  int high = 0;
  for (const auto& device : devices) {
    high += static_cast<int>(device.chosen);
  }
  EXPECT_EQ(high, 5);
  EXPECT_NEAR(room.nested[0], 0, 1e-9);
}

TEST(RoundSettings, EverySumAboveAndAcrossIsKept) {
  const auto options = options_of({{100, 1}, {150, 2}, {300, 9}});
  std::vector<NestedSum> sums{{kNoSum}, {0}, {1}};
  std::vector<DiscreteDevice> devices{{&options, 2, {}, watts(100), 0},
                                      {&options, 0, {{0, 0.5}}, watts(100), 0}};
  Room room{{400, kNone, 60}, {90}};
  EXPECT_TRUE(round_settings(sums, devices, room));
  EXPECT_EQ(devices[0].chosen, 1U);  // 300 W do not fit the 60 W left
  EXPECT_EQ(devices[1].chosen, 1U);  // nor do they the 90 W at half a watt each
  EXPECT_EQ(room.nested[0], 300);
  EXPECT_EQ(room.nested[2], 10);
  EXPECT_EQ(room.cross[0], 65);
}

TEST(RoundSettings, TheRaiseOfGreatestWorthComesFirst) {
  const auto dear = options_of({{100, 0}, {200, 10}});
  const auto cheap = options_of({{100, 0}, {200, 2}});
  std::vector<NestedSum> sums{{kNoSum}};
  std::vector<DiscreteDevice> devices{{&cheap, 0, {}, watts(150), 0},
                                      {&dear, 0, {}, watts(150), 0}};
  Room room{{0}, {}};
  EXPECT_TRUE(round_settings(sums, devices, room));
  EXPECT_EQ(devices[0].chosen, 0U);
  EXPECT_EQ(devices[1].chosen, 1U);
}

TEST(RoundSettings, WithoutStepsDevicesKeepWhatFitsTheirOwnWatts) {
  const auto options = options_of({{100, 1}, {200, 5}});
  std::vector<NestedSum> sums{{kNoSum}};
  std::vector<DiscreteDevice> devices{{&options, 0, {}, watts(200 * (1 - 1e-12)), 0},
                                      {&options, 0, {}, watts(150), 0}};
  Room room{{kNone}, {}};
  EXPECT_FALSE(round_settings(sums, devices, room, 0));
  EXPECT_EQ(devices[0].chosen, 1U);
  EXPECT_EQ(devices[1].chosen, 0U);
}

}  // namespace
}  // namespace perwatt::allocate
