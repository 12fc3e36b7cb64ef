#include "perwatt/simulate/recorded_run.hpp"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "error_of.hpp"
#include "scenarios.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/text.hpp"

namespace perwatt::simulate {
namespace {

using ::testing::HasSubstr;

/// A row each second for all GPUs and the three meters of small_scenario_text().
std::string recording(int count, const std::function<double(int gpu, int second)>& gpu_watts,
                      const std::function<bool(int gpu, int second)>& is_there) {
  std::string text = "unix_time_s,meter,scope,power_watts,counter_joules\n";
  for (int t = 0; t < count; ++t) {
    const auto time = std::to_string(1700000000 + t);
    double racks[2] = {0, 0};
    for (int gpu = 0; gpu < 16; ++gpu) {
      const double power = gpu_watts(gpu, t);
      racks[gpu / 8] += power;
      text += time + ",rack-" + std::to_string(gpu / 8 + 1) + "/gpu-" +
              std::to_string(gpu % 8 + 1) + ",gpu," + (is_there(gpu, t) ? shortest(power) : "") +
              ",\n";
    }
    text += time + ",rack-1,rack," + shortest(racks[0]) + ",\n";
    text += time + ",rack-2,rack," + shortest(racks[1]) + ",\n";
    text += time + ",site,site," + shortest(racks[0] + racks[1]) + ",\n";
  }
  return text;
}

double busy_first_rack(int gpu, int second) {
  return (gpu < 8 ? 440 : 150) + (gpu + second) % 5;
}

bool always(int /*gpu*/, int /*second*/) {
  return true;
}

PolicyPlan recorded_plan(control::Mode mode) {
  auto plan = policy_of(PolicyKind::perwatt);
  plan.mode = mode;
  return plan;
}

void run_to_end(RecordedRun& run) {
  while (run.steps_done() < run.steps()) {
    run.step();
  }
}

bool tells(const RecordedRun& run, const std::string& text) {
  return std::any_of(run.events().begin(), run.events().end(), [&](const RunEvent& event) {
    return event.text.find(text) != std::string::npos;
  });
}

TEST(RecordedRun, AdvisesOnWhatWasRecorded) {
  const auto scenario = scenario_of(small_scenario_text());
  const auto plan = recorded_plan(control::Mode::advise);
  RecordedRun run{scenario, plan, recording(120, busy_first_rack, always), "r.csv"};
  run_to_end(run);
  EXPECT_NEAR(in_seconds(run.time()), 119, 1);
  ASSERT_TRUE(run.devices()[0].power);
  EXPECT_GT(*run.devices()[0].power, watts(400));
  const auto advised = run.advised_caps();
  ASSERT_EQ(advised.size(), 16U);
  Watts first;
  Watts second;
  for (std::size_t d = 0; d < 8; ++d) {
    first += advised[d];
    second += advised[d + 8];
  }
  EXPECT_GT(first, watts(8 * 440)) << "what is drawn is left to those who draw it";
  EXPECT_LT(second, first);
  EXPECT_LE(first + second, watts(7000));
  EXPECT_TRUE(run.events().empty()) << run.events().front().text;
}

TEST(RecordedRun, MissingReadingsAreAlarmed) {
  const auto scenario = scenario_of(small_scenario_text());
  const auto plan = recorded_plan(control::Mode::observe);
  RecordedRun run{
      scenario, plan,
      recording(120, busy_first_rack, [](int gpu, int second) { return gpu != 3 || second < 60; }),
      "r.csv"};
  run_to_end(run);
  EXPECT_TRUE(tells(run, "rack-1/gpu-4")) << "the one without readings is named";
  EXPECT_TRUE(run.advised_caps().empty());
}

TEST(RecordedRun, ADrawOverALimitIsAlarmed) {
  const auto scenario = scenario_of(small_scenario_text());
  const auto plan = recorded_plan(control::Mode::observe);
  RecordedRun run{scenario, plan,
                  recording(
                      150,
                      [](int gpu, int second) {
                        return (gpu < 8 && second > 60 ? 690 : 150) + (gpu + second) % 5;
                      },
                      always),
                  "r.csv"};
  run_to_end(run);
  EXPECT_TRUE(tells(run, "rack-1")) << "5.5 kW of 5 kW";
}

TEST(RecordedRun, ARecordingOfAnotherSiteIsRefused) {
  const auto scenario = scenario_of(small_scenario_text());
  const auto plan = recorded_plan(control::Mode::advise);
  const std::string rows =
      "unix_time_s,meter,scope,power_watts,counter_joules\n1,rack-1/gpu-9,gpu,300,\n";
  EXPECT_THAT(error_of([&] {
                static_cast<void>(RecordedRun{scenario, plan, rows, "r.csv"});
              }),
              HasSubstr("'rack-1/gpu-9'"));
}

}  // namespace
}  // namespace perwatt::simulate
