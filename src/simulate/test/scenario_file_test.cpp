// Scenario files: defaults, every table read, every error with its place and key.
#include <cctype>
#include <cstdint>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "error_of.hpp"
#include "relief_link.hpp"
#include "scenarios.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/random.hpp"
#include "perwatt/simulate/scenario_run.hpp"

namespace perwatt::simulate {
namespace {

using testing::HasSubstr;

TEST(ScenarioFile, AScenarioHasItsDefaults) {
  const auto scenario = scenario_of("[scenario]\nname = \"least\"\nduration = \"10s\"\n" +
                                    with(kKindText, "overshoot = \"1%\"\n", "") + kTreeText);
  EXPECT_EQ(scenario.plant.step_ns, 100'000'000);
  EXPECT_EQ(scenario.warm_up, seconds(0));
  EXPECT_EQ(scenario.settle, seconds(2));
  EXPECT_EQ(scenario.message_delay, seconds(0));
  EXPECT_EQ(scenario.electricity, UsdPerJoule{});
  EXPECT_DOUBLE_EQ(scenario.overshoot_ratio, 0.03);
  EXPECT_TRUE(scenario.plant.trips_open);
  EXPECT_EQ(scenario.seed, 1U);
  EXPECT_FALSE(scenario.failures);
  EXPECT_TRUE(scenario.services.empty());
  EXPECT_TRUE(scenario.faults.empty());
  ASSERT_TRUE(scenario.plant.device_sensors);
  EXPECT_EQ(scenario.plant.device_sensors->sample_steps, 10);
  EXPECT_EQ(scenario.plant.device_sensors->delay_steps, 0);
  EXPECT_EQ(scenario.plant.device_sensors->quantum, watts(1));
  ASSERT_EQ(scenario.plant.kinds.size(), 1U);
  const auto& kind = scenario.plant.kinds[0];
  EXPECT_EQ(kind.lowest_cap, watts(200));
  EXPECT_EQ(kind.highest_cap, watts(700));
  EXPECT_EQ(kind.cap_resolution, watts(1));
  EXPECT_EQ(kind.response, seconds(0.2));
  EXPECT_EQ(kind.regulation, seconds(0.1));
  EXPECT_DOUBLE_EQ(kind.overshoot_ratio, 1.03);
  EXPECT_EQ(kind.least_latency_ns, 0);
  EXPECT_EQ(kind.most_latency_ns, 500'000'000);
}

TEST(ScenarioFile, WithoutPoliciesAllKindsAreCompared) {
  const auto scenario = scenario_of(small_scenario_text());
  ASSERT_EQ(scenario.policies.size(), kEveryPolicy.size());
  for (std::size_t p = 0; p < kEveryPolicy.size(); ++p) {
    EXPECT_EQ(scenario.policies[p].kind, kEveryPolicy[p]);
    EXPECT_EQ(scenario.policies[p].name, to_string(kEveryPolicy[p]));
    EXPECT_EQ(parse_policy_kind(to_string(kEveryPolicy[p])), kEveryPolicy[p]);
    EXPECT_EQ(scenario.policies[p].cadence,
              seconds(kEveryPolicy[p] == PolicyKind::steering ? 90 : 1));
  }
}

TEST(ScenarioFile, AServiceIsReadWithItsPools) {
  const auto scenario = scenario_of(small_scenario_text());
  ASSERT_EQ(scenario.services.size(), 1U);
  const auto& chat = scenario.services[0];
  EXPECT_EQ(chat.id, "chat");
  EXPECT_EQ(chat.setup.limits.max_ttft, seconds(2));
  EXPECT_EQ(chat.setup.limits.max_tpot, seconds(0.05));
  EXPECT_FALSE(chat.setup.aggregated);
  ASSERT_TRUE(chat.setup.prefill && chat.setup.decode);
  EXPECT_EQ(chat.setup.prefill->model.power.decode_base, watts(100));  // idle where not given
  EXPECT_EQ(chat.gpus[static_cast<std::size_t>(Pool::prefill)].size(), 4U);
  EXPECT_EQ(chat.gpus[static_cast<std::size_t>(Pool::decode)].size(), 4U);
  const auto& prefill = chat.laws[static_cast<std::size_t>(Pool::prefill)];
  EXPECT_EQ(prefill.prefill_exponent, 3);
  EXPECT_EQ(chat.laws[static_cast<std::size_t>(Pool::decode)].decode_exponent, 8);
  for (const auto pool : {Pool::prefill, Pool::decode}) {
    const auto& terms = chat.pool_terms[static_cast<std::size_t>(pool)];
    EXPECT_EQ(terms.priority, 2);
    EXPECT_DOUBLE_EQ(terms.tolerated_loss_ratio, 0.05);
  }
  ASSERT_TRUE(std::holds_alternative<SteadyArrivals>(chat.arrivals));
  EXPECT_EQ(std::get<SteadyArrivals>(chat.arrivals).rate_per_second, 20);
}

TEST(ScenarioFile, APoolMayTolerateAnotherLossThanItsService) {
  const auto scenario =
      scenario_of(with(small_scenario_text(), "decode_exponent = 8", "tolerated_loss_ratio = 0.2"));
  const auto& terms = scenario.services[0].pool_terms;
  EXPECT_DOUBLE_EQ(terms[static_cast<std::size_t>(Pool::prefill)].tolerated_loss_ratio, 0.05);
  EXPECT_DOUBLE_EQ(terms[static_cast<std::size_t>(Pool::decode)].tolerated_loss_ratio, 0.2);
}

TEST(ScenarioFile, JobsSayWhatTheyGiveUpWhenALimitFalls) {
  auto text = with(small_scenario_text(), "max_ttft", "tier = \"25%\"\nmax_ttft");
  text = with(text, "instances = 2\n", "instances = 2\nleast_instances = 2\n");
  text = with(text, "[service.decode]", "[service.decode]\ntier = \"0%\"");
  text = with(text, "gpus = 8\n", "gpus = 8\npart_gpus = 2\nleast_parts = 3\ntier = \"paused\"\n");
  const auto scenario = scenario_of(text);
  const auto jobs = jobs_of(scenario);
  ASSERT_EQ(jobs.size(), 3U);
  EXPECT_EQ(jobs[0].id, "chat/prefill");
  EXPECT_EQ(jobs[0].units, (std::vector<std::vector<std::uint32_t>>{{0, 1}, {2, 3}}));
  EXPECT_EQ(jobs[0].tier, jobs::Tier::quarter);
  EXPECT_EQ(jobs[0].least_units, 2U);
  EXPECT_EQ(jobs[0].priority, 2);
  EXPECT_EQ(jobs[1].id, "chat/decode");
  EXPECT_EQ(jobs[1].tier, jobs::Tier::none);
  EXPECT_EQ(jobs[1].units.size(), 1U);
  EXPECT_EQ(jobs[2].id, "train");
  EXPECT_EQ(jobs[2].shrinking, jobs::Shrinking::resized);
  EXPECT_EQ(jobs[2].tier, jobs::Tier::paused);
  EXPECT_EQ(jobs[2].units.size(), 4U);
  EXPECT_EQ(jobs[2].least_units, 3U);
  EXPECT_EQ(jobs[2].stops_within, seconds(2));
  const auto untagged = jobs_of(scenario_of(small_scenario_text()));
  for (const auto& job : untagged) {
    EXPECT_EQ(job.tier, jobs::Tier::none);
    EXPECT_EQ(job.most_units_off(), 0U);
  }
  EXPECT_EQ(untagged[2].units.size(), 1U);  // as a whole, or not at all
}

TEST(ScenarioFile, GpusAreHandedOutOnce) {
  const auto scenario = scenario_of(small_scenario_text());
  std::vector<int> uses(scenario.tree.devices().size());
  for (const auto& pool : scenario.services[0].gpus) {
    for (const auto gpu : pool) {
      ++uses[gpu.value];
      EXPECT_EQ(scenario.tree.node(scenario.tree.device(gpu).parent).id, "rack-1");
    }
  }
  for (const auto gpu : scenario.trainings[0].gpus) {
    ++uses[gpu.value];
    EXPECT_EQ(scenario.tree.node(scenario.tree.device(gpu).parent).id, "rack-2");
  }
  for (const int count : uses) {
    EXPECT_EQ(count, 1);
  }
}

TEST(ScenarioFile, ArrivalsAreSteadyDailyATraceOrAClosedLoop) {
  const auto arrivals = [](const std::string& text) {
    return scenario_of(with(small_scenario_text(), "{ rate = \"20req/s\" }", text))
        .services[0]
        .arrivals;
  };
  const auto steady = std::get<SteadyArrivals>(
      arrivals("{ rate = \"3req/s\", pattern = \"bursts\", burst_size = 7 }"));
  EXPECT_EQ(steady.pattern, ArrivalPattern::bursts);
  EXPECT_EQ(steady.burst_size, 7);
  const auto daily = std::get<DailyArrivals>(
      arrivals("{ daily = [{ at = \"0h\", rate = \"1req/s\" }, { at = \"12h\", rate = "
               "\"9req/s\" }], starts_at = \"11h\" }"));
  ASSERT_EQ(daily.rate.points.size(), 2U);
  EXPECT_EQ(daily.rate.points[1].at, seconds(43200));
  EXPECT_EQ(daily.rate.starts_at, seconds(39600));
  EXPECT_EQ(std::get<ClosedLoop>(arrivals("{ clients = 12 }")).clients, 12);
}

TEST(ScenarioFile, FaultsAreReadInOrderOfTime) {
  const auto fault = [](const std::string& keys) {
    return "[[fault]]\nlasts = \"5s\"\n" + keys + "\n";
  };
  const auto scenario = scenario_of(
      small_scenario_text() +
      fault("kind = \"cap-late\"\nat = \"9s\"\nnode = \"rack-1\"\ndelay = \"2s\"") +
      fault("kind = \"messages-lost\"\nat = \"3s\"\nratio = 0.5") +
      fault("kind = \"limit-lowered\"\nat = \"5s\"\nnode = \"rack-2\"\npower = \"3kW\"") +
      "[random_failures]\nof = \"rack\"\nmean_time_between = \"1h\"\nrepair_takes = \"1min\"\n");
  ASSERT_EQ(scenario.faults.size(), 3U);
  EXPECT_EQ(scenario.faults[0].kind, FaultKind::messages_lost);
  EXPECT_EQ(scenario.faults[0].factor, 0.5);
  EXPECT_EQ(scenario.faults[1].power, watts(3000));
  EXPECT_EQ(scenario.faults[2].delay, seconds(2));
  ASSERT_TRUE(scenario.failures);
  EXPECT_EQ(scenario.failures->level, topology::NodeKind::rack);
}

/// What is put in place of what, and what the message must name.
using Broken = std::tuple<const char*, const char*, const char*>;

class ScenarioErrors : public testing::TestWithParam<Broken> {};

TEST_P(ScenarioErrors, NameTheKey) {
  const auto& [from, to, key] = GetParam();
  const auto text = with(small_scenario_text(), from, to);
  const auto message = error_of([&] { static_cast<void>(scenario_of(text)); });
  EXPECT_THAT(message, HasSubstr("s.toml"));
  EXPECT_THAT(message, HasSubstr(key));
  EXPECT_THAT(message, HasSubstr("; ")) << "no remedy";
}

INSTANTIATE_TEST_SUITE_P(
    All, ScenarioErrors,
    testing::Values(
        Broken{"name = \"small\"\n", "", "scenario.name"},
        Broken{"duration = \"60s\"\n", "", "duration"},
        Broken{"duration = \"60s\"", "duration = \"60\"", "duration"},
        Broken{"duration = \"60s\"", "duration = \"9601h\"", "duration"},
        Broken{"duration = \"60s\"", "duration = \"1ms\"", "duration"},
        Broken{"duration = \"60s\"", "duration = \"60s\"\nstep = \"0s\"", "step"},
        Broken{"duration = \"60s\"", "duration = \"60s\"\nstep = \"11s\"", "step"},
        Broken{"duration = \"60s\"", "duration = \"60s\"\nseed = -1", "seed"},
        Broken{"duration = \"60s\"", "duration = \"60s\"\nbreakers_open = 1", "breakers_open"},
        Broken{"overshoot = \"1%\"", "overshoot = \"101%\"", "scenario.overshoot"},
        Broken{"overshoot = \"1%\"", "overshoot = 0.01", "scenario.overshoot"},
        Broken{"settle = \"1s\"", "settle = \"1e300h\"", "scenario.settle"},
        Broken{"settle = \"1s\"", "message_delay = \"25h\"", "scenario.message_delay"},
        Broken{"electricity = \"0.06USD/kWh\"", "electricity = \"6c\"", "electricity"},
        Broken{"period = \"1s\"", "period = \"150ms\"", "sensors.period"},
        Broken{"delay = \"200ms\"", "delay = \"50ms\"", "sensors.delay"},
        Broken{"bias = \"1%\"", "bias = \"51%\"", "sensors.bias"},
        Broken{"noise = \"3W\"", "noise = \"3\"", "sensors.noise"},
        Broken{"noise = \"3W\"", "nois = \"3W\"", "nois"},
        Broken{"accelerator = \"gpu\"\nidle", "accelerator = \"none\"\nidle", "accelerator"},
        Broken{"idle = \"100W\"\nover", "idle = \"300W\"\nover", "idle"},
        Broken{"[[device_kind]]\naccelerator = \"gpu\"\nidle = \"100W\"\novershoot = \"1%\"\n", "",
               "device_kind"},
        Broken{"[[device_kind]]\n",
               "[[device_kind]]\naccelerator = \"gpu\"\nidle = \"100W\"\n[[device_kind]]\n",
               "accelerator"},
        Broken{"input = { tokens = 1000, law = \"exponential\" }\n", "", "input"},
        Broken{"tokens = 1000, law = \"exponential\"", "tokens = 1000, law = \"normal\"", "law"},
        Broken{"tokens = 1000, law", "tokens = 0, law", "tokens"},
        Broken{"tokens = 1000, law = \"exponential\"", "tokens = 9, law = \"lognormal\"",
               "deviation_ratio"},
        Broken{"arrivals = { rate = \"20req/s\" }\n", "", "arrivals"},
        Broken{"rate = \"20req/s\"", "rate = \"20req/s\", rat = 1", "rat"},
        Broken{"rate = \"20req/s\"", "rate = \"0req/s\"", "rate"},
        Broken{"rate = \"20req/s\"", "rate = \"2req/s\", pattern = \"closed-loop\"", "pattern"},
        Broken{"rate = \"20req/s\"", "clients = 0", "clients"},
        Broken{"rate = \"20req/s\"", "rate = \"1e300req/s\"", "rate"},
        Broken{"rate = \"20req/s\"",
               "daily = [{ at = \"1h\", rate = \"1req/s\" }, { at = \"2h\", rate = \"1req/s\" }]",
               "daily"},
        Broken{"rate = \"20req/s\"",
               "daily = [{ at = \"0h\", rate = \"1req/s\" }], starts_at = \"24h\"", "starts_at"},
        Broken{"idle = \"100W\"\nover", "idle = \"100W\"\nleast_latency = \"1s\"\nover",
               "least_latency"},
        Broken{"priority = 2", "priority = 1001", "priority"},
        Broken{"priority = 2", "tier = \"5%\"", "tier"},
        Broken{"priority = 2", "tier = \"paused\"", "tier"},  // of one of two pools
        Broken{"instances = 2", "instances = 2\nleast_instances = 0", "least_instances"},
        Broken{"gpus = 8\n", "gpus = 8\npart_gpus = 16\n", "part_gpus"},
        Broken{"gpus = 8\n", "gpus = 8\npart_gpus = 4\nleast_parts = 3\n", "least_parts"},
        Broken{"tolerated_loss_ratio = 0.05", "tolerated_loss_ratio = 0.51", "tolerated_loss"},
        Broken{"max_ttft = \"2s\"", "max_ttft = \"1e300h\"", "max_ttft"},
        Broken{"instances = 2", "instances = 0", "instances"},
        Broken{"instances = 2", "instances = 20", "below"},
        Broken{"below = \"rack-1\"", "below = \"rack-9\"", "below"},
        Broken{"prefill_rate = \"20ktok/s\"", "prefill_rate = \"0.5tok/s\"", "prefill_rate"},
        Broken{"step_base = \"10ms\"", "step_base = \"61s\"", "step_base"},
        Broken{"prefill_power = \"650W\"", "prefill_power = \"1GW\"", "prefill_power"},
        Broken{"decode_power_per_sequence = \"2W\"", "decode_power_per_sequence = \"90MW\"",
               "decode_power_per_sequence"},
        Broken{"decode_exponent = 8", "decode_exponent = 0.5", "decode_exponent"},
        Broken{"[service.decode]", "[service.decod]", "aggregated"},
        Broken{"step = \"2s\"", "step = \"0s\"", "step"},
        Broken{"communication_ratio = 0.2", "communication_ratio = 1", "communication_ratio"},
        Broken{"compute_power = \"680W\"", "compute_power = \"100W\"", "compute_power"},
        Broken{"gpus = 8\nbelow = \"rack-2\"", "gpus = 9\nbelow = \"rack-2\"", "below"},
        Broken{"id = \"train\"", "id = \"chat\"", "training"},
        Broken{"[scenario]", "[scenari]", "scenario"}));

/// A table more, and what the message must name.
using Added = std::tuple<const char*, const char*>;

class AddedErrors : public testing::TestWithParam<Added> {};

TEST_P(AddedErrors, NameTheKey) {
  const auto& [more, key] = GetParam();
  const auto text = small_scenario_text() + more;
  const auto message = error_of([&] { static_cast<void>(scenario_of(text)); });
  EXPECT_THAT(message, HasSubstr("s.toml"));
  EXPECT_THAT(message, HasSubstr(key));
}

constexpr const char* kTwoPolicies =
    "[[policy]]\nkind = \"even\"\n[[policy]]\nkind = \"fixed\"\nname = \"even\"\n";

INSTANTIATE_TEST_SUITE_P(
    All, AddedErrors,
    testing::Values(
        Added{"[[policy]]\nkind = \"evn\"\n", "'even'"},
        Added{"[[policy]]\nkind = \"even\"\ncadence = \"1ms\"\n", "cadence"},
        Added{"[[policy]]\nkind = \"even\"\nguard = \"91%\"\n", "guard"},
        Added{"[[policy]]\nkind = \"even\"\noff = [\"chatt\"]\n", "'chat'"},
        Added{"[[policy]]\nkind = \"even\"\nabsent = [\"site\"]\n", "absent"},
        Added{"[[policy]]\nkind = \"perwatt\"\ndemand_memory = \"25h\"\n", "demand_memory"},
        Added{kTwoPolicies, "'even' is given twice"},
        Added{"[[fault]]\nkind = \"feed-lots\"\nat = \"0s\"\nlasts = \"1s\"\n", "feed-lost"},
        Added{"[[fault]]\nkind = \"feed-lost\"\nat = \"0s\"\nlasts = \"1s\"\nnode = \"site\"\n",
              "root"},
        Added{"[[fault]]\nkind = \"node-off\"\nlasts = \"1s\"\nnode = \"site\"\n", "at"},
        Added{"[[fault]]\nkind = \"node-off\"\nat = \"1e300h\"\nlasts = \"1s\"\nnode = \"site\"\n",
              "at"},
        Added{"[[fault]]\nkind = \"node-off\"\nat = \"0s\"\nlasts = \"1s\"\nnode = \"x\"\n",
              "node"},
        Added{"[[fault]]\nkind = \"messages-lost\"\nat = \"0s\"\nlasts = \"1s\"\nratio = 2\n",
              "ratio"},
        Added{"[[fault]]\nkind = \"cap-late\"\nat = \"0s\"\nlasts = \"1s\"\nnode = \"site\"\n"
              "delay = \"25h\"\n",
              "delay"},
        Added{"[[fault]]\nkind = \"other-writer\"\nat = \"0s\"\nlasts = \"1s\"\nnode = \"site\"\n"
              "power = \"1GW\"\n",
              "power"},
        Added{"[random_failures]\nmean_time_between = \"1ms\"\nrepair_takes = \"1s\"\n",
              "mean_time_between"},
        Added{"[random_failures]\nof = \"hall\"\nmean_time_between = \"1h\"\nrepair_takes = "
              "\"1s\"\n",
              "random_failures.of"},
        Added{"[random]\n", "random"}));

TEST(ScenarioFile, APolicyWhoseJobsMissTheirGpusIsRefused) {
  const auto text = small_scenario_text() + "[[policy]]\nkind = \"even\"\nabsent = [\"rack-2\"]\n";
  EXPECT_THAT(error_of([&] { static_cast<void>(scenario_of(text)); }), HasSubstr("'train'"));
}

TEST(ScenarioFile, FailSafeCapsThatPassALimitAreRefusedByTheNode) {
  const auto text = with(small_scenario_text(), "fail_safe = \"300W\"", "fail_safe = \"650W\"");
  EXPECT_THAT(error_of([&] { static_cast<void>(scenario_of(text)); }), HasSubstr("'site'"));
}

TEST(ScenarioFile, APolicyThatLeavesNoDeviceIsRefused) {
  const auto text = small_scenario_text() +
                    "[[policy]]\nkind = \"even\"\nabsent = [\"rack-1\", \"rack-2\"]\noff = "
                    "[\"chat\", \"train\"]\n";
  EXPECT_THAT(error_of([&] { static_cast<void>(scenario_of(text)); }), HasSubstr("no device"));
}

/// Begin and length of each number of the text.
std::vector<std::pair<std::size_t, std::size_t>> numbers_in(const std::string& text) {
  std::vector<std::pair<std::size_t, std::size_t>> found;
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::size_t end = i;
    while (end < text.size() &&
           (std::isdigit(static_cast<unsigned char>(text[end])) != 0 || text[end] == '.')) {
      ++end;
    }
    if (end > i) {
      found.emplace_back(i, end - i);
      i = end;
    }
  }
  return found;
}

TEST(ScenarioFile, AnyNumberPutForAnotherIsReadOrRefused) {
  const std::string text =
      small_scenario_text() +
      "[[fault]]\nkind = \"cap-late\"\nat = \"3s\"\nlasts = \"5s\"\nnode = \"rack-1\"\ndelay = "
      "\"2s\"\n[random_failures]\nmean_time_between = \"100h\"\nrepair_takes = \"10min\"\n"
      "[[policy]]\nkind = \"perwatt\"\ncadence = \"2s\"\nguard = \"1%\"\n";
  std::mt19937_64 random{7};
  int read = 0;
  int refused = 0;
  for (const auto& [begin, length] : numbers_in(text)) {
    for (const std::string number : {"0", "1", "-1", "1e-300", "1e300", "1e999", "nan", "inf",
                                     "9223372036854775807", "1e-9", "0.5", "3", "17", "1e10", ""}) {
      auto broken = text;
      broken.replace(begin, length, number);
      try {
        const auto scenario = scenario_of(broken);
        const auto& policy = scenario.policies[0];
        const auto* steady = std::get_if<SteadyArrivals>(&scenario.services.at(0).arrivals);
        const bool is_small = scenario.plant.step_ns >= 10'000'000 &&
                              scenario.tree.devices().size() < 200 &&
                              steady->rate_per_second < 1000;
        if (is_small && uniform_below(random, 4) == 0) {
          ScenarioRun run{scenario, policy, 1};
          for (int s = 0; s < 20 && run.steps_done() < run.steps(); ++s) {
            run.step();
          }
        }
        ++read;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what() << "\n" << number;
        ++refused;
      }
    }
  }
  EXPECT_GT(read, 300);
  EXPECT_GT(refused, 300);
}

}  // namespace
}  // namespace perwatt::simulate
