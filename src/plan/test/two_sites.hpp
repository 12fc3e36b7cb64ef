// A plan and its baseline with everything an attribution needs, held in one place.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "measured_points.hpp"

#include "perwatt/plan/attribution.hpp"
#include "perwatt/plan/plan.hpp"

namespace perwatt::plan {

/// The site of these tests: one service of DeepSeek-R1 and three H200 racks. `tail` follows.
inline std::string base_text(const std::string& tail = "", const std::string& service = "",
                             const std::string& rack = "owned = 3") {
  return "[site]\nenvelope = \"10MW\"\n[prices]\ntable = \"2026-08\"\nenergy_usd_per_kwh = 0.10\n"
         "[[service]]\nid = \"chat\"\nmodel = \"deepseek-r1\"\nisl_tokens = 1024\n"
         "osl_tokens = 1024\nmin_interactivity = \"20tok/s\"\n"
         "price_usd_per_million_output_tokens = 2\nprice_usd_per_million_input_tokens = 0\n"
         "demand_output_tokens_per_s = 1e9\n" +
         service + "\n[[rack]]\nsystem = \"hgx-h200-air\"\n" + rack + "\n" + tail;
}

inline Site site_of(const std::string& text) {
  return parse_site(text, "test.toml", shipped_catalog());
}

struct TwoSites {
  TwoSites(Site before, Site after, std::vector<inference::MeasuredPoint> rows)
      : baseline{std::move(before)}, plan{std::move(after)}, points{std::move(rows)} {
    auto accelerators = accelerators_of(plan, shipped_catalog());
    accelerators.merge(accelerators_of(baseline, shipped_catalog()));
    const inference::GpuPowerEstimator estimator{points, shipped_catalog()};
    options = find_options(plan.services, accelerators, points, estimator);
  }

  TwoSites(const TwoSites&) = delete;
  TwoSites& operator=(const TwoSites&) = delete;

  [[nodiscard]] Attribution attribution(AttributionQuery query = {}) const {
    return attribute(baseline, plan, shipped_catalog(), options, query);
  }

  [[nodiscard]] UsdPerSecond profit_of(const Site& site) const {
    return solve_plan(site, build_candidates(site, shipped_catalog(), options)).totals.profit();
  }

  Site baseline;
  Site plan;
  std::vector<inference::MeasuredPoint> points;
  OptionSet options;
};

/// The site and itself as [baseline] says it runs.
inline std::unique_ptr<TwoSites> self(const std::string& text,
                                      std::vector<inference::MeasuredPoint> rows) {
  return std::make_unique<TwoSites>(as_it_stands(site_of(text)), site_of(text), std::move(rows));
}

inline const LeverPart& part_of(const Attribution& attribution, Lever lever) {
  for (const auto& part : attribution.parts) {
    if (part.lever == lever) {
      return part;
    }
  }
  throw std::out_of_range{"the lever is not among the parts"};
}

/// Rows that differ in one or two of the things levers choose.
inline std::vector<inference::MeasuredPoint> varied_rows() {
  auto plain = row(100, 30, 500);
  plain.date = "2025-11-01";
  auto speculative = row(130, 40, 520);
  speculative.spec_decode = "mtp";
  speculative.date = "2025-11-01";
  auto later = row(150, 30, 540);
  later.date = "2026-05-01";
  auto spread = row(170, 30, 480);
  spread.serving = inference::Serving::disaggregated;
  spread.layout.num_gpus = 16;
  spread.date = "2026-05-01";
  auto busy = row(190, 25, 600);
  busy.concurrency = 256;
  busy.date = "2025-11-01";
  auto narrow = row(160, 30, 470);
  narrow.precision = "fp4";
  narrow.date = "2025-11-01";
  return {plain, speculative, later, spread, busy, narrow};
}

}  // namespace perwatt::plan
