// The plan over hour classes, halls, supplies and provisioning, counted by hand.
#include <algorithm>
#include <cmath>
#include <string>

#include "../managed_draw.hpp"
#include "error_of.hpp"
#include "year_site.hpp"
#include <gtest/gtest.h>

#include "perwatt/plan/sensitivity.hpp"

namespace perwatt::plan {
namespace {

std::string year(const std::string& content) {
  return "[year]\n" + content + "\n";
}

bool mentions(const Plan& plan, const std::string& limit, std::string* needed = nullptr) {
  for (const auto& remedy : plan.remedies) {
    if (remedy.limit == limit) {
      if (needed != nullptr) {
        *needed = remedy.needed;
      }
      return true;
    }
  }
  return false;
}

TEST(Year, OneClassIsTheProgramWithoutAYear) {
  const auto plain = solve_year(YearText{}.str(), {row(100, 30, 500)});
  YearText text;
  text.price = "";
  text.rest = year("energy_usd_per_kwh_by_hour = " + half_days("0.10", "0.10"));
  const auto same = solve_year(text.str(), {row(100, 30, 500)});
  ASSERT_EQ(same->site.year.size(), 1U);
  EXPECT_EQ(same->relaxed(), plain->relaxed());
  EXPECT_EQ(same->profit(), plain->profit());
  EXPECT_EQ(in_watts(same->plan.totals.meter), in_watts(plain->plan.totals.meter));
  EXPECT_EQ(in_usd_per_hour(*same->plan.duals.per_megawatt_up),
            in_usd_per_hour(*plain->plan.duals.per_megawatt_up));
}

TEST(Year, EnergyIsPaidByClassAndSoldByItsDemand) {
  YearText text;
  text.price = "";
  text.service = "demand_output_tokens_per_s = 9600";
  text.rest = year("energy_usd_per_kwh_by_hour = " + half_days("0.20", "0.02") +
                   "\ndemand_ratio_by_hour = " + half_days("1.0", "0.25"));
  const auto solved = solve_year(text.str(), {row(100, 30, 500)});
  ASSERT_EQ(solved->plan.hours.size(), 2U);
  const auto& rack = solved->set.racks[0];
  const double serving = in_watts(rack.chain.it_per_gpu(watts(500)).value) * 1.3;
  const double idle = in_watts(rack.idle_it_per_gpu.value) * 1.3;
  for (std::size_t h = 0; h < 2; ++h) {
    const bool is_day = solved->site.year[h].demand_ratio == 1.0;
    const double gpus = is_day ? 96 : 24;
    EXPECT_NEAR(in_tokens_per_second(solved->plan.hours[h].output), gpus * 100, 1e-6);
    EXPECT_NEAR(in_watts(solved->plan.hours[h].meter), gpus * serving + (96 - gpus) * idle, 1e-6);
    EXPECT_NEAR(in_usd_per_hour(solved->plan.hours[h].energy_cost),
                in_watts(solved->plan.hours[h].meter) / 1e3 * (is_day ? 0.20 : 0.02), 1e-9);
  }
  EXPECT_NEAR(in_tokens_per_second(solved->plan.totals.output), 6000, 1e-6);
}

TEST(Year, ABatteryMovesOneCycleADayFromTheCheapToTheDearHours) {
  YearText text;
  text.price = "";
  text.rest = year("energy_usd_per_kwh_by_hour = " + half_days("0.20", "0.02")) +
              "[[load]]\nname = \"storage\"\npower = \"1MW\"\n";
  const auto without = solve_year(text.str(), {row(100, 30, 500)});
  text.rest +=
      "[[supply]]\nname = \"b\"\nkind = \"battery\"\npower = \"1MW\"\nenergy_mwh = 4\n"
      "round_trip_ratio = 0.8\n";
  const auto with = solve_year(text.str(), {row(100, 30, 500)});
  // 4 MWh out at 200 USD/MWh and 5 MWh in at 20 USD/MWh each day.
  EXPECT_NEAR(with->profit() - without->profit(), (4 * 200 - 5 * 20) / 24.0, 1e-6);
  for (std::size_t h = 0; h < 2; ++h) {
    const bool is_dear = in_usd_per_kwh(with->site.year[h].energy_price) > 0.1;
    EXPECT_NEAR(in_megawatts(with->plan.hours[h].supplied), is_dear ? 4.0 / 12 : -5.0 / 12, 1e-6);
  }
  // It counts at the peak with what it gives for four hours.
  EXPECT_NEAR(in_megawatts(firm_supply(with->site)), 1.0, 1e-12);
}

TEST(Year, AGeneratorRunsWhereItIsCheaperAndPaysForItsCarbon) {
  YearText text;
  const std::string generator =
      "[[supply]]\nname = \"g\"\nkind = \"generation\"\npower = \"50kW\"\nusd_per_kwh = 0.06\n"
      "carbon_grams_per_kwh = 500\nhours_per_year = 4380\n";
  const auto without = solve_year(text.str(), {row(100, 30, 500)});
  text.rest = generator;
  const auto with = solve_year(text.str(), {row(100, 30, 500)});
  EXPECT_NEAR(with->profit() - without->profit(), 25 * 0.04, 1e-6);  // 25 kW mean
  text.rest += year("carbon_grams_per_kwh = 0\ncarbon_usd_per_tonne = 100");
  const auto taxed = solve_year(text.str(), {row(100, 30, 500)});
  EXPECT_NEAR(taxed->profit(), without->profit(), 1e-6);  // 0.06 + 0.05 USD/kWh: never
  EXPECT_NEAR(in_watts(taxed->plan.totals.supplied), 0, 1e-3);
}

TEST(Year, AGeneratorThatMayNotRunIsNoFirmSupply) {
  YearText text;
  text.envelope = "100kW";  // two racks of 41.6 kW
  text.rest =
      "[[supply]]\nname = \"g\"\nkind = \"generation\"\npower = \"50kW\"\n"
      "usd_per_kwh = 0.06\nhours_per_year = 0\n";
  EXPECT_EQ(solve_year(text.str(), {row(100, 30, 500)})->plan.racks[0].powered, 2);
  text.rest = text.rest.substr(0, text.rest.find("hours_per_year"));
  const auto firm = solve_year(text.str(), {row(100, 30, 500)});
  EXPECT_EQ(firm->plan.racks[0].powered, 3);
  EXPECT_LE(in_watts(firm->plan.hours[0].reserved), 150e3 * (1 + 1e-9));
  EXPECT_LE(in_watts(firm->plan.hours[0].meter - firm->plan.hours[0].supplied), 100e3 * (1 + 1e-9));
}

TEST(Year, TheEnvelopeNeededIsFoundBesideASupply) {
  YearText text;
  text.envelope = "50kW";
  text.service = "demand_output_tokens_per_s = 20000\ncommitted_output_tokens_per_s = 9600";
  text.rest = "[[supply]]\nname = \"b\"\nkind = \"battery\"\npower = \"4kW\"\nenergy_mwh = 1\n";
  const auto solved = solve_year(text.str(), {row(100, 30, 500)});
  ASSERT_EQ(solved->plan.status, PlanStatus::infeasible);
  std::string needed;
  ASSERT_TRUE(mentions(solved->plan, "site.envelope", &needed));
  text.envelope = needed.substr(std::string{"at least "}.size());
  const auto mended = solve_year(text.str(), {row(100, 30, 500)});
  EXPECT_EQ(mended->plan.status, PlanStatus::optimal) << needed;
  EXPECT_GT(mended->plan.totals.meter_peak, mended->site.envelope);  // the battery's share
}

constexpr const char* kTwoHalls =
    "[[hall]]\nid = \"old\"\ncooling_plant = \"air\"\npositions = 10\n"
    "[[hall]]\nid = \"new\"\ncooling_plant = \"liquid\"\npositions = 0\n"
    "[[retrofit]]\nfrom = \"old\"\nto = \"new\"\nmax_positions = 3\n"
    "capital_usd_per_position_hour = 1\n";

TEST(Halls, PositionsAreRetrofittedAsFarAsTheyPay) {
  YearText text;
  text.rack = "owned = 5\nhall = \"new\"";
  text.rest = kTwoHalls;
  const auto solved = solve_year(text.str(), {row(100, 30, 500)});
  EXPECT_EQ(solved->plan.racks[0].powered, 3);
  EXPECT_NEAR(in_usd_per_hour(solved->plan.totals.capital_cost), 3, 1e-9);
  EXPECT_EQ(solved->plan.halls[0].retrofitted_positions, -3);
  EXPECT_EQ(solved->plan.halls[1].retrofitted_positions, 3);
  // A rack earns about 20 USD/h: at 30 none is moved.
  text.rest.replace(text.rest.find("hour = 1"), 8, "hour = 30");
  EXPECT_EQ(solve_year(text.str(), {row(100, 30, 500)})->plan.racks[0].powered, 0);
}

TEST(Halls, MoreRacksThanPositionsStayDark) {
  YearText text;
  text.rack = "owned = 5\nhall = \"A\"";
  text.rest = "[[hall]]\nid = \"A\"\ncooling_plant = \"air\"\npositions = 2\n";
  const auto solved = solve_year(text.str(), {row(100, 30, 500)});
  ASSERT_EQ(solved->plan.status, PlanStatus::optimal);
  EXPECT_EQ(solved->plan.racks[0].powered, 2);
}

TEST(Halls, PositionsThatBindAreNamedAndMended) {
  YearText text;
  text.rack = "owned = 5\nhall = \"A\"";
  text.service = "demand_output_tokens_per_s = 20000\ncommitted_output_tokens_per_s = 9600";
  text.rest = "[[hall]]\nid = \"A\"\ncooling_plant = \"air\"\npositions = 2\n";
  const auto solved = solve_year(text.str(), {row(100, 30, 500)});
  ASSERT_EQ(solved->plan.status, PlanStatus::infeasible);
  std::string needed;
  ASSERT_TRUE(mentions(solved->plan, "hall[A].positions", &needed));
  EXPECT_EQ(needed, "at least 3 positions");
  text.rest.replace(text.rest.find("positions = 2"), 13, "positions = 3");
  EXPECT_EQ(solve_year(text.str(), {row(100, 30, 500)})->plan.status, PlanStatus::optimal);
}

class HallCapacity : public testing::TestWithParam<const char*> {};

TEST_P(HallCapacity, ThatBindsIsNamedAndMended) {
  const std::string policy = GetParam();
  for (const auto* plant : {"air", "liquid-dry", "air-economiser", "liquid-dry-only"}) {
    SCOPED_TRACE(plant);
    YearText text;
    text.envelope = "400kW";
    text.rack = "owned = 9\nhall = \"A\"";
    text.service = "demand_output_tokens_per_s = 40000\ncommitted_output_tokens_per_s = 19200";
    const auto with_capacity = [&](const std::string& capacity) {
      text.rest = "[[hall]]\nid = \"A\"\ncooling_plant = \"" + std::string{plant} +
                  "\"\nit_capacity = \"" + capacity + "\"\n[year]\nclimate = \"leesburg-va\"\n" +
                  policy;
      return solve_year(text.str(), {row(100, 30, 500)});
    };
    const auto solved = with_capacity("100kW");
    ASSERT_EQ(solved->plan.status, PlanStatus::infeasible);
    std::string needed;
    ASSERT_TRUE(mentions(solved->plan, "hall[A].it_capacity", &needed));
    const auto mended = with_capacity(needed.substr(std::string{"at least "}.size()));
    EXPECT_EQ(mended->plan.status, PlanStatus::optimal) << needed;
    EXPECT_GE(in_tokens_per_second(mended->plan.totals.output), 19200 * (1 - 1e-9));
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, HallCapacity,
                         testing::Values("",
                                         "[provisioning]\npolicy = \"managed\"\n"
                                         "excursion_probability = 0.1\n"));

TEST(Halls, ARackTooHeavyForItsPositionsIsBadInput) {
  YearText text;
  text.rack = "owned = 5\nhall = \"A\"";
  text.rest = "[[hall]]\nid = \"A\"\ncooling_plant = \"air\"\nmax_rack_power = \"20kW\"\n";
  const auto message = error_of([&] { solve_year(text.str(), {row(100, 30, 500)}); });
  for (const auto* part : {"hgx-h200-air", "kW", "'A'", "max_rack_power"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
  text.rest += "[provisioning]\npolicy = \"static\"\ngpu_cap_ratio = 0.35\n";
  EXPECT_EQ(solve_year(text.str(), {row(100, 30, 200)})->plan.racks[0].powered, 3 + 2);
}

TEST(Halls, APlantThatTheWarmestHourStopsIsBadInput) {
  YearText text;
  text.rack = "owned = 5\nhall = \"A\"";
  text.rest =
      "[year]\nclimate = \"phoenix-az\"\n"
      "[[hall]]\nid = \"A\"\ncooling_plant = \"liquid-dry-only\"\n";
  const auto message = error_of([&] { solve_year(text.str(), {row(100, 30, 500)}); });
  for (const auto* part : {"hall[1]", "liquid-dry-only", "chiller", "45.6 C"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

TEST(Policies, AStaticCapLeavesOutWhatDrawsMore) {
  YearText text;
  text.rest = "[provisioning]\npolicy = \"static\"\ngpu_cap_ratio = 0.6\n";  // 420 W
  const auto solved = solve_year(text.str(), {row(100, 30, 500), row(80, 35, 400)});
  EXPECT_EQ(solved->set.excluded[0].above_cap, 1U);
  ASSERT_EQ(solved->plan.assignments.size(), 1U);
  EXPECT_EQ(solved->set.candidates.at(0).gpu_power.mean, watts(400));
  EXPECT_LT(solved->set.racks[0].provisioned_it_per_rack.value,
            solve_year(YearText{}.str(), {row(100, 30, 500)})
                ->set.racks[0]
                .provisioned_it_per_rack.value);
}

std::string managed(const std::string& probability) {
  return "[provisioning]\npolicy = \"managed\"\nexcursion_probability = " + probability + "\n";
}

TEST(Policies, AProbabilityThatTheDataCannotSupportIsRefusedAndTheRemedyWorks) {
  YearText text;
  text.rest = managed("0.01");
  const auto refused = solve_year(text.str(), {row(100, 30, 500)});
  ASSERT_EQ(refused->plan.status, PlanStatus::infeasible);
  std::string needed;
  ASSERT_TRUE(mentions(refused->plan, "provisioning.excursion_probability", &needed));
  text.rest = managed(needed.substr(std::string{"at least "}.size()));
  EXPECT_EQ(solve_year(text.str(), {row(100, 30, 500)})->plan.status, PlanStatus::optimal)
      << needed;
}

TEST(Policies, ManagedReservesTheTailAndAHigherProbabilityNeverEarnsLess) {
  YearText text;
  text.envelope = "100kW";
  text.rack = "owned = 5\nhall = \"A\"";
  for (const auto* plant : {"air", "liquid-dry"}) {
    double before = -HUGE_VAL;
    for (const auto* probability : {"0.05", "0.1", "0.2", "0.4"}) {
      text.rest = std::string{"[year]\nclimate = \"chicago-il\"\n[[hall]]\nid = \"A\"\n"} +
                  "cooling_plant = \"" + plant + "\"\n" + managed(probability);
      const auto solved = solve_year(text.str(), {row(100, 30, 350)});
      ASSERT_EQ(solved->plan.status, PlanStatus::optimal);
      EXPECT_GE(solved->relaxed(), before - 1e-7 * std::abs(before)) << probability;
      before = solved->relaxed();
      const auto& hall = solved->plan.halls[0];
      EXPECT_GE(hall.reserved_it, hall.power.it);
      EXPECT_GE(hall.design_it * solved->set.halls[0].usable_ratio, hall.reserved_it * (1 - 1e-9));
      EXPECT_LE(in_watts(solved->plan.totals.meter_peak), 100e3 * (1 + 1e-6));
    }
  }
}

TEST(Policies, ASwingIsNeverLessThanWhatTheInletFollows) {
  for (const auto* system : {"hgx-h100-air", "hgx-b200-liquid", "gb200-nvl72", "gb300-nvl72"}) {
    auto text = YearText{}.str();
    text.replace(text.find("hgx-h200-air"), 12, system);
    const auto site = parse_site(text, "test.toml", shipped_climates());
    const inference::GpuPowerEstimator estimator{shipped_points(), shipped_climates()};
    const auto set = build_candidates(site, shipped_climates(), shipped_points(), estimator);
    ASSERT_FALSE(set.candidates.empty()) << system;
    for (const auto& candidate : set.candidates) {
      const auto& rack = set.racks[candidate.rack];
      const Watts mean = candidate.gpu_power.mean;
      const double slope = swing_per_gpu(rack, candidate) / mean;
      EXPECT_LT(slope, 1.25) << system;
      for (int i = 1; i <= 97; ++i) {
        const Watts rise = (rack.gpu_cap - mean) * (i / 97.0);
        const Watts at_inlet =
            rack.chain.it_per_gpu(mean + rise).value - candidate.it_per_gpu.value;
        EXPECT_LE(in_watts(at_inlet), in_watts(rise) * slope * 1.002 + 1e-9) << system;
      }
    }
  }
}

TEST(Year, ZeroDemandIsAnAnswer) {
  YearText text;
  text.service = "demand_output_tokens_per_s = 0";
  const auto solved = solve_year(text.str(), {row(100, 30, 500)});
  ASSERT_EQ(solved->plan.status, PlanStatus::optimal);
  EXPECT_EQ(solved->plan.racks[0].powered, 0);
  EXPECT_EQ(in_tokens_per_second(solved->plan.totals.output), 0);
}

TEST(Year, AtANegativePriceThePlanStaysInsideEveryLimit) {
  for (const auto* policy : {"",
                             "[provisioning]\npolicy = \"managed\"\n"
                             "excursion_probability = 0.1\n"}) {
    YearText text;
    text.envelope = "200kW";
    text.price = "";
    text.rack = "owned = 9\nhall = \"A\"";
    text.rest = "[year]\nclimate = \"leesburg-va\"\nenergy_usd_per_kwh_by_hour = " +
                half_days("-0.05", "-0.01") +
                "\n[[hall]]\nid = \"A\"\ncooling_plant = \"liquid-dry\"\n" + policy;
    const auto solved = solve_year(text.str(), {row(100, 30, 500)});
    ASSERT_EQ(solved->plan.status, PlanStatus::optimal);
    EXPECT_LT(in_usd_per_hour(solved->plan.totals.energy_cost), 0);
    EXPECT_LE(in_watts(solved->plan.totals.meter_peak), 200e3 * (1 + 1e-6));
    EXPECT_LE(solved->plan.totals.meter, solved->plan.totals.meter_peak * (1 + 1e-9));
  }
}

TEST(Year, TheChordOfNegativePricesIsAtMostAFewPercentAboveThePlants) {
  for (const auto* plant :
       {"air-chiller", "air-economiser", "liquid-dry", "liquid-dry-only", "liquid-evaporative"}) {
    for (const auto* climate : {"seattle-wa", "chicago-il", "leesburg-va"}) {
      YearText text;
      text.rest = std::string{"[year]\nclimate = \""} + climate +
                  "\"\n[[hall]]\nid = \"A\"\ncooling_plant = \"" + plant + "\"\n";
      const auto site = parse_site(text.str(), "test.toml", shipped_climates());
      const auto& curve = site.halls[0].curves->mean[0];
      const double end = curve.load_ratio.back();
      const auto above = [&](double share) {
        const double chord = curve.meter_ratio.front() +
                             (curve.meter_ratio.back() - curve.meter_ratio.front()) * share;
        return chord / facility::meter_ratio_at(curve, share * end) - 1;
      };
      EXPECT_GT(above(0.5), 0.01) << plant;
      EXPECT_LT(above(0.5), 0.07) << plant;
      EXPECT_LT(above(0.8), 0.03) << plant;
    }
  }
}

TEST(Sensitivities, OneKelvinMoreIsTheDifferenceOfTwoPlans) {
  YearText text;
  text.envelope = "150kW";
  text.rack = "owned = 9\nhall = \"A\"";
  const auto at = [&](const std::string& supply) {
    text.rest =
        "[year]\nclimate = \"dallas-tx\"\n[[hall]]\nid = \"A\"\n"
        "cooling_plant = \"liquid-dry\"\nsupply_temperature = \"" +
        supply + "\"\n";
    return solve_year(text.str(), {row(100, 30, 500)});
  };
  const auto changes = [&](const SolvedYear& solved) {
    const inference::GpuPowerEstimator estimator{solved.points, shipped_climates()};
    return find_sensitivities(solved.site, shipped_climates(), solved.points, estimator).changes;
  };
  const auto base = at("30C");
  const auto all = changes(*base);
  const auto& change = all.back();
  EXPECT_EQ(change.input, "hall[A].supply_temperature");
  EXPECT_EQ(change.change, "+1 C");
  const double expected = at("31C")->relaxed() - base->relaxed();
  EXPECT_NE(expected, 0);
  // The curves of both plans are within 1e-5 of the plants.
  EXPECT_NEAR(in_usd_per_hour(change.profit), expected,
              3e-5 * in_usd_per_hour(base->plan.totals.energy_cost));
  const auto edge = at("45C");
  const auto unavailable = changes(*edge).back();
  EXPECT_FALSE(unavailable.feasible);
  EXPECT_NE(unavailable.unavailable_because.find("at most 45 C"), std::string::npos);
}

}  // namespace
}  // namespace perwatt::plan
