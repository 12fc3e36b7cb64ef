// The controller, the agents' leases and the plant together: messages that get lost, a controller
// that dies and comes back from its journal, readings that are late and rounded.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "plants.hpp"
#include <gtest/gtest.h>

#include "perwatt/agent/lease.hpp"
#include "perwatt/base/random.hpp"
#include "perwatt/control/controller.hpp"

namespace perwatt::simulate {
namespace {

constexpr std::int64_t kStep = 100 * kMillisecond;
constexpr int kStepsPerSecond = 10;
constexpr int kRacks = 4;
constexpr int kGpusPerRack = 8;
constexpr double kFailSafe = 250;
constexpr double kRackLimit = 8 * 560.0;
constexpr double kSiteLimit = 32 * 420.0;

/// A site that reserves 420 W a GPU, racks that hold 560 W of each.
topology::PowerTree oversubscribed_site() {
  auto site = plant_node("site", "");
  site.limits = {{topology::LimitKind::breaker, watts(kSiteLimit), {}, topology::TripCurve{}, {}}};
  std::vector<topology::NodeSpec> nodes{site};
  std::vector<topology::DeviceSpec> devices;
  for (int r = 0; r < kRacks; ++r) {
    auto rack = plant_node("rack-" + std::to_string(r), "site");
    rack.limits = {
        {topology::LimitKind::breaker, watts(kRackLimit), {}, topology::TripCurve{}, {}}};
    nodes.push_back(rack);
    for (int g = 0; g < kGpusPerRack; ++g) {
      devices.push_back(plant_device(rack.id + "/gpu-" + std::to_string(g), rack.id));
    }
  }
  return topology::PowerTree::build(std::move(nodes), std::move(devices));
}

PlantSpec slow_spec() {
  auto kind = prompt_kind();
  kind.cap_resolution = watts(1);
  kind.response = seconds(0.2);
  kind.regulation = seconds(0.1);
  kind.overshoot_ratio = 1.03;
  kind.most_latency_ns = 500 * kMillisecond;
  auto spec = plant_spec(kind);
  spec.step_ns = kStep;
  spec.device_sensors = SensorSpec{5, 5, watts(1), watts(2), 0.01};
  return spec;
}

/// Each GPU works for some time, then idles, at random; the same for every policy.
class Work {
 public:
  explicit Work(std::uint64_t seed)
      : random_{seed}, busy_(kRacks * kGpusPerRack), left_(busy_.size()) {}

  void step(Plant& plant) {
    for (std::uint32_t d = 0; d < busy_.size(); ++d) {
      if (left_[d]-- <= 0) {
        busy_[d] = !busy_[d];
        left_[d] = static_cast<int>((20 + 40 * uniform_unit(random_)) * kStepsPerSecond);
        plant.set_demand({d}, watts(busy_[d] ? 650 : 150));
      }
    }
  }

  [[nodiscard]] bool is_busy(std::uint32_t device) const { return busy_[device]; }

 private:
  std::mt19937_64 random_;
  std::vector<bool> busy_;
  std::vector<int> left_;
};

/// What busy GPUs drew above idle: what the work is done with.
double work_joules(const Plant& plant, const Work& work) {
  double joules = 0;
  for (std::uint32_t d = 0; d < kRacks * kGpusPerRack; ++d) {
    joules += work.is_busy(d) ? std::max(0.0, draw_of(plant, d) - 150) / kStepsPerSecond : 0;
  }
  return joules;
}

class ManagedSite {
 public:
  explicit ManagedSite(double loss_ratio)
      : plant{oversubscribed_site(), slow_spec()}, loss_ratio_{loss_ratio} {
    for (std::uint32_t d = 0; d < kRacks * kGpusPerRack; ++d) {
      leases_.emplace_back(agent::LeaseLimits{watts(200), watts(700), watts(kFailSafe), seconds(2)},
                           1, plant.now());
      EXPECT_EQ(plant.write_cap({d}, watts(kFailSafe)), CapWrite::accepted);
      written_.push_back(kFailSafe);
    }
    run_steps(plant, 3 * kStepsPerSecond);  // the caps act before the work begins
    restart();
  }

  /// One second.
  void run(Work& work) {
    for (int s = 0; s < kStepsPerSecond; ++s) {
      work.step(plant);
      apply_leases();
      plant.step();
      done_joules += work_joules(plant, work);
    }
    for (std::uint32_t d = 0; d < leases_.size(); ++d) {
      speak(d);
    }
    if (!controller_) {
      return;
    }
    for (const auto& grant : controller_->tick(plant.now())) {
      journal_.push_back(grant);
      if (!is_lost()) {
        static_cast<void>(leases_[grant.device.value].take(grant.grant, plant.now()));
      }
    }
    std::erase_if(journal_, [&](const auto& grant) { return grant.void_after <= plant.now(); });
    ASSERT_EQ(controller_->ledger().fault(), std::nullopt);
  }

  void kill() { controller_.reset(); }

  void restart() {
    control::ControlRules rules;
    rules.guard_ratio = 0.002;
    rules.demand.memory = seconds(5);
    std::vector<control::ControlledDevice> devices(
        leases_.size(), {{watts(kFailSafe), 0.03, {}},
                         watts(200),
                         watts(700),
                         {{watts(200), 0}, {watts(450), 250}, {watts(700), 400}}});
    controller_.emplace(plant.tree(), std::move(devices), rules);
    for (const auto& grant : journal_) {
      controller_->restore(grant);
    }
  }

  [[nodiscard]] double highest_cap() const {
    double highest = 0;
    for (std::uint32_t d = 0; d < leases_.size(); ++d) {
      highest = std::max(highest, in_watts(plant.read_cap({d})));
    }
    return highest;
  }

  Plant plant;
  double done_joules = 0;

 private:
  bool is_lost() { return uniform_unit(random_) < loss_ratio_; }

  void apply_leases() {
    for (std::uint32_t d = 0; d < leases_.size(); ++d) {
      const double cap = std::floor(in_watts(leases_[d].cap(plant.now())));
      if (cap != written_[d]) {
        EXPECT_EQ(plant.write_cap({d}, watts(cap)), CapWrite::accepted);
        written_[d] = cap;
      }
    }
  }

  void speak(std::uint32_t d) {
    const auto asked = leases_[d].ask(plant.now());
    const auto report = leases_[d].report(plant.now(), plant.read_cap({d}));
    if (!controller_ || is_lost()) {
      return;
    }
    controller_->ask({d}, asked, plant.now());
    controller_->report({d}, report);
    const auto reading = plant.read_device({d});
    if (reading.quality == ReadingQuality::good && reading.power) {
      controller_->read({d}, reading.time, *reading.power, plant.read_cap({d}));
    }
  }

  double loss_ratio_;
  std::mt19937_64 random_{3};
  std::vector<agent::Lease> leases_;
  std::vector<double> written_;
  std::optional<control::Controller> controller_;
  std::deque<control::Controller::Grant> journal_;
};

/// Every GPU capped at its share of the site for good.
double static_work(std::uint64_t seed, int run_seconds) {
  Plant plant{oversubscribed_site(), slow_spec()};
  for (std::uint32_t d = 0; d < kRacks * kGpusPerRack; ++d) {
    plant.write_cap({d}, watts(std::floor(420 / 1.03)));
  }
  run_steps(plant, 3 * kStepsPerSecond);
  Work work{seed};
  double joules = 0;
  for (int s = 0; s < run_seconds * kStepsPerSecond; ++s) {
    work.step(plant);
    plant.step();
    joules += work_joules(plant, work);
  }
  EXPECT_EQ(plant.violations().count, 0);
  return joules;
}

TEST(ControlledPlant, RecoversWattsAndPassesNoLimit) {
  for (const double loss_ratio : {0.0, 0.1}) {
    ManagedSite site{loss_ratio};
    Work work{7};
    for (int s = 0; s < 600; ++s) {
      site.run(work);
    }
    EXPECT_EQ(site.plant.violations().count, 0);
    EXPECT_LE(site.plant.violations().worst_ratio, 1);
    const double gain = site.done_joules / static_work(7, 600);
    EXPECT_GT(gain, 1.1) << "lost " << loss_ratio;
    std::printf(
        "messages lost %.0f %%: %.3f times the work of fixed caps, at most %.3f of a limit\n",
        loss_ratio * 100, gain, site.plant.violations().worst_ratio);
  }
}

TEST(ControlledPlant, AControllerThatDiesLeavesFailSafeAndComesBackFromItsJournal) {
  ManagedSite site{0.05};
  Work work{9};
  std::mt19937_64 random{4};
  for (int round = 0; round < 40; ++round) {
    const int up = 5 + static_cast<int>(uniform_below(random, 20));
    for (int s = 0; s < up; ++s) {
      site.run(work);
    }
    site.kill();
    const int down = static_cast<int>(uniform_below(random, 25));
    for (int s = 0; s < down; ++s) {
      site.run(work);
      if (s >= 13) {  // a lease of 10 s, wearing in within 3 s
        EXPECT_LE(site.highest_cap(), kFailSafe);
      }
    }
    site.restart();
  }
  EXPECT_EQ(site.plant.violations().count, 0);
}

TEST(ControlledPlant, AllAtOnceNothingIsRecoveredAndNothingPassed) {
  ManagedSite site{0};
  Work work{1};
  for (std::uint32_t d = 0; d < kRacks * kGpusPerRack; ++d) {
    site.plant.set_demand({d}, watts(700));
  }
  double supply = 0;
  for (int s = 0; s < 120; ++s) {
    site.run(work);
    for (std::uint32_t d = 0; d < kRacks * kGpusPerRack; ++d) {
      site.plant.set_demand({d}, watts(700));
    }
    supply = site.plant.supply_watts()[0];
  }
  EXPECT_EQ(site.plant.violations().count, 0);
  EXPECT_GT(supply, 0.9 * kSiteLimit);
}

}  // namespace
}  // namespace perwatt::simulate
