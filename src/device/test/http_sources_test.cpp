// Redfish, JSON over HTTP, and the HTTP API of Prometheus against a scripted peer.
#include <map>
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
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// Pages by target; the rest is 404.
class Site {
 public:
  void put(const std::string& target, const std::string& body, int status = 200) {
    const std::lock_guard lock{mutex_};
    pages_[target] = {body, status, false, false};
  }

  std::string url(const std::string& path = {}) const { return peer_.url(path); }

  std::string last_head() {
    const std::lock_guard lock{mutex_};
    return last_head_;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, PeerAnswer> pages_;
  std::string last_head_;
  HttpPeer peer_{[this](const test::PeerRequest& request) {
    const std::lock_guard lock{mutex_};
    last_head_ = request.head;
    const auto page = pages_.find(request.target);
    return page == pages_.end() ? PeerAnswer{"", 404, false, false} : page->second;
  }};
};

class Secret {
 public:
  Secret(const char* name, const char* value) : name_{name} { ::setenv(name, value, 1); }

  ~Secret() { ::unsetenv(name_); }

  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;

 private:
  const char* name_;
};

TEST(JsonSource, ReadsTheNumberBehindAPointer) {
  Site site;
  site.put("/status?id=0", R"({"outlets":[{"watts":410.5},{"watts":"99.5 "}]})");
  const auto source = test::source("json:" + site.url("/status") +
                                   "?query=id%3D0&path=/outlets/0/watts&kind=power&scope=rack");
  const auto meters = source->open();
  ASSERT_TRUE(meters.ok()) << meters.reason();
  ASSERT_THAT(meters.value(), SizeIs(1));
  EXPECT_EQ(meters.value()[0].scope, Scope::rack);
  EXPECT_EQ(everything(*source)[0].readings[0].power, watts(410.5));

  const auto energy = test::source("json:" + site.url("/status") +
                                   "?query=id%3D0&path=/outlets/1/watts&kind=energy&scope=node"
                                   "&scale=3600000");
  ASSERT_TRUE(energy->open().ok());
  EXPECT_EQ(everything(*energy)[0].readings[0].counter, Joules::from_base(99.5 * 3.6e6));
}

TEST(JsonSource, WhatIsNoNumberIsAFailure) {
  Site site;
  site.put("/p", R"({"w":1})");
  const auto source = test::source("json:" + site.url("/p") + "?path=/w&kind=power&scope=rack");
  ASSERT_TRUE(source->open().ok());
  const std::vector<std::pair<std::string, std::string>> faults{
      {R"({"w":null})", "no number"},  {R"({"w":-3})", "no number"},
      {R"({"w":"off"})", "no number"}, {R"({"v":1})", "nothing at /w"},
      {"<html>", "no JSON"},           {R"([1])", "nothing at /w"}};
  for (const auto& [body, reason] : faults) {
    site.put("/p", body);
    source->sample();
    const auto trace = everything(*source)[0];
    EXPECT_THAT(trace.readings, SizeIs(1)) << body;
    EXPECT_THAT(trace.failures.back().reason, HasSubstr(reason)) << body;
  }
}

TEST(JsonSource, SendsTheSecretOfTheEnvironment) {
  Site site;
  site.put("/p", R"({"w":1})");
  const auto text = "json:" + site.url("/p") + "?path=/w&kind=power&scope=rack";
  {
    const Secret user{"PERWATT_PDU_USER", "admin"};
    const Secret password{"PERWATT_PDU_PASSWORD", "s3cret!"};
    ASSERT_TRUE(test::source(text)->open().ok());
    EXPECT_THAT(site.last_head(), HasSubstr("Authorization: Basic YWRtaW46czNjcmV0IQ==\r\n"));
  }
  const Secret token{"PERWATT_PDU_TOKEN", "abc"};
  ASSERT_TRUE(test::source(text)->open().ok());
  EXPECT_THAT(site.last_head(), HasSubstr("Authorization: Bearer abc\r\n"));
}

/// A service with a server, a GPU inside it, and a second server that has the older page only.
void put_chassis(Site& site) {
  site.put("/redfish/v1/Chassis",
           R"({"Members":[{"@odata.id":"/redfish/v1/Chassis/Sys"},
               {"@odata.id":"/redfish/v1/Chassis/GPU0"},{"@odata.id":"/redfish/v1/Chassis/Old"}]})");
  site.put("/redfish/v1/Chassis/Sys",
           R"({"Id":"Sys","Manufacturer":"Maker","Model":"X1","SerialNumber":"S-1",
               "EnvironmentMetrics":{"@odata.id":"/redfish/v1/Chassis/Sys/EnvironmentMetrics"},
               "Power":{"@odata.id":"/redfish/v1/Chassis/Sys/Power"}})");
  site.put("/redfish/v1/Chassis/Sys/EnvironmentMetrics",
           R"({"PowerWatts":{"Reading":5400.5},"EnergykWh":{"Reading":12.25}})");
  site.put("/redfish/v1/Chassis/GPU0",
           R"({"Id":"GPU0","Links":{"ContainedBy":{"@odata.id":"/redfish/v1/Chassis/Sys"}},
               "EnvironmentMetrics":{"@odata.id":"/redfish/v1/Chassis/GPU0/EnvironmentMetrics"}})");
  site.put("/redfish/v1/Chassis/GPU0/EnvironmentMetrics",
           R"({"PowerWatts":{"Reading":610},"EnergyJoules":{"Reading":777}})");
  site.put("/redfish/v1/Chassis/Old",
           R"({"Id":"Old","Power":{"@odata.id":"/redfish/v1/Chassis/Old/Power"}})");
  site.put("/redfish/v1/Chassis/Old/Power",
           R"({"PowerControl":[{"Name":"System","PowerConsumedWatts":344},
               {"Name":"CPU","PowerConsumedWatts":120}]})");
}

TEST(RedfishSource, MetersTheOutermostChassisOnce) {
  Site site;
  put_chassis(site);
  const auto source = test::source("redfish:" + site.url());
  const auto meters = source->open();
  ASSERT_TRUE(meters.ok()) << meters.reason();
  ASSERT_THAT(meters.value(), SizeIs(2));
  EXPECT_THAT(meters.value()[0].id, EndsWith(" Sys"));
  EXPECT_EQ(meters.value()[0].uid, "S-1");
  EXPECT_EQ(meters.value()[0].scope, Scope::node);
  source->sample();
  const auto traces = everything(*source);
  EXPECT_EQ(traces[0].readings.back().power, watts(5400.5));
  EXPECT_EQ(traces[0].readings.back().counter, Joules::from_base(12.25 * 3.6e6));
  EXPECT_EQ(traces[1].readings.back().power, watts(344));
}

TEST(RedfishSource, AnInnerChassisCountsWhereItIsAskedFor) {
  Site site;
  put_chassis(site);
  const auto source = test::source("redfish:" + site.url() + "?chassis=GPU0&scope=gpu");
  const auto meters = source->open();
  ASSERT_TRUE(meters.ok()) << meters.reason();
  ASSERT_THAT(meters.value(), SizeIs(1));
  EXPECT_EQ(everything(*source)[0].readings[0].counter, Joules::from_base(777));
  site.put("/redfish/v1/Chassis/GPU0/EnvironmentMetrics", "{}");
  EXPECT_THAT(test::source("redfish:" + site.url() + "?chassis=GPU0&scope=gpu")->open().reason(),
              HasSubstr("chassis GPU0 gives no"));
  EXPECT_THAT(test::source("redfish:" + site.url() + "?chassis=Nope")->open().reason(),
              HasSubstr("it has: GPU0, Old, Sys"));
}

TEST(RedfishSource, FailuresNameTheCauseAndTheRemedy) {
  Site site;
  put_chassis(site);
  const auto source = test::source("redfish:" + site.url());
  ASSERT_TRUE(source->open().ok());
  site.put("/redfish/v1/Chassis/Sys/EnvironmentMetrics", R"({"PowerWatts":{"Reading":null}})");
  site.put("/redfish/v1/Chassis/Old/Power", "", 500);
  source->sample();
  const auto traces = everything(*source);
  for (const auto& trace : traces) {
    EXPECT_THAT(trace.readings, SizeIs(1));
    EXPECT_THAT(trace.failures, SizeIs(1));
  }
  EXPECT_THAT(traces[1].failures[0].reason, HasSubstr("status 500"));
  // A chassis that does not answer now may not be left out of the fleet.
  EXPECT_THAT(test::source("redfish:" + site.url())->open().reason(), HasSubstr("status 404"));
  // What a service links to is a path on it: secrets go nowhere else.
  site.put("/redfish/v1/Chassis", R"({"Members":[{"@odata.id":"@127.0.0.2/x"}]})");
  EXPECT_THAT(test::source("redfish:" + site.url())->open().reason(), HasSubstr("no path"));
  site.put("/redfish/v1/Chassis", "", 401);
  EXPECT_THAT(test::source("redfish:" + site.url())->open().reason(),
              HasSubstr("PERWATT_REDFISH_USER"));
  const Secret token{"PERWATT_REDFISH_TOKEN", "t0"};
  static_cast<void>(test::source("redfish:" + site.url())->open());
  EXPECT_THAT(site.last_head(), HasSubstr("X-Auth-Token: t0\r\n"));
}

/// A store that gives one matrix whatever the question, and keeps the question.
class Store {
 public:
  void serve(std::string result, int status = 200) {
    const std::lock_guard lock{mutex_};
    result_ = std::move(result);
    status_ = status;
  }

  std::string url() const { return peer_.url(); }

  std::string question() {
    const std::lock_guard lock{mutex_};
    return question_;
  }

 private:
  std::mutex mutex_;
  std::string result_;
  std::string question_;
  int status_ = 200;
  HttpPeer peer_{[this](const test::PeerRequest& request) {
    const std::lock_guard lock{mutex_};
    question_ = request.target;
    return PeerAnswer{
        R"({"status":"success","data":{"resultType":"matrix","result":[)" + result_ + "]}}",
        status_, false, false};
  }};
};

std::string series(const std::string& labels,
                   const std::vector<std::pair<double, std::string>>& ago) {
  const auto now = WallClock::now().unix_time(Instant::now());
  std::string values;
  for (const auto& [seconds_ago, value] : ago) {
    values += (values.empty() ? "[" : ",[") + std::to_string(in_seconds(now) - seconds_ago) +
              ",\"" + value + "\"]";
  }
  return R"({"metric":{)" + labels + R"(},"values":[)" + values + "]}";
}

TEST(PrometheusSource, EachSeriesIsAMeterWithTheTimesOfTheStore) {
  Store store;
  store.serve(series(R"("__name__":"node_watts","instance":"a:1")",
                     {{30, "100"}, {20, "NaN"}, {10, "120"}}) +
              "," + series(R"("__name__":"node_watts","instance":"b:1")", {{30, "7"}, {10, "8"}}));
  const auto source = test::source("prom:" + store.url() +
                                   "?query=node_watts{job%3D~\"x%26y\"}&kind=power"
                                   "&scope=node&scale=2&wait=0s");
  const auto meters = source->open();
  ASSERT_TRUE(meters.ok()) << meters.reason();
  ASSERT_THAT(meters.value(), SizeIs(2));
  EXPECT_THAT(meters.value()[0].id, EndsWith(" node_watts{instance=a:1}"));
  EXPECT_EQ(meters.value()[0].host, "a:1");
  EXPECT_THAT(store.question(),
              HasSubstr("/api/v1/query?query=node_watts%7Bjob%3D~%22x%26y%22%7D%5B"));
  const auto traces = source->traces(Instant::now() - seconds(25), Instant::now() - seconds(15));
  ASSERT_THAT(traces, SizeIs(2));
  ASSERT_THAT(traces[0].readings, SizeIs(2));
  EXPECT_EQ(traces[0].readings[0].power, watts(200));
  EXPECT_EQ(traces[0].readings[1].power, watts(240));
  EXPECT_NEAR(in_seconds(traces[0].readings[1].at - traces[0].readings[0].at), 20, 1e-3);
  EXPECT_THAT(traces[0].failures, SizeIs(1));
}

TEST(PrometheusSource, AStepAsksForTheQueryAtEachStep) {
  Store store;
  store.serve(series(R"("gpu":"0","UUID":"GPU-1")", {{20, "5"}, {10, "9"}}));
  const auto source =
      test::source("prom:" + store.url() + "?query=sum(x)&kind=energy&scope=site&step=5s&wait=0s");
  const auto meters = source->open();
  ASSERT_TRUE(meters.ok()) << meters.reason();
  EXPECT_EQ(meters.value()[0].uid, "GPU-1");
  EXPECT_THAT(store.question(), HasSubstr("/api/v1/query_range?query=sum%28x%29&start="));
  EXPECT_THAT(store.question(), EndsWith("&step=5.000"));
  const auto traces = source->traces(Instant::now() - seconds(15), Instant::now() - seconds(12));
  EXPECT_EQ(traces[0].readings.at(1).counter, Joules::from_base(9));
}

TEST(PrometheusSource, NoAnswerAfterTheRunIsAFailureOfEachMeter) {
  Store store;
  store.serve(series(R"("a":"b")", {{10, "5"}}));
  const auto source =
      test::source("prom:" + store.url() + "?query=x&kind=power&scope=node&wait=0s");
  ASSERT_TRUE(source->open().ok());
  store.serve("", 502);
  auto traces = everything(*source);
  ASSERT_THAT(traces, SizeIs(1));
  EXPECT_THAT(traces[0].readings, IsEmpty());
  EXPECT_THAT(traces[0].failures.at(0).reason, HasSubstr("status 502"));
  store.serve("");  // the series is gone
  traces = everything(*source);
  EXPECT_THAT(traces[0].readings, IsEmpty());
  EXPECT_THAT(traces[0].failures.at(0).reason, HasSubstr("no sample of it"));
}

TEST(PrometheusSource, OpenTellsThatThereIsNoSeries) {
  Store store;
  const auto source = test::source("prom:" + store.url() + "?query=x&kind=power&scope=node");
  EXPECT_THAT(source->open().reason(), HasSubstr("no series for 'x'"));
  store.serve("", 400);
  EXPECT_THAT(source->open().reason(), HasSubstr("needs step="));
}

}  // namespace
}  // namespace perwatt::device
