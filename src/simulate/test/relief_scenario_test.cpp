// Work that goes off when caps cannot keep a limit, from the decision to the GPU and back.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "scenarios.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/file.hpp"
#include "perwatt/simulate/scenario_run.hpp"

namespace perwatt::simulate {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

std::string relief_text() {
  return read_file(std::string{PERWATT_SOURCE_DIR} + "/examples/scenario-relief.toml");
}

const PolicyPlan& perwatt_of(const Scenario& scenario) {
  return *std::find_if(scenario.policies.begin(), scenario.policies.end(),
                       [](const PolicyPlan& policy) { return policy.kind == PolicyKind::perwatt; });
}

std::vector<std::string> texts_of(const ScenarioRun& run) {
  std::vector<std::string> texts;
  for (const auto& event : run.events()) {
    texts.push_back(event.text);
  }
  return texts;
}

/// The place of a text in what was told.
std::size_t place_of(const std::vector<std::string>& texts, const std::string& part) {
  return static_cast<std::size_t>(
      std::find_if(texts.begin(), texts.end(),
                   [&](const std::string& text) { return text.find(part) != text.npos; }) -
      texts.begin());
}

/// Runs to the end; the GPUs of the job `untouched` must have watts all the time.
void run_all(ScenarioRun& run, const std::vector<topology::DeviceIndex>& untouched) {
  while (run.steps_done() < run.steps()) {
    run.step();
    for (const auto gpu : untouched) {
      ASSERT_GT(run.plant().draw_watts()[gpu.value], 0) << in_seconds(run.time());
    }
  }
}

std::size_t dark_gpus(const ScenarioRun& run) {
  const auto draws = run.plant().draw_watts();
  return static_cast<std::size_t>(std::count(draws.begin(), draws.end(), 0.0F));
}

TEST(ReliefScenario, TakesTaggedWorkInOrderKeepsTheLimitAndGivesItBack) {
  const auto scenario = scenario_of(relief_text());
  ScenarioRun run{scenario, perwatt_of(scenario), 1};
  run_all(run, scenario.services[0].gpus[0]);
  const auto result = run.result();
  EXPECT_EQ(result.violations.count, 0);
  EXPECT_EQ(result.lowered.time_over, seconds(0));  // from 30 s after each fall on
  const auto told = texts_of(run);
  const auto scaled = place_of(told, "'chat' goes on without 1 of 4 instances");
  const auto resized = place_of(told, "'tune' goes on without 2 of 4 parts");
  const auto paused = place_of(told, "'batch' is paused");
  EXPECT_LT(scaled, resized);
  EXPECT_LT(resized, paused);
  EXPECT_LT(paused, told.size());
  for (const auto* job : {"chat", "tune", "batch"}) {
    EXPECT_LT(paused, place_of(told, std::string{"'"} + job + "' has all it had"));
    EXPECT_THAT(told, Contains(HasSubstr(std::string{"'"} + job + "' has all it had")));
  }
  EXPECT_THAT(told, Not(Contains(HasSubstr("'search'"))));
  EXPECT_EQ(dark_gpus(run), 0U);
  EXPECT_GT(result.services[1].record.lost_output_tokens, 0);  // they start over in others
  EXPECT_EQ(result.services[0].record.lost_output_tokens, 0);
  EXPECT_GT(result.trainings[0].lost_energy, Joules{});  // restarts
  EXPECT_EQ(result.trainings[0].lost_iterations, 0);     // it writes a checkpoint first
}

TEST(ReliefScenario, WithoutTagsNothingIsTouchedAndTheLimitIsTold) {
  auto text = relief_text();
  for (const auto* tier : {"tier = \"50%\"\n", "tier = \"50%\"\n", "tier = \"paused\"\n"}) {
    text = with(text, tier, "");
  }
  const auto scenario = scenario_of(text);
  ScenarioRun run{scenario, perwatt_of(scenario), 1};
  while (run.steps_done() < run.steps()) {
    run.step();
    ASSERT_EQ(dark_gpus(run), 0U);
  }
  EXPECT_GT(run.result().lowered.time_over, seconds(60));
  EXPECT_THAT(texts_of(run), Contains(HasSubstr("not enough")));
}

TEST(ReliefScenario, LostMessagesAndAControllerThatDiesLoseNoWork) {
  const auto scenario = scenario_of(
      relief_text() +
      "[[fault]]\nkind = \"messages-lost\"\nratio = 0.3\nat = \"1min\"\nlasts = \"17min\"\n"
      "[[fault]]\nkind = \"controller-killed\"\nat = \"10min\"\nlasts = \"5s\"\n"
      "[[fault]]\nkind = \"controller-killed\"\nat = \"920s\"\nlasts = \"5s\"\n");
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    ScenarioRun run{scenario, perwatt_of(scenario), seed};
    run_all(run, scenario.services[0].gpus[0]);
    EXPECT_EQ(run.result().violations.count, 0);
    EXPECT_EQ(run.result().lowered.time_over, seconds(0)) << seed;
    EXPECT_EQ(dark_gpus(run), 0U) << seed;
  }
}

/// The small site with a breaker that trips, and GPUs that heed no cap: `tagged` of a training job.
std::string stubborn_text(int tagged) {
  auto text =
      with(small_scenario_text(), "{ power = \"5kW\", what = \"breaker\" }",
           "{ power = \"4.2kW\", what = \"breaker\", trip = [{ at = 1.05, after = \"10min\" }, "
           "{ at = 1.3, after = \"90s\" }, { at = 2, after = \"10s\" }] }");
  text = with(text, "duration = \"60s\"", "duration = \"20min\"");
  text = with(text, "{ power = \"7kW\", what = \"breaker\" }",
              "{ power = \"20kW\", what = \"breaker\" }");
  const auto job = with(kTrainingText, "communication_ratio = 0.2", "communication_ratio = 0");
  text = with(text, kTrainingText, "");
  const auto rest = with(job, "gpus = 8\n", "gpus = " + std::to_string(8 - tagged) + "\n");
  text += tagged < 8 ? with(rest, "\"train\"", "\"rest\"") : "";
  const auto own = "gpus = " + std::to_string(tagged) + "\ntier = \"paused\"\n";
  text += tagged > 0 ? with(job, "gpus = 8\n", own) : "";
  return text +
         "[[fault]]\nkind = \"cap-ignored\"\nnode = \"rack-2\"\nat = \"60s\"\nlasts = \"12min\"\n";
}

std::size_t most_dark_gpus(ScenarioRun& run) {
  std::size_t most = 0;
  while (run.steps_done() < run.steps()) {
    run.step();
    most = std::max(most, dark_gpus(run));
  }
  return most;
}

TEST(ReliefScenario, AClockIsEnoughWhereOnlyCapsAreIgnored) {
  const auto scenario = scenario_of(stubborn_text(8));
  ScenarioRun run{scenario, policy_of(PolicyKind::perwatt), 1};
  EXPECT_EQ(most_dark_gpus(run), 0U);
  EXPECT_EQ(run.result().violations.trips, 0);
  EXPECT_LT(run.result().trainings[0].mean_speed_ratio, 0.95);
}

TEST(ReliefScenario, TheLaddersPauseKeepsABreakerThatCapsAndClocksDoNot) {
  const auto scenario = scenario_of(stubborn_text(2));
  ScenarioRun run{scenario, policy_of(PolicyKind::perwatt), 1};
  EXPECT_EQ(most_dark_gpus(run), 2U);
  EXPECT_EQ(run.result().violations.trips, 0);
  EXPECT_THAT(texts_of(run), Contains("'train' is paused"));
  EXPECT_THAT(texts_of(run), Contains("'train' has all it had"));
  EXPECT_EQ(dark_gpus(run), 0U);
}

TEST(ReliefScenario, TheLaddersShutKeepsItWhereNothingIsTagged) {
  const auto scenario = scenario_of(stubborn_text(0));
  ScenarioRun run{scenario, policy_of(PolicyKind::perwatt), 1};
  EXPECT_EQ(most_dark_gpus(run), 8U);  // its node
  EXPECT_EQ(run.result().violations.trips, 0);
  EXPECT_EQ(dark_gpus(run), 0U);
}

}  // namespace
}  // namespace perwatt::simulate
