#include "perwatt/serve/live_simulation.hpp"

#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>

#include "live_json.hpp"
#include "live_observer.hpp"
#include "live_sites.hpp"
#include <gtest/gtest.h>

#include "perwatt/base/json_node.hpp"
#include "perwatt/control/mode.hpp"
#include "perwatt/simulate/recorded_run.hpp"
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
  EXPECT_NEAR(in_watts(*root.at_caps), 100 + 2 * (100 + in_watts(*root.cap)), 1e-3);
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

TEST(LiveObserver, TellsWhatThePolicyWouldChange) {
  const auto scenario = small_scenario();
  auto plan = scenario.policies[0];
  plan.mode = control::Mode::advise;
  LiveObserver observer{scenario, plan};
  simulate::ScenarioRun run{scenario, plan, 1};
  run_until(run, seconds(15));
  const auto site = observer.site();
  const auto state = observer.observe(run);
  ASSERT_EQ(site.devices.size(), 4U);
  ASSERT_TRUE(state.nodes[0].advised_cap);
  EXPECT_EQ(*state.nodes[0].advised_cap, *state.nodes[1].advised_cap + *state.nodes[2].advised_cap);
  Watts changed;
  for (const auto& one : state.advice) {
    ASSERT_TRUE(one.cap);
    changed += one.advised - *one.cap;
  }
  EXPECT_NEAR(in_watts(*state.nodes[0].advised_cap - *state.nodes[0].cap), in_watts(changed), 1e-9);
  const auto told = Json::parse(live_advice_json(site, state));
  EXPECT_EQ(told["control_mode"], "advise");
  EXPECT_EQ(told["devices"].size(), state.advice.size());
  EXPECT_EQ(told["raised_watts"].get<double>() - told["lowered_watts"].get<double>(),
            std::round(in_watts(changed)));
}

TEST(LiveObserver, ShowsARecordingAndNothingItDoesNotKnow) {
  const auto scenario = small_scenario();
  auto plan = scenario.policies[0];
  plan.mode = control::Mode::observe;
  LiveObserver observer{scenario, plan};
  simulate::RecordedRun run{scenario, plan,
                            "unix_time_s,meter,scope,power_watts,counter_joules\n"
                            "100,rack-1/gpu-1,gpu,300,\n100,rack-1/gpu-2,gpu,200,\n"
                            "100,rack-2,rack,800,\n101,rack-2,rack,,\n",
                            "r.csv"};
  const auto state = observer.observe(run);
  EXPECT_EQ(state.nodes[0].device_draw, watts(500));
  EXPECT_EQ(state.nodes[0].devices_on, 2U);
  EXPECT_EQ(state.nodes[1].draw, watts(550)) << "its devices and what is fixed";
  EXPECT_EQ(state.nodes[2].draw, watts(800)) << "its meter";
  EXPECT_EQ(state.nodes[0].limit, watts(4000));
  EXPECT_FALSE(state.nodes[0].cap);
  const auto told = Json::parse(live_state_json(observer.site(), state));
  EXPECT_TRUE(told["totals"]["good_tokens_per_s"].is_null());
  EXPECT_TRUE(told["totals"]["limit_violations"].is_null());
  EXPECT_EQ(told["totals"]["facility_limit_watts"], 4000);
  EXPECT_EQ(told["control_mode"], "observe");
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

TEST(LiveSimulation, TakesOrdersWhileItRuns) {
  const auto scenario = small_scenario();
  LiveSimulation simulation{scenario, scenario.policies[0], {1, 20, "1"}};
  EXPECT_TRUE(simulation.site().takes_orders);
  simulation.order({simulate::OrderKind::maintain, {2}, true});
  simulation.order({simulate::OrderKind::release, {}, true});
  simulation.start([] {});
  wait_until([&] { return simulation.newest()->time > seconds(10); });
  const auto state = simulation.newest();
  EXPECT_TRUE(state->is_released);
  EXPECT_TRUE(state->nodes[2].is_maintained);
  EXPECT_FALSE(state->nodes[1].is_maintained);
  EXPECT_EQ(state->nodes[0].cap, watts(800)) << "four devices at fail-safe";
  simulation.stop();
}

}  // namespace
}  // namespace perwatt::serve
