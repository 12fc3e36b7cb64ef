// Over random weather: no hour of a year is violated by a plan, and everything adds up.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <random>
#include <string>

#include "year_site.hpp"
#include <gtest/gtest.h>

#include "perwatt/base/file.hpp"
#include "perwatt/facility/hourly_year.hpp"

namespace perwatt::plan {
namespace {

constexpr double kRounding = 1e-6;  // of the solver, relative
constexpr double kChord = 1.1e-5;   // a part-load curve above its plant, relative

using Random = std::mt19937_64;

double uniform(Random& random, double low, double high) {
  return low + (high - low) * (static_cast<double>(random() >> 11) * 0x1p-53);
}

/// An hourly file of made weather, prices and demand.
std::string random_hours(Random& random, bool is_hot) {
  const double middle = uniform(random, -5, is_hot ? 35 : 18);
  const double season = uniform(random, 0, 12);
  const double daily = uniform(random, 0, 8);
  std::string text = "dry_bulb_c,relative_humidity_percent,energy_usd_per_kwh,demand_ratio\n";
  for (int i = 0; i < 8760; ++i) {
    const double dry = middle - season * std::cos(2 * M_PI * i / 8760.0) -
                       daily * std::cos(2 * M_PI * (i % 24) / 24.0) + uniform(random, -3, 3);
    text += std::to_string(std::min(dry, 59.0)) + "," + std::to_string(uniform(random, 5, 99)) +
            "," + std::to_string(uniform(random, -0.02, 0.2)) + "," +
            std::to_string(uniform(random, 0.1, 1.2)) + "\n";
  }
  return text;
}

struct RandomSite {
  YearText text;
  double battery_mwh = 0;
  double generator_hours = 0;  // of 100 kW
};

RandomSite random_site(Random& random, bool is_managed) {
  const auto pick = [&](auto... choices) {
    const std::vector<std::string> all{choices...};
    return all[random() % all.size()];
  };
  RandomSite site;
  site.text.envelope = std::to_string(uniform(random, 0.15, 0.6)) + "MW";
  site.text.price = "";
  site.text.service = "demand_output_tokens_per_s = " + std::to_string(uniform(random, 5e3, 6e4));
  site.text.rack = "owned = " + std::to_string(random() % 12) + "\nmax_buy = 4\nhall = \"A\"";
  site.text.rest = "[year]\nhourly_file = \"hours.csv\"\nhour_classes = " +
                   (is_managed ? "1" : pick("1", "2", "5", "12", "24")) +
                   "\n[[hall]]\nid = \"A\"\n" + "cooling_plant = \"" +
                   pick("air-chiller", "air-economiser", "liquid-dry", "liquid-evaporative") +
                   "\"\n" + pick("", "it_capacity = \"250kW\"\n") +
                   "[[load]]\nname = \"storage\"\npower = \"20kW\"\nhall = \"A\"\n";
  if (is_managed) {
    site.text.rest += "[provisioning]\npolicy = \"managed\"\nexcursion_probability = 0.1\n";
  } else if (random() % 2 == 0) {
    site.text.rest += "[provisioning]\npolicy = \"static\"\ngpu_cap_ratio = 0.8\n";
  }
  if (random() % 3 == 0) {
    site.battery_mwh = uniform(random, 0.01, 0.5);
    site.text.rest +=
        "[[supply]]\nname = \"b\"\nkind = \"battery\"\npower = \"100kW\"\n"
        "round_trip_ratio = 0.8\nenergy_mwh = " +
        std::to_string(site.battery_mwh) + "\n";
  } else if (random() % 2 == 0) {
    site.generator_hours = uniform(random, 10, 8000);
    site.text.rest +=
        "[[supply]]\nname = \"g\"\nkind = \"generation\"\npower = \"100kW\"\n"
        "usd_per_kwh = 0.08\nhours_per_year = " +
        std::to_string(site.generator_hours) + "\n";
  }
  return site;
}

/// The meter in every hour of the file, with what is reserved, by the plant itself.
void expect_no_hour_violated(const SolvedYear& solved, const facility::HourlyYear& year) {
  const Watts limit = solved.site.envelope + firm_supply(solved.site);
  const auto& hall = solved.plan.halls[0];
  const facility::ItPower reserved{hall.reserved_it};
  const facility::ItPower design{hall.design_it};
  Watts warmest;
  for (const auto& weather : year.weather) {
    warmest = std::max(warmest,
                       solved.set.halls[0].plant.parts_at(reserved, design, weather).total().value);
  }
  EXPECT_LE(warmest, limit * (1 + kRounding));
  EXPECT_LE(warmest, hall.worst_meter * (1 + kRounding));
}

void expect_balance(const SolvedYear& solved) {
  const auto& plan = solved.plan;
  Watts parts = plan.flow.distribution + plan.flow.cooling + plan.flow.other_loads +
                plan.flow.network + plan.flow.conversion + plan.flow.fans + plan.flow.host +
                plan.flow.idle_gpu + plan.flow.service_gpu.at(0);
  const auto near = [](double got, double want) {
    EXPECT_NEAR(got, want, 1e-9 * std::abs(want) + 1e-9);
  };
  near(in_watts(parts), in_watts(plan.totals.meter));
  Watts meter;
  Watts it;
  Watts supplied;
  TokensPerSecond output;
  UsdPerSecond cost;
  for (std::size_t h = 0; h < plan.hours.size(); ++h) {
    const double share = solved.site.year[h].year_ratio;
    meter += plan.hours[h].meter * share;
    it += plan.hours[h].it * share;
    supplied += plan.hours[h].supplied * share;
    output += plan.hours[h].output * share;
    cost += plan.hours[h].energy_cost * share;
  }
  near(in_watts(meter), in_watts(plan.totals.meter));
  near(in_watts(it), in_watts(plan.totals.it));
  near(in_watts(supplied), in_watts(plan.totals.supplied));
  near(in_tokens_per_second(output), in_tokens_per_second(plan.totals.output));
  near(in_usd_per_hour(cost), in_usd_per_hour(plan.totals.energy_cost));
  if (plan.totals.output > TokensPerSecond{}) {
    const auto joules = plan.totals.meter / plan.totals.output;
    near(in_joules_per_token(joules) * in_tokens_per_second(plan.totals.output),
         in_watts(plan.totals.meter));
  }
}

void expect_limits(const SolvedYear& solved, const RandomSite& made) {
  const auto& plan = solved.plan;
  const auto demand = solved.site.services[0].demand_output;
  double supplied_mean = 0;
  for (std::size_t h = 0; h < plan.hours.size(); ++h) {
    const auto& hour = plan.hours[h];
    const auto& kind = solved.site.year[h];
    EXPECT_LE(hour.output, demand * kind.demand_ratio * (1 + kRounding));
    EXPECT_LE(hour.reserved, (solved.site.envelope + firm_supply(solved.site)) * (1 + kRounding));
    EXPECT_LE(hour.meter, hour.reserved * (1 + kChord));
    const double supplied = in_watts(hour.supplied);
    EXPECT_LE(std::abs(supplied), 100e3 * (1 + kRounding));
    if (made.battery_mwh > 0 || made.generator_hours > 0) {
      EXPECT_GE(in_watts(hour.meter) - supplied, -kChord * in_watts(hour.meter) - 1e-3);
    } else {
      EXPECT_EQ(supplied, 0);
    }
    supplied_mean += kind.year_ratio * supplied;
  }
  if (made.battery_mwh > 0) {  // what a cycle loses tells what was discharged
    const double discharged = -supplied_mean / (1 / 0.8 - 1);
    EXPECT_GE(discharged, -1.0);
    EXPECT_LE(discharged * 24, made.battery_mwh * 1e6 * (1 + kRounding) + 1);
  } else if (made.generator_hours > 0) {
    EXPECT_LE(supplied_mean * 8760, 100e3 * made.generator_hours * (1 + kRounding) + 1);
  }
  const auto& hall = plan.halls[0];
  EXPECT_GE(hall.reserved_it, hall.power.it * (1 - 1e-9));
  EXPECT_LT(plan.solver.calls, 400) << "cuts come back";
}

class RandomWeather : public testing::TestWithParam<std::uint64_t> {};

TEST_P(RandomWeather, NoHourIsViolatedAndEverythingAddsUp) {
  Random random{GetParam()};
  const bool is_managed = GetParam() % 3 == 0;
  const auto made = random_site(random, is_managed);
  const auto folder =
      std::filesystem::path{testing::TempDir()} / ("perwatt-year-" + std::to_string(GetParam()));
  std::filesystem::create_directories(folder);
  write_file(folder / "hours.csv", random_hours(random, GetParam() % 2 == 0));
  const auto year = facility::read_hourly_year(folder / "hours.csv");
  const auto solved = solve_year(made.text.str(), {row(100, 30, 500), row(140, 25, 550)},
                                 (folder / "site.toml").string());
  std::filesystem::remove_all(folder);
  ASSERT_EQ(solved->plan.status, PlanStatus::optimal) << solved->plan.infeasible_because;
  expect_no_hour_violated(*solved, year);
  expect_balance(*solved);
  expect_limits(*solved, made);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomWeather, testing::Range<std::uint64_t>(1, 31));

}  // namespace
}  // namespace perwatt::plan
