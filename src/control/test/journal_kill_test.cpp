// A process that runs the loop is killed at random moments, again and again on one file. What it
// was given to send is in the file each time, and what starts on it moves no cap.
//
// PERWATT_KILLS=N kills N times.
#include <csignal>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "journal_site.hpp"
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perwatt/control/journal.hpp"

namespace perwatt::control {
namespace {

constexpr std::uint32_t kKilledDevices = 8;

/// A grant, as the child tells of it once tick() has returned it; id 0: the time of a tick.
struct Told {
  std::uint32_t device;
  device::GrantId id;
  double cap_watts;
  std::int64_t at_nanoseconds;
};

/// Devices that want a steady draw and do at once what they are told.
class SteadyAgents {
 public:
  SteadyAgents() : caps(kKilledDevices, watts(200)) {}

  template <class Use>
  void tick(JournaledController& controller, Instant now, const Use& use) {
    for (std::uint32_t d = 0; d < kKilledDevices; ++d) {
      const Watts wanted = watts(250 + 50 * d);
      controller.ask({d}, {1, static_cast<std::uint64_t>(now.nanoseconds())}, now);
      controller.read({d}, now, std::min(wanted, caps[d]), caps[d]);
    }
    for (const auto& grant : controller.tick(now)) {
      use(grant);
      caps[grant.device.value] = grant.grant.cap;
      controller.report(grant.device, {1, grant.grant.id, false, true, grant.grant.cap}, now);
    }
  }

  std::vector<Watts> caps;
};

JournalRules killed_rules() {
  JournalRules rules;
  rules.keep = seconds(3600);
  rules.checkpoint_entries = 23;
  rules.kept_checkpoints = 5;
  return rules;
}

/// Runs until it is killed.
[[noreturn]] void run_child(const std::filesystem::path& file, const TestSite& site,
                            SteadyAgents agents, Instant now, int to_parent) {
  const auto tell = [&](const Told& told) {
    if (::write(to_parent, &told, sizeof told) != sizeof told) {
      ::_exit(1);
    }
  };
  try {
    auto controller = open_journal(file, site, now, killed_rules());
    for (;;) {
      now = now + seconds(1);
      agents.tick(controller, now, [&](const Controller::Grant& grant) {
        tell({grant.device.value, grant.grant.id, in_watts(grant.grant.cap), now.nanoseconds()});
      });
      tell({0, 0, 0, now.nanoseconds()});
    }
  } catch (...) {
    ::_exit(2);
  }
}

class KilledLoop {
 public:
  KilledLoop() : site{rack_site(kKilledDevices, 3000)} {}

  /// Starts a child, kills it between 0 and 8 ms after it began to tell, and reads all it told.
  std::vector<Told> kill_one() {
    int pipe_ends[2];
    EXPECT_EQ(::pipe(pipe_ends), 0);
    const auto child = ::fork();
    if (child == 0) {
      ::close(pipe_ends[0]);
      run_child(folder.file(), site, agents, now, pipe_ends[1]);
    }
    ::close(pipe_ends[1]);
    if (uniform_below(random, 4) > 0) {  // else it may be killed while it opens the file
      pollfd first{pipe_ends[0], POLLIN, 0};
      ::poll(&first, 1, 10'000);
    }
    ::usleep(static_cast<useconds_t>(uniform_below(random, 8000)));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "it ended by itself: " << WEXITSTATUS(status);
    std::vector<Told> told;
    Told one{};
    while (::read(pipe_ends[0], &one, sizeof one) == sizeof one) {
      told.push_back(one);
    }
    ::close(pipe_ends[0]);
    return told;
  }

  const TestFolder folder;
  TestSite site;
  SteadyAgents agents;
  Instant now = moment(1000);
  std::mt19937_64 random{11};
};

int kills_wanted() {
  const char* kills = std::getenv("PERWATT_KILLS");
  return kills == nullptr ? 1000 : std::atoi(kills);
}

TEST(JournalKill, LosesNoGrantThatWasGivenAndMovesNoCap) {
  KilledLoop loop;
  Watts greatest_step;
  std::int64_t told_grants = 0;
  const int kills = kills_wanted();
  for (int k = 0; k < kills; ++k) {
    const auto told = loop.kill_one();
    const Instant before = loop.now;
    for (const auto& one : told) {
      loop.now = std::max(loop.now, Instant::from_nanoseconds(one.at_nanoseconds));
    }
    auto controller = open_journal(loop.folder.file(), loop.site, loop.now, killed_rules());
    std::map<std::pair<std::uint32_t, device::GrantId>, double> kept;
    for (const auto& open : controller.open_grants(before)) {
      kept[{open.device.value, open.grant.id}] = in_watts(open.grant.cap);
      loop.agents.caps[open.device.value] = open.grant.cap;  // sent or not: what may be in force
    }
    for (const auto& one : told) {
      if (one.id == 0) {
        continue;
      }
      const auto found = kept.find({one.device, one.id});
      ASSERT_TRUE(found != kept.end())
          << "kill " << k << ": grant " << one.id << " to device " << one.device << " is lost";
      ASSERT_EQ(found->second, one.cap_watts);
      ++told_grants;
    }
    loop.now = loop.now + seconds(1);
    loop.agents.tick(controller, loop.now, [&](const Controller::Grant& grant) {
      if (k > 20) {  // it has come to rest
        const Watts step = grant.grant.cap - loop.agents.caps[grant.device.value];
        greatest_step = std::max({greatest_step, step, -step});
      }
    });
  }
  EXPECT_LE(greatest_step, loop.site.rules.dead_band);
  EXPECT_GT(told_grants, kills);
  const auto found = replay_of(loop.folder.file(), loop.site);
  EXPECT_EQ(found.difference.value_or(""), "");
  std::printf(
      "%d kills, %lld grants told of and found, steps of at most %.3f W; played again: %lld "
      "starts, %lld ticks, %lld grants\n",
      kills, static_cast<long long>(told_grants), in_watts(greatest_step),
      static_cast<long long>(found.starts), static_cast<long long>(found.ticks),
      static_cast<long long>(found.grants));
}

}  // namespace
}  // namespace perwatt::control
