// Solved sites with all that their reports point into.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "measured_points.hpp"

#include "perwatt/report/plan_report.hpp"

namespace perwatt::report {

inline constexpr const char* kHostile = "</script><script>alert('x|y')</script>";

/// A row whose texts try to break out of the report.
inline inference::MeasuredPoint hostile_row(double output_per_gpu, double interactivity,
                                            double gpu_watts) {
  auto point = row(output_per_gpu, interactivity, gpu_watts);
  point.source = kHostile;
  point.url = "javascript:alert(1)";
  point.read_at = "/some/folder/points.csv:7";
  return point;
}

inline std::string service_text() {
  return std::string{"[[service]]\nid = \""} + kHostile +
         "\"\nmodel = \"deepseek-r1\"\nisl_tokens = 1024\nosl_tokens = 1024\n"
         "min_interactivity = \"20tok/s\"\ndemand_output_tokens_per_s = 1000000\n"
         "committed_output_tokens_per_s = 1000\n"
         "price_usd_per_million_output_tokens = 2\nprice_usd_per_million_input_tokens = 0.5\n";
}

/// One rack kind, one hour class, no baseline.
inline std::string small_site(const std::string& envelope) {
  return "[site]\nname = \"A <b>site</b>\"\nenvelope = \"" + envelope +
         "\"\navailability_ratio = 0.9\n"
         "[prices]\ntable = \"2026-08\"\nenergy_usd_per_kwh = 0.1\n" +
         service_text() +
         "[[rack]]\nsystem = \"hgx-h200-air\"\nowned = 4\nmax_buy = 6\n"
         "[[load]]\nname = \"storage\"\npower = \"20kW\"\n";
}

/// Two accelerators, two hour classes, a physical hall, a baseline without speculation.
inline std::string rich_site() {
  std::string hours;
  std::string demand;
  for (int hour = 1; hour <= 24; ++hour) {
    hours += hour > 12 ? ", 0.2" : hour == 1 ? "0.05" : ", 0.05";
    demand += hour > 12 ? ", 1.5" : hour == 1 ? "0.1" : ", 0.1";
  }
  return "[site]\nname = \"A <b>site</b>\"\nenvelope = \"1MW\"\navailability_ratio = 0.9\n"
         "[prices]\ntable = \"2026-08\"\n"
         "[year]\nclimate = \"phoenix-az\"\nenergy_usd_per_kwh_by_hour = [" +
         hours + "]\ndemand_ratio_by_hour = [" + demand +
         "]\n[baseline]\nsite = \"self\"\n[baseline.deployments]\nspec_decode = [\"none\"]\n"
         "[[hall]]\nid = \"dlc\"\ncooling_plant = \"liquid-dry\"\nsupply_temperature = \"40C\"\n"
         "positions = 5\n" +
         service_text() +
         "[[rack]]\nsystem = \"hgx-h200-air\"\nowned = 4\n"
         "[[rack]]\nsystem = \"gb300-nvl72\"\nhall = \"dlc\"\nmax_buy = 4\n";
}

struct Case {
  const catalog::Catalog& catalog = shipped_climates();
  std::vector<inference::MeasuredPoint> points;
  std::unique_ptr<inference::GpuPowerEstimator> estimator;
  plan::Site site;
  plan::CandidateSet set;
  plan::Plan plan;
  plan::Site base_site;
  plan::CandidateSet base_set;
  plan::Plan base_plan;
  PlanReport report;

  Case(const std::string& text, std::vector<inference::MeasuredPoint> rows)
      : points{std::move(rows)} {
    estimator = std::make_unique<inference::GpuPowerEstimator>(points, catalog);
    site = plan::parse_site(text, "test.toml", catalog);
    set = plan::build_candidates(site, catalog, points, *estimator);
    plan = plan::solve_plan(site, set);
    inference::FrontierQuery query;
    query.model = "deepseek-r1";
    query.workload = site.services[0].workload;
    query.price_table = site.price_table;
    for (const auto& rack : site.racks) {
      query.systems.push_back(rack.system);
    }
    report.solved = {&site, &set, &plan};
    report.catalog = &catalog;
    report.frontiers = {inference::build_frontier(query, catalog, points, *estimator)};
    report.version = "1.2.3";
    report.points = points;
  }

  Case(const Case&) = delete;
  Case& operator=(const Case&) = delete;
};

inline std::unique_ptr<Case> make_case(const std::string& envelope) {
  return std::make_unique<Case>(small_site(envelope),
                                std::vector{hostile_row(300, 60, 500), hostile_row(900, 40, 600),
                                            hostile_row(2000, 15, 690)});
}

/// `point` on GB300 NVL72 with speculation, `times` as fast.
inline inference::MeasuredPoint on_gb300(inference::MeasuredPoint point, double times) {
  point.accelerator = "gb300";
  point.spec_decode = "mtp";
  point.output_per_gpu = *point.output_per_gpu * times;
  point.total_per_gpu = *point.total_per_gpu * times;
  point.gpu_power = *point.gpu_power * 1.5;
  return point;
}

/// With baseline, attribution and sensitivities.
inline std::unique_ptr<Case> make_rich_case() {
  auto faster = hostile_row(1500, 40, 620);
  faster.spec_decode = "mtp";
  auto made = std::make_unique<Case>(
      rich_site(),
      std::vector{hostile_row(300, 60, 500), hostile_row(900, 40, 600), hostile_row(2000, 15, 690),
                  faster, on_gb300(hostile_row(300, 60, 500), 4),
                  on_gb300(hostile_row(900, 40, 600), 8)});
  made->base_site = plan::as_it_stands(made->site);
  made->base_set =
      plan::build_candidates(made->base_site, made->catalog, made->points, *made->estimator);
  made->base_plan = plan::solve_plan(made->base_site, made->base_set);
  made->report.baseline = plan::SolvedSite{&made->base_site, &made->base_set, &made->base_plan};
  const auto options =
      plan::find_options(made->site.services, plan::accelerators_of(made->site, made->catalog),
                         made->points, *made->estimator);
  made->report.attribution =
      plan::attribute(made->base_site, made->site, made->catalog, options, {});
  made->report.sensitivities =
      plan::find_sensitivities(made->site, made->catalog, made->points, *made->estimator);
  return made;
}

}  // namespace perwatt::report
