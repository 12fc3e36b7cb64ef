// The columns of the plan: what one GPU of a rack kind yields and draws in one deployment at one
// load, or in a training job under one frequency plan.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "perwatt/base/tag.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/curve/power_curve.hpp"
#include "perwatt/facility/cooling_plant.hpp"
#include "perwatt/facility/power_chain.hpp"
#include "perwatt/plan/option.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

/// A hall of the site with its plant.
struct HallKind {
  const Hall* hall = nullptr;
  facility::CoolingPlant plant;
  facility::ItPower load_it;  // of the loads beside the racks that stand in it
  double meter_over_it = 0;   // mean over the year at full load; the PUE where that is constant
  double usable_ratio = 1;    // of the design IT power that the warmest hour leaves
  double leakage_ratio = 1;   // GPU power at this supply temperature over the reference
};

/// A rack kind of the site with its constants.
struct RackKind {
  const RackStock* stock = nullptr;
  const catalog::System* system = nullptr;
  std::size_t hall = 0;  // index into the halls
  const catalog::CoolingPlant* plant = nullptr;
  facility::PowerChain chain;
  int gpus_per_rack = 0;
  Watts gpu_cap;                              // of every board: TDP, or less by policy
  facility::ItPower provisioned_it_per_rack;  // every GPU at its cap
  facility::MeterPower provisioned_per_rack;  // the same at the meter in the warmest hour
  Watts idle_gpu;                             // board without work
  Tag idle_tag = Tag::measured;
  facility::ItPower idle_it_per_gpu;
  std::optional<UsdPerSecond> capital_per_gpu;  // of a bought GPU, energy not in it
};

/// One column, per GPU.
struct Candidate {
  std::size_t service = 0;  // index into Site::services
  std::size_t rack = 0;     // index into the rack kinds
  inference::OperatingPoint point;
  bool ttft_known = true;  // false only where the SLO has a TTFT limit and the row has no TTFT
  inference::GpuPower gpu_power;
  facility::ItPower it_per_gpu;         // while serving
  facility::ItPower mean_it_per_gpu;    // time average, idle share of availability included
  facility::MeterPower meter_per_gpu;   // the same at the meter, at the hall's yearly mean
  TokensPerSecond mean_output_per_gpu;  // time average
  UsdPerSecond revenue_per_gpu;         // time average
  UsdPerSecond margin_per_gpu;          // revenue - energy at yearly means, time average
};

/// One column of a training job, per GPU.
struct TrainingColumn {
  std::size_t job = 0;   // index into Site::training
  std::size_t rack = 0;  // index into the rack kinds
  TrainingPoint point;   // at the reference temperature
  inference::GpuPower gpu_power;
  facility::ItPower it_per_gpu;          // while training
  Watts highest_gpu_power;               // a board in its most drawing operation, or waiting
  facility::ItPower highest_it_per_gpu;  // every board at that; never less than idle
  facility::ItPower mean_it_per_gpu;     // time average, idle share of availability included
  facility::MeterPower meter_per_gpu;    // the same at the meter, at the hall's yearly mean
  TokensPerSecond mean_trained_per_gpu;  // time average
  UsdPerSecond value_per_gpu;            // of the trained tokens, time average
  UsdPerSecond margin_per_gpu;           // value - energy at yearly means, time average
};

/// A training job on one rack kind of its accelerator.
struct TrainingFit {
  std::size_t rack = 0;
  std::size_t settings_above_cap = 0;  // settings of the profile that its boards do not hold
  // Why there is no column:
  bool is_above_cap = false;            // an operation has no setting within the cap
  bool is_waiting_above_cap = false;    // the blocking power is above the cap
  bool is_too_large = false;            // one pipeline has more GPUs than the racks
  bool is_too_large_for_share = false;  // or than the share placed there
};

/// Why measured rows did not become columns.
struct Excluded {
  std::size_t unknown_ttft = 0;
  std::size_t unknown_power = 0;
  std::size_t unknown_input_rate = 0;
  std::size_t above_cap = 0;  // draws more than the board's limit, and no clock that keeps it
                              // also keeps the SLO
  std::size_t too_large = 0;  // more GPUs than the racks of the kind have
  std::size_t by_rule = 0;    // [deployments] of the site rules them out
};

/// What the racks of the site could do for a service that got no column.
struct ServiceReach {
  bool has_deployment = false;  // any measured deployment on the site's accelerators
  std::optional<TokensPerSecond> best_interactivity;
  std::optional<Seconds> best_ttft;  // among rows of enough interactivity
};

struct CandidateSet {
  std::vector<HallKind> halls;
  std::vector<RackKind> racks;
  facility::ItPower load_it;  // of the loads beside the GPU racks
  std::vector<Candidate> candidates;
  std::vector<Excluded> excluded;                   // by service
  std::vector<std::vector<Unmodelled>> unmodelled;  // by service
  std::vector<ServiceReach> reach;                  // by service
  std::vector<TrainingColumn> training;
  std::vector<std::vector<TrainingFit>> training_fit;  // by job
};

/// All columns of the site. `site`, `catalog` and the points behind `options` must outlive the
/// result. Throws Error(bad_input) for a rack that may be bought but has no price, or that is
/// heavier than a position of its hall carries.
/// REQUIRES: `options` were found for the site's services and at least its accelerators.
[[nodiscard]] CandidateSet build_candidates(const Site& site, const catalog::Catalog& catalog,
                                            const OptionSet& options);

/// The same with the options found first.
[[nodiscard]] CandidateSet build_candidates(
    const Site& site, const catalog::Catalog& catalog,
    std::span<const inference::MeasuredPoint> points, const inference::GpuPowerEstimator& estimator,
    inference::serving::ModelledServing* modelled = nullptr);

/// Output tokens/s per GPU over watts at the meter per GPU, both time averages, for one service on
/// one rack kind: the concave hull of its candidates; nothing where it has none.
[[nodiscard]] std::optional<curve::PowerCurve<TokensPerSecond>> power_curve(const CandidateSet& set,
                                                                            std::size_t service,
                                                                            std::size_t rack);

}  // namespace perwatt::plan
