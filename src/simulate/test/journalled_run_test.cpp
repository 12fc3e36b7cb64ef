// A run whose controller has a journal in a file: it is killed and starts again from that file, and
// all that it was told and granted can be played again to the bit.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>

#include "scenarios.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include "perwatt/base/error.hpp"
#include "perwatt/simulate/scenario_run.hpp"

namespace perwatt::simulate {
namespace {

using testing::HasSubstr;

/// A path in a folder of its own, gone with it.
class JournalPath {
 public:
  JournalPath()
      : folder_{std::filesystem::temp_directory_path() /
                ("perwatt-journalled-run-" + std::to_string(::getpid()))} {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }

  ~JournalPath() { std::filesystem::remove_all(folder_); }

  JournalPath(const JournalPath&) = delete;
  JournalPath& operator=(const JournalPath&) = delete;

  [[nodiscard]] std::filesystem::path file() const { return folder_ / "journal.sqlite"; }

  [[nodiscard]] RunMeans means() const { return {{}, file()}; }

  /// Does the SQL; the first number of its answer.
  std::int64_t ask(const std::string& sql) const {
    sqlite3* database = nullptr;
    EXPECT_EQ(sqlite3_open(file().c_str(), &database), SQLITE_OK);
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(database, sql.c_str(), -1, &statement, nullptr), SQLITE_OK) << sql;
    const bool has_row = sqlite3_step(statement) == SQLITE_ROW;
    const std::int64_t number = has_row ? sqlite3_column_int64(statement, 0) : -1;
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return number;
  }

  [[nodiscard]] std::int64_t count(const std::string& of) const {
    return ask("SELECT COUNT(*) FROM " + of);
  }

 private:
  std::filesystem::path folder_;
};

std::string timed_fault_text(const std::string& kind, int at, int lasts, const std::string& more) {
  return "[[fault]]\nkind = \"" + kind + "\"\nat = \"" + std::to_string(at) + "s\"\nlasts = \"" +
         std::to_string(lasts) + "s\"\n" + more + "\n";
}

const std::string kHardTimes =
    timed_fault_text("controller-killed", 20, 3, "") +
    timed_fault_text("controller-killed", 41, 15, "") +
    timed_fault_text("controller-killed", 80, 1, "") +
    timed_fault_text("messages-lost", 30, 20, "ratio = 0.5") +
    timed_fault_text("agent-killed", 60, 10, "node = \"rack-1\"") +
    timed_fault_text("sensor-missing", 36, 8, "node = \"rack-2\"") +
    timed_fault_text("limit-lowered", 75, 15, "node = \"site\"\npower = \"5.05kW\"");

void run_to_end(ScenarioRun& run) {
  while (run.steps_done() < run.steps()) {
    run.step();
  }
}

TEST(JournalledRun, PlaysAgainToTheBitThroughRestartsOfItsController) {
  for (const double cadence_seconds : {1.0, 5.0}) {
    const JournalPath journal;
    const auto scenario = scarce_scenario(kHardTimes);
    auto policy = policy_of(PolicyKind::perwatt);
    policy.cadence = seconds(cadence_seconds);
    {
      ScenarioRun run{scenario, policy, 1, journal.means()};
      run_to_end(run);
      EXPECT_EQ(run.result().violations.count, 0);
      EXPECT_EQ(in_seconds(run.result().lowered.time_over), 0);
    }
    const auto found = replay_journal(scenario, policy, journal.file());
    EXPECT_EQ(found.difference, std::nullopt);
    EXPECT_EQ(found.starts, 4);
    EXPECT_GE(found.ticks, 120 / cadence_seconds);
    EXPECT_EQ(found.grants, journal.count("grants"));
    EXPECT_GT(found.grants, 80);
    EXPECT_EQ(journal.count("grants WHERE before_watts IS NULL OR cause IS NULL"), 0);
    // Messages were lost; what is sent while all is well is acknowledged by the next report.
    const auto acknowledged = journal.count("grants WHERE ack_latency_ns IS NOT NULL");
    EXPECT_GT(acknowledged, found.grants / 3);
    EXPECT_LT(acknowledged, found.grants);
    const auto longest = std::to_string(static_cast<std::int64_t>((cadence_seconds + 0.3) * 1e9));
    EXPECT_GT(journal.count("grants WHERE ack_latency_ns BETWEEN 100000000 AND " + longest),
              acknowledged / 2);
  }
}

TEST(JournalledRun, AChangedJournalDoesNotPlayAgain) {
  const JournalPath journal;
  const auto scenario = scarce_scenario("");
  const auto policy = policy_of(PolicyKind::perwatt);
  {
    ScenarioRun run{scenario, policy, 1, journal.means()};
    run_to_end(run);
  }
  ASSERT_EQ(replay_journal(scenario, policy, journal.file()).difference, std::nullopt);
  journal.ask("UPDATE grants SET cap_watts = cap_watts + 1 WHERE tick = 30 AND place = 0");
  EXPECT_THAT(replay_journal(scenario, policy, journal.file()).difference.value_or(""),
              HasSubstr("entry 30"));
  auto other = policy;
  other.guard_ratio = 0.02;
  EXPECT_THROW(static_cast<void>(replay_journal(scenario, other, journal.file())), Error);
  EXPECT_THROW(
      static_cast<void>(replay_journal(scenario, policy_of(PolicyKind::even), journal.file())),
      Error);
}

/// What the controller knew of limits and of other writers when it was killed is of before.
TEST(JournalledRun, ARestartedControllerLearnsOfALimitThatIsBackAndOfAWriterThatIsGone) {
  const JournalPath journal;
  const auto scenario = scarce_scenario(
      timed_fault_text("limit-lowered", 20, 25, "node = \"site\"\npower = \"5.05kW\"") +
      timed_fault_text("other-writer", 20, 25, "node = \"site\"\npower = \"250W\"") +
      timed_fault_text("controller-killed", 40, 10, ""));
  ScenarioRun run{scenario, policy_of(PolicyKind::perwatt), 1, journal.means()};
  Watts lowered;
  Watts after;
  while (run.steps_done() < run.steps()) {
    run.step();
    const double time = in_seconds(run.time());
    const Watts supply = watts(run.plant().supply_watts()[0]);
    if (time > 35 && time < 40) {
      lowered = std::max(lowered, supply);
    } else if (time > 65) {
      after = std::max(after, supply);
    }
  }
  EXPECT_LE(lowered, watts(5050));
  EXPECT_GT(after, watts(5200));
  EXPECT_EQ(run.result().violations.count, 0);
}

TEST(JournalledRun, IsRefusedOnTheFileOfAnotherRunAndEndsWhereItsFileGoes) {
  const JournalPath journal;
  const auto scenario = scarce_scenario(timed_fault_text("controller-killed", 5, 5, ""));
  const auto policy = policy_of(PolicyKind::perwatt);
  {
    ScenarioRun run{scenario, policy, 1, journal.means()};
    while (run.time() < seconds(7)) {
      run.step();
    }
    std::filesystem::remove(journal.file());
    EXPECT_THROW(run_to_end(run), Error);
  }
  EXPECT_TRUE(std::filesystem::exists(journal.file()));
  EXPECT_THROW(ScenarioRun(scenario, policy, 1, journal.means()), Error);
}

}  // namespace
}  // namespace perwatt::simulate
