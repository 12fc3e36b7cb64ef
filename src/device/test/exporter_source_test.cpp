#include <mutex>
#include <string>

#include "http_peer.hpp"
#include "source_testing.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::device {
namespace {

using test::everything;
using test::HttpPeer;
using test::PeerAnswer;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// An exporter whose page the test changes.
class Exporter {
 public:
  explicit Exporter(std::string page) : answer_{std::move(page), 200, false, false} {}

  void serve(PeerAnswer answer) {
    const std::lock_guard lock{mutex_};
    answer_ = std::move(answer);
  }

  void serve(const std::string& page) { serve(PeerAnswer{page, 200, false, false}); }

  std::string url() const { return peer_.url(); }

 private:
  std::mutex mutex_;
  PeerAnswer answer_;
  HttpPeer peer_{[this](const test::PeerRequest& request) {
    const std::lock_guard lock{mutex_};
    return request.target == "/metrics" ? answer_ : PeerAnswer{"", 404, false, false};
  }};
};

std::string dcgm_row(const std::string& metric, int gpu, const std::string& value,
                     const std::string& more = ",Hostname=\"node1\"") {
  const auto n = std::to_string(gpu);
  return "DCGM_FI_DEV_" + metric + "{gpu=\"" + n + "\",UUID=\"GPU-" + n +
         "\",pci_bus_id=\"0\",device=\"nvidia" + n + "\",modelName=\"NVIDIA H100 80GB HBM3\"" +
         more + "} " + value + "\n";
}

TEST(DcgmSource, ReadsWattsAndMillijoulesOfEveryGpu) {
  Exporter exporter{"# TYPE DCGM_FI_DEV_POWER_USAGE gauge\n" + dcgm_row("POWER_USAGE", 0, "350.5") +
                    dcgm_row("POWER_USAGE", 1, "71.25") +
                    dcgm_row("TOTAL_ENERGY_CONSUMPTION", 0, "123456789") +
                    dcgm_row("TOTAL_ENERGY_CONSUMPTION", 1, "1000") +
                    dcgm_row("POWER_MGMT_LIMIT_MAX", 0, "700") + dcgm_row("GPU_TEMP", 0, "55")};
  const auto source = test::source("dcgm:" + exporter.url());
  const auto meters = source->open();
  ASSERT_TRUE(meters.ok()) << meters.reason();
  ASSERT_THAT(meters.value(), SizeIs(2));
  const auto& meter = meters.value()[0];
  EXPECT_EQ(meter.id, "dcgm:" + exporter.url() + " node1/gpu0");
  EXPECT_EQ(meter.source, "dcgm:" + exporter.url());
  EXPECT_EQ(meter.host, "node1");
  EXPECT_EQ(meter.uid, "GPU-0");
  EXPECT_EQ(meter.device, "gpu 0, GPU-0, NVIDIA H100 80GB HBM3");
  EXPECT_EQ(meter.scope, Scope::gpu);
  EXPECT_EQ(meter.most_power, watts(700 * 1.25));
  EXPECT_FALSE(meters.value()[1].most_power);

  const auto before = Instant::now();
  source->sample();
  const auto after = Instant::now();
  const auto traces = everything(*source);
  ASSERT_THAT(traces, SizeIs(2));
  const auto& reading = traces[0].readings.back();
  EXPECT_EQ(reading.power, watts(350.5));
  EXPECT_EQ(reading.counter, Joules::from_base(123456.789));
  EXPECT_TRUE(before <= reading.at && reading.at <= after);
  EXPECT_EQ(traces[1].readings.back().counter, Joules::from_base(1.0));
  EXPECT_THAT(traces[0].failures, IsEmpty());
}

TEST(DcgmSource, KnowsTheLabelsOfAllReleases) {
  Exporter exporter{
      "DCGM_FI_DEV_POWER_USAGE{gpu=\"3\",uuid=\"GPU-x\",hostname=\"n2\"} 100\n"
      "DCGM_FI_DEV_BOARD_POWER_WATTS{gpu=\"4\"} 200\n"};
  const auto source = test::source("dcgm:" + exporter.url() + "/metrics?accuracy=0.05");
  const auto meters = source->open();
  ASSERT_TRUE(meters.ok()) << meters.reason();
  ASSERT_THAT(meters.value(), SizeIs(2));
  EXPECT_THAT(meters.value()[0].id, EndsWith(" gpu4"));
  EXPECT_EQ(meters.value()[0].host, "");
  EXPECT_EQ(meters.value()[0].accuracy_ratio, 0.05);
  EXPECT_THAT(meters.value()[1].id, EndsWith(" n2/gpu3"));
  EXPECT_EQ(meters.value()[1].uid, "GPU-x");
  // No counter: the power alone, and nothing made up.
  EXPECT_FALSE(everything(*source)[1].readings.back().counter);
}

TEST(DcgmSource, SlicesOfOneBoardCountOnce) {
  const auto slice = [](int id) {
    return ",Hostname=\"n\",GPU_I_PROFILE=\"1g.10gb\",GPU_I_ID=\"" + std::to_string(id) + "\"";
  };
  std::string page;
  for (int id = 7; id < 14; ++id) {
    page += dcgm_row("POWER_USAGE", 0, std::to_string(400 + (id % 2)), slice(id));
    page += dcgm_row("TOTAL_ENERGY_CONSUMPTION", 0, std::to_string(50'000'000 + id), slice(id));
  }
  Exporter exporter{page};
  const auto source = test::source("dcgm:" + exporter.url());
  ASSERT_THAT(source->open().value(), SizeIs(1));
  const auto first = everything(*source)[0].readings.back();
  EXPECT_EQ(first.power, watts(401));
  EXPECT_EQ(first.counter, Joules::from_base(50'000.013));

  // A row of the whole board, where there is one, speaks for it.
  exporter.serve(page + dcgm_row("POWER_USAGE", 0, "390", ",Hostname=\"n\""));
  source->sample();
  EXPECT_EQ(everything(*source)[0].readings.back().power, watts(390));

  // Rows that differ are not one board's value: neither the largest nor the sum is safe.
  exporter.serve(dcgm_row("POWER_USAGE", 0, "400", slice(7)) +
                 dcgm_row("POWER_USAGE", 0, "100", slice(8)));
  source->sample();
  const auto trace = everything(*source)[0];
  EXPECT_THAT(trace.readings, SizeIs(2));
  ASSERT_FALSE(trace.failures.empty());
  EXPECT_THAT(trace.failures.back().reason, HasSubstr("100 and 400 W"));
}

TEST(DcgmSource, ARowForEveryPodOfASharedGpuCountsOnce) {
  Exporter exporter{dcgm_row("POWER_USAGE", 0, "300", ",Hostname=\"n\",pod=\"a\"") +
                    dcgm_row("POWER_USAGE", 0, "300", ",Hostname=\"n\",pod=\"b\"")};
  const auto source = test::source("dcgm:" + exporter.url());
  ASSERT_THAT(source->open().value(), SizeIs(1));
  EXPECT_EQ(everything(*source)[0].readings.back().power, watts(300));
}

TEST(DcgmSource, NanIsAbsentAndNothingAtAllIsAFailure) {
  Exporter exporter{dcgm_row("POWER_USAGE", 0, "300") +
                    dcgm_row("TOTAL_ENERGY_CONSUMPTION", 0, "5000")};
  const auto source = test::source("dcgm:" + exporter.url());
  ASSERT_TRUE(source->open().ok());
  exporter.serve(dcgm_row("POWER_USAGE", 0, "NaN") +
                 dcgm_row("TOTAL_ENERGY_CONSUMPTION", 0, "6000"));
  source->sample();
  exporter.serve(dcgm_row("POWER_USAGE", 0, "NaN") +
                 dcgm_row("TOTAL_ENERGY_CONSUMPTION", 0, "+Inf"));
  source->sample();
  const auto trace = everything(*source)[0];
  ASSERT_THAT(trace.readings, SizeIs(2));
  EXPECT_FALSE(trace.readings[1].power);
  EXPECT_EQ(trace.readings[1].counter, Joules::from_base(6.0));
  ASSERT_THAT(trace.failures, SizeIs(1));
  EXPECT_THAT(trace.failures[0].reason, HasSubstr("NaN"));
}

TEST(DcgmSource, AResetIsPassedOnAsAFall) {
  Exporter exporter{dcgm_row("TOTAL_ENERGY_CONSUMPTION", 0, "9000000")};
  const auto source = test::source("dcgm:" + exporter.url());
  ASSERT_TRUE(source->open().ok());
  exporter.serve(dcgm_row("TOTAL_ENERGY_CONSUMPTION", 0, "12000"));
  source->sample();
  const auto trace = everything(*source)[0];
  ASSERT_THAT(trace.readings, SizeIs(2));
  EXPECT_EQ(trace.readings[0].counter, Joules::from_base(9000));
  EXPECT_EQ(trace.readings[1].counter, Joules::from_base(12));
}

TEST(DcgmSource, NoAnswerIsAFailureAndNeverTheLastValue) {
  Exporter exporter{dcgm_row("POWER_USAGE", 0, "300")};
  auto options = test::quick_options();
  options.timeout = seconds(0.2);
  const auto source = test::source("dcgm:" + exporter.url(), options);
  ASSERT_TRUE(source->open().ok());
  const std::vector<std::pair<PeerAnswer, std::string>> faults{
      {{"oops", 500, false, false}, "status 500"},
      {{"", 200, true, false}, "127.0.0.1"},
      {{dcgm_row("POWER_USAGE", 0, "310"), 200, false, true}, "127.0.0.1"},
      {{"not a page\n", 200, false, false}, "line 1"},
      {{dcgm_row("POWER_USAGE", 1, "1").substr(0, 40), 200, false, false}, "cut off"},
      {{"# nothing\n", 200, false, false}, "no longer lists it"}};
  for (const auto& [answer, reason] : faults) {
    exporter.serve(answer);
    const auto failures = everything(*source)[0].failures.size();
    source->sample();
    const auto trace = everything(*source)[0];
    EXPECT_THAT(trace.readings, SizeIs(1)) << reason;
    ASSERT_THAT(trace.failures, SizeIs(failures + 1)) << reason;
    EXPECT_THAT(trace.failures.back().reason, HasSubstr(reason));
  }
}

TEST(DcgmSource, ADeadPeerFailsEveryMeterOfIt) {
  auto exporter = std::make_unique<Exporter>(dcgm_row("POWER_USAGE", 0, "300") +
                                             dcgm_row("POWER_USAGE", 1, "300"));
  const auto source = test::source("dcgm:" + exporter->url());
  ASSERT_TRUE(source->open().ok());
  exporter.reset();
  source->sample();
  source->sample();
  for (const auto& trace : everything(*source)) {
    EXPECT_THAT(trace.readings, SizeIs(1));
    EXPECT_THAT(trace.failures, SizeIs(2));
  }
}

TEST(DcgmSource, ABoardThatVanishesFailsAndOneThatAppearsIsKept) {
  Exporter exporter{dcgm_row("POWER_USAGE", 0, "300") + dcgm_row("POWER_USAGE", 1, "200")};
  const auto source = test::source("dcgm:" + exporter.url());
  ASSERT_THAT(source->open().value(), SizeIs(2));
  exporter.serve(dcgm_row("POWER_USAGE", 1, "210") + dcgm_row("POWER_USAGE", 2, "100"));
  source->sample();
  const auto traces = everything(*source);
  ASSERT_THAT(traces, SizeIs(3));
  EXPECT_THAT(traces[0].failures, SizeIs(1));
  EXPECT_THAT(traces[1].readings, SizeIs(2));
  EXPECT_EQ(traces[2].readings.at(0).power, watts(100));
}

TEST(DcgmSource, APageWithItsOwnTimesIsNotReadTwice) {
  const auto unix_ms = [](double ago) {
    const auto time = WallClock::now().unix_time(Instant::now() - seconds(ago));
    return " " + std::to_string(static_cast<long long>(in_seconds(time) * 1e3));
  };
  const auto old = unix_ms(30);
  Exporter exporter{dcgm_row("POWER_USAGE", 0, "300" + old)};
  const auto source = test::source("dcgm:" + exporter.url());
  ASSERT_TRUE(source->open().ok());
  source->sample();
  source->sample();
  auto trace = everything(*source)[0];
  ASSERT_THAT(trace.readings, SizeIs(1));
  EXPECT_NEAR(in_seconds(Instant::now() - trace.readings[0].at), 30, 5);
  exporter.serve(dcgm_row("POWER_USAGE", 0, "310" + unix_ms(-60)));
  source->sample();
  trace = everything(*source)[0];
  EXPECT_THAT(trace.readings, SizeIs(1));
  EXPECT_THAT(trace.failures.back().reason, HasSubstr("synchronise the clocks"));
}

TEST(DcgmSource, OpenTellsWhatIsMissing) {
  Exporter exporter{"other_metric 1\n"};
  EXPECT_THAT(test::source("dcgm:" + exporter.url())->open().reason(),
              HasSubstr("no DCGM_FI_DEV_POWER_USAGE or"));
  exporter.serve(PeerAnswer{"", 503, false, false});
  EXPECT_THAT(test::source("dcgm:" + exporter.url())->open().reason(), HasSubstr("status 503"));
}

TEST(AmdSource, PartitionsOfOneBoardAreOneMeter) {
  const auto row = [](const std::string& metric, const std::string& gpu,
                      const std::string& partition, const std::string& value) {
    return metric + "{card_model=\"MI300X\",gpu_id=\"" + gpu + "\",gpu_partition_id=\"" +
           partition + "\",hostname=\"n\",serial_number=\"SN1\"} " + value + "\n";
  };
  Exporter exporter{row("amd_gpu_package_power", "0", "0", "650") +
                    row("amd_gpu_package_power", "1", "1", "0") +
                    row("amd_gpu_power_usage", "0", "0", "1") +
                    row("amd_gpu_energy_consumed", "0", "0", "2500000")};
  const auto source = test::source("amd:" + exporter.url());
  const auto meters = source->open();
  ASSERT_TRUE(meters.ok()) << meters.reason();
  ASSERT_THAT(meters.value(), SizeIs(1));
  EXPECT_EQ(meters.value()[0].uid, "SN1");
  const auto reading = everything(*source)[0].readings.back();
  EXPECT_EQ(reading.power, watts(650));
  EXPECT_EQ(reading.counter, Joules::from_base(2.5));
}

TEST(AmdSource, FallsBackToTheAverageOfOlderBoards) {
  Exporter exporter{"gpu_average_package_power{gpu_id=\"2\",serial_number=\"S\"} 311\n"};
  const auto source = test::source("amd:" + exporter.url());
  ASSERT_TRUE(source->open().ok());
  EXPECT_EQ(everything(*source)[0].readings.back().power, watts(311));
}

TEST(GaudiSource, ReadsMilliwattsAndMillijoules) {
  const std::string labels = "{Serial=\"AM1\",UUID=\"01P0\",device=\"AM1\",id=\"5\"} ";
  Exporter exporter{"habanalabs_power_mW" + labels + "412000\nhabanalabs_energy" + labels +
                    "9500\n"};
  const auto source = test::source("gaudi:" + exporter.url());
  const auto meters = source->open();
  ASSERT_TRUE(meters.ok()) << meters.reason();
  EXPECT_THAT(meters.value()[0].id, EndsWith(" gpu5"));
  EXPECT_EQ(meters.value()[0].uid, "01P0");
  const auto reading = everything(*source)[0].readings.back();
  EXPECT_EQ(reading.power, watts(412));
  EXPECT_EQ(reading.counter, Joules::from_base(9.5));
}

}  // namespace
}  // namespace perwatt::device
