// Agents that are gone: killed by a fault, with their node, or as a process by anybody. Their
// devices go to fail-safe, no limit is passed, and they come back by a start of a higher epoch. In
// a process of their own they give the same run, bit for bit.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "agent_host.hpp"
#include "child_processes.hpp"
#include "scenarios.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/types.h>
#include <unistd.h>

#include "perwatt/base/random.hpp"
#include "perwatt/simulate/scenario_run.hpp"

namespace perwatt::simulate {
namespace {

using testing::Contains;
using testing::HasSubstr;

constexpr Watts kSafeCap = watts(300);
constexpr double kActsAfterSeconds = 2;  // latency and settling of this site's devices

const RunMeans kInChild{agent::AgentProgram{PERWATT_AGENT_CHILD, "", seconds(10)}};

std::string agents_fault_text(const std::string& kind, const std::string& node, int at, int lasts,
                              const std::string& more = "") {
  return "[[fault]]\nkind = \"" + kind + "\"\nnode = \"" + node + "\"\nat = \"" +
         std::to_string(at) + "s\"\nlasts = \"" + std::to_string(lasts) + "s\"\n" + more;
}

Watts highest_cap(const ScenarioRun& run, std::uint32_t from, std::uint32_t to) {
  Watts highest;
  for (auto d = from; d < to; ++d) {
    highest = std::max(highest, run.plant().read_cap({d}));
  }
  return highest;
}

std::vector<std::string> texts_of(const ScenarioRun& run) {
  std::vector<std::string> texts;
  for (const auto& event : run.events()) {
    texts.push_back(event.text);
  }
  return texts;
}

TEST(AgentFaults, DevicesOfAKilledAgentGoToFailSafeAndComeBack) {
  for (const bool is_child : {false, true}) {
    const auto scenario = scarce_scenario(agents_fault_text("agent-killed", "site", 30, 40));
    ScenarioRun run{scenario, policy_of(PolicyKind::perwatt), 1, is_child ? kInChild : RunMeans{}};
    Watts before;
    Watts after;
    while (run.steps_done() < run.steps()) {
      run.step();
      const double time = in_seconds(run.time());
      if (time < 30) {
        before = std::max(before, highest_cap(run, 0, 16));
      } else if (time > 30 + kActsAfterSeconds && time < 70) {
        ASSERT_LE(highest_cap(run, 0, 16), kSafeCap) << "at " << time;
        ASSERT_TRUE(child_processes().empty());
      } else if (time > 75) {
        after = std::max(after, highest_cap(run, 0, 16));
      }
    }
    EXPECT_GT(before, watts(450));
    EXPECT_GT(after, watts(450));
    EXPECT_EQ(run.result().violations.count, 0);
  }
  EXPECT_TRUE(child_processes().empty());
}

/// What a dead agent's devices leave goes to others at once when its leases are void.
TEST(AgentFaults, OthersMayTakeWhatAKilledAgentLeaves) {
  const auto scenario =
      scarce_scenario(agents_fault_text("agent-killed", "rack-1", 30, 60) +
                      agents_fault_text("limit-lowered", "site", 45, 60, "power = \"5.05kW\"\n"));
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    ScenarioRun run{scenario, policy_of(PolicyKind::perwatt), seed};
    Watts others;
    while (run.steps_done() < run.steps()) {
      run.step();
      const double time = in_seconds(run.time());
      if (time > 30 + kActsAfterSeconds && time < 90) {
        ASSERT_LE(highest_cap(run, 0, 8), kSafeCap) << "at " << time;
        others = std::max(others, highest_cap(run, 8, 16));
      }
    }
    EXPECT_GT(others, watts(310));
    const auto result = run.result();
    EXPECT_EQ(result.violations.count, 0);
    EXPECT_EQ(in_seconds(result.lowered.time_over), 0);
  }
}

TEST(AgentFaults, ANodeThatComesBackBeginsAtFailSafe) {
  auto text = with(small_scenario_text(), "duration = \"60s\"", "duration = \"50s\"");
  text = with(text, "settle = \"1s\"", "settle = \"1s\"\nmessage_delay = \"600ms\"");
  const auto scenario = scenario_of(text + agents_fault_text("node-off", "rack-2", 30, 1));
  ScenarioRun run{scenario, policy_of(PolicyKind::perwatt), 2};
  Watts before;
  Watts after;
  while (run.steps_done() < run.steps()) {
    run.step();
    const double time = in_seconds(run.time());
    before = time > 29.5 && time < 30 ? highest_cap(run, 8, 16) : before;
    if (time > 31 && time < 31.5) {  // its leases would have lasted
      ASSERT_LE(highest_cap(run, 8, 16), kSafeCap);
    }
    after = time > 40 ? std::max(after, highest_cap(run, 8, 16)) : after;
  }
  EXPECT_GT(before, kSafeCap);
  EXPECT_GT(after, kSafeCap);
}

TEST(AgentFaults, AChildGivesTheSameRunBitForBit) {
  std::string faults;
  std::mt19937_64 random{11};
  for (const char* node : {"site", "rack-1", "rack-2", "rack-1", "rack-2"}) {
    for (const char* kind : {"agent-killed", "node-off"}) {
      faults += agents_fault_text(kind, node, static_cast<int>(uniform_below(random, 90)),
                                  1 + static_cast<int>(uniform_below(random, 20)));
    }
  }
  faults += "[[fault]]\nkind = \"messages-lost\"\nratio = 0.3\nat = \"20s\"\nlasts = \"60s\"\n";
  faults += "[[fault]]\nkind = \"controller-killed\"\nat = \"50s\"\nlasts = \"5s\"\n";
  const auto scenario = scarce_scenario(faults);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    ScenarioRun here{scenario, policy_of(PolicyKind::perwatt), seed};
    ScenarioRun there{scenario, policy_of(PolicyKind::perwatt), seed, kInChild};
    while (here.steps_done() < here.steps()) {
      here.step();
      there.step();
      for (std::uint32_t d = 0; d < 16; ++d) {
        ASSERT_EQ(here.plant().read_cap({d}), there.plant().read_cap({d}));
      }
    }
    EXPECT_EQ(here.result().record, there.result().record);
    EXPECT_EQ(here.result().energy, there.result().energy);
    EXPECT_EQ(texts_of(here), texts_of(there));
    EXPECT_EQ(there.result().violations.count, 0);
  }
}

TEST(AgentFaults, AProcessKilledAtRandomMomentsPassesNoLimit) {
  int kills = 0;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    std::mt19937_64 random{seed};
    const auto scenario = scarce_scenario("");
    ScenarioRun run{scenario, policy_of(PolicyKind::perwatt), seed, kInChild};
    Watts highest;
    std::int64_t killed_at = -1000;
    while (run.steps_done() < run.steps()) {
      if (uniform_below(random, 60) == 0) {
        const auto children = child_processes();
        ASSERT_EQ(children.size(), 1U);
        ::kill(children[0], SIGKILL);
        ++kills;
        killed_at = run.steps_done();
      }
      run.step();
      const auto steps_since = run.steps_done() - killed_at;
      if (steps_since == 10) {  // a second: written, and no lease can be back yet
        EXPECT_LE(highest_cap(run, 0, 16), kSafeCap);
      }
      highest = std::max(highest, highest_cap(run, 0, 16));
    }
    EXPECT_GT(highest, watts(500));
    EXPECT_EQ(run.result().violations.count, 0);
    EXPECT_THAT(texts_of(run), Contains(HasSubstr("the process of the agents is gone")));
  }
  EXPECT_GT(kills, 50);
  EXPECT_TRUE(child_processes().empty());
}

/// The guardian alone keeps them there: nobody else is left to write.
TEST(AgentFaults, DevicesStayAtFailSafeWhileTheProcessDoesNotStartAgain) {
  const auto file = std::filesystem::temp_directory_path() /
                    ("perwatt-agent-child-" + std::to_string(::getpid()));
  std::filesystem::copy_file(PERWATT_AGENT_CHILD, file);
  const auto scenario = scarce_scenario("");
  ScenarioRun run{scenario, policy_of(PolicyKind::perwatt), 1,
                  RunMeans{agent::AgentProgram{file, "", seconds(10)}}};
  Watts after;
  while (run.steps_done() < run.steps()) {
    if (run.steps_done() == 300) {
      std::filesystem::remove(file);
      ::kill(child_processes().at(0), SIGKILL);
    }
    if (run.steps_done() == 700) {
      std::filesystem::copy_file(PERWATT_AGENT_CHILD, file);
    }
    run.step();
    const double time = in_seconds(run.time());
    if (time > 30 + kActsAfterSeconds && time < 70) {
      ASSERT_LE(highest_cap(run, 0, 16), kSafeCap) << "at " << time;
    }
    after = time > 75 ? std::max(after, highest_cap(run, 0, 16)) : after;
  }
  std::filesystem::remove(file);
  EXPECT_GT(after, watts(450));
  EXPECT_EQ(run.result().violations.count, 0);
  EXPECT_THAT(texts_of(run), Contains(HasSubstr("it does not start")));
}

TEST(AgentFaults, AProgramThatIsNoAgentEndsTheRunBeforeItBegins) {
  const auto scenario = scarce_scenario("");
  const RunMeans means{agent::AgentProgram{"/bin/true", "", seconds(1)}};
  EXPECT_ANY_THROW(ScenarioRun(scenario, policy_of(PolicyKind::perwatt), 1, means));
}

}  // namespace
}  // namespace perwatt::simulate
