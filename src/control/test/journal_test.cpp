#include "perwatt/control/journal.hpp"

#include <csignal>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "error_of.hpp"
#include "journal_site.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

namespace perwatt::control {
namespace {

using ::testing::HasSubstr;
using Rows = std::vector<std::vector<std::string>>;

JournalRules often() {
  JournalRules rules;
  rules.checkpoint_entries = 17;
  rules.kept_checkpoints = 3;
  return rules;
}

/// Agents on a rack that do at once what they are told, and want a steady draw.
class SteadyRack {
 public:
  explicit SteadyRack(const TestSite& site)
      : cap(site.devices.size(), watts(200)), wanted(site.devices.size(), watts(300)) {}

  int tick(JournaledController& controller, double time_seconds) {
    const Instant now = moment(time_seconds);
    for (std::uint32_t d = 0; d < cap.size(); ++d) {
      controller.ask({d}, {1, ++asks_}, now);
      controller.read({d}, now, std::min(wanted[d], cap[d]), cap[d]);
    }
    int count = 0;
    for (const auto& grant : controller.tick(now)) {
      auto& held = cap[grant.device.value];
      EXPECT_EQ(grant.before, held);
      greatest_step = std::max(greatest_step, grant.grant.cap - held);
      greatest_step = std::max(greatest_step, held - grant.grant.cap);
      held = grant.grant.cap;
      controller.report(grant.device, {1, grant.grant.id, false, true, held}, now + seconds(0.25));
      ++count;
    }
    return count;
  }

  std::vector<Watts> cap;
  std::vector<Watts> wanted;
  Watts greatest_step;

 private:
  std::uint64_t asks_ = 0;
};

/// Now and then what people and the watch order; mostly that it is over.
void order_something(std::mt19937_64& random, const TestSite& site,
                     JournaledController& controller) {
  const topology::NodeIndex node{
      static_cast<std::uint32_t>(uniform_below(random, site.tree.nodes().size()))};
  const bool is_on = uniform_below(random, 4) == 0;
  switch (uniform_below(random, 40)) {
    case 0:
      controller.maintain(node, is_on);
      break;
    case 1:
      controller.release(is_on);
      break;
    case 2:
      controller.to_fail_safe(node, is_on);
      break;
    case 3:
      controller.hold_raises(node, is_on);
      break;
    default:
      break;
  }
}

TEST(Journal, IsPlayedAgainToTheLastBitOverRestarts) {
  Replay all;
  int limits = 0;
  int switched_on = 0;
  std::set<GrantCause> causes;
  for (std::uint64_t seed = 0; seed < 24; ++seed) {
    const TestFolder folder;
    const auto site = random_site_of(seed);
    RandomSite world{seed, site};
    std::mt19937_64 random{seed};
    std::int64_t grants = 0;
    int boots = 0;
    for (int start = 0; start < 6; ++start) {
      boots += start % 3 == 2;
      auto controller =
          open_journal(folder.file(), site, world.now, often(), "boot " + std::to_string(boots));
      EXPECT_EQ(controller.is_continued(), start > 0);
      const auto ticks = uniform_below(random, 60);
      for (std::uint64_t t = 0; t < ticks; ++t) {
        order_something(random, site, controller);
        for (const auto& grant : world.tick(controller)) {
          causes.insert(grant.cause);
          ++grants;
        }
        ASSERT_EQ(controller.controller().ledger().fault(), std::nullopt);
      }
    }
    const auto found = replay_of(folder.file(), site);
    EXPECT_EQ(found.difference.value_or(""), "") << "seed " << seed;
    EXPECT_EQ(found.grants, grants);
    EXPECT_EQ(found.starts, 6);
    EXPECT_EQ(found.skipped_ticks, 0);
    all.ticks += found.ticks;
    all.grants += found.grants;
    all.checkpoints += found.checkpoints;
    limits += world.limits_set;
    switched_on += world.switched_on;
  }
  EXPECT_GT(all.grants, 5000);
  EXPECT_GT(all.checkpoints, 50);
  EXPECT_GT(limits, 100);
  EXPECT_GT(switched_on, 100);
  EXPECT_EQ(causes.size(), 5u) << "every cause came up";
  std::printf("played again: %lld ticks, %lld grants, %lld states, %d limits\n",
              static_cast<long long>(all.ticks), static_cast<long long>(all.grants),
              static_cast<long long>(all.checkpoints), limits);
}

// A copy of the open file is what a killed process leaves.
TEST(Journal, OpenedAgainIsTheControllerOfTheLastCommit) {
  int compared = 0;
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const TestFolder folder;
    const auto site = random_site_of(seed);
    RandomSite world{seed, site};
    auto controller = open_journal(folder.file(), site, world.now, often());
    for (int t = 0; t < 60; ++t) {
      world.tick(controller);
      TestFolder::copy(folder.file(), folder.file("copy"));
      const auto other = open_journal(folder.file("copy"), site, world.now, often());
      ASSERT_EQ(other.controller().state(), controller.controller().state())
          << "seed " << seed << " tick " << t;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 360);
}

TEST(Journal, KeepsALimitOnceItIsAccepted) {
  const TestFolder folder;
  const auto site = rack_site(2, 1400);
  {
    auto controller = open_journal(folder.file(), site, moment(1));
    EXPECT_TRUE(controller.set_limit({0}, watts(600)));
    EXPECT_FALSE(controller.set_limit({0}, watts(399)));
  }
  auto controller = open_journal(folder.file(), site, moment(2));
  SteadyRack rack{site};
  rack.wanted = {watts(700), watts(700)};
  for (int t = 2; t < 30; ++t) {
    rack.tick(controller, t);
  }
  EXPECT_NEAR(in_watts(rack.cap[0] + rack.cap[1]), 600, 1);
}

TEST(Journal, ShowsGrantsWithTheirCauseAndLatency) {
  const TestFolder folder;
  const auto site = rack_site(3, 1200);
  {
    auto controller = open_journal(folder.file(), site, moment(1));
    SteadyRack rack{site};
    for (int t = 1; t < 20; ++t) {
      rack.tick(controller, t);
    }
    rack.wanted = {watts(150), watts(700), watts(700)};
    for (int t = 20; t < 80; ++t) {
      rack.tick(controller, t);
    }
    ASSERT_TRUE(controller.set_limit({0}, watts(900)));
    rack.tick(controller, 80);
    rack.tick(controller, 81);
  }
  const Rows causes{{"lowered"}, {"over_limit"}, {"raised"}, {"renewed"}};
  EXPECT_EQ(sql(folder.file(), "SELECT DISTINCT cause FROM grants ORDER BY cause"), causes);
  // The reports after the last tick came after the last commit.
  EXPECT_EQ(sql(folder.file(),
                "SELECT DISTINCT ack_latency_ns FROM grants WHERE tick < "
                "(SELECT max(tick) FROM grants)"),
            (Rows{{"250000000"}}));
  EXPECT_EQ(sql(folder.file(),
                "SELECT device_name, before_watts, id FROM named_grants WHERE id = 1 "
                "ORDER BY device_name"),
            (Rows{{"d0", "200.0", "1"}, {"d1", "200.0", "1"}, {"d2", "200.0", "1"}}));
  EXPECT_EQ(sql(folder.file(),
                "SELECT count(*) FROM grants WHERE cause = 'renewed' AND "
                "cap_watts <> before_watts"),
            (Rows{{"0"}}));
  EXPECT_EQ(sql(folder.file(),
                "SELECT count(*) FROM grants WHERE cause IN ('raised', "
                "'raised_in_part') AND cap_watts <= before_watts"),
            (Rows{{"0"}}));
}

TEST(Journal, GivesBackGrantsThatAreOpen) {
  const TestFolder folder;
  const auto site = rack_site(3, 1200);
  std::vector<Controller::Grant> made;
  {
    auto controller = open_journal(folder.file(), site, moment(1));
    SteadyRack rack{site};
    for (int t = 1; t < 20; ++t) {
      rack.tick(controller, t);
    }
    made = controller.open_grants(moment(19));
    EXPECT_GE(made.size(), 3u);
  }
  auto same = open_journal(folder.file(), site, moment(19));
  const auto open = same.open_grants(moment(19));
  ASSERT_EQ(open.size(), made.size());
  for (std::size_t i = 0; i < open.size(); ++i) {
    EXPECT_EQ(open[i].grant.id, made[i].grant.id);
    EXPECT_EQ(open[i].void_after, made[i].void_after);
  }
  EXPECT_TRUE(same.open_grants(moment(19 + 13)).empty());
}

TEST(Journal, NumbersRiseWhenAllGrantsAreVoid) {
  const TestFolder folder;
  const auto site = rack_site(2, 1400);
  std::map<std::uint32_t, device::GrantId> last;
  for (int start = 0; start < 4; ++start) {
    auto controller = open_journal(folder.file(), site, moment(1000.0 * start), often());
    controller.ask({0}, {1, 100u + static_cast<unsigned>(start)}, moment(1000.0 * start));
    controller.ask({1}, {1, 100u + static_cast<unsigned>(start)}, moment(1000.0 * start));
    const auto granted = controller.tick(moment(1000.0 * start));
    ASSERT_EQ(granted.size(), 2u);
    for (const auto& grant : granted) {
      EXPECT_GT(grant.grant.id, last[grant.device.value]);
      EXPECT_EQ(grant.before, watts(200)) << "leases of before have run out";
      last[grant.device.value] = grant.grant.id;
    }
  }
}

TEST(Journal, ARestartMovesNoCap) {
  const auto site = rack_site(4, 1600);
  std::vector<Watts> without;
  for (const bool restarts : {false, true}) {
    const TestFolder folder;
    SteadyRack rack{site};
    rack.wanted = {watts(150), watts(700), watts(400), watts(700)};
    std::optional<JournaledController> controller{
        open_journal(folder.file(), site, moment(0), often())};
    for (int t = 1; t < 100; ++t) {
      rack.tick(*controller, t);
    }
    rack.greatest_step = {};
    int grants = 0;
    for (int t = 100; t < 160; ++t) {
      if (restarts) {
        controller.reset();
        controller.emplace(open_journal(folder.file(), site, moment(t), often()));
      }
      grants += rack.tick(*controller, t);
    }
    EXPECT_LE(rack.greatest_step, site.rules.dead_band);
    EXPECT_GT(grants, 25);
    if (!restarts) {
      without = rack.cap;
    }
    for (std::size_t d = 0; d < without.size(); ++d) {
      EXPECT_NEAR(in_watts(rack.cap[d]), in_watts(without[d]), 1e-6);
    }
  }
}

// Where the clock began anew no time has passed: leases are charged as long as they may last.
TEST(Journal, CarriesItsTimeOverABootOfTheMachine) {
  const TestFolder folder;
  const auto site = rack_site(2, 1400);
  {
    auto controller = open_journal(folder.file(), site, moment(5000), {}, "first boot");
    controller.ask({0}, {1, 1}, moment(5000));
    ASSERT_EQ(controller.tick(moment(5000)).size(), 1u);
  }
  auto controller = open_journal(folder.file(), site, moment(20), {}, "second boot");
  EXPECT_GT(controller.controller().ledger().charge({0}), watts(200));
  const auto open = controller.open_grants(moment(20));
  ASSERT_EQ(open.size(), 1u);
  EXPECT_EQ(open[0].void_after, moment(33));
  static_cast<void>(controller.tick(moment(32.9)));
  EXPECT_GT(controller.controller().ledger().charge({0}), watts(200));
  static_cast<void>(controller.tick(moment(33)));
  EXPECT_NEAR(in_watts(controller.controller().ledger().charge({0})), 200, 1e-5);
  controller.ask({0}, {2, 1}, moment(34));
  const auto granted = controller.tick(moment(34));
  ASSERT_EQ(granted.size(), 1u);
  EXPECT_EQ(granted[0].void_after, moment(47));
}

TEST(Journal, OfAnotherSiteIsRefusedByWhatDiffers) {
  const TestFolder folder;
  const auto site = rack_site(3, 1200);
  { open_journal(folder.file(), site, moment(1)); }
  const auto refusal = [&](const TestSite& other) {
    const auto played = error_of([&] { static_cast<void>(replay_of(folder.file(), other)); });
    const auto opened = error_of([&] { open_journal(folder.file(), other, moment(2)); });
    EXPECT_EQ(played, opened);
    return opened;
  };
  auto other = site;
  other.rules.lease = seconds(12);
  EXPECT_THAT(refusal(other), HasSubstr("rule 'lease_seconds' was 10 and is 12"));
  EXPECT_THAT(refusal(other), HasSubstr("15 s after"));
  other = site;
  other.devices[1].curve.back().value += 1;
  EXPECT_THAT(refusal(other), HasSubstr("device 'd1' differs"));
  EXPECT_THAT(refusal(rack_site(3, 1201)), HasSubstr("node 'rack' differs"));
  EXPECT_THAT(refusal(rack_site(4, 1200)), HasSubstr("device 'd3' is not in it"));
  EXPECT_THAT(refusal(rack_site(2, 1200)), HasSubstr("device 'd2' is not there now"));
  EXPECT_THAT(error_of([&] { static_cast<void>(replay_of(folder.file("none"), site)); }),
              HasSubstr("no such file"));
  EXPECT_FALSE(std::filesystem::exists(folder.file("none")));
  other = site;
  other.devices.push_back(other.devices[0]);
  EXPECT_THAT(refusal(other), HasSubstr("terms of 4 devices for 3"));
  auto rules = often();
  rules.checkpoint_entries = 0;
  EXPECT_THAT(error_of([&] { open_journal(folder.file(), site, moment(2), rules); }),
              HasSubstr("out of range"));
}

TEST(Journal, DropsWhatIsOldAndIsPlayedFromTheFirstStateThatIsLeft) {
  const TestFolder folder;
  const auto site = random_site_of(3);
  RandomSite world{3, site};
  auto rules = often();
  rules.keep = seconds(60);
  std::vector<std::int64_t> skipped;
  for (int start = 0; start < 4; ++start) {
    {
      auto controller = open_journal(folder.file(), site, world.now, rules);
      for (int t = 0; t < 150; ++t) {
        world.tick(controller);
      }
    }
    const auto span = sql(folder.file(), "SELECT max(at_ns) - min(at_ns), count(*) FROM entries");
    EXPECT_LT(std::stod(span[0][0]), 61e9);
    EXPECT_LT(std::stod(span[0][1]), 150);
    EXPECT_EQ(sql(folder.file(),
                  "SELECT count(*) FROM grants WHERE tick NOT IN "
                  "(SELECT entry FROM entries)"),
              (Rows{{"0"}}));
    const auto found = replay_of(folder.file(), site);
    EXPECT_EQ(found.difference.value_or(""), "");
    EXPECT_GT(found.ticks, 10);
    EXPECT_GT(found.skipped_ticks, 0);
  }
}

TEST(Journal, AGrantThatCannotBeWrittenIsNotGiven) {
  const TestFolder folder;
  const auto site = rack_site(3, 1200);
  device::GrantId last = 0;
  {
    auto controller = open_journal(folder.file(), site, moment(0));
    SteadyRack rack{site};
    rack.tick(controller, 1);
    last = controller.controller().ledger().grants({0}).back().id;
    // No file may grow: as a full disk.
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit none = before;
    none.rlim_cur = 1;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
    controller.ask({0}, {1, 1000}, moment(9));
    EXPECT_THROW(static_cast<void>(controller.tick(moment(9))), Error);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    std::signal(SIGXFSZ, handler);
    EXPECT_THROW(controller.ask({0}, {1, 1001}, moment(9)), Error);
    EXPECT_THROW(static_cast<void>(controller.tick(moment(9))), Error);
    EXPECT_THROW(static_cast<void>(controller.set_limit({0}, watts(1000))), Error);
  }
  auto controller = open_journal(folder.file(), site, moment(9));
  EXPECT_EQ(controller.controller().ledger().grants({0}).back().id, last);
  controller.ask({0}, {1, 1002}, moment(9));
  ASSERT_EQ(controller.tick(moment(9)).size(), 1u);
  EXPECT_EQ(controller.controller().ledger().grants({0}).back().id, last + 1);
}

}  // namespace
}  // namespace perwatt::control
