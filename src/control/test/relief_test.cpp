// What is taken and given back, with the ledger and agents whose messages get lost.
#include "perwatt/control/relief.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "error_of.hpp"
#include "random_site.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/instant.hpp"
#include "perwatt/base/random.hpp"
#include "perwatt/control/switchboard.hpp"

namespace perwatt::control {
namespace {

using jobs::Job;
using jobs::Shrinking;
using jobs::Tier;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using topology::DeviceIndex;
using topology::NodeIndex;
using topology::PowerTree;

Instant when(double time_seconds) {
  return Instant{} + seconds(time_seconds);
}

/// A breaker over racks of `each` devices of 200 to 700 W.
PowerTree racks_of(int racks, int each) {
  std::vector<topology::NodeSpec> nodes(static_cast<std::size_t>(racks) + 1);
  std::vector<topology::DeviceSpec> devices;
  nodes[0].id = nodes[0].place = "hall";
  nodes[0].limits = {
      {topology::LimitKind::breaker, watts(700.0 * racks * each), {}, std::nullopt, std::nullopt}};
  for (int r = 0; r < racks; ++r) {
    auto& rack = nodes[static_cast<std::size_t>(r) + 1];
    rack.id = rack.place = "rack" + std::to_string(r);
    rack.supplies = {{"hall", 1}};
    rack.limits = {
        {topology::LimitKind::breaker, watts(700.0 * each), {}, std::nullopt, std::nullopt}};
    for (int d = 0; d < each; ++d) {
      topology::DeviceSpec device;
      device.id = device.place = rack.id + "d" + std::to_string(d);
      device.parent = rack.id;
      device.min = watts(200);
      device.max = watts(700);
      devices.push_back(device);
    }
  }
  return PowerTree::build(nodes, devices);
}

ControlledDevice worth_of(double value) {
  return {
      {watts(200), 0, {}}, watts(200), watts(700), {{watts(200), value}, {watts(700), 2 * value}}};
}

Job job_on(const std::string& id, std::uint32_t first, std::uint32_t units, Tier tier,
           Shrinking shrinking = Shrinking::scaled) {
  Job job;
  job.id = id;
  for (std::uint32_t u = 0; u < units; ++u) {
    job.units.push_back({first + u});
  }
  job.tier = tier;
  job.shrinking = shrinking;
  return job;
}

/// Agents that hear and answer everything at once.
struct ReliefSite {
  ReliefSite(PowerTree of, const std::vector<double>& worth, std::vector<Job> jobs)
      : tree{std::move(of)},
        controlled{controlled_of(worth)},
        ledger{tree, terms_of(controlled)},
        relief{tree, controlled, std::move(jobs), {}},
        draws(worth.size(), watts(200)) {}

  static std::vector<ControlledDevice> controlled_of(const std::vector<double>& worth) {
    std::vector<ControlledDevice> devices;
    std::transform(worth.begin(), worth.end(), std::back_inserter(devices), worth_of);
    return devices;
  }

  static std::vector<ChargeTerms> terms_of(const std::vector<ControlledDevice>& devices) {
    std::vector<ChargeTerms> terms;
    for (const auto& device : devices) {
      terms.push_back(device.terms);
    }
    return terms;
  }

  void tick(double time_seconds, std::vector<Breach> required = {}) {
    relief.tick(when(time_seconds), required, draws, ledger);
    for (std::uint32_t d = 0; d < draws.size(); ++d) {
      if (relief.off()[d] != 0 && !is_deaf[d]) {
        ledger.switched_off({d});
      } else if (relief.off()[d] == 0) {
        ASSERT_TRUE(ledger.switch_on({d}));
      }
    }
  }

  [[nodiscard]] std::vector<std::uint32_t> off() const {
    std::vector<std::uint32_t> list;
    for (std::uint32_t d = 0; d < draws.size(); ++d) {
      if (relief.off()[d] != 0) {
        list.push_back(d);
      }
    }
    return list;
  }

  PowerTree tree;
  std::vector<ControlledDevice> controlled;
  ChargeLedger ledger;
  Relief relief;
  std::vector<Watts> draws;
  std::vector<bool> is_deaf = std::vector<bool>(1000, false);
};

using Devices = std::vector<std::uint32_t>;

TEST(Relief, TakesInstancesThenPartsThenPausesTheLowestPriorityFirst) {
  auto search = job_on("search", 8, 4, Tier::quarter);
  search.priority = 1;
  ReliefSite site{racks_of(2, 8),
                  {4, 4, 4, 4, 1, 1, 1, 1, 9, 9, 9, 9, 9, 9, 9, 9},
                  {job_on("chat", 0, 4, Tier::half),
                   job_on("train", 4, 4, Tier::paused, Shrinking::resized), search}};
  site.tick(0);
  EXPECT_EQ(site.off(), Devices{});
  site.relief.set_limit({0}, watts(3100));  // 3,200 W at fail-safe: an instance of chat
  EXPECT_FALSE(site.ledger.set_limit({0}, watts(3100)));
  site.tick(1);
  EXPECT_EQ(site.off().size(), 1U);
  EXPECT_LT(site.off()[0], 4U);
  EXPECT_TRUE(site.ledger.set_limit({0}, watts(3100)));
  site.relief.set_limit({0}, watts(2750));  // 3 to go: chat's second, and search's only one
  site.tick(2);
  EXPECT_EQ(site.off().size(), 3U);
  EXPECT_EQ(site.relief.taken()[0], (Relief::Taken{2, false}));
  EXPECT_EQ(site.relief.taken()[1], (Relief::Taken{0, false}));
  EXPECT_EQ(site.relief.taken()[2], (Relief::Taken{1, false}));
  site.relief.set_limit({0}, watts(2100));  // 3 more: parts of train
  site.tick(3);
  EXPECT_EQ(site.relief.taken()[1], (Relief::Taken{3, false}));
  site.relief.set_limit({0}, watts(1900));  // its last part: it is paused
  site.tick(4);
  EXPECT_EQ(site.relief.taken()[1], (Relief::Taken{4, true}));
  EXPECT_FALSE(site.relief.is_short());
  EXPECT_THAT(site.relief.take_messages(), Contains("'train' is paused"));
  site.relief.set_limit({0}, watts(1700));  // what is left is not tagged
  site.tick(5);
  EXPECT_TRUE(site.relief.is_short());
  EXPECT_EQ(site.off().size(), 7U);
  EXPECT_THAT(site.relief.take_messages(), Contains(HasSubstr("not enough")));
}

TEST(Relief, TakesTheLeastValueThatIsEnough) {
  ReliefSite site{racks_of(1, 6), {5, 3, 2, 4, 9, 9}, {job_on("chat", 0, 4, Tier::paused)}};
  site.relief.set_limit({0}, watts(850));  // two of six to go
  site.tick(1);
  EXPECT_EQ(site.off(), (Devices{1, 2}));
}

TEST(Relief, GivesBackInReverseOrderOnceThereIsRoomForAWhile) {
  ReliefSite site{
      racks_of(1, 8),
      {1, 2, 3, 4, 5, 6, 7, 8},
      {job_on("chat", 0, 2, Tier::half), job_on("train", 2, 2, Tier::half, Shrinking::resized),
       job_on("batch", 4, 2, Tier::paused)}};
  site.relief.set_limit({0}, watts(810));  // four of eight: 0, 2, 4 and 5
  site.tick(1);
  EXPECT_EQ(site.off(), (Devices{0, 2, 4, 5}));
  EXPECT_EQ(site.relief.taken()[2], (Relief::Taken{2, true}));
  site.relief.set_limit({0}, watts(1010));  // room for one, but not 2 % below the limit
  for (double t = 2; t < 60; ++t) {
    site.tick(t);
  }
  EXPECT_EQ(site.off().size(), 4U);
  site.relief.set_limit({0}, watts(1030));
  for (double t = 60; t < 90; ++t) {
    site.tick(t);
    EXPECT_EQ(site.off().size(), 4U) << t;
  }
  site.tick(90.5);
  EXPECT_EQ(site.off(), (Devices{0, 2, 5}));  // the pause ends first
  site.relief.set_limit({0}, watts(1240));
  for (double t = 91; t < 122; ++t) {
    site.tick(t);
  }
  EXPECT_EQ(site.off(), (Devices{0, 5}));  // then parts
  site.relief.set_limit({0}, watts(1450));
  for (double t = 122; t < 154; ++t) {
    site.tick(t);
  }
  EXPECT_EQ(site.off(), (Devices{0}));  // then instances, the dearest first
  site.relief.set_limit({0}, watts(1e9));
  for (double t = 154; t < 186; ++t) {
    site.tick(t);
  }
  EXPECT_EQ(site.off(), Devices{});
  EXPECT_THAT(site.relief.take_messages(), Contains("'chat' has all it had"));
}

TEST(Relief, TakesMoreInPlaceOfWhatDoesNotObey) {
  ReliefSite site{racks_of(1, 4), {1, 2, 9, 9}, {job_on("chat", 0, 2, Tier::paused)}};
  site.is_deaf[0] = true;
  site.relief.set_limit({0}, watts(700));
  for (double t = 1; t < 11; ++t) {
    site.tick(t);
    EXPECT_EQ(site.off(), Devices{0}) << t;
  }
  EXPECT_EQ(site.relief.clock_ratios()[1], 0.5);  // the limit is not kept yet
  EXPECT_EQ(site.relief.clock_ratios()[2], 1);
  site.tick(12);
  EXPECT_EQ(site.off(), (Devices{0, 1}));
  site.tick(13);
  EXPECT_EQ(site.relief.clock_ratios()[1], 1);
}

Breach breach_of(NodeIndex node, BreachStep step, double supply_watts) {
  Breach breach;
  breach.node = node;
  breach.step = step;
  breach.is_over = true;
  breach.supply = watts(supply_watts);
  return breach;
}

TEST(Relief, TheLaddersPauseTakesAllThatIsTaggedBelowAndNothingElse) {
  ReliefSite site{racks_of(2, 4),
                  std::vector<double>(8, 1),
                  {job_on("chat", 0, 2, Tier::half), job_on("batch", 2, 1, Tier::paused),
                   job_on("far", 4, 2, Tier::paused)}};
  site.tick(1, {breach_of({1}, BreachStep::throttle, 2900)});
  EXPECT_EQ(site.off(), Devices{});
  EXPECT_EQ(site.relief.clock_ratios()[0], 0.5);
  EXPECT_EQ(site.relief.clock_ratios()[3], 1);  // not tagged
  EXPECT_EQ(site.relief.clock_ratios()[4], 1);  // of another rack
  site.tick(2, {breach_of({1}, BreachStep::pause, 2900)});
  EXPECT_EQ(site.off(), (Devices{0, 2}));
  for (double t = 3; t < 60; ++t) {
    site.tick(t, {breach_of({1}, BreachStep::throttle, 2000)});
  }
  EXPECT_EQ(site.off(), (Devices{0, 2}));  // until the ladder has let go
  for (double t = 60; t < 92; ++t) {
    site.tick(t);
  }
  EXPECT_EQ(site.off(), Devices{});
}

TEST(Relief, TheLaddersShutTakesNodesOfLeastValueUntilTheSupplyFits) {
  ReliefSite site{racks_of(3, 2), {9, 9, 1, 1, 5, 5}, {}};
  site.draws.assign(6, watts(800));  // caps do not hold: 4,800 W of 4,200 W
  site.tick(1, {breach_of({0}, BreachStep::shut, 4800)});
  EXPECT_EQ(site.off(), (Devices{2, 3}));
  EXPECT_THAT(site.relief.take_messages(), ElementsAre("node 'rack1' is shut"));
  site.draws[2] = site.draws[3] = watts(0);
  site.tick(10, {breach_of({0}, BreachStep::shut, 4800)});  // the meter is late
  EXPECT_EQ(site.off(), (Devices{2, 3}));
  site.tick(13, {breach_of({0}, BreachStep::shut, 4800)});
  EXPECT_EQ(site.off().size(), 6U);
  for (double t = 14; t < 46; ++t) {
    site.tick(t);
  }
  EXPECT_EQ(site.off(), Devices{});
}

TEST(Relief, JobsThatCannotBeAreRefused) {
  const auto tree = racks_of(1, 2);
  const auto devices = ReliefSite::controlled_of({1, 1});
  EXPECT_THAT(error_of([&] { Relief(tree, devices, {job_on("chat", 1, 2, Tier::half)}, {}); }),
              HasSubstr("device 2 of 2"));
}

TEST(Switchboard, BelievesOnlyReportsOfItsLastOrder) {
  Switchboard board{std::vector<char>{0}, 1};
  bool has_room = false;
  const auto switch_on = [&](DeviceIndex) { return has_room; };
  const std::vector<char> off{1};
  const std::vector<char> on{0};
  EXPECT_TRUE(board.tick(on, switch_on).empty());
  const auto first = board.tick(off, switch_on)[0].order;
  EXPECT_FALSE(first.is_on);
  EXPECT_EQ(board.tick(off, switch_on)[0].order.id, first.id);  // again, until it is obeyed
  EXPECT_FALSE(board.report({0}, {first.id, false}));           // it writes its checkpoint
  EXPECT_TRUE(board.report({0}, {first.id, true}));
  EXPECT_FALSE(board.report({0}, {first.id, true}));  // known
  EXPECT_TRUE(board.tick(off, switch_on).empty());
  EXPECT_TRUE(board.tick(on, switch_on).empty());  // not charged yet
  has_room = true;
  const auto second = board.tick(on, switch_on)[0].order;
  EXPECT_TRUE(second.is_on);
  EXPECT_GT(second.id, first.id);
  EXPECT_FALSE(board.report({0}, {first.id, true}));  // late: it may be on by now
  EXPECT_EQ(board.tick(on, switch_on).size(), 1U);
  EXPECT_FALSE(board.report({0}, {second.id, false}));
  EXPECT_TRUE(board.tick(on, switch_on).empty());
  Switchboard next{std::vector<char>{0}, 2};
  EXPECT_FALSE(next.report({0}, {second.id, true}));
  EXPECT_GT(next.tick(off, switch_on)[0].order.id, second.id);
  Switchboard third{std::vector<char>{0}, 3};
  EXPECT_FALSE(third.report({0}, {first.id, true}));  // off by a start before
  EXPECT_TRUE(third.tick(on, switch_on)[0].order.is_on);
  has_room = false;  // what is charged after a restart passes a limit
  Switchboard fourth{std::vector<char>{0}, 4};
  EXPECT_FALSE(fourth.report({0}, {first.id, true}));
  const auto again = fourth.tick(on, switch_on)[0].order;
  EXPECT_FALSE(again.is_on);
  EXPECT_TRUE(fourth.report({0}, {again.id, true}));  // known to be off: no longer charged
}

// ---- random sites -------------------------------------------------------------------------------

struct StormAgent {
  device::SwitchId taken = 0;
  bool is_on = true;
};

class ReliefStorm {
 public:
  explicit ReliefStorm(std::uint64_t seed)
      : random_{seed},
        tree_{allocate::random_site(seed, {seed % 2 == 0, seed % 3 == 0, 12})},
        agents_(tree_.devices().size()) {
    for (const auto& device : tree_.devices()) {
      const double value = static_cast<double>(below(5));
      devices_.push_back({{device.min * 0.95, 0.02, watts(below(2) == 0 ? 0 : 5)},
                          device.min * 0.95,
                          device.max,
                          {{device.min * 0.95, value}, {device.max + watts(1), value + 1}}});
    }
    make_jobs();
  }

  /// Whether the site can be built at all: random limits may be below what is beside the caps.
  [[nodiscard]] bool is_possible() const {
    try {
      static_cast<void>(ChargeLedger{tree_, ReliefSite::terms_of(devices_)});
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  void run() {
    ChargeLedger ledger{tree_, ReliefSite::terms_of(devices_)};
    ReliefRules rules;
    rules.release_after = seconds(4);
    Relief relief{tree_, devices_, jobs_, rules};
    Switchboard board{std::vector<char>(devices_.size()), 1};
    std::vector<Watts> draws(devices_.size());
    for (int t = 0; t < 240; ++t) {
      if (t % 12 == 0 && t < 160) {
        lower(relief);
      } else if (t == 160) {
        limits_.clear();
        for (std::uint32_t n = 0; n < tree_.nodes().size(); ++n) {
          relief.set_limit({n}, watts(1e12));
          static_cast<void>(ledger.set_limit({n}, watts(1e12)));
        }
      }
      relief.tick(when(t), {}, draws, ledger);
      exchange(board, relief, ledger, t < 160);
      for (const auto& [node, limit] : limits_) {
        kept += ledger.set_limit(node, limit);
      }
      check(relief, ledger);
      most_off = std::max(most_off, std::count(relief.off().begin(), relief.off().end(), 1));
      shorts += relief.is_short();
    }
    EXPECT_EQ(std::count(relief.off().begin(), relief.off().end(), 1), 0);
    for (const auto& agent : agents_) {
      EXPECT_TRUE(agent.is_on);
    }
  }

  std::ptrdiff_t most_off = 0;
  int shorts = 0;
  int kept = 0;

 private:
  std::uint64_t below(std::uint64_t n) { return uniform_below(random_, n); }

  /// Devices in any order, some left without a job.
  void make_jobs() {
    std::vector<std::uint32_t> order(devices_.size());
    for (std::uint32_t d = 0; d < order.size(); ++d) {
      order[d] = d;
    }
    for (std::size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1], order[below(i)]);
    }
    std::size_t next = 0;
    while (next + 4 < order.size()) {
      Job job;
      job.id = "job" + std::to_string(jobs_.size());
      job.tier = static_cast<Tier>(below(5));
      job.shrinking = below(2) == 0 ? Shrinking::scaled : Shrinking::resized;
      job.priority = static_cast<int>(below(3));
      for (auto u = 1 + below(4); u > 0 && next + 2 < order.size(); --u) {
        job.units.emplace_back();
        for (auto k = 1 + below(2); k > 0; --k) {
          job.units.back().push_back(order[next++]);
        }
      }
      job.least_units = 1 + below(job.units.size());
      jobs_.push_back(job);
      next += below(2);
    }
  }

  void lower(Relief& relief) {
    const NodeIndex node{static_cast<std::uint32_t>(below(tree_.nodes().size()))};
    if (const auto limit = tree_.node(node).steady_limit()) {
      const Watts lower = *limit * (0.2 + 0.8 * uniform_unit(random_));
      std::erase_if(limits_, [&](const auto& one) { return one.first == node; });
      limits_.emplace_back(node, lower);
      relief.set_limit(node, lower);
    }
  }

  /// Orders and reports, late by a tick, some of them lost, or again long after.
  void exchange(Switchboard& board, const Relief& relief, ChargeLedger& ledger, bool loses) {
    for (const auto& [device, report] : std::exchange(reports_, {})) {
      if (board.report(device, report)) {
        ledger.switched_off(device);
      }
    }
    for (const auto& [device, order] : std::exchange(orders_, {})) {
      auto& agent = agents_[device.value];
      if (order.id > agent.taken) {
        agent = {order.id, order.is_on};
      }
      if (!loses || below(4) > 0) {
        reports_.emplace_back(device, device::SwitchReport{agent.taken, !agent.is_on});
        late_reports_.push_back(reports_.back());
      }
    }
    for (const auto& one :
         board.tick(relief.off(), [&](DeviceIndex d) { return ledger.switch_on(d); })) {
      if (!loses || below(4) > 0) {
        orders_.push_back(one);
        late_.push_back(one);
      }
      if (!late_.empty() && below(8) == 0) {  // an old one comes again
        orders_.push_back(late_[below(late_.size())]);
      }
    }
  }

  void check(const Relief& relief, const ChargeLedger& ledger) {
    ASSERT_EQ(ledger.fault(), std::nullopt);
    std::vector<char> may_be_off(devices_.size(), 0);
    for (std::size_t j = 0; j < jobs_.size(); ++j) {
      const auto& job = jobs_[j];
      std::size_t off = 0;
      for (const auto& unit : job.units) {
        off += relief.off()[unit[0]] != 0;
        for (const auto d : unit) {
          ASSERT_EQ(relief.off()[d], relief.off()[unit[0]]) << "a unit goes as a whole";
          may_be_off[d] = job.tier != Tier::none;
        }
      }
      ASSERT_EQ(relief.taken()[j].units, off);
      if (relief.taken()[j].is_paused) {
        ASSERT_EQ(job.tier, Tier::paused);
      } else {
        ASSERT_LE(off, job.most_units_off());
      }
    }
    for (std::uint32_t d = 0; d < agents_.size(); ++d) {
      ASSERT_TRUE(agents_[d].is_on || may_be_off[d]);
      ASSERT_TRUE(relief.off()[d] == 0 || may_be_off[d]);
      ASSERT_TRUE(!agents_[d].is_on || !ledger.is_off({d})) << "on and not charged";
    }
  }

  std::mt19937_64 random_;
  PowerTree tree_;
  std::vector<ControlledDevice> devices_;
  std::vector<Job> jobs_;
  std::vector<StormAgent> agents_;
  std::vector<std::pair<NodeIndex, Watts>> limits_;
  std::vector<Switchboard::Order> orders_;
  std::vector<Switchboard::Order> late_;
  std::vector<std::pair<DeviceIndex, device::SwitchReport>> reports_;
  std::vector<std::pair<DeviceIndex, device::SwitchReport>> late_reports_;
};

TEST(Relief, StormNothingUntaggedIsTakenAndNothingIsOnWithoutACharge) {
  int sites = 0;
  std::ptrdiff_t off = 0;
  int shorts = 0;
  int kept = 0;
  for (std::uint64_t seed = 1; seed <= 500 && !::testing::Test::HasFatalFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ReliefStorm storm{seed};
    if (storm.is_possible()) {
      storm.run();
      ++sites;
      off += storm.most_off;
      shorts += storm.shorts;
      kept += storm.kept;
    }
  }
  EXPECT_GT(sites, 150);
  EXPECT_GT(off, 100);
  EXPECT_GT(shorts, 100);
  EXPECT_GT(kept, 1000);
}

}  // namespace
}  // namespace perwatt::control
