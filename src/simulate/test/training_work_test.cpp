// A synchronous training job: iterations, checkpoints, failures and where its joules went.
#include "training_work.hpp"

#include <cmath>
#include <random>
#include <vector>

#include "plants.hpp"
#include <gtest/gtest.h>

#include "perwatt/base/random.hpp"

namespace perwatt::simulate {
namespace {

constexpr std::uint32_t kJobGpus = 4;
constexpr Seconds kJobStep = seconds(0.01);  // of the plant

TrainingPlan job_plan() {
  TrainingPlan plan;
  plan.id = "job";
  for (std::uint32_t d = 0; d < kJobGpus; ++d) {
    plan.gpus.push_back({d});
  }
  plan.step = seconds(1);
  plan.communication_ratio = 0.25;
  plan.compute = watts(600);
  plan.communication = watts(200);
  plan.idle = watts(100);
  return plan;
}

/// A job on a plant whose caps obey at once.
struct TrainingSite {
  explicit TrainingSite(const TrainingPlan& its_plan)
      : plan{its_plan}, plant{flat_tree(kJobGpus), plant_spec(prompt_kind())}, work{plan} {}

  void run(double length_seconds) {
    for (auto s = std::llround(length_seconds / in_seconds(kJobStep)); s > 0; --s) {
      work.let_go(gpus.is_to_stop, gpus.is_stopped);
      for (std::uint32_t d = 0; d < kJobGpus; ++d) {
        plant.set_on({d}, gpus.is_stopped[d] == 0);
      }
      work.step(kJobStep, plant, gpus, demands);
      plant.step();
      work.count_energy(plant, kJobStep);
    }
  }

  void cap_all(double cap_watts) {
    for (std::uint32_t d = 0; d < kJobGpus; ++d) {
      EXPECT_EQ(plant.write_cap({d}, watts(cap_watts)), CapWrite::accepted);
    }
    plant.step();
  }

  TrainingPlan plan;
  Plant plant;
  std::vector<double> clocks = std::vector<double>(kJobGpus, 1);
  GpuStates gpus{std::vector<char>(kJobGpus), std::vector<char>(kJobGpus),
                 std::vector<char>(kJobGpus), clocks,
                 std::vector<char>(kJobGpus), std::vector<char>(kJobGpus)};
  std::vector<Watts> demands = std::vector<Watts>(kJobGpus);
  TrainingWork work;
};

TEST(TrainingWork, DoesItsIterationsInTheirTimeWithoutCaps) {
  TrainingSite site{job_plan()};
  site.run(99.5);
  EXPECT_EQ(site.work.record().iterations, 99);
  site.run(0.51);
  EXPECT_EQ(site.work.record().iterations, 100);
  EXPECT_EQ(site.work.mean_speed(), 1);
  EXPECT_NEAR(site.work.record().energy.in_base(), kJobGpus * 100 * (0.75 * 600 + 0.25 * 200),
              0.01 * 200'000);
}

TEST(TrainingWork, ACapSlowsComputingByTheLawAndNotCommunication) {
  TrainingSite site{job_plan()};
  site.cap_all(350);
  site.run(200);
  const double speed = std::cbrt(250.0 / 500);
  EXPECT_NEAR(site.work.record().iterations, 200 / (0.75 / speed + 0.25), 1.01);
  EXPECT_NEAR(site.work.mean_speed(), speed, 1e-12);
}

TEST(TrainingWork, WaitsForItsSlowestGpu) {
  TrainingSite site{job_plan()};
  ASSERT_EQ(site.plant.write_cap({2}, watts(350)), CapWrite::accepted);
  site.plant.step();
  site.run(200);
  EXPECT_NEAR(site.work.record().iterations, 200 / (0.75 / std::cbrt(0.5) + 0.25), 1.01);
}

TEST(TrainingWork, AGpuThatIgnoresItsCapIsNotHeldBack) {
  TrainingSite site{job_plan()};
  site.cap_all(700);
  ASSERT_EQ(site.plant.write_cap({2}, watts(200)), CapWrite::accepted);
  site.gpus.ignores_its_cap[2] = 1;
  site.plant.step();
  site.run(20.005);
  EXPECT_NEAR(site.work.record().iterations, 20, 1.01);
}

TEST(TrainingWork, AClockSlowsItAndCutsItsDraw) {
  TrainingSite site{job_plan()};
  site.clocks.assign(kJobGpus, 0.8);
  site.run(0.5);
  EXPECT_NEAR(in_watts(site.demands[0]), 100 + 500 * 0.512, 1e-9);
  site.run(199.5);
  EXPECT_NEAR(site.work.record().iterations, 200 / (0.75 / 0.8 + 0.25), 1.01);
  EXPECT_NEAR(site.work.mean_speed(), 0.8, 1e-12);
}

TEST(TrainingWork, CheckpointsComeInTheirTimeAndCostIt) {
  auto plan = job_plan();
  plan.checkpoint_every = seconds(10);
  plan.checkpoint_takes = seconds(2);
  TrainingSite site{plan};
  site.run(120.005);
  EXPECT_NEAR(site.work.record().checkpoints, 10, 1);
  EXPECT_NEAR(site.work.record().iterations, 100, 2);
  EXPECT_NEAR(site.work.record().overhead_energy.in_base(), kJobGpus * 200 * 20, 1700);
}

TEST(TrainingWork, GivesGpusUpAfterACheckpointAndGoesOnInProportion) {
  auto plan = job_plan();
  plan.checkpoint_every = seconds(1000);
  plan.checkpoint_takes = seconds(2);
  plan.restart_takes = seconds(3);
  TrainingSite site{plan};
  site.run(10.5);
  site.gpus.is_to_stop[3] = 1;
  site.run(1.9);
  EXPECT_EQ(site.gpus.is_stopped[3], 0);  // it writes
  site.run(0.2);
  EXPECT_EQ(site.gpus.is_stopped[3], 1);
  EXPECT_EQ(site.plant.draw_watts()[3], 0);
  site.run(3);
  EXPECT_EQ(site.work.record().lost_iterations, 0);
  EXPECT_EQ(site.work.record().checkpoints, 1);
  const double before = site.work.record().iterations;
  EXPECT_EQ(before, 10);
  site.run(40);
  EXPECT_NEAR(site.work.record().iterations - before, 30, 1.01);  // three quarters
  site.gpus.is_to_stop[3] = 0;
  site.run(5.1);  // a checkpoint and a restart with all of them
  const double rejoined = site.work.record().iterations;
  site.run(40);
  EXPECT_NEAR(site.work.record().iterations - rejoined, 40, 1.01);
  EXPECT_EQ(site.work.record().resizes, 2);
  EXPECT_EQ(site.work.record().failures, 0);
  EXPECT_GT(site.work.record().lost_energy.in_base(), 3 * 3 * 200);
}

TEST(TrainingWork, IsPausedWithoutGpusAndRestartsWithThem) {
  auto plan = job_plan();
  plan.restart_takes = seconds(3);
  TrainingSite site{plan};
  site.run(10.5);
  site.gpus.is_to_stop.assign(kJobGpus, 1);
  site.run(60);
  EXPECT_EQ(site.gpus.is_stopped, std::vector<char>(kJobGpus, 1));
  EXPECT_EQ(site.work.record().iterations, 10);
  EXPECT_EQ(site.work.record().lost_iterations, 10);  // it writes no checkpoints
  site.gpus.is_to_stop.assign(kJobGpus, 0);
  site.run(8.1);
  EXPECT_NEAR(site.work.record().iterations, 15, 1.01);
}

TEST(TrainingWork, AFailureLosesWhatWasNotSaved) {
  auto plan = job_plan();
  plan.checkpoint_every = seconds(10);
  plan.checkpoint_takes = seconds(2);
  plan.restart_takes = seconds(3);
  TrainingSite site{plan};
  site.run(17.5);  // 10 iterations, a checkpoint, then 5 and a half
  EXPECT_EQ(site.work.record().iterations, 15);
  site.gpus.is_off[1] = 1;
  site.run(4);
  EXPECT_EQ(site.work.record().failures, 1);
  EXPECT_EQ(site.work.record().lost_iterations, 5);
  EXPECT_EQ(site.work.record().iterations, 15);
  site.gpus.is_off[1] = 0;
  site.run(3.005);
  EXPECT_EQ(site.work.record().iterations, 15);
  site.run(2.01);
  EXPECT_EQ(site.work.record().iterations, 17);
  EXPECT_EQ(site.work.record().lost_iterations, 5);
}

TEST(TrainingWork, OneDarkNodeTakesTheWholeJobDown) {
  auto plan = job_plan();
  TrainingSite site{plan};
  site.run(3.5);
  site.plant.set_breaker_open(kRoot, true);
  site.plant.step();
  site.run(1);
  EXPECT_EQ(site.work.record().failures, 1);
  EXPECT_EQ(site.work.record().lost_iterations, 3);
}

TEST(TrainingWork, WithoutCheckpointsAFailureLosesAll) {
  TrainingSite site{job_plan()};
  site.run(50.005);
  site.gpus.is_off[0] = 1;
  site.run(1);
  EXPECT_EQ(site.work.record().lost_iterations, site.work.record().iterations);
}

TEST(TrainingWork, LostAndOverheadJoulesArePartOfThoseCounted) {
  std::mt19937_64 random{3};
  for (int trial = 0; trial < 20; ++trial) {
    auto plan = job_plan();
    plan.checkpoint_every = seconds(1 + 20 * uniform_unit(random));
    plan.checkpoint_takes = seconds(3 * uniform_unit(random));
    plan.restart_takes = seconds(5 * uniform_unit(random));
    TrainingSite site{plan};
    for (int part = 0; part < 20; ++part) {
      if (part == 10) {
        site.work.start_counting();
      }
      site.gpus.is_off[uniform_below(random, kJobGpus)] = uniform_below(random, 4) == 0 ? 1 : 0;
      site.run(5 * uniform_unit(random));
    }
    const auto& record = site.work.record();
    EXPECT_GE(record.lost_energy, Joules{});
    EXPECT_GE(record.overhead_energy, Joules{});
    EXPECT_LE(record.lost_energy + record.overhead_energy, record.energy * (1 + 1e-9));
    EXPECT_GE(record.iterations, 0);
  }
}

}  // namespace
}  // namespace perwatt::simulate
