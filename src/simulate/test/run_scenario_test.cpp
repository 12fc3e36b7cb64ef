// A scenario from its begin to its end: equal bytes, conserved sums, and limits that are watched.
#include <string>

#include "scenarios.hpp"
#include <gtest/gtest.h>

#include "perwatt/simulate/compare_policies.hpp"
#include "perwatt/simulate/scenario_run.hpp"

namespace perwatt::simulate {
namespace {

void expect_same(const PolicyResult& a, const PolicyResult& b) {
  EXPECT_EQ(a.violations, b.violations);
  EXPECT_EQ(a.mean_supply, b.mean_supply);
  EXPECT_EQ(a.mean_gpu, b.mean_gpu);
  EXPECT_EQ(a.stranded.idle_work, b.stranded.idle_work);
  EXPECT_EQ(a.stranded.child_limit, b.stranded.child_limit);
  EXPECT_EQ(a.stranded.reserve, b.stranded.reserve);
  EXPECT_EQ(a.record, b.record);
  EXPECT_EQ(a.revenue, b.revenue);
  EXPECT_EQ(a.energy, b.energy);
  EXPECT_EQ(a.lost_energy, b.lost_energy);
  EXPECT_EQ(a.cap_writes_per_device_hour, b.cap_writes_per_device_hour);
  EXPECT_EQ(a.fairness_ratio, b.fairness_ratio);
  EXPECT_EQ(a.timeline.supply, b.timeline.supply);
  EXPECT_EQ(a.timeline.highest, b.timeline.highest);
  EXPECT_EQ(a.timeline.wanted, b.timeline.wanted);
  EXPECT_EQ(a.timeline.output, b.timeline.output);
  EXPECT_EQ(a.timeline.good, b.timeline.good);
  ASSERT_EQ(a.trainings.size(), b.trainings.size());
  for (std::size_t i = 0; i < a.trainings.size(); ++i) {
    EXPECT_EQ(a.trainings[i].iterations_per_second, b.trainings[i].iterations_per_second);
    EXPECT_EQ(a.trainings[i].energy, b.trainings[i].energy);
  }
}

const std::string kSomeFailuresText =
    "[random_failures]\nof = \"rack\"\nmean_time_between = \"60s\"\nrepair_takes = \"5s\"\n";

TEST(RunScenario, TheSameSeedGivesTheSameBytes) {
  const auto scenario = scenario_of(small_scenario_text() + kSomeFailuresText);
  for (const auto kind : kEveryPolicy) {
    const auto policy = policy_of(kind);
    const auto first = run_scenario(scenario, policy, 5);
    expect_same(first, run_scenario(scenario, policy, 5));
    EXPECT_NE(first.record, run_scenario(scenario, policy, 6).record);
  }
}

TEST(RunScenario, StepsLookedAtOnTheWayChangeNothing) {
  const auto scenario = scenario_of(small_scenario_text() + kSomeFailuresText);
  const auto policy = policy_of(PolicyKind::perwatt);
  ScenarioRun run{scenario, policy, 5};
  EXPECT_EQ(run.steps(), 700);
  double last = 0;
  while (run.steps_done() < run.steps()) {
    run.step();
    EXPECT_EQ(run.demands().size(), 16U);
    EXPECT_GT(in_seconds(run.time()), last);
    last = in_seconds(run.time());
    if (run.steps_done() == 300) {
      ScenarioRun moved{std::move(run)};
      run = std::move(moved);
    }
  }
  expect_same(run.result(), run_scenario(scenario, policy, 5));
  EXPECT_FALSE(run.events().empty());
}

TEST(RunScenario, ThreadsAndTheirOrderChangeNothing) {
  const auto scenario = scenario_of(small_scenario_text());
  const auto runs = compare_policies(scenario, scenario.policies, 2);
  ASSERT_EQ(runs.size(), scenario.policies.size());
  for (std::size_t p = 0; p < runs.size(); ++p) {
    ASSERT_EQ(runs[p].size(), 2U);
    EXPECT_EQ(runs[p][0].policy, scenario.policies[p].name);
  }
  expect_same(runs[2][1], run_scenario(scenario, scenario.policies[2], scenario.seed + 1));
}

TEST(RunScenario, StrandedWattsSumToWhatTheLimitLeaves) {
  for (const char* failures : {"", kSomeFailuresText.c_str()}) {
    const auto scenario = scenario_of(small_scenario_text() + failures);
    for (const auto kind : kEveryPolicy) {
      const auto result = run_scenario(scenario, policy_of(kind), 2);
      const auto& stranded = result.stranded;
      EXPECT_NEAR(in_watts(stranded.idle_work + stranded.child_limit + stranded.reserve),
                  in_watts(*result.limit - result.mean_supply), 1e-6);
      EXPECT_GE(stranded.child_limit, Watts{});
      EXPECT_GE(stranded.reserve, Watts{});
    }
  }
}

TEST(RunScenario, TokensAndJoulesAreConserved) {
  const auto scenario = scenario_of(small_scenario_text() + kSomeFailuresText);
  for (const auto kind : kEveryPolicy) {
    const auto result = run_scenario(scenario, policy_of(kind), 4);
    const auto& record = result.record;
    EXPECT_GT(record.good_tokens, 0);
    EXPECT_LE(record.good_tokens, record.completed_tokens);
    EXPECT_LE(record.lost_output_tokens, record.output_tokens);
    EXPECT_EQ(record, result.services[0].record);
    const Seconds time = scenario.duration;
    EXPECT_NEAR(in_tokens_per_second(result.output) * in_seconds(time),
                static_cast<double>(record.output_tokens), 1e-6);
    EXPECT_NEAR((result.mean_supply * time).in_base(), result.energy.in_base(), 1e-3);
    // All devices have a job, no losses and nothing fixed: the root draws what jobs do.
    const Joules jobs = result.services[0].energy + result.trainings[0].energy;
    EXPECT_NEAR(jobs.in_base(), result.energy.in_base(), 1e-3 * result.energy.in_base());
    EXPECT_LE(result.trainings[0].lost_energy + result.trainings[0].overhead_energy,
              result.trainings[0].energy * (1 + 1e-9));
    EXPECT_GE(result.fairness_ratio, 0.5);
    EXPECT_LE(result.fairness_ratio, 1 + 1e-12);
    double part = 0;
    for (const auto output : result.timeline.output) {
      part += in_tokens_per_second(output) * in_seconds(result.timeline.part);
    }
    EXPECT_NEAR(part, static_cast<double>(record.output_tokens),
                0.02 * static_cast<double>(record.output_tokens));
  }
}

TEST(RunScenario, TheWarmUpIsNotScored) {
  const auto scenario = scenario_of(with(small_scenario_text(), "\"10s\"", "\"30s\""));
  ScenarioRun run{scenario, scenario.policies[0], 1};
  while (run.time() < seconds(29)) {
    run.step();
  }
  EXPECT_GT(run.totals().output_tokens, 0);
  while (run.time() < seconds(30.2)) {
    run.step();
  }
  EXPECT_LT(run.totals().output_tokens, 1500);
}

TEST(RunScenario, AJobThatIsOffDrawsNothingAndEarnsNothing) {
  auto scenario = scenario_of(small_scenario_text() +
                              "[[fault]]\nkind = \"node-off\"\nnode = \"rack-2\"\nat = \"20s\"\n"
                              "lasts = \"10s\"\n");
  auto policy = policy_of(PolicyKind::even);
  policy.off = {"train"};
  ScenarioRun run{scenario, policy, 1};
  while (run.steps_done() < run.steps()) {
    run.step();
    for (std::uint32_t d = 8; d < 16; ++d) {
      ASSERT_EQ(run.plant().draw_watts()[d], 0) << "at " << in_seconds(run.time()) << " s";
    }
  }
  EXPECT_TRUE(run.result().trainings.empty());
}

/// Caps at the nameplate, whatever the limits: they are widened before the policy sees them.
TEST(RunScenario, APolicyThatIgnoresLimitsIsFoundOut) {
  auto text = with(small_scenario_text(), "7kW", "4kW");
  text = with(text, "5kW", "3kW");
  text = with(text, "fail_safe = \"300W\"\n", "");
  text = with(text, "[[training]]\n",
              "[[fault]]\nkind = \"cap-ignored\"\nnode = \"site\"\nat = \"0s\"\nlasts = \"1h\"\n"
              "[[training]]\n");
  text = with(text, "electricity", "breakers_open = false\nelectricity");
  const auto scenario = scenario_of(text);
  ScenarioRun run{scenario, scenario.policies[0], 1};
  while (run.steps_done() < run.steps()) {
    run.step();
  }
  const auto result = run.result();
  EXPECT_GT(result.violations.count, 0);
  EXPECT_GT(result.violations.time_over, seconds(1));
  EXPECT_GT(result.violations.energy_over, Joules{});
  EXPECT_GT(result.violations.worst_ratio, 1.2);
  bool is_told = false;
  for (const auto& event : run.events()) {
    is_told = is_told || event.text == "a limit is passed";
  }
  EXPECT_TRUE(is_told);
}

TEST(RunScenario, WithinItsLimitsNoPolicyViolatesThem) {
  const auto scenario = scenario_of(small_scenario_text());
  for (const auto kind : kEveryPolicy) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      const auto result = run_scenario(scenario, policy_of(kind), seed);
      if (kind == PolicyKind::perwatt || kind == PolicyKind::fixed) {
        EXPECT_EQ(result.violations.count, 0) << to_string(kind);
        EXPECT_LE(result.violations.worst_ratio, 1);
      }
      EXPECT_EQ(result.violations.trips, 0) << to_string(kind);
    }
  }
}

}  // namespace
}  // namespace perwatt::simulate
