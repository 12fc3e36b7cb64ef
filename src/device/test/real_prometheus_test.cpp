// A real Prometheus scrapes an exporter whose counter it compares with.
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>

#include "http_peer.hpp"
#include "source_testing.hpp"
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace perwatt::device {
namespace {

using test::HttpPeer;
using test::PeerAnswer;
using ::testing::HasSubstr;
using ::testing::SizeIs;

/// Serves a counter of its own scrapes: joules = 1000 x scrapes, and keeps when each was.
class CountingExporter {
 public:
  struct Scrape {
    double joules = 0;
    Instant at;
  };

  std::string host_port() const { return peer_.url().substr(7); }

  std::vector<Scrape> scrapes() {
    const std::lock_guard lock{mutex_};
    return scrapes_;
  }

 private:
  std::mutex mutex_;
  std::vector<Scrape> scrapes_;
  HttpPeer peer_{[this](const test::PeerRequest&) {
    const std::lock_guard lock{mutex_};
    const double joules = 1000.0 * static_cast<double>(scrapes_.size() + 1);
    scrapes_.push_back({joules, Instant::now()});
    return PeerAnswer{
        "# TYPE meter_joules counter\nmeter_joules{outlet=\"1\"} " + std::to_string(joules) + "\n",
        200, false, false};
  }};
};

/// The process, on a port of its own, with its data in a folder that is gone with the test.
class Prometheus {
 public:
  explicit Prometheus(const std::string& target) {
    folder_.write("prometheus.yml",
                  "global: {scrape_interval: 250ms, scrape_timeout: 200ms}\n"
                  "scrape_configs:\n"
                  "  - job_name: meter\n"
                  "    static_configs: [{targets: ['" +
                      target + "']}]\n");
    port_ = free_port();
    const auto config = "--config.file=" + (folder_.path() / "prometheus.yml").string();
    const auto data = "--storage.tsdb.path=" + (folder_.path() / "data").string();
    const auto listen = "--web.listen-address=127.0.0.1:" + std::to_string(port_);
    const auto log = (folder_.path() / "log").string();
    pid_ = ::fork();
    if (pid_ == 0) {
      const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
      ::dup2(file, STDOUT_FILENO);
      ::dup2(file, STDERR_FILENO);
      ::execl(PERWATT_PROMETHEUS, "prometheus", config.c_str(), data.c_str(), listen.c_str(),
              nullptr);
      ::_exit(127);
    }
  }

  ~Prometheus() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }

  Prometheus(const Prometheus&) = delete;
  Prometheus& operator=(const Prometheus&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  std::string log() const {
    std::ifstream file{folder_.path() / "log"};
    return {std::istreambuf_iterator<char>{file}, {}};
  }

 private:
  static int free_port() {
    const HttpPeer peer{[](const test::PeerRequest&) { return PeerAnswer{}; }};
    return std::atoi(peer.url().substr(peer.url().rfind(':') + 1).c_str());
  }

  test::ScratchFolder folder_;
  int port_ = 0;
  pid_t pid_ = 0;
};

TEST(RealPrometheus, GivesWhatTheExporterCounted) {
  ASSERT_EQ(::access(PERWATT_PROMETHEUS, X_OK), 0)
      << PERWATT_PROMETHEUS << " is not there: run tools/install test";
  CountingExporter exporter;
  const Prometheus prometheus{exporter.host_port()};
  for (int i = 0; i < 600 && exporter.scrapes().size() < 4; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ASSERT_GE(exporter.scrapes().size(), 4U) << prometheus.log();

  const auto source =
      test::source("prom:" + prometheus.url() + "?query=meter_joules&kind=energy&scope=rack");
  const auto meters = source->open();
  ASSERT_TRUE(meters.ok()) << meters.reason() << prometheus.log();
  ASSERT_THAT(meters.value(), SizeIs(1));
  EXPECT_THAT(meters.value()[0].id, HasSubstr("outlet=1"));

  const auto from = Instant::now();
  const auto so_far = exporter.scrapes().size();
  while (exporter.scrapes().size() < so_far + 8) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  const auto to = Instant::now();
  const auto traces = source->traces(from, to);  // waits for the sample behind the window
  ASSERT_THAT(traces, SizeIs(1));
  const auto& readings = traces[0].readings;
  ASSERT_GE(readings.size(), 8U);
  EXPECT_LE(readings.front().at, from);
  EXPECT_GE(readings.back().at, to);
  std::map<double, Instant> served;
  for (const auto& scrape : exporter.scrapes()) {
    served[scrape.joules] = scrape.at;
  }
  double expected = readings.front().counter->in_base();
  for (const auto& reading : readings) {
    // Every scrape is there, once, with the time at which Prometheus asked.
    EXPECT_EQ(reading.counter->in_base(), expected);
    ASSERT_TRUE(served.contains(expected));
    EXPECT_NEAR(in_seconds(reading.at - served[expected]), 0, 0.2);
    expected += 1000;
  }

  // At steps: the same counter, each step the last sample before it.
  const auto stepped = test::source("prom:" + prometheus.url() +
                                    "?query=sum(meter_joules)&kind=energy&scope=rack&step=250ms");
  const auto opened = stepped->open();
  ASSERT_TRUE(opened.ok()) << opened.reason();
  const auto steps = stepped->traces(from, to).at(0).readings;
  ASSERT_GE(steps.size(), 6U);
  for (std::size_t i = 1; i < steps.size(); ++i) {
    EXPECT_GE(*steps[i].counter, *steps[i - 1].counter);
    const auto age = steps[i].at - served[steps[i].counter->in_base()];
    EXPECT_GT(age, seconds(-0.2));
  }
  EXPECT_THAT(
      test::source("prom:" + prometheus.url() + "?query=sum(meter_joules)&kind=energy&scope=rack")
          ->open()
          .reason(),
      HasSubstr("needs step="));
}

}  // namespace
}  // namespace perwatt::device
