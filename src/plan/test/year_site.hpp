// Small sites over hour classes, halls and supplies, for the tests of the plan.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "measured_points.hpp"

#include "perwatt/inference/gpu_power.hpp"
#include "perwatt/plan/candidate.hpp"
#include "perwatt/plan/plan.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

struct SolvedYear {
  Site site;
  std::vector<inference::MeasuredPoint> points;
  CandidateSet set;
  Plan plan;

  [[nodiscard]] double relaxed() const { return in_usd_per_hour(plan.relaxed_profit); }

  [[nodiscard]] double profit() const { return in_usd_per_hour(plan.totals.profit()); }
};

/// Heap-held, because candidates point into the site and the points.
inline std::unique_ptr<SolvedYear> solve_year(const std::string& text,
                                              std::vector<inference::MeasuredPoint> points,
                                              const std::string& file = "test.toml") {
  auto solved = std::make_unique<SolvedYear>();
  solved->site = parse_site(text, file, shipped_climates());
  solved->points = std::move(points);
  const inference::GpuPowerEstimator estimator{solved->points, shipped_climates()};
  solved->set = build_candidates(solved->site, shipped_climates(), solved->points, estimator);
  solved->plan = solve_plan(solved->site, solved->set);
  return solved;
}

/// The parts of a site file that a test changes. A rack of 32 H200 at 500 W yields 3,200 tok/s.
struct YearText {
  std::string envelope = "10MW";
  std::string price = "energy_usd_per_kwh = 0.10";
  std::string service = "demand_output_tokens_per_s = 1e12";
  std::string rack = "owned = 3";
  std::string rest;  // [year], [[hall]], [[supply]], …

  [[nodiscard]] std::string str() const {
    return "[site]\nenvelope = \"" + envelope + "\"\n[prices]\ntable = \"2026-08\"\n" + price +
           "\n[[service]]\nid = \"chat\"\nmodel = \"deepseek-r1\"\nisl_tokens = 1024\n"
           "osl_tokens = 1024\nmin_interactivity = \"20tok/s\"\n"
           "price_usd_per_million_output_tokens = 2\nprice_usd_per_million_input_tokens = 0\n" +
           service + "\n[[rack]]\nsystem = \"hgx-h200-air\"\n" + rack + "\n" + rest + "\n";
  }
};

/// 24 values, `day` from 9 to 20 o'clock and `night` else.
inline std::string half_days(const std::string& day, const std::string& night) {
  std::string text = "[";
  for (int hour = 1; hour <= 24; ++hour) {
    text += (hour > 8 && hour <= 20 ? day : night) + (hour < 24 ? ", " : "]");
  }
  return text;
}

}  // namespace perwatt::plan
