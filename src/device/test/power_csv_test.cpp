#include "perwatt/device/power_csv.hpp"

#include <string>

#include "source_testing.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace perwatt::device {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// With the clock's offset at 0 an Instant is the unix time itself.
const WallClock kClock;

std::vector<MeterTrace> parse_csv(const std::string& text, const PowerCsvOptions& options = {}) {
  return parse_power_csv(text, "p.csv", options, kClock);
}

std::string error(const std::string& text, const PowerCsvOptions& options = {}) {
  try {
    static_cast<void>(parse_csv(text, options));
  } catch (const Error& thrown) {
    EXPECT_EQ(thrown.code(), ErrorCode::bad_input);
    return thrown.what();
  }
  ADD_FAILURE() << "no error was thrown for " << text;
  return {};
}

double unix_time(const Reading& reading) {
  return in_seconds(kClock.unix_time(reading.at));
}

const std::string kHeader = "unix_time_s,meter,scope,power_watts,counter_joules\n";

TEST(PowerCsv, ReadsItsOwnLayout) {
  const auto traces = parse_csv(kHeader +
                                "1700000000.25,\"dcgm:http://h:9400 h/gpu0\",gpu,300.5,1000\n"
                                "1700000000.25,node,node,,77.5\n"
                                "1700000001,\"dcgm:http://h:9400 h/gpu0\",gpu,,\n"
                                "1700000002,\"dcgm:http://h:9400 h/gpu0\",gpu,310,\n");
  ASSERT_THAT(traces, SizeIs(2));
  EXPECT_EQ(traces[0].meter.id, "dcgm:http://h:9400 h/gpu0");
  ASSERT_THAT(traces[0].readings, SizeIs(2));
  EXPECT_NEAR(unix_time(traces[0].readings[0]), 1700000000.25, 1e-6);
  EXPECT_EQ(traces[0].readings[0].power, watts(300.5));
  EXPECT_EQ(traces[0].readings[0].counter, Joules::from_base(1000));
  EXPECT_FALSE(traces[0].readings[1].counter);
  EXPECT_THAT(traces[0].failures, SizeIs(1));
  EXPECT_EQ(traces[1].meter.scope, Scope::node);
  EXPECT_FALSE(traces[1].readings[0].power);
}

TEST(PowerCsv, RefusesWhatCannotBe) {
  EXPECT_THAT(error(""), HasSubstr("p.csv"));
  EXPECT_THAT(error("a,b\n"), HasSubstr("no column for the time"));
  EXPECT_THAT(error("timestamp,power.draw [W]\n"), HasSubstr("no column for the GPU"));
  EXPECT_THAT(error("unix_time_s,meter\n1,m\n"), HasSubstr("scope"));
  EXPECT_THAT(error(kHeader + "1,m,gpus,1,\n"), AllOf(HasSubstr("p.csv:2"), HasSubstr("'gpus'")));
  EXPECT_THAT(error(kHeader + "1,m,gpu,1,\n2,m,node,1,\n"), HasSubstr("p.csv:3"));
  EXPECT_THAT(error(kHeader + "1,m,gpu,-5,\n"), HasSubstr("'-5'"));
  EXPECT_THAT(error(kHeader + "1,m,gpu,nan,\n"), HasSubstr("'nan'"));
  EXPECT_THAT(error(kHeader + "1,m,gpu,1,\n1,m,gpu,2,\n"), HasSubstr("this time twice"));
  EXPECT_THAT(error(kHeader + "2,m,gpu,1,\n1,m,gpu,2,\n"), HasSubstr("backwards"));
  EXPECT_THAT(error(kHeader + "1e18,m,gpu,1,\n"), HasSubstr("no time from 1970 to 2100"));
  EXPECT_THAT(error(kHeader + "2025-01-01T00:00:00,m,gpu,1,\n"), HasSubstr("no time zone"));
}

const std::string kSmi =
    "timestamp, index, power.draw [W]\n"
    "2025/11/25 16:30:38.500, 0, 300.12 W\n"
    "2025/11/25 16:30:38.501, 1, [N/A]\n"
    "2025/11/25 16:30:39.500, 0, 310.00 W\n";

TEST(PowerCsv, NvidiaSmiNeedsItsZone) {
  EXPECT_THAT(error(kSmi), AllOf(HasSubstr("p.csv:2"), HasSubstr("no time zone"),
                                 HasSubstr("?timezone=+02:00")));
  PowerCsvOptions options;
  options.utc_offset = seconds(7200);
  const auto traces = parse_csv(kSmi, options);
  ASSERT_THAT(traces, SizeIs(2));
  EXPECT_EQ(traces[0].meter.id, "gpu0");
  EXPECT_EQ(traces[0].meter.scope, Scope::gpu);
  // date -u -d '2025-11-25 14:30:38.5' +%s
  EXPECT_NEAR(unix_time(traces[0].readings.at(0)), 1764081038.5, 1e-6);
  EXPECT_EQ(traces[0].readings[1].power, watts(310));
  EXPECT_THAT(traces[1].readings, IsEmpty());
  EXPECT_THAT(traces[1].failures.at(0).reason, HasSubstr("[N/A]"));
}

TEST(PowerCsv, ReadsTheTimesOfOtherTools) {
  const std::string header = "timestamp,gpu,power_usage,power_cap\n";
  const std::vector<std::pair<std::string, double>> times{
      {"1764081038.5", 1764081038.5},
      {"1764081038500", 1764081038.5},
      {"2025-11-25T14:30:38.5Z", 1764081038.5},
      {"2025-11-25 16:30:38.5+02:00", 1764081038.5},
      {"2025-11-25T09:00:38.500-0530", 1764081038.5},
      {"2024-02-29T00:00:00Z", 1709164800}};
  for (const auto& [text, expected] : times) {
    const auto traces = parse_csv(header + text + ",3,450,700\n");
    ASSERT_THAT(traces, SizeIs(1)) << text;
    EXPECT_EQ(traces[0].meter.id, "gpu3");
    EXPECT_NEAR(unix_time(traces[0].readings.at(0)), expected, 1e-6) << text;
    EXPECT_EQ(traces[0].readings[0].power, watts(450));
  }
  for (const std::string text :
       {"2025-13-01T00:00:00Z", "2023-02-29T00:00:00Z", "2025-01-01", "2025-01-01T25:00:00Z", "x",
        "2025-01-01T00:00:00 CET", "2025-01-01T00:00:00+99:00", "-5"}) {
    EXPECT_THAT(error(header + text + ",3,450,700\n"), HasSubstr("no time from 1970")) << text;
  }
}

TEST(PowerCsv, RowsOfOneSecondAreAveraged) {
  const auto traces = parse_csv(
      "timestamp,index,uuid,name,power.draw [W],power.limit [W]\n"
      "1764081038,0,GPU-a,H100,100 W,700 W\n1764081038,0,GPU-a,H100,200 W,700 W\n"
      "1764081038,0,GPU-a,H100,600 W,700 W\n1764081039,0,GPU-a,H100,50 W,700 W\n");
  ASSERT_THAT(traces, SizeIs(1));
  ASSERT_THAT(traces[0].readings, SizeIs(2));
  EXPECT_NEAR(in_watts(*traces[0].readings[0].power), 300, 1e-9);
  EXPECT_EQ(traces[0].readings[1].power, watts(50));
  EXPECT_EQ(traces[0].meter.uid, "GPU-a");
}

TEST(PowerCsv, ACutLastRowIsTold) {
  EXPECT_THAT(error("timestamp,index,power.draw [W]\n1764081038,0,3e\n"), HasSubstr("no power"));
  EXPECT_THAT(error("timestamp,index,power.draw [W]\n1764081038,0\n"), HasSubstr("p.csv:2"));
}

TEST(PowerCsv, WhatIsWrittenReadsBack) {
  MeterTrace trace{{}, {}, {}};
  trace.meter.id = "a, \"b\"";
  trace.meter.scope = Scope::rack;
  const auto at = [](double unix_seconds) { return kClock.instant(seconds(unix_seconds)); };
  trace.readings = {{at(1764081038.123456), Joules::from_base(0.1), watts(1.0 / 3)},
                    {at(1764081040), {}, watts(5)},
                    {at(1764081042), Joules::from_base(1e12), {}}};
  trace.failures = {{at(1764081039), "x"}, {at(1764081050), "y"}};
  const auto text = format_power_csv(std::vector{trace}, kClock);
  EXPECT_THAT(text, HasSubstr(kHeader));
  const auto read = parse_csv(text);
  ASSERT_THAT(read, SizeIs(1));
  EXPECT_EQ(read[0].meter.id, trace.meter.id);
  EXPECT_EQ(read[0].meter.scope, Scope::rack);
  ASSERT_THAT(read[0].readings, SizeIs(3));
  ASSERT_THAT(read[0].failures, SizeIs(2));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(read[0].readings[i].power, trace.readings[i].power);
    EXPECT_EQ(read[0].readings[i].counter, trace.readings[i].counter);
    EXPECT_NEAR(in_seconds(read[0].readings[i].at - trace.readings[i].at), 0, 3e-7);
  }
}

RC_GTEST_PROP(PowerCsv, AnyBytesGiveAnAnswerOrAnError, (const std::string& text)) {
  try {
    static_cast<void>(parse_csv(kHeader + text));
  } catch (const Error& thrown) {
    RC_ASSERT(thrown.code() == ErrorCode::bad_input);
  }
}

TEST(CsvSource, GivesTheWindowOfARecording) {
  const test::ScratchFolder folder;
  std::string text = kHeader;
  const auto now = in_seconds(WallClock::now().unix_time(Instant::now()));
  for (int i = 0; i <= 10; ++i) {
    text += std::to_string(now - 20 + i) + ",m,node," + std::to_string(100 + i) + ",\n";
  }
  folder.write("run.csv", text);
  const auto named = "csv:" + (folder.path() / "run.csv").string();
  const auto source = test::source(named + "?accuracy=0.02");
  const auto meters = source->open();
  ASSERT_TRUE(meters.ok()) << meters.reason();
  EXPECT_EQ(meters.value()[0].id, named + "?accuracy=0.02 m");
  EXPECT_EQ(meters.value()[0].accuracy_ratio, 0.02);
  source->sample();
  const auto start = Instant::now() - seconds(20);
  const auto traces = source->traces(start + seconds(2.5), start + seconds(4.5));
  ASSERT_THAT(traces, SizeIs(1));
  // One before the window, two in it, one behind.
  ASSERT_THAT(traces[0].readings, SizeIs(4));
  EXPECT_EQ(traces[0].readings.front().power, watts(102));
  EXPECT_EQ(traces[0].readings.back().power, watts(105));
}

}  // namespace
}  // namespace perwatt::device
