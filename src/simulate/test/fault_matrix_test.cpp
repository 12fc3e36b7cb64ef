// perwatt under every kind of fault at once, at random times (docs/model/control.md, fault model).
//
// Inside the model: nodes that fail, sensors and meters that are frozen, stale, missing or lie,
// other writers, agents that are killed, messages that get lost, a controller that is killed,
// limits that are lowered, writes that are late but within the settling time. Outside: caps that
// are ignored, refused or later than that, and lost feeds, which move load at once.
#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "scenarios.hpp"
#include <gtest/gtest.h>

#include "perwatt/base/random.hpp"
#include "perwatt/simulate/scenario_run.hpp"

namespace perwatt::simulate {
namespace {

constexpr int kFaultSeeds = 20;
constexpr double kFaultRunSeconds = 510;  // 5,100 steps each: more than 10^5 in all
constexpr FaultKind kInside[] = {
    FaultKind::node_off,      FaultKind::limit_lowered,    FaultKind::sensor_frozen,
    FaultKind::sensor_stale,  FaultKind::sensor_missing,   FaultKind::sensor_scaled,
    FaultKind::meter_frozen,  FaultKind::meter_missing,    FaultKind::meter_scaled,
    FaultKind::cap_late,      FaultKind::other_writer,     FaultKind::agent_killed,
    FaultKind::messages_lost, FaultKind::controller_killed};

/// A site that is always short of watts, with slow devices and work that comes in bursts, so that
/// watts move all the time. Its belief is right: `settle` is what a late write, an excess pulled in
/// and a draw that follows take at most.
Scenario faulty_scenario() {
  auto text = with(small_scenario_text(), "duration = \"60s\"", "duration = \"500s\"");
  text = with(text, "settle = \"1s\"", "settle = \"5s\"\nmessage_delay = \"100ms\"");
  text = with(text, "idle = \"100W\"\novershoot",
              "idle = \"100W\"\nresponse = \"500ms\"\nmost_latency = \"1500ms\"\novershoot");
  text = with(text, "7kW", "5.2kW");
  text = with(text, "5kW", "3.5kW");
  text = with(text, "rate = \"20req/s\"",
              "rate = \"30req/s\", pattern = \"bursts\", burst_size = 300");
  return scenario_of(text);
}

Fault random_fault(FaultKind kind, const topology::PowerTree& tree, std::mt19937_64& random) {
  Fault fault;
  fault.kind = kind;
  fault.at = seconds(kFaultRunSeconds * uniform_unit(random));
  fault.lasts = seconds(1 + 60 * uniform_unit(random));
  fault.node = {static_cast<std::uint32_t>(uniform_below(random, tree.nodes().size()))};
  switch (kind) {
    case FaultKind::limit_lowered:
      fault.power = watts(2500 + 4000 * uniform_unit(random));
      break;
    case FaultKind::other_writer:
      fault.power = watts(200 + 400 * uniform_unit(random));
      break;
    case FaultKind::messages_lost:
      fault.factor = uniform_unit(random);
      break;
    case FaultKind::cap_late:
      fault.delay = seconds(0.3 * uniform_unit(random));
      break;
    default:
      fault.factor = 3 * uniform_unit(random);
  }
  return fault;
}

std::int64_t run_with(const Scenario& scenario, std::uint64_t seed, double cadence_seconds,
                      PolicyResult& result) {
  auto policy = policy_of(PolicyKind::perwatt);
  policy.cadence = seconds(cadence_seconds);
  ScenarioRun run{scenario, policy, seed};
  while (run.steps_done() < run.steps()) {
    run.step();
  }
  result = run.result();
  return run.steps_done();
}

TEST(FaultMatrix, NoLimitIsPassedUnderTheFaultModel) {
  std::int64_t steps = 0;
  std::size_t faults = 0;
  double worst_ratio = 0;
  for (int seed = 0; seed < kFaultSeeds; ++seed) {
    std::mt19937_64 random{static_cast<std::uint64_t>(seed)};
    auto scenario = faulty_scenario();
    for (const auto kind : kInside) {
      for (int k = 0; k < 6; ++k) {
        if (kind != FaultKind::cap_late || k == 0) {  // several would add up past the settling
          scenario.faults.push_back(random_fault(kind, scenario.tree, random));
        }
      }
    }
    faults += scenario.faults.size();
    PolicyResult result;
    steps += run_with(scenario, static_cast<std::uint64_t>(seed), seed % 4 == 3 ? 10 : 1, result);
    EXPECT_EQ(result.violations.count, 0)
        << "seed " << seed << " worst " << result.violations.worst_ratio;
    EXPECT_EQ(result.violations.trips, 0);
    worst_ratio = std::max(worst_ratio, result.violations.worst_ratio);
  }
  EXPECT_GE(steps, 100'000);
  EXPECT_GT(worst_ratio, 0.97) << "a limit that is never used shows nothing";
  EXPECT_GE(faults, 1000U);
}

Watts highest_cap(const Plant& plant) {
  Watts highest;
  for (std::uint32_t d = 0; d < plant.tree().devices().size(); ++d) {
    highest = std::max(highest, plant.read_cap({d}));
  }
  return highest;
}

TEST(FaultMatrix, AFailSafeThatIsRefusedIsWrittenUntilItIsTaken) {
  auto scenario = scenario_of(small_scenario_text());
  Fault killed;
  killed.kind = FaultKind::controller_killed;
  killed.at = seconds(30);
  killed.lasts = seconds(40);
  Fault refused = killed;
  refused.kind = FaultKind::cap_refused;
  refused.lasts = seconds(25);  // longer than a lease
  scenario.faults = {killed, refused};
  const auto policy = policy_of(PolicyKind::perwatt);
  ScenarioRun run{scenario, policy, 1};
  const auto run_until = [&run](double time_seconds) {
    while (in_seconds(run.time()) < time_seconds) {
      run.step();
    }
  };
  run_until(54);
  EXPECT_GT(highest_cap(run.plant()), watts(300));
  run_until(57);
  EXPECT_EQ(highest_cap(run.plant()), watts(300));
}

/// Devices outside the model may pass the limits above them, and none beside.
TEST(FaultMatrix, DevicesThatIgnoreTheirCapsPassNoLimitBesideThem) {
  std::int64_t at_site = 0;
  for (int seed = 0; seed < 5; ++seed) {
    std::mt19937_64 random{static_cast<std::uint64_t>(100 + seed)};
    auto scenario = faulty_scenario();
    for (const auto kind : kInside) {
      scenario.faults.push_back(random_fault(kind, scenario.tree, random));
    }
    for (const auto kind : {FaultKind::cap_ignored, FaultKind::cap_refused, FaultKind::cap_late}) {
      auto fault = random_fault(kind, scenario.tree, random);
      fault.node = *scenario.tree.find_node("rack-2");
      fault.lasts = seconds(200);
      fault.delay = seconds(kind == FaultKind::cap_late ? 20 : 0);
      scenario.faults.push_back(fault);
    }
    const auto policy = policy_of(PolicyKind::perwatt);
    ScenarioRun run{scenario, policy, static_cast<std::uint64_t>(seed)};
    while (run.steps_done() < run.steps()) {
      run.step();
    }
    EXPECT_EQ(run.plant().violations(*scenario.tree.find_node("rack-1"), 0).count, 0);
    at_site += run.plant().violations({0}, 0).count;
  }
  RecordProperty("violations_at_site", static_cast<int>(at_site));
}

const std::string kTwoFeedsText = R"([[topology.node]]
id = "utility"
[[topology.node]]
id = "a"
parent = "utility"
limits = [{ power = "4.5kW", what = "breaker" }]
[[topology.node]]
id = "b"
parent = "utility"
limits = [{ power = "4.5kW", what = "breaker" }]
[[topology.node]]
id = "rack-1"
feeds = [{ parent = "a" }, { parent = "b" }]
[[topology.node]]
id = "rack-2"
feeds = [{ parent = "a" }, { parent = "b" }]
[[topology.device]]
id = "gpu"
parent = "rack-1"
count = 8
min = "200W"
max = "700W"
accelerator = "gpu"
[[topology.device]]
id = "more"
parent = "rack-2"
count = 8
min = "200W"
max = "700W"
accelerator = "gpu"
)";

/// A lost feed doubles the other's load at once: the limits told after it, and the breaker's curve
/// until then, keep it closed.
TEST(FaultMatrix, ALostFeedTripsNoBreaker) {
  const auto text = with(kHeadText, "60s", "200s") + kSensorsText + kKindText + kTwoFeedsText +
                    kServiceText + kTrainingText +
                    "[[fault]]\nkind = \"feed-lost\"\nnode = \"a\"\nat = \"60s\"\nlasts = "
                    "\"60s\"\n";
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const auto scenario = scenario_of(text);
    const auto policy = policy_of(PolicyKind::perwatt);
    ScenarioRun run{scenario, policy, seed};
    const auto b = scenario.tree.find_node("b")->value;
    while (run.steps_done() < run.steps()) {
      run.step();
      if (run.time() > seconds(80) && run.time() < seconds(119)) {
        ASSERT_LE(run.plant().supply_watts()[b], 4500) << "at " << in_seconds(run.time()) << " s";
      }
    }
    EXPECT_EQ(run.result().violations.trips, 0);
  }
}

}  // namespace
}  // namespace perwatt::simulate
