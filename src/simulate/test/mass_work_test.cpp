// A service by mass on the GPUs of a plant, beside the same service request by request.
#include "mass_work.hpp"

#include <vector>

#include "plants.hpp"
#include "request_work.hpp"
#include "service_support.hpp"
#include <gtest/gtest.h>

namespace perwatt::simulate {
namespace {

constexpr Seconds kMassStep = seconds(0.1);
constexpr int kMassInstances = 16;

ServicePlan mass_plan(double rate_per_second, double max_ttft_seconds) {
  ServicePlan plan;
  plan.id = "service";
  plan.setup = aggregated_service(kMassInstances);
  plan.setup.limits.max_ttft = seconds(max_ttft_seconds);
  const auto gpus = static_cast<std::uint32_t>(kMassInstances * plan.setup.aggregated->model.gpus);
  for (std::uint32_t d = 0; d < gpus; ++d) {
    plan.gpus[static_cast<std::size_t>(Pool::aggregated)].push_back({d});
  }
  SteadyArrivals steady;
  steady.rate_per_second = rate_per_second;
  plan.arrivals = steady;
  plan.lengths = {constant_tokens(100), constant_tokens(50)};
  plan.sample_ratio = 0.25;
  return plan;
}

struct MassSite {
  explicit MassSite(const ServicePlan& its_plan) : plan{its_plan}, gpu_count{plan.gpus[0].size()} {}

  template <class Work>
  void run(Work& work, double length_seconds) {
    for (double t = 0; t < length_seconds; t += in_seconds(kMassStep)) {
      time = time + kMassStep;
      work.step(time, plant, gpus, demands);
      plant.step();
    }
  }

  ServicePlan plan;
  std::size_t gpu_count;
  Plant plant{flat_tree(static_cast<int>(gpu_count)), plant_spec(prompt_kind())};
  std::vector<double> clocks = std::vector<double>(gpu_count, 1);
  GpuStates gpus{std::vector<char>(gpu_count), std::vector<char>(gpu_count),
                 std::vector<char>(gpu_count), clocks,
                 std::vector<char>(gpu_count), std::vector<char>(gpu_count)};
  std::vector<Watts> demands = std::vector<Watts>(gpu_count);
  Instant time;
};

TEST(MassWork, TokensAreAsGoodAsThoseOfItsSample) {
  for (const double max_ttft_seconds : {1e-6, 1e3}) {
    MassSite site{mass_plan(20, max_ttft_seconds)};
    MassWork work{site.plan, 3};
    site.run(work, 60);
    const auto& record = work.record();
    EXPECT_GT(record.output_tokens, 20 * 50 * 50);
    if (max_ttft_seconds < 1) {
      EXPECT_EQ(record.good_tokens, 0);
    } else {
      EXPECT_GT(record.good_tokens, record.output_tokens * 9 / 10);
    }
  }
}

TEST(MassWork, HistogramsCountWhatASampledRequestStandsFor) {
  MassSite site{mass_plan(20, 1)};
  MassWork work{site.plan, 3};
  site.run(work, 100);
  const auto arrived = static_cast<double>(work.record().arrived_requests);
  EXPECT_NEAR(static_cast<double>(work.record().ttft.count()), arrived, 0.15 * arrived);
}

TEST(MassWork, InstancesThatAreDownIdle) {
  MassSite site{mass_plan(20, 1)};
  MassWork work{site.plan, 3};
  site.run(work, 20);
  site.gpus.is_off[0] = 1;
  site.run(work, 5);
  const auto each = static_cast<std::size_t>(site.plan.setup.aggregated->model.gpus);
  const auto idle = site.plan.setup.aggregated->model.power.idle;
  for (std::size_t d = 0; d < each; ++d) {
    EXPECT_EQ(site.demands[d], idle);
  }
  EXPECT_GT(site.demands[each], idle);
}

}  // namespace
}  // namespace perwatt::simulate
