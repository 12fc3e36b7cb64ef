// Rules of writing hold raises back and nothing else.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "error_of.hpp"
#include "journal_site.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/random.hpp"
#include "perwatt/control/controller.hpp"
#include "perwatt/control/write_rules.hpp"

namespace perwatt::control {
namespace {

using ::testing::HasSubstr;

/// Devices of one rack that obey at once and draw what they want, up to their caps.
struct DisciplinedRack {
  DisciplinedRack(int count, double limit_watts, const WriteRules& writes)
      : site{rack_site(count, limit_watts)},
        controller{site.tree, site.devices, rules_with(writes)},
        want(static_cast<std::size_t>(count), 700),
        cap(static_cast<std::size_t>(count), 200) {}

  static ControlRules rules_with(const WriteRules& writes) {
    ControlRules rules;
    rules.writes = writes;
    return rules;
  }

  /// A second on: all is told, nothing decided.
  void begin() {
    time += 1;
    for (std::uint32_t d = 0; d < cap.size(); ++d) {
      controller.ask({d}, {1, ++asks}, moment(time));
      controller.read({d}, moment(time), watts(std::min(want[d], cap[d])), watts(cap[d]));
    }
  }

  /// The grants of it that changed a cap.
  std::vector<Controller::Grant> finish() {
    std::vector<Controller::Grant> changes;
    for (const auto& grant : controller.tick(moment(time))) {
      const double granted = in_watts(grant.grant.cap);
      if (granted != cap[grant.device.value]) {
        changes.push_back(grant);
      }
      cap[grant.device.value] = granted;
      controller.report(grant.device, {1, grant.grant.id, false, true, grant.grant.cap});
    }
    return changes;
  }

  std::vector<Controller::Grant> tick() {
    begin();
    return finish();
  }

  TestSite site;
  Controller controller;
  std::vector<double> want;
  std::vector<double> cap;
  double time = 0;
  std::uint64_t asks = 0;
};

WriteRules random_rules(std::mt19937_64& random) {
  WriteRules writes;
  writes.seed = random();
  if (uniform_below(random, 2) == 0) {
    writes.slew = watts(1 + 100 * uniform_unit(random)) / seconds(1);
  }
  if (uniform_below(random, 2) == 0) {
    writes.spread = seconds(60 * uniform_unit(random));
  }
  if (uniform_below(random, 2) == 0) {
    writes.changes_per_hour = 1 + 300 * uniform_unit(random);
  }
  return writes;
}

/// The lowers of a tick that is to come, if nothing were held back: of a controller in the same
/// state, under rules that count as these do and allow everything.
std::vector<Controller::Grant> lowers_without_rules(const DisciplinedRack& rack, double time) {
  auto rules = DisciplinedRack::rules_with({watts(1e6) / seconds(1), {}, 1e6, 1});
  Controller free{rack.site.tree, rack.site.devices, rules};
  free.resume(rack.controller.state());
  std::vector<Controller::Grant> lowers;
  for (const auto& grant : free.tick(moment(time))) {
    if (grant.grant.cap < grant.before) {
      lowers.push_back(grant);
    }
  }
  return lowers;
}

TEST(WriteDiscipline, NoLowerIsEverDelayed) {
  int lowers = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    std::mt19937_64 random{seed};
    auto writes = random_rules(random);
    writes.changes_per_hour = 1 + 300 * uniform_unit(random);
    DisciplinedRack rack{6, 3000, writes};
    for (int t = 0; t < 200; ++t) {
      if (uniform_below(random, 10) == 0) {
        rack.want[uniform_below(random, 6)] = 100 + 600 * uniform_unit(random);
      }
      if (uniform_below(random, 10) == 0) {
        ASSERT_TRUE(rack.controller.set_limit({0}, watts(1210 + 1790 * uniform_unit(random))));
      }
      rack.begin();
      const auto wanted = lowers_without_rules(rack, rack.time);
      const auto changes = rack.finish();
      for (const auto& lower : wanted) {
        const auto made = std::find_if(changes.begin(), changes.end(), [&](const auto& change) {
          return change.device == lower.device;
        });
        ASSERT_NE(made, changes.end()) << "seed " << seed << ", t " << t;
        ASSERT_NEAR(in_watts(made->grant.cap), in_watts(lower.grant.cap), 1e-6);
        ++lowers;
      }
      ASSERT_EQ(rack.controller.ledger().fault(), std::nullopt);
    }
  }
  EXPECT_GT(lowers, 500);
}

TEST(WriteDiscipline, ACapRisesNoFasterThanItsSlew) {
  WriteRules writes;
  writes.slew = watts(15) / seconds(1);
  DisciplinedRack rack{2, 2000, writes};
  const double dead_band = in_watts(ControlRules{}.dead_band);
  for (int t = 1; t <= 30; ++t) {
    rack.tick();
    EXPECT_LE(rack.cap[0], 200 + 15.0 * t);
  }
  EXPECT_GE(rack.cap[0], 200 + 15.0 * 27) << "and nearly as fast";
  rack.want = {150, 150};
  for (int t = 0; t < 60; ++t) {
    rack.tick();
  }
  const double low = rack.cap[0];
  rack.want = {700, 700};
  rack.tick();
  EXPECT_LE(rack.cap[0], low + std::max(15.0, 2 * dead_band))
      << "what was left over does not add up";
}

TEST(WriteDiscipline, ASlewBelowTheDeadBandStillGetsThere) {
  WriteRules writes;
  writes.slew = watts(2) / seconds(1);
  DisciplinedRack rack{1, 2000, writes};
  for (int t = 0; t < 400; ++t) {
    rack.tick();
  }
  EXPECT_GT(rack.cap[0], 680);
}

TEST(WriteDiscipline, RaisesAreSpread) {
  WriteRules writes;
  writes.spread = seconds(20);
  DisciplinedRack rack{60, 60 * 700.0, writes};
  std::size_t most_at_once = 0;
  std::set<std::uint32_t> first_raised;
  for (int t = 0; t < 20; ++t) {
    const auto changes = rack.tick();
    most_at_once = std::max(most_at_once, changes.size());
    for (const auto& change : changes) {
      EXPECT_TRUE(first_raised.insert(change.device.value).second) << "twice within the span";
    }
  }
  rack.tick();
  EXPECT_LE(most_at_once, 6U) << "three a second, evenly";
  for (std::uint32_t d = 0; d < 60; ++d) {
    EXPECT_GT(rack.cap[d], 200) << "nobody waits for longer than the span: " << d;
  }
  DisciplinedRack at_once{60, 60 * 700.0, {}};
  EXPECT_EQ(at_once.tick().size(), 60U) << "a hall that steps";
}

TEST(WriteDiscipline, AnotherSeedHasOtherMoments) {
  const auto raised_first = [](std::uint64_t seed) {
    WriteRules writes;
    writes.spread = seconds(20);
    writes.seed = seed;
    DisciplinedRack rack{60, 60 * 700.0, writes};
    std::vector<std::uint32_t> devices;
    rack.tick();
    for (const auto& change : rack.tick()) {
      devices.push_back(change.device.value);
    }
    return devices;
  };
  EXPECT_EQ(raised_first(1), raised_first(1));
  EXPECT_NE(raised_first(1), raised_first(1000));
}

TEST(WriteDiscipline, ChangesStayWithinTheirBudget) {
  for (const bool has_budget : {false, true}) {
    WriteRules writes;
    if (has_budget) {
      writes.changes_per_hour = 20;
    }
    DisciplinedRack rack{4, 1600, writes};
    std::vector<int> raises(4);
    for (int t = 0; t < 3600; ++t) {
      for (std::size_t d = 0; d < 4; ++d) {
        rack.want[d] = (t / 60 + static_cast<int>(d)) % 2 == 0 ? 700 : 150;
      }
      for (const auto& change : rack.tick()) {
        raises[change.device.value] += change.grant.cap > change.before ? 1 : 0;
      }
    }
    for (const int count : raises) {
      if (has_budget) {
        EXPECT_LE(count, 22) << "and two in a row";
      } else {
        EXPECT_GT(count, 60);
      }
    }
  }
}

TEST(WriteDiscipline, RulesOutOfRangeAreRefused) {
  const auto refused = [](const WriteRules& writes) {
    return error_of([&] { DisciplinedRack{1, 1000, writes}; });
  };
  WriteRules writes;
  writes.slew = watts(-1) / seconds(1);
  EXPECT_THAT(refused(writes), HasSubstr("slew is -1"));
  writes = {};
  writes.spread = seconds(-1);
  EXPECT_THAT(refused(writes), HasSubstr("spread"));
  writes = {};
  writes.changes_per_hour = std::numeric_limits<double>::infinity();
  EXPECT_THAT(refused(writes), HasSubstr("changes_per_hour"));
}

}  // namespace
}  // namespace perwatt::control
