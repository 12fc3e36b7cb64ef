// The search against trying everything, on random jobs and limits.
#include "relief_cover.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "perwatt/base/random.hpp"

namespace perwatt::control {
namespace {

struct CoverCase {
  std::vector<double> needs;
  std::vector<CoverJob> jobs;
  std::vector<CoverUnit> units;
};

CoverCase random_case(std::mt19937_64& random) {
  CoverCase made;
  const auto below = [&](std::uint64_t n) { return uniform_below(random, n); };
  const std::size_t rows = 1 + below(3);
  const std::size_t jobs = 1 + below(4);
  for (std::size_t j = 0; j < jobs; ++j) {
    CoverJob job;
    job.priority = static_cast<int>(below(3));
    job.first_unit = made.units.size();
    const std::size_t units = 1 + below(4);
    const double worth = static_cast<double>(below(4));
    for (std::size_t u = 0; u < units; ++u) {
      CoverUnit unit;
      unit.worth = below(2) == 0 ? worth : 3 * uniform_unit(random);
      for (std::uint32_t r = 0; r < rows; ++r) {
        if (r == 0 || below(2) == 0) {
          unit.relief_watts.emplace_back(r, 100.0 * static_cast<double>(1 + below(4)));
        }
      }
      made.units.push_back(unit);
    }
    job.end_unit = made.units.size();
    job.most_off = below(units + 1);
    job.may_pause = below(3) == 0;
    made.jobs.push_back(job);
  }
  for (std::size_t r = 0; r < rows; ++r) {
    made.needs.push_back(50.0 * static_cast<double>(below(r == 0 ? 20 : 10)));
  }
  return made;
}

std::vector<double> loss_of(const CoverCase& of, std::uint64_t off) {
  std::map<int, double, std::greater<>> losses;
  for (const auto& job : of.jobs) {
    for (auto u = job.first_unit; u < job.end_unit; ++u) {
      losses[job.priority] += (off >> u & 1) != 0 ? of.units[u].worth : 0;
    }
  }
  std::vector<double> list;
  for (const auto& [priority, loss] : losses) {
    list.push_back(loss);
  }
  return list;
}

bool is_allowed(const CoverCase& of, std::uint64_t off) {
  return std::all_of(of.jobs.begin(), of.jobs.end(), [&](const CoverJob& job) {
    std::size_t count = 0;
    for (auto u = job.first_unit; u < job.end_unit; ++u) {
      count += off >> u & 1;
    }
    return count <= job.most_off || (job.may_pause && count == job.end_unit - job.first_unit);
  });
}

bool relieves(const CoverCase& of, std::uint64_t off) {
  auto left = of.needs;
  for (std::size_t u = 0; u < of.units.size(); ++u) {
    for (const auto& [row, power] : of.units[u].relief_watts) {
      left[row] -= (off >> u & 1) != 0 ? power : 0;
    }
  }
  return std::all_of(left.begin(), left.end(), [](double one) { return one <= 1e-6; });
}

/// To 1e-9, so that the order of a sum makes no difference.
bool is_less(const std::vector<double>& a, const std::vector<double>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::abs(a[i] - b[i]) > 1e-9) {
      return a[i] < b[i];
    }
  }
  return false;
}

TEST(ReliefCover, NothingThatIsTriedCostsLess) {
  std::mt19937_64 random{8};
  int met = 0;
  int unmet = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto one = random_case(random);
    const auto found = cheapest_cover(one.needs, one.jobs, one.units);
    std::uint64_t off = 0;
    for (std::size_t u = 0; u < one.units.size(); ++u) {
      off |= std::uint64_t{found.is_off[u] != 0} << u;
    }
    ASSERT_TRUE(is_allowed(one, off)) << i;
    ASSERT_EQ(found.is_met, relieves(one, off)) << i;
    ASSERT_TRUE(found.is_proven) << i;
    for (std::size_t j = 0; j < one.jobs.size(); ++j) {
      for (auto u = one.jobs[j].first_unit; u < one.jobs[j].end_unit; ++u) {
        ASSERT_TRUE(found.is_paused[j] == 0 || found.is_off[u] != 0);
      }
    }
    const auto loss = loss_of(one, off);
    bool can_be_met = false;
    for (std::uint64_t other = 0; other < (std::uint64_t{1} << one.units.size()); ++other) {
      if (is_allowed(one, other) && relieves(one, other)) {
        can_be_met = true;
        ASSERT_FALSE(is_less(loss_of(one, other), loss)) << "case " << i << ": " << other;
      }
    }
    ASSERT_EQ(found.is_met, can_be_met) << i;
    ++(found.is_met ? met : unmet);
  }
  EXPECT_GT(met, 1000);
  EXPECT_GT(unmet, 300);
}

TEST(ReliefCover, TheLowestPriorityGoesFirstWhateverItIsWorth) {
  const std::vector<CoverJob> jobs{{1, 0, 2, 2, false}, {0, 2, 4, 2, false}};
  const std::vector<CoverUnit> units{
      {{{0, 500}}, 1}, {{{0, 500}}, 1}, {{{0, 500}}, 90}, {{{0, 500}}, 80}};
  const std::vector<double> little{400};
  EXPECT_EQ(cheapest_cover(little, jobs, units).is_off, (std::vector<char>{0, 0, 0, 1}));
  const std::vector<double> more{1400};
  EXPECT_EQ(cheapest_cover(more, jobs, units).is_off, (std::vector<char>{1, 0, 1, 1}));
}

TEST(ReliefCover, OfManyUnitsTheFirstAnswerStandsAndRelieves) {
  std::mt19937_64 random{3};
  CoverCase many;
  for (std::size_t j = 0; j < 2000; ++j) {
    const auto first = many.units.size();
    for (int u = 0; u < 5; ++u) {
      const auto rack = static_cast<std::uint32_t>(1 + j / 2 % 20);
      many.units.push_back({{{0, 8000}, {rack, 8000}}, uniform_unit(random)});
    }
    many.jobs.push_back({static_cast<int>(j % 2), first, first + 5, 2, j % 3 == 0});
  }
  many.needs.assign(21, 200'000);
  many.needs[0] = 9'000'000;
  const auto found = cheapest_cover(many.needs, many.jobs, many.units);
  EXPECT_TRUE(found.is_met);
  EXPECT_FALSE(found.is_proven);
  for (std::size_t j = 0; j < many.jobs.size(); ++j) {  // half of the site's units are enough
    for (auto u = many.jobs[j].first_unit; u < many.jobs[j].end_unit; ++u) {
      ASSERT_TRUE(found.is_off[u] == 0 || many.jobs[j].priority == 0);
    }
  }
}

}  // namespace
}  // namespace perwatt::control
