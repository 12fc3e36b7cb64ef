#include "perwatt/serve/live_simulation.hpp"

#include <atomic>
#include <chrono>
#include <thread>

#include "live_observer.hpp"
#include "live_sites.hpp"
#include <gtest/gtest.h>

#include "perwatt/simulate/scenario_run.hpp"

namespace perwatt::serve {
namespace {

/// Fails after a while.
template <class Condition>
void wait_until(Condition holds) {
  for (int tries = 0; tries < 30000 && !holds(); ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  ASSERT_TRUE(holds());
}

void run_until(simulate::ScenarioRun& run, Seconds time) {
  while (run.time() < time - seconds(0.05)) {
    run.step();
  }
}

TEST(LiveObserver, DescribesTheSite) {
  const auto scenario = small_scenario();
  const LiveObserver observer{scenario, scenario.policies[0]};
  const auto site = observer.site();
  EXPECT_EQ(site.name, "small");
  EXPECT_EQ(site.policy, "perwatt");
  EXPECT_EQ(site.duration, seconds(60));
  ASSERT_EQ(site.nodes.size(), 3U);
  EXPECT_EQ(site.nodes[0].devices, 4U);
  EXPECT_FALSE(site.nodes[0].parent);
  EXPECT_EQ(site.nodes[2].id, "rack-2");
  EXPECT_EQ(site.nodes[2].devices, 2U);
  EXPECT_EQ(site.nodes[2].parent->value, 0U);
}

TEST(LiveObserver, SumsNodesAndFollowsLimits) {
  const auto scenario = small_scenario();
  LiveObserver observer{scenario, scenario.policies[0]};
  simulate::ScenarioRun run{scenario, scenario.policies[0], 1};
  run_until(run, seconds(15));
  const auto state = observer.observe(run);
  const auto& root = state.nodes[0];
  EXPECT_EQ(root.limit, watts(4000));
  EXPECT_EQ(root.devices_on, 4U);
  EXPECT_LE(root.at_caps, watts(4000));
  EXPECT_NEAR(in_watts(root.device_draw),
              in_watts(state.nodes[1].device_draw + state.nodes[2].device_draw), 1e-9);
  EXPECT_NEAR(in_watts(root.draw), 100 + 2 * (100 + in_watts(root.device_draw)), 1e-3)
      << "losses and what is fixed";
  EXPECT_NEAR(in_watts(root.at_caps), 100 + 2 * (100 + in_watts(root.cap)), 1e-3);
  run_until(run, seconds(25));
  EXPECT_EQ(observer.observe(run).nodes[0].limit, watts(2000));
  run_until(run, seconds(35));
  EXPECT_EQ(observer.observe(run).nodes[0].limit, watts(4000));
  run_until(run, seconds(45));
  const auto off = observer.observe(run);
  EXPECT_EQ(off.nodes[0].devices_on, 2U);
  EXPECT_EQ(off.nodes[2].device_draw, watts(0));
  ASSERT_EQ(off.events.size(), 3U);
  EXPECT_EQ(off.events[2].number, 2);
  EXPECT_EQ(off.events[2].event.text, "node-off at rack-2 began");
  EXPECT_EQ(off.violations.count, 0);
  EXPECT_EQ(off.history.time.size(), 4U);
  EXPECT_FALSE(off.is_over);
  run_until(run, seconds(60));
  EXPECT_TRUE(observer.observe(run).is_over);
}

TEST(LiveObserver, GivesRatesOfTheRecentPast) {
  const auto scenario = small_scenario();
  LiveObserver observer{scenario, scenario.policies[0]};
  simulate::ScenarioRun run{scenario, scenario.policies[0], 1};
  for (double t = 1; t <= 19; ++t) {
    run_until(run, seconds(t));
    const auto rates = observer.observe(run).rates;
    EXPECT_GE(in_usd_per_hour(rates.revenue), 0) << t << " s; what is earned counts anew from 10 s";
    EXPECT_LE(in_usd_per_hour(rates.revenue), 12 * 2 + 1e-9) << t;
    if (t >= 15) {
      EXPECT_GT(in_usd_per_hour(rates.revenue), 6) << t;
      EXPECT_NEAR(in_usd_per_hour(rates.energy_cost), 0.3, 0.15) << t;
    }
  }
}

TEST(LiveSimulation, KeepsPaceAndStopsAtOnce) {
  const auto scenario = small_scenario();
  LiveSimulation simulation{scenario, scenario.policies[0], {1, 10, "version"}};
  EXPECT_EQ(simulation.newest()->number, 0);
  EXPECT_EQ(simulation.site().version, "version");
  std::atomic<int> news = 0;
  const auto begin = std::chrono::steady_clock::now();
  simulation.start([&] { ++news; });
  wait_until([&] { return news == 2; });
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
  const auto time = in_seconds(simulation.newest()->time);
  EXPECT_GE(time, 10) << "states come every second";
  EXPECT_LE(time, passed.count() * 10);
  simulation.stop();
  const auto number = simulation.newest()->number;
  std::this_thread::sleep_for(std::chrono::milliseconds{100});
  EXPECT_EQ(simulation.newest()->number, number);
  EXPECT_FALSE(simulation.failure());
}

TEST(LiveSimulation, StandsStillAtItsEnd) {
  const auto scenario = small_scenario();
  LiveSimulation simulation{scenario, scenario.policies[0], {1, 1000, ""}};
  std::atomic<int> news = 0;
  simulation.start([&] { ++news; });
  wait_until([&] { return simulation.newest()->is_over; });
  EXPECT_NEAR(in_seconds(simulation.newest()->time), 60, 1e-6);
  const auto number = simulation.newest()->number;
  wait_until([&] { return simulation.newest()->number == number + 2; });
  EXPECT_NEAR(in_seconds(simulation.newest()->time), 60, 1e-6);
  EXPECT_EQ(simulation.newest()->speed_reached_ratio, 0);
}

}  // namespace
}  // namespace perwatt::serve
