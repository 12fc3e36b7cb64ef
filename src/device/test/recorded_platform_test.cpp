#include "perwatt/device/recorded_platform.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/error.hpp"
#include "perwatt/device/power_csv.hpp"

namespace perwatt::device {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kRecordedHeader = "unix_time_s,meter,scope,power_watts,counter_joules\n";

RecordedPlatform recorded(const std::string& rows) {
  const std::vector<RecordedDevice> devices{{"gpu-1", {watts(200), watts(700)}},
                                            {"gpu-2", {watts(100), watts(400)}}};
  const std::vector<std::string> nodes{"site", "rack"};
  PowerCsvOptions options;
  options.sorts_rows = true;
  return {parse_power_csv(kRecordedHeader + rows, "r.csv", options, WallClock{}), "r.csv", devices,
          nodes};
}

std::string refused(const std::string& rows) {
  try {
    static_cast<void>(recorded(rows));
  } catch (const Error& thrown) {
    EXPECT_EQ(thrown.code(), ErrorCode::bad_input);
    return thrown.what();
  }
  ADD_FAILURE() << "taken: " << rows;
  return {};
}

Instant at_unix(double time_seconds) {
  return WallClock{}.instant(seconds(time_seconds));
}

struct Looked {
  std::vector<PowerReading> devices{2};
  std::vector<PowerReading> meters{2};
};

Looked look_at(RecordedPlatform& platform, double time_seconds) {
  Looked looked;
  platform.play_to(at_unix(time_seconds));
  platform.read(looked.devices, looked.meters);
  return looked;
}

PowerReading good(double power_watts, double time_seconds) {
  return {watts(power_watts), at_unix(time_seconds), ReadingQuality::good};
}

TEST(RecordedPlatform, TellsTheLastThatWasKnownThen) {
  auto platform = recorded(
      "100,gpu-1,gpu,300,\n"
      "101,gpu-1,gpu,310,\n"
      "100.5,rack,rack,900,\n");
  EXPECT_EQ(platform.first(), at_unix(100));
  EXPECT_EQ(platform.last(), at_unix(101));
  EXPECT_EQ(platform.device_count(), 2U);
  EXPECT_EQ(platform.bounds(1).most, watts(400));
  const auto early = look_at(platform, 100.4);
  EXPECT_EQ(early.devices[0], good(300, 100));
  EXPECT_EQ(early.devices[1].quality, ReadingQuality::no_sensor);
  EXPECT_EQ(early.meters[0].quality, ReadingQuality::no_sensor);
  EXPECT_EQ(early.meters[1].quality, ReadingQuality::missing) << "its first row is to come";
  const auto later = look_at(platform, 101);
  EXPECT_EQ(later.devices[0], good(310, 101));
  EXPECT_EQ(later.meters[1], good(900, 100.5));
  EXPECT_EQ(look_at(platform, 500).devices[0], good(310, 101)) << "old, and says how old";
}

TEST(RecordedPlatform, MissingRowsAreMissing) {
  auto platform = recorded(
      "100,gpu-1,gpu,,\n"
      "101,gpu-1,gpu,300,\n"
      "102,gpu-1,gpu,,\n"
      "103,gpu-1,gpu,,5000\n"
      "104,gpu-1,gpu,320,\n");
  EXPECT_EQ(look_at(platform, 100).devices[0].quality, ReadingQuality::missing);
  EXPECT_EQ(look_at(platform, 101.9).devices[0], good(300, 101));
  const auto lost = look_at(platform, 103).devices[0];
  EXPECT_EQ(lost.quality, ReadingQuality::missing);
  EXPECT_FALSE(lost.power);
  EXPECT_EQ(lost.time, at_unix(102)) << "a counter alone is no power";
  EXPECT_EQ(look_at(platform, 104).devices[0], good(320, 104));
}

TEST(RecordedPlatform, RowsOutOfOrderAreSorted) {
  auto platform = recorded(
      "102,gpu-1,gpu,320,\n"
      "100,gpu-1,gpu,300,\n"
      "101,gpu-1,gpu,310,\n");
  EXPECT_EQ(look_at(platform, 100).devices[0], good(300, 100));
  EXPECT_EQ(look_at(platform, 101).devices[0], good(310, 101));
  EXPECT_EQ(look_at(platform, 102).devices[0], good(320, 102));
  EXPECT_THAT(refused("102,gpu-1,gpu,320,\n100,gpu-1,gpu,300,\n102,gpu-1,gpu,330,\n"),
              HasSubstr("has a time twice"));
}

TEST(RecordedPlatform, TakesNoCaps) {
  auto platform = recorded("100,gpu-1,gpu,300,\n");
  EXPECT_FALSE(platform.capabilities().sets_caps);
  EXPECT_FALSE(platform.capabilities().reads_caps);
  const std::vector<CapCommand> commands{{0, watts(300)}, {1, watts(200)}};
  std::vector<CapAnswer> answers(2, CapAnswer::accepted);
  platform.write(commands, answers);
  EXPECT_THAT(answers, ::testing::Each(CapAnswer::refused));
  EXPECT_FALSE(platform.enforced_cap(0));
  EXPECT_FALSE(platform.lock_clock(0, 0.5));
}

TEST(RecordedPlatform, RefusesWhatIsNotOfTheSite) {
  EXPECT_THAT(refused("1,gpu-3,gpu,300,\n"),
              AllOf(HasSubstr("r.csv"), HasSubstr("'gpu-3' of scope gpu is no device"),
                    HasSubstr("'gpu-1'")));
  EXPECT_THAT(refused("1,gpu-1,node,300,\n"), HasSubstr("is no node"));
  EXPECT_THAT(refused("1,gpu-1,gpu,,\n"), HasSubstr("has no power in any row"));
  EXPECT_THAT(refused(""), HasSubstr("no row"));
}

}  // namespace
}  // namespace perwatt::device
