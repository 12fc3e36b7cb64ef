#include "perwatt/measure/search.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "error_of.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/random.hpp"
#include "perwatt/measure/intervals.hpp"

namespace perwatt::measure {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A queue with one server, Poisson arrivals and exponential service, simulated request by request:
/// the share of sojourns within `limit` seconds is 1 - exp(-(service - load) limit) (Kleinrock,
/// Queueing Systems, 1975), so that the boundary of any target is known.
struct Queue {
  double service_per_second = 10;
  double limit_seconds = 1;
  int requests = 5000;

  [[nodiscard]] double boundary(double target) const {
    return service_per_second + std::log1p(-target) / limit_seconds;
  }

  [[nodiscard]] Trial run(double load, std::uint64_t seed) const {
    std::mt19937_64 generator{seed};
    const double free_rate = service_per_second - load;
    // Begins as it is in the long run, where there is a long run.
    double wait = free_rate > 0 && uniform_unit(generator) < load / service_per_second
                      ? unit_exponential(generator) / free_rate
                      : 0;
    int met = 0;
    std::vector<double> series;
    for (int i = 0; i < requests; ++i) {
      const double sojourn = wait + unit_exponential(generator) / service_per_second;
      met += sojourn <= limit_seconds ? 1 : 0;
      series.push_back(sojourn <= limit_seconds ? 1 : 0);
      wait = std::max(0.0, sojourn - unit_exponential(generator) / load);
    }
    Trial trial;
    trial.effective_requests = effective_count(series);
    trial.attainment_ratio = static_cast<double>(met) / requests;
    trial.output_rate = tokens_per_second(100 * std::min(load, service_per_second));
    trial.goodput = trial.output_rate * trial.attainment_ratio;
    return trial;
  }
};

SloSearchRules rules_of(double lowest, double highest, double target, std::uint64_t seed) {
  SloSearchRules rules;
  rules.lowest = lowest;
  rules.highest = highest;
  rules.target_ratio = target;
  rules.seed = seed;
  return rules;
}

struct Found {
  double within_tolerance = 0;  // share of searches
  double bracket_holds = 0;     // share whose shown_met .. shown_missed holds the boundary
  double mean_runs = 0;
};

Found search_many(const Queue& queue, double target, int searches, double bad_runs_ratio = 0) {
  Found result;
  for (int i = 0; i < searches; ++i) {
    const SloSearchRules rules = rules_of(0.5, 64, target, static_cast<std::uint64_t>(i));
    const SloSearchResult got = highest_load_under_slo(rules, [&](const TrialRequest& request) {
      Trial trial = queue.run(request.load, request.seed);
      std::mt19937_64 generator{request.seed + 1};
      if (uniform_unit(generator) < bad_runs_ratio) {
        trial.attainment_ratio *= 0.5;
      }
      return Result<Trial>{trial};
    });
    EXPECT_EQ(got.status, SloSearchStatus::found);
    EXPECT_LE(got.runs, most_runs_of(rules));
    const double boundary = queue.boundary(target);
    if (got.highest_met && got.lowest_missed) {
      const double off = *got.highest_met / boundary;
      const bool near = off <= 1 + rules.tolerance_ratio && off >= 1 / (1 + rules.tolerance_ratio);
      result.within_tolerance += near ? 1.0 / searches : 0;
    }
    const bool holds = got.shown_met.value_or(0) <= boundary &&
                       got.shown_missed.value_or(std::numeric_limits<double>::max()) >= boundary;
    result.bracket_holds += holds ? 1.0 / searches : 0;
    result.mean_runs += static_cast<double>(got.runs) / searches;
  }
  return result;
}

TEST(SloSearch, FindsTheKnownBoundaryOfAQueue) {
  for (const auto& [queue, target] : {std::pair{Queue{10, 1, 5000}, 0.90},
                                      {Queue{25, 0.5, 5000}, 0.95},
                                      {Queue{40, 0.3, 15000}, 0.99}}) {
    const Found got = search_many(queue, target, 200);
    std::printf("queue of %.0f/s, target %.2f: near %.3f, bracket holds %.3f, %.1f runs\n",
                queue.service_per_second, target, got.within_tolerance, got.bracket_holds,
                got.mean_runs);
    EXPECT_GE(got.within_tolerance, 0.95);
    EXPECT_GE(got.bracket_holds, 0.95);
  }
}

TEST(SloSearch, OneBadRunInThirtyDoesNotMisleadIt) {
  const Found got = search_many({25, 0.5, 5000}, 0.95, 200, 1.0 / 30);
  std::printf("with bad runs: near %.3f, bracket holds %.3f, %.1f runs\n", got.within_tolerance,
              got.bracket_holds, got.mean_runs);
  EXPECT_GE(got.within_tolerance, 0.95);
  EXPECT_GE(got.bracket_holds, 0.95);
}

TEST(SloSearch, SaysWhenTheTargetIsNeverOrAlwaysMet) {
  const Queue queue;
  const auto run = [&](const TrialRequest& request) {
    return Result<Trial>{queue.run(request.load, request.seed)};
  };
  const SloSearchResult never = highest_load_under_slo(rules_of(9.5, 40, 0.9, 1), run);
  EXPECT_EQ(never.status, SloSearchStatus::never_met);
  EXPECT_FALSE(never.highest_met);
  EXPECT_EQ(never.shown_missed, 9.5);
  const SloSearchResult always = highest_load_under_slo(rules_of(0.5, 4, 0.9, 1), run);
  EXPECT_EQ(always.status, SloSearchStatus::always_met);
  EXPECT_EQ(always.highest_met, 4);
  EXPECT_FALSE(always.lowest_missed);
}

/// Meets its SLO exactly up to `most` in flight; a little noise.
Result<Trial> slots(const TrialRequest& request, double most) {
  std::mt19937_64 generator{request.seed};
  Trial trial;
  trial.effective_requests = 1000;
  trial.attainment_ratio =
      (request.load <= most ? 0.995 : 0.6) + 0.004 * (uniform_unit(generator) - 0.5);
  trial.output_rate = tokens_per_second(10 * std::min(request.load, most));
  trial.goodput = trial.output_rate * trial.attainment_ratio;
  return trial;
}

TEST(SloSearch, FindsEveryConcurrencyExactlyWithinTheBoundOfRuns) {
  for (int most = 1; most < 130; ++most) {
    SloSearchRules rules = rules_of(1, 256, 0.9, static_cast<std::uint64_t>(most));
    rules.load = Load::concurrency;
    rules.tolerance_ratio = 0.001;
    const SloSearchResult got = highest_load_under_slo(
        rules, [&](const TrialRequest& request) { return slots(request, most); });
    ASSERT_EQ(got.status, SloSearchStatus::found) << most;
    EXPECT_EQ(got.highest_met, most);
    EXPECT_EQ(got.lowest_missed, most + 1);
    EXPECT_LE(got.runs, most_runs_of(rules));
    std::set<double> once;
    for (const VisitedLoad& visited : got.visited) {
      EXPECT_EQ(visited.load, std::round(visited.load));
      EXPECT_TRUE(once.insert(visited.load).second) << "twice at " << visited.load;
    }
  }
}

TEST(SloSearch, HoldsTheBoundWhenNothingIsEverShown) {
  // Attainment that is noise about the target at every load: the most runs it can take.
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    for (const Load load : {Load::requests_per_second, Load::concurrency}) {
      SloSearchRules rules = rules_of(1, 100, 0.9, seed);
      rules.load = load;
      int runs = 0;
      const SloSearchResult got = highest_load_under_slo(rules, [&](const TrialRequest& request) {
        ++runs;
        std::mt19937_64 generator{request.seed};
        Trial trial;
        trial.effective_requests = 10;
        trial.attainment_ratio = 0.8 + 0.2 * uniform_unit(generator);
        return Result<Trial>{trial};
      });
      EXPECT_EQ(got.runs, runs);
      EXPECT_LE(runs, most_runs_of(rules));
      EXPECT_NE(got.status, SloSearchStatus::budget_spent);
    }
  }
}

TEST(SloSearch, ABudgetEndsItWithWhatItHas) {
  SloSearchRules rules = rules_of(1, 256, 0.9, 1);
  rules.most_runs = 5;
  const SloSearchResult got = highest_load_under_slo(
      rules, [](const TrialRequest& request) { return slots(request, 100); });
  EXPECT_EQ(got.status, SloSearchStatus::budget_spent);
  EXPECT_EQ(got.runs, 5);
  EXPECT_EQ(got.highest_met, 4);  // 1, 2 by two runs each, 4 by one
  EXPECT_EQ(got.shown_met, 2);
}

TEST(SloSearch, AFailedRunEndsItWithWhatItHas) {
  const SloSearchResult got = highest_load_under_slo(
      rules_of(1, 256, 0.9, 1), [](const TrialRequest& request) -> Result<Trial> {
        if (request.load > 5) {
          return Failure{"the server hung up"};
        }
        return slots(request, 100);
      });
  EXPECT_EQ(got.status, SloSearchStatus::failed);
  EXPECT_EQ(got.failure, "the server hung up");
  EXPECT_EQ(got.highest_met, 4);
}

TEST(SloSearch, InvalidRunsAreMadeAgainAndNeverCounted) {
  int runs = 0;
  const auto every_other = [&](const TrialRequest& request) {
    Trial trial = slots(request, 20).value();
    if (runs++ % 2 == 0) {
      trial.valid = false;
      trial.attainment_ratio = 0;
    }
    return Result<Trial>{trial};
  };
  const SloSearchResult got = highest_load_under_slo(rules_of(1, 64, 0.9, 1), every_other);
  EXPECT_EQ(got.status, SloSearchStatus::found);
  EXPECT_NEAR(*got.highest_met, 20, 1);
  const SloSearchResult none =
      highest_load_under_slo(rules_of(1, 64, 0.9, 1), [](const TrialRequest&) {
        Trial trial;
        trial.valid = false;
        return Result<Trial>{trial};
      });
  EXPECT_EQ(none.status, SloSearchStatus::failed);
  EXPECT_THAT(*none.failure, HasSubstr("no valid run"));
}

TEST(SloSearch, TheBestGoodputNeedNotBeTheHighestLoad) {
  const SloSearchResult got =
      highest_load_under_slo(rules_of(1, 64, 0.9, 1), [](const TrialRequest& request) {
        Trial trial = slots(request, 40).value();
        trial.goodput = tokens_per_second(100 - std::abs(request.load - 8));
        return Result<Trial>{trial};
      });
  EXPECT_EQ(got.best_goodput_load, 8);
  EXPECT_GT(*got.highest_met, 35);
}

TEST(SloSearch, ASeedGivesTheSameSearch) {
  const Queue queue;
  const auto loads = [&](std::uint64_t seed) {
    std::vector<std::uint64_t> seeds;
    (void)highest_load_under_slo(rules_of(0.5, 64, 0.9, seed), [&](const TrialRequest& request) {
      seeds.push_back(request.seed);
      return Result<Trial>{queue.run(request.load, request.seed)};
    });
    return seeds;
  };
  EXPECT_EQ(loads(3), loads(3));
  EXPECT_NE(loads(3), loads(4));
  const auto seeds = loads(3);
  EXPECT_EQ(std::set<std::uint64_t>(seeds.begin(), seeds.end()).size(), seeds.size());
}

TEST(SloSearch, RefusesRulesOutsideTheirRanges) {
  const auto message = [](auto&& change) {
    SloSearchRules rules = rules_of(1, 8, 0.9, 1);
    change(rules);
    return error_of([&] { (void)highest_load_under_slo(rules, MakeRun{}); });
  };
  EXPECT_THAT(message([](auto& r) { r.lowest = 0; }), HasSubstr("a search from"));
  EXPECT_THAT(message([](auto& r) { r.highest = 0.5; }), HasSubstr("a search from"));
  EXPECT_THAT(message([](auto& r) { r.target_ratio = 1; }), HasSubstr("in the SLO"));
  EXPECT_THAT(message([](auto& r) { r.tolerance_ratio = 0; }), HasSubstr("tolerance"));
  EXPECT_THAT(message([](auto& r) { r.confidence_ratio = 1; }), HasSubstr("confidence"));
  EXPECT_THAT(message([](auto& r) { r.overdispersion = 0.5; }), HasSubstr("overdispersion"));
  EXPECT_THAT(message([](auto& r) { r.most_replicates = 1; }), HasSubstr("runs at a load"));
  EXPECT_THAT(message([](auto& r) { r.most_runs = 0; }), HasSubstr("budget"));
}

TEST(Sweep, LoadsAreSpacedAsAsked) {
  EXPECT_THAT(linear_loads(Load::requests_per_second, 1, 3, 5), ElementsAre(1, 1.5, 2, 2.5, 3));
  EXPECT_THAT(geometric_loads(Load::concurrency, 1, 16, 5), ElementsAre(1, 2, 4, 8, 16));
  EXPECT_THAT(geometric_loads(Load::concurrency, 1, 3, 6), ElementsAre(1, 2, 3));
  EXPECT_THAT(linear_loads(Load::concurrency, 4, 4, 1), ElementsAre(4));
  EXPECT_THAT(error_of([] { (void)linear_loads(Load::concurrency, 0, 4, 3); }),
              HasSubstr("loads from"));
  EXPECT_THAT(error_of([] { (void)linear_loads(Load::concurrency, 1, 4, 1); }),
              HasSubstr("1 loads"));
}

TEST(Sweep, StopsAfterTheOutputStopsGrowing) {
  const auto loads = geometric_loads(Load::concurrency, 1, 256, 9);
  const auto run = [](const TrialRequest& request) { return slots(request, 20); };
  const SweepResult got = sweep(loads, {}, run);
  // 10, 20, 40, 80, 160, 200, 200, 200: flat from 32 on.
  EXPECT_EQ(got.points.back().load, 128);
  EXPECT_EQ(got.saturated_at, 32);
  SweepRules all;
  all.stop_when_saturated = false;
  EXPECT_EQ(sweep(loads, all, run).points.size(), 9U);
  EXPECT_EQ(sweep(loads, all, run).saturated_at, 32);
}

TEST(Sweep, KeepsItsPointsWhenARunFails) {
  const std::vector<double> loads{1, 2, 3};
  const SweepResult got = sweep(loads, {}, [](const TrialRequest& request) -> Result<Trial> {
    if (request.load > 1.5) {
      return Failure{"gone"};
    }
    return slots(request, 20);
  });
  EXPECT_EQ(got.points.size(), 1U);
  EXPECT_EQ(got.failure, "gone");
  const std::vector<double> falling{2, 1};
  EXPECT_THAT(error_of([&] { (void)sweep(falling, {}, MakeRun{}); }), HasSubstr("ascend"));
  EXPECT_THAT(error_of([&] { (void)sweep({}, {}, MakeRun{}); }), HasSubstr("no load"));
}

GridPoint point(double joules, double attainment) {
  GridPoint result;
  result.trial.energy = joules_per_token(joules);
  result.trial.attainment_ratio = attainment;
  return result;
}

TEST(Grid, TheFrontHoldsWhatNothingElseBeats) {
  std::vector<GridPoint> points{point(3, 0.99), point(2, 0.95), point(2.5, 0.95), point(2, 0.95),
                                point(1, 0.5),  point(4, 0.98), point(0.5, 1),    point(0.4, 1)};
  points[6].trial.valid = false;
  points[7].trial.energy.reset();
  EXPECT_THAT(pareto_front(points), ElementsAre(4, 1, 0));
}

TEST(Grid, EveryPairIsMeasuredOnceAndCapsChangeSeldom) {
  const std::vector<Watts> caps{watts(300), watts(500), watts(700)};
  const std::vector<double> loads{1, 2, 4, 8};
  std::vector<double> cap_sequence;
  const auto run = [&](const TrialRequest& request) {
    cap_sequence.push_back(in_watts(*request.power_cap));
    Trial trial = slots(request, 5).value();
    trial.energy = joules_per_token(in_watts(*request.power_cap) / (100 * request.load));
    return Result<Trial>{trial};
  };
  const GridResult got = cap_load_grid(caps, loads, 5, run);
  EXPECT_EQ(got.points.size(), 12U);
  EXPECT_FALSE(got.pareto.empty());
  std::set<std::pair<double, double>> pairs;
  int changes = 0;
  for (std::size_t i = 0; i < got.points.size(); ++i) {
    pairs.insert({in_watts(got.points[i].power_cap), got.points[i].load});
    changes += i > 0 && cap_sequence[i] != cap_sequence[i - 1] ? 1 : 0;
  }
  EXPECT_EQ(pairs.size(), 12U);
  EXPECT_EQ(changes, 2);
  std::set<double> first_caps;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    first_caps.insert(in_watts(cap_load_grid(caps, loads, seed, run).points.front().power_cap));
  }
  EXPECT_EQ(first_caps.size(), 3U);
}

TEST(Grid, KeepsItsPointsWhenARunFails) {
  const std::vector<Watts> caps{watts(300)};
  const std::vector<double> loads{1, 2, 4};
  int runs = 0;
  const GridResult got =
      cap_load_grid(caps, loads, 1, [&](const TrialRequest& request) -> Result<Trial> {
        if (++runs == 3) {
          return Failure{"interrupted"};
        }
        Trial trial = slots(request, 5).value();
        trial.energy = joules_per_token(1);
        return trial;
      });
  EXPECT_EQ(got.points.size(), 2U);
  EXPECT_EQ(got.pareto.size(), 1U);
  EXPECT_EQ(got.failure, "interrupted");
  const std::vector<Watts> no_cap{watts(0)};
  EXPECT_THAT(error_of([&] { (void)cap_load_grid(no_cap, loads, 1, MakeRun{}); }),
              HasSubstr("power cap of 0"));
}

}  // namespace
}  // namespace perwatt::measure
