#include "perwatt/jobs/job.hpp"

#include <limits>
#include <vector>

#include "error_of.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::jobs {
namespace {

using ::testing::HasSubstr;

Job job_of(std::size_t units, Tier tier, std::size_t least = 1) {
  Job job;
  job.id = "chat";
  for (std::uint32_t u = 0; u < units; ++u) {
    job.units.push_back({u});
  }
  job.tier = tier;
  job.least_units = least;
  return job;
}

std::string fault_of(const std::vector<Job>& jobs, std::size_t devices = 100) {
  return error_of([&] { check_jobs(jobs, devices); });
}

TEST(Job, TheTierAndTheLeastUnitsBoundWhatIsTaken) {
  EXPECT_EQ(job_of(10, Tier::none).most_units_off(), 0U);
  EXPECT_EQ(job_of(10, Tier::tenth).most_units_off(), 1U);
  EXPECT_EQ(job_of(9, Tier::tenth).most_units_off(), 0U);
  EXPECT_EQ(job_of(10, Tier::quarter).most_units_off(), 2U);
  EXPECT_EQ(job_of(10, Tier::half).most_units_off(), 5U);
  EXPECT_EQ(job_of(10, Tier::half, 8).most_units_off(), 2U);
  EXPECT_EQ(job_of(10, Tier::paused).most_units_off(), 9U);
  EXPECT_EQ(job_of(1, Tier::paused).most_units_off(), 0U);
  EXPECT_TRUE(job_of(1, Tier::paused).may_pause());
  EXPECT_FALSE(job_of(1, Tier::half).may_pause());
}

TEST(Job, TiersAreReadAsTheyAreWritten) {
  for (const auto tier : {Tier::none, Tier::tenth, Tier::quarter, Tier::half, Tier::paused}) {
    EXPECT_EQ(parse_tier(to_string(tier)), tier);
  }
  EXPECT_EQ(parse_tier("20%"), std::nullopt);
  EXPECT_EQ(tolerated_loss_ratio(Tier::quarter), 0.25);
}

TEST(Job, JobsThatCannotBeAreRefused) {
  EXPECT_NO_THROW(check_jobs(std::vector{job_of(10, Tier::half)}, 10));
  EXPECT_THAT(fault_of({job_of(10, Tier::half)}, 9), HasSubstr("device 9 of 9"));
  EXPECT_THAT(fault_of({job_of(2, Tier::half), job_of(2, Tier::half)}), HasSubstr("id of its own"));
  auto other = job_of(3, Tier::none);
  other.id = "batch";
  EXPECT_THAT(fault_of({job_of(2, Tier::half), other}), HasSubstr("'batch' is on device 0"));
  EXPECT_THAT(fault_of({job_of(0, Tier::half, 0)}), HasSubstr("no unit"));
  EXPECT_THAT(fault_of({job_of(2, Tier::half, 3)}), HasSubstr("3 units at least and has 2"));
  EXPECT_THAT(fault_of({job_of(2, Tier::half, 0)}), HasSubstr("0 units at least"));
  auto job = job_of(2, Tier::half);
  job.units[1].clear();
  EXPECT_THAT(fault_of({job}), HasSubstr("a unit without devices"));
  job = job_of(2, Tier::half);
  job.priority = -1;
  EXPECT_THAT(fault_of({job}), HasSubstr("priority of -1"));
  job = job_of(2, Tier::half);
  job.guaranteed = watts(std::numeric_limits<double>::infinity());
  EXPECT_THAT(fault_of({job}), HasSubstr("guaranteed watts"));
  job.guaranteed = watts(-1);
  EXPECT_THAT(fault_of({job}), HasSubstr("guaranteed watts"));
  job = job_of(2, Tier::half);
  job.stops_within = seconds(-1);
  EXPECT_THAT(fault_of({job}), HasSubstr("time to stop"));
}

}  // namespace
}  // namespace perwatt::jobs
