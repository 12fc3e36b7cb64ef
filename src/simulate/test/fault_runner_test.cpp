// Faults that begin, overlap and end: what devices, meters and the policy are told.
#include "fault_runner.hpp"

#include <string>
#include <vector>

#include "plants.hpp"
#include "scenarios.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::simulate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class NotingPolicy final : public Policy {
 public:
  void start(Instant /*now*/) override {}

  void step(Instant /*now*/) override {}

  void set_limits(std::span<const Watts> told) override { limits.assign(told.begin(), told.end()); }

  void set_message_loss(double ratio) override { loss = ratio; }

  void kill_controller(Instant /*now*/) override { is_killed = true; }

  void restart_controller(Instant /*now*/) override { is_killed = false; }

  void stop_agents(std::span<const topology::DeviceIndex> devices, Instant /*now*/) override {
    for (const auto device : devices) {
      has_agent[device.value] = 0;
    }
  }

  void start_agents(std::span<const topology::DeviceIndex> devices, Instant /*now*/) override {
    for (const auto device : devices) {
      has_agent[device.value] = 1;
    }
  }

  std::vector<char> has_agent = std::vector<char>(16, 1);
  std::vector<Watts> limits;
  double loss = 0;
  bool is_killed = false;
};

std::string fault_text(const std::string& kind, int at, int lasts, const std::string& more) {
  return "[[fault]]\nkind = \"" + kind + "\"\nat = \"" + std::to_string(at) + "s\"\nlasts = \"" +
         std::to_string(lasts) + "s\"\n" + more + "\n";
}

/// The small site with these faults, under nobody's control.
struct FaultSite {
  explicit FaultSite(const std::string& faults)
      : scenario{scenario_of(small_scenario_text() + faults)},
        plant{scenario.tree, spec_of_plant()},
        gpus{std::vector<char>(16), std::vector<char>(16), std::vector<char>(16), clocks,
             std::vector<char>(16), std::vector<char>(16)},
        runner{scenario, Instant{}, seconds(1000), 1} {}

  PlantSpec spec_of_plant() const {
    auto spec = scenario.plant;
    spec.step_ns = 100 * kMillisecond;
    spec.seed = 3;
    return spec;
  }

  /// Runs on to that second; what was told.
  std::vector<std::string> to(double end_seconds) {
    std::vector<std::string> told;
    while (plant.now() < Instant{} + seconds(end_seconds)) {
      plant.step();
      for (auto& text : runner.step(plant.now(), plant, gpus, policy)) {
        told.push_back(std::move(text));
      }
    }
    return told;
  }

  Scenario scenario;
  Plant plant;
  std::vector<double> clocks = std::vector<double>(16, 1);
  GpuStates gpus;
  NotingPolicy policy;
  FaultRunner runner;
};

TEST(FaultRunner, TellsWhatBeginsAndEnds) {
  FaultSite site{fault_text("node-off", 2, 3, "node = \"rack-1\"") +
                 fault_text("controller-killed", 3, 1, "")};
  EXPECT_THAT(site.to(10), ElementsAre("node-off at rack-1 began", "controller-killed began",
                                       "controller-killed ended", "node-off at rack-1 ended"));
}

TEST(FaultRunner, NodesOffThatOverlapComeBackWithTheLast) {
  FaultSite site{fault_text("node-off", 2, 6, "node = \"rack-1\"") +
                 fault_text("node-off", 4, 2, "node = \"site\"")};
  site.to(3);
  EXPECT_EQ(site.gpus.is_off[0], 1);
  EXPECT_EQ(site.gpus.is_off[15], 0);
  site.to(5);
  EXPECT_EQ(site.gpus.is_off[15], 1);
  EXPECT_EQ(draw_of(site.plant, 15), 0);
  site.to(7);
  EXPECT_EQ(site.gpus.is_off[0], 1);
  EXPECT_EQ(site.gpus.is_off[15], 0);
  site.to(9);
  EXPECT_EQ(site.gpus.is_off[0], 0);
  EXPECT_GT(draw_of(site.plant, 0), 50);
}

TEST(FaultRunner, AgentsDieWithTheirNodeOrAloneAndComeBackWithTheLast) {
  FaultSite site{fault_text("agent-killed", 2, 6, "node = \"rack-1\"") +
                 fault_text("node-off", 4, 2, "node = \"site\"") +
                 fault_text("agent-killed", 5, 5, "node = \"rack-2\"")};
  const auto has = [&](double end_seconds) {
    site.to(end_seconds);
    return std::vector<char>{site.policy.has_agent[0], site.policy.has_agent[15]};
  };
  EXPECT_THAT(has(1), ElementsAre(1, 1));
  EXPECT_THAT(has(3), ElementsAre(0, 1));
  EXPECT_GT(draw_of(site.plant, 0), 0) << "its device goes on";
  EXPECT_THAT(has(4.5), ElementsAre(0, 0));
  EXPECT_THAT(has(7), ElementsAre(0, 0));
  EXPECT_THAT(has(9), ElementsAre(1, 0));
  EXPECT_THAT(has(11), ElementsAre(1, 1));
}

TEST(FaultRunner, AGpuWithoutItsJobStaysOffAfterAFault) {
  FaultSite site{fault_text("node-off", 2, 2, "node = \"rack-1\"")};
  site.plant.set_on({0}, false);
  site.gpus.is_unused[0] = 1;
  site.to(10);
  EXPECT_EQ(draw_of(site.plant, 0), 0);
  EXPECT_GT(draw_of(site.plant, 1), 0);
}

TEST(FaultRunner, AGpuThatWasToldToStopStaysOffAfterAFault) {
  FaultSite site{fault_text("node-off", 2, 2, "node = \"rack-1\"")};
  site.plant.set_on({0}, false);
  site.gpus.is_stopped[0] = 1;
  site.to(10);
  EXPECT_EQ(draw_of(site.plant, 0), 0);
  EXPECT_GT(draw_of(site.plant, 1), 0);
}

TEST(FaultRunner, ActuationFaultsCombineAndAreTakenBack) {
  FaultSite site{fault_text("other-writer", 1, 9, "node = \"rack-1\"\npower = \"400W\"") +
                 fault_text("other-writer", 2, 3, "node = \"site\"\npower = \"300W\"") +
                 fault_text("cap-refused", 3, 4, "node = \"rack-1\"")};
  site.to(1.5);
  EXPECT_EQ(site.plant.read_cap({0}), watts(400));
  EXPECT_EQ(site.plant.read_cap({8}), watts(700));
  site.to(2.5);
  EXPECT_EQ(site.plant.read_cap({0}), watts(300));
  EXPECT_EQ(site.plant.read_cap({8}), watts(300));
  site.to(3.5);
  EXPECT_EQ(site.plant.write_cap({0}, watts(250)), CapWrite::refused);
  EXPECT_EQ(site.plant.write_cap({8}, watts(650)), CapWrite::accepted);
  site.to(6);
  EXPECT_EQ(site.plant.read_cap({0}), watts(400));
  EXPECT_EQ(site.plant.read_cap({8}), watts(650));
  EXPECT_EQ(site.plant.write_cap({0}, watts(250)), CapWrite::refused);
  site.to(8);
  EXPECT_EQ(site.plant.write_cap({0}, watts(500)), CapWrite::accepted);
  site.to(11);
  EXPECT_EQ(site.plant.read_cap({0}), watts(500));
}

TEST(FaultRunner, CapsThatAreIgnoredAreToldToTheWork) {
  FaultSite site{fault_text("cap-ignored", 1, 4, "node = \"rack-1\"") +
                 fault_text("cap-ignored", 2, 1, "node = \"site\"")};
  site.to(4);
  EXPECT_EQ(site.gpus.ignores_its_cap[0], 1);
  EXPECT_EQ(site.gpus.ignores_its_cap[15], 0);
  site.to(6);
  EXPECT_EQ(site.gpus.ignores_its_cap[0], 0);
}

TEST(FaultRunner, SensorFaultsEndWithTheLastOfADevice) {
  FaultSite site{fault_text("sensor-missing", 2, 4, "node = \"rack-1\"") +
                 fault_text("sensor-scaled", 3, 1, "node = \"site\"\nfactor = 2")};
  site.to(3.5);
  EXPECT_TRUE(site.plant.read_device({0}).power) << "the later fault of a sensor counts";
  site.to(5);
  EXPECT_FALSE(site.plant.read_device({0}).power);
  EXPECT_TRUE(site.plant.read_device({8}).power);
  site.to(9);
  EXPECT_TRUE(site.plant.read_device({0}).power);
}

TEST(FaultRunner, MeterFaultsThatOverlapEndWithTheLast) {
  FaultSite site{fault_text("meter-missing", 2, 6, "node = \"rack-1\"") +
                 fault_text("meter-missing", 3, 2, "node = \"rack-1\"")};
  const auto rack = *site.scenario.tree.find_node("rack-1");
  site.to(1.9);
  EXPECT_TRUE(site.plant.read_node(rack).power);
  site.to(6.5);
  EXPECT_FALSE(site.plant.read_node(rack).power);
  site.to(10);
  EXPECT_TRUE(site.plant.read_node(rack).power);
}

TEST(FaultRunner, ABreakerStaysOpenUntilTheLastFaultEnds) {
  FaultSite site{fault_text("feed-lost", 2, 6, "node = \"rack-1\"") +
                 fault_text("feed-lost", 3, 2, "node = \"rack-1\"")};
  const auto rack = *site.scenario.tree.find_node("rack-1");
  site.to(6);
  EXPECT_FALSE(site.plant.is_live(rack));
  site.to(9);
  EXPECT_TRUE(site.plant.is_live(rack));
}

TEST(FaultRunner, TheLeastOfSeveralLimitsIsToldUntilItEnds) {
  FaultSite site{fault_text("limit-lowered", 2, 6, "node = \"rack-1\"\npower = \"3kW\"") +
                 fault_text("limit-lowered", 3, 2, "node = \"rack-1\"\npower = \"2kW\"")};
  const auto rack = site.scenario.tree.find_node("rack-1")->value;
  site.to(2.5);
  EXPECT_EQ(site.policy.limits.at(rack), watts(3000));
  site.to(4);
  EXPECT_EQ(site.policy.limits.at(rack), watts(2000));
  site.to(6);
  EXPECT_EQ(site.policy.limits.at(rack), watts(3000));
  site.to(9);
  EXPECT_EQ(site.policy.limits.at(rack), watts(5000));
}

TEST(FaultRunner, TheLargerLossOfMessagesCounts) {
  FaultSite site{fault_text("messages-lost", 2, 6, "ratio = 0.3") +
                 fault_text("messages-lost", 3, 2, "ratio = 0.8")};
  site.to(4);
  EXPECT_EQ(site.policy.loss, 0.8);
  site.to(6);
  EXPECT_EQ(site.policy.loss, 0.3);
  site.to(9);
  EXPECT_EQ(site.policy.loss, 0);
}

TEST(FaultRunner, TheControllerComesBackWithTheLastOfItsFaults) {
  FaultSite site{fault_text("controller-killed", 2, 6, "") +
                 fault_text("controller-killed", 3, 2, "")};
  site.to(6);
  EXPECT_TRUE(site.policy.is_killed);
  site.to(9);
  EXPECT_FALSE(site.policy.is_killed);
}

TEST(FaultRunner, DelaysThatAddUpStayWithinWhatAPlantTakes) {
  FaultSite site{fault_text("cap-late", 2, 6, "node = \"site\"\ndelay = \"24h\"") +
                 fault_text("cap-late", 3, 2, "node = \"site\"\ndelay = \"24h\"")};
  EXPECT_NO_THROW(site.to(9));
  EXPECT_EQ(site.plant.write_cap({0}, watts(300)), CapWrite::accepted);
}

TEST(FaultRunner, RandomFailuresComeAtTheirRate) {
  FaultSite site{
      "[random_failures]\nof = \"rack\"\nmean_time_between = \"20s\"\nrepair_takes = "
      "\"5s\"\n"};
  int begun = 0;
  for (const auto& text : site.to(1000)) {
    EXPECT_THAT(text, HasSubstr("node-off at rack-"));
    begun += text.ends_with("began") ? 1 : 0;
  }
  EXPECT_NEAR(begun, 80, 30);
}

}  // namespace
}  // namespace perwatt::simulate
