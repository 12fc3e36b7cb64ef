// The published experiment at Nscale (examples/scenario-nscale.toml): its static case as
// calibrated, and what perwatt makes of it. Fewer seeds than the reports: a run of half an hour is
// 17,000 steps.
#include <cmath>
#include <iostream>
#include <stdexcept>
#include <string>

#include "scenarios.hpp"
#include <gtest/gtest.h>

#include "perwatt/base/file.hpp"
#include "perwatt/simulate/compare_policies.hpp"

namespace perwatt::simulate {
namespace {

constexpr int kStaticSeeds = 20;
constexpr int kManagedSeeds = 3;

Scenario example_scenario(const std::string& name) {
  const auto path = std::string{PERWATT_SOURCE_DIR} + "/examples/" + name;
  return read_scenario(read_file(path), path, std::string{PERWATT_SOURCE_DIR} + "/examples");
}

const PolicyPlan& named_policy(const Scenario& scenario, const std::string& name) {
  for (const auto& policy : scenario.policies) {
    if (policy.name == name) {
      return policy;
    }
  }
  throw std::runtime_error{"no policy " + name};
}

template <class Of>
double mean_of(const PolicyRuns& runs, const Of& of) {
  double sum = 0;
  for (const auto& run : runs) {
    sum += of(run);
  }
  return sum / static_cast<double>(runs.size());
}

double ttft(const LatencyRecord& record, double share) {
  return in_seconds(record.ttft.quantile(share).value());
}

double tpot(const LatencyRecord& record, double share) {
  return in_seconds(record.tpot.quantile(share).value());
}

/// Of the services that run under both policies, all seeds together: those that static lacks have
/// arrivals of their own, and their bursts would be compared with none.
double p99_of_both(const PolicyRuns& runs, const PolicyRuns& other) {
  LatencyRecord all;
  for (std::size_t s = 0; s < runs.size(); ++s) {
    for (const auto& service : runs[s].services) {
      for (const auto& twin : other[s].services) {
        if (twin.id == service.id) {
          all.merge(service.record);
        }
      }
    }
  }
  return ttft(all, 0.99);
}

TEST(Nscale, TheStaticCaseIsTheOneThatIsPublished) {
  const auto scenario = example_scenario("scenario-nscale.toml");
  const PolicyPlan policies[] = {named_policy(scenario, "static")};
  const auto runs = compare_policies(scenario, policies, kStaticSeeds)[0];
  const double draw =
      mean_of(runs, [](const PolicyResult& run) { return in_watts(run.mean_supply); });
  const double p99 = mean_of(runs, [](const PolicyResult& run) { return ttft(run.record, 0.99); });
  std::cout << "static: " << draw / 1000 << " kW, P99 TTFT " << p99 << " s\n";
  EXPECT_NEAR(draw, 166'200, 1662);
  EXPECT_NEAR(p99, 15.7, 1.57);
  for (const auto& run : runs) {
    EXPECT_EQ(run.violations.count, 0);
  }
}

/// The same 192 GPUs: what they do at their nameplate without a limit against what they do under
/// it.
TEST(Nscale, PerwattCarriesAll192GpusWithinTheLimit) {
  const auto scenario = example_scenario("scenario-nscale.toml");
  const PolicyPlan policies[] = {named_policy(scenario, "static"),
                                 named_policy(scenario, "perwatt")};
  const auto runs = compare_policies(scenario, policies, kManagedSeeds);
  for (std::size_t s = 0; s < kManagedSeeds; ++s) {
    const auto& before = runs[0][s];
    const auto& after = runs[1][s];
    EXPECT_EQ(after.violations.count, 0);
    EXPECT_LE(after.violations.worst_ratio, 1);
    for (const auto& service : before.services) {
      for (const auto& managed : after.services) {
        if (managed.id != service.id) {
          continue;
        }
        EXPECT_NEAR(static_cast<double>(managed.record.output_tokens),
                    static_cast<double>(service.record.output_tokens),
                    0.005 * static_cast<double>(service.record.output_tokens))
            << service.id;
        for (const double share : {0.5, 0.75}) {
          EXPECT_LE(ttft(managed.record, share), 1.05 * ttft(service.record, share)) << service.id;
          EXPECT_LE(tpot(managed.record, share), 1.05 * tpot(service.record, share)) << service.id;
        }
      }
    }
  }
  const auto draw = [](const PolicyResult& run) { return in_watts(run.mean_supply); };
  const double p99_before = p99_of_both(runs[0], runs[1]);
  const double p99_after = p99_of_both(runs[1], runs[0]);
  std::cout << "perwatt: " << mean_of(runs[1], draw) / 1000 << " kW, P99 TTFT " << p99_after
            << " s against " << p99_before << " s static\n";
  EXPECT_LE(p99_after, 1.05 * p99_before);
  EXPECT_LE(mean_of(runs[1], draw), 198'900);
}

TEST(Nscale, PeaksOfAllJobsAtOnceLeaveNothingToRecover) {
  const auto scenario = example_scenario("scenario-nscale-peaks.toml");
  const PolicyPlan policies[] = {named_policy(scenario, "uniform"),
                                 named_policy(scenario, "perwatt")};
  const auto runs = compare_policies(scenario, policies, 2);
  const auto good = [](const PolicyResult& run) { return in_tokens_per_second(run.good); };
  const double gain = mean_of(runs[1], good) / mean_of(runs[0], good) - 1;
  std::cout << "peaks: gain over uniform caps " << 100 * gain << " %\n";
  EXPECT_LT(gain, 0.01);
  const auto middle = [](const PolicyResult& run) { return ttft(run.record, 0.5); };
  EXPECT_NEAR(mean_of(runs[1], middle) / mean_of(runs[0], middle), 1, 0.01);
  for (const auto& run : runs[1]) {
    EXPECT_EQ(run.violations.count, 0);
  }
}

TEST(Nscale, TheFleetCarriesMoreAtTheSameLimit) {
  const auto scenario = example_scenario("scenario-nscale-fleet.toml");
  const PolicyPlan policies[] = {named_policy(scenario, "static"),
                                 named_policy(scenario, "perwatt")};
  const auto runs = compare_policies(scenario, policies, 2);
  const auto good = [](const PolicyResult& run) { return in_tokens_per_second(run.good); };
  const double p99_before = p99_of_both(runs[0], runs[1]);
  const double p99_after = p99_of_both(runs[1], runs[0]);
  std::cout << "fleet: " << mean_of(runs[1], good) / mean_of(runs[0], good)
            << " times the good tokens, P99 TTFT " << p99_after << " s against " << p99_before
            << " s\n";
  EXPECT_GT(mean_of(runs[1], good), mean_of(runs[0], good));
  EXPECT_LE(p99_after, 1.05 * p99_before);
  for (const auto& run : runs[1]) {
    EXPECT_EQ(run.violations.count, 0);
  }
}

}  // namespace
}  // namespace perwatt::simulate
