// A service on the GPUs of a plant: what takes an instance down, what slows it, what it asks for.
#include <cmath>
#include <vector>

#include "plants.hpp"
#include "request_work.hpp"
#include "service_support.hpp"
#include <gtest/gtest.h>

namespace perwatt::simulate {
namespace {

constexpr Seconds kWorkStep = seconds(0.01);  // of the plant
constexpr std::uint32_t kWorkGpus = 4;

/// Two aggregated instances of two GPUs.
ServicePlan work_plan(double rate_per_second) {
  ServicePlan plan;
  plan.id = "service";
  plan.setup = aggregated_service(2);
  plan.setup.aggregated->model.power = {watts(100), watts(600), watts(400), watts(10), 16};
  for (std::uint32_t d = 0; d < kWorkGpus; ++d) {
    plan.gpus[static_cast<std::size_t>(Pool::aggregated)].push_back({d});
  }
  SteadyArrivals steady;
  steady.rate_per_second = rate_per_second;
  plan.arrivals = steady;
  plan.lengths = {constant_tokens(100), constant_tokens(50)};
  return plan;
}

struct ServiceSite {
  explicit ServiceSite(const ServicePlan& its_plan)
      : plan{its_plan},
        plant{flat_tree(kWorkGpus), plant_spec(prompt_kind())},
        work{plan, seconds(1e6), 5} {}

  void run(double length_seconds) {
    for (auto s = std::llround(length_seconds / in_seconds(kWorkStep)); s > 0; --s) {
      work.step(plant.now() + kWorkStep, plant, gpus, demands);
      plant.step();
      work.count_energy(plant, kWorkStep);
      for (const auto demand : demands) {
        demand_sum += in_watts(demand);
      }
    }
  }

  void cap(std::uint32_t device, double cap_watts) {
    EXPECT_EQ(plant.write_cap({device}, watts(cap_watts)), CapWrite::accepted);
  }

  ServicePlan plan;
  Plant plant;
  std::vector<double> clocks = std::vector<double>(kWorkGpus, 1);
  GpuStates gpus{std::vector<char>(kWorkGpus), std::vector<char>(kWorkGpus),
                 std::vector<char>(kWorkGpus), clocks,
                 std::vector<char>(kWorkGpus), std::vector<char>(kWorkGpus)};
  std::vector<Watts> demands = std::vector<Watts>(kWorkGpus);
  RequestWork work;
  double demand_sum = 0;
};

TEST(ServiceWork, ServesWhatArrivesAtFullSpeed) {
  ServiceSite site{work_plan(3)};
  site.run(300);
  const auto& record = site.work.record();
  EXPECT_NEAR(static_cast<double>(record.completed_requests), 900, 100);
  EXPECT_EQ(record.dropped_requests, 0);
  EXPECT_EQ(site.work.mean_speed(), 1);
  EXPECT_NEAR(site.work.energy().in_base(), site.demand_sum * 0.01, 0.01 * site.demand_sum);
}

TEST(ServiceWork, AGpuThatIsOffTakesItsInstanceDownAndBack) {
  ServiceSite site{work_plan(20)};  // both are busy
  site.run(20);
  site.gpus.is_off[1] = 1;
  site.run(1);
  EXPECT_GT(site.work.record().dropped_requests, 0);
  const auto dropped = site.work.record().dropped_requests;
  site.work.start_counting();
  site.run(20);
  const auto one = site.work.record().output_tokens;
  EXPECT_EQ(site.demands[0], Watts{});
  EXPECT_GT(site.demands[2], watts(100));
  site.gpus.is_off[1] = 0;
  site.run(2);
  site.work.start_counting();
  site.run(20);
  EXPECT_NEAR(static_cast<double>(site.work.record().output_tokens), 2.0 * static_cast<double>(one),
              0.1 * static_cast<double>(one));
  EXPECT_LE(dropped, 8);
}

TEST(ServiceWork, AnInstanceComesBackWithTheLastOfItsGpus) {
  ServiceSite site{work_plan(20)};
  site.run(5);
  site.gpus.is_off[0] = 1;
  site.gpus.is_off[1] = 1;
  site.run(1);
  site.gpus.is_off[0] = 0;
  site.run(1);
  EXPECT_EQ(site.demands[0], Watts{});
  site.gpus.is_off[1] = 0;
  site.run(1);
  EXPECT_GT(site.demands[0], watts(100));
}

TEST(ServiceWork, ACapSlowsTheInstanceOfItsGpu) {
  ServiceSite site{work_plan(20)};
  site.run(20);
  site.work.start_counting();
  site.run(20);
  const auto fast = site.work.record().output_tokens;
  site.cap(3, 250);  // of instance 1 alone
  site.run(5);
  site.work.start_counting();
  site.run(20);
  const auto slow = site.work.record().output_tokens;
  const double speed = site.work.mean_speed();
  EXPECT_LT(speed, 1);
  EXPECT_GT(speed, 0.5);
  EXPECT_LT(static_cast<double>(slow), 0.97 * static_cast<double>(fast));
  EXPECT_GT(static_cast<double>(slow), 0.6 * static_cast<double>(fast));
  EXPECT_LE(draw_of(site.plant, 3), 250.5);
}

TEST(ServiceWork, AGpuThatIgnoresItsCapIsNotSlowed) {
  ServiceSite site{work_plan(20)};
  site.cap(3, 250);
  site.gpus.ignores_its_cap[3] = 1;
  site.run(20);
  EXPECT_EQ(site.work.mean_speed(), 1);
}

TEST(ServiceWork, AClockSlowsAndCutsWhatIsAskedFor) {
  ServiceSite site{work_plan(20)};
  site.run(20);
  site.work.start_counting();
  site.demand_sum = 0;
  site.run(20);
  const auto fast = static_cast<double>(site.work.record().output_tokens);
  const double full = site.demand_sum;
  site.clocks.assign(kWorkGpus, 0.9);
  site.run(1);
  site.work.start_counting();
  site.demand_sum = 0;
  site.run(20);
  EXPECT_NEAR(static_cast<double>(site.work.record().output_tokens), 0.9 * fast, 0.03 * fast);
  EXPECT_NEAR(site.work.mean_speed(), 0.9, 1e-9);
  EXPECT_LT(site.demand_sum, 0.85 * full);
}

TEST(ServiceWork, AClosedLoopHoldsItsClients) {
  auto plan = work_plan(1);
  plan.arrivals = ClosedLoop{3};
  ServiceSite site{plan};
  site.run(60);
  const auto& record = site.work.record();
  EXPECT_EQ(record.arrived_requests, record.completed_requests + 3);
  EXPECT_GT(record.completed_requests, 100);
}

TEST(ServiceWork, TokensAreConserved) {
  ServiceSite site{work_plan(8)};
  for (int part = 0; part < 10; ++part) {
    site.gpus.is_off[0] = part % 3 == 1 ? 1 : 0;
    site.run(10);
  }
  const auto& record = site.work.record();
  EXPECT_GT(record.lost_output_tokens, 0);
  EXPECT_LE(record.good_tokens, record.completed_tokens);
  EXPECT_LE(record.completed_tokens + record.lost_output_tokens, record.output_tokens);
  EXPECT_EQ(record.completed_tokens, record.completed_requests * 50);
  EXPECT_LE(record.completed_requests, record.arrived_requests);
}

}  // namespace
}  // namespace perwatt::simulate
