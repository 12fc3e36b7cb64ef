// The plan: what runs where, in which configuration and at which power, to earn the most inside the
// envelope. Linear program and definitions: docs/model/plan.md.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "perwatt/base/tag.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/plan/candidate.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

/// Infeasible is an answer, not an error.
enum class PlanStatus { optimal, infeasible };

/// GPUs given to one column.
struct Assignment {
  std::size_t candidate = 0;  // index into CandidateSet::candidates
  double gpus = 0;            // mean over the year
  double replicas = 0;        // gpus / GPUs of the deployment; a fraction runs part of the time
  std::vector<double> gpus_by_hour;  // by hour class
};

/// GPUs given to one training column.
struct TrainingAssignment {
  std::size_t column = 0;            // index into CandidateSet::training
  double gpus = 0;                   // mean over the year
  double pipelines = 0;              // gpus / GPUs of a pipeline; a fraction: all of it, in turns
  std::vector<double> gpus_by_hour;  // by hour class
};

struct RackUse {
  double powered = 0;  // whole racks
  double bought = 0;
  double serving_gpus = 0;   // mean over the year
  double training_gpus = 0;  // mean over the year
  double idle_gpus = 0;
};

/// What one hour class looks like in the plan; means over its hours.
struct HourUse {
  Watts it;
  Watts meter;     // what the site draws, supplies of its own included
  Watts reserved;  // at the meter, in its warmest hour
  Watts supplied;  // generated and discharged, less charged
  TokensPerSecond output;
  std::vector<TokensPerSecond> trained;  // by training job
  UsdPerSecond energy_cost;
};

/// What one hall looks like in the plan; means over the year.
struct HallUse {
  double racks = 0;
  double retrofitted_positions = 0;  // moved in, less moved out
  Watts design_it;                   // what the plant is built for; reserved IT for a constant PUE
  Watts reserved_it;                 // largest over the hour classes
  facility::PlantPower power;
  Watts worst_meter;  // reserved at the meter in the warmest hour
};

/// What is known of passing the envelope.
struct ExcursionCheck {
  double samples_effective = 0;
  double out_of_sample_ratio = 0;    // share of scenarios not planned with that pass it
  Watts expected_excess;             // mean draw above it that throttling takes away
  TokensPerSecond throttled_output;  // output tokens/s that this costs
  UsdPerSecond throttled_revenue;    // and their price; not taken off the profit
  Tag tag = Tag::derived;
};

/// Time averages of the whole site.
struct Totals {
  TokensPerSecond output;
  TokensPerSecond output_low;  // every deployment at the low end of its 90 % interval
  TokensPerSecond output_high;
  std::optional<TokensPerSecond> input;  // nothing when a chosen deployment does not tell
  Watts gpu;
  Watts it;
  Watts meter;
  Watts meter_low;  // GPU boards at the low end of their 90 % interval
  Watts meter_high;
  Watts meter_peak;   // reserved at the meter in the warmest hour
  Watts provisioned;  // the same: what the policy keeps for the plan
  std::optional<double> carbon_grams_per_second;
  double water_litres_per_second = 0;
  Watts supplied;      // mean of the supplies beside the grid
  Watts training_gpu;  // of these means, what GPUs given to training draw, idle share included
  Watts training_it;
  Watts training_meter;
  UsdPerSecond revenue;         // of services and training
  UsdPerSecond training_value;  // of it, trained tokens
  UsdPerSecond energy_cost;
  UsdPerSecond capital_cost;
  std::map<Tag, TokensPerSecond> output_by_tag;  // of the chosen columns' rates
  Tag tag = Tag::measured;                       // the weakest of them
  Tag power_tag = Tag::measured;

  /// Of the revenue: trained tokens are derived, beside the tags of what is served.
  [[nodiscard]] Tag revenue_tag() const {
    return training_value > UsdPerSecond{} ? weaker(tag, Tag::derived) : tag;
  }

  [[nodiscard]] UsdPerSecond profit() const { return revenue - energy_cost - capital_cost; }

  /// What is drawn for everything but training: what output tokens are charged with.
  [[nodiscard]] Watts gpu_beside_training() const { return gpu - training_gpu; }

  [[nodiscard]] Watts it_beside_training() const { return it - training_it; }

  [[nodiscard]] Watts meter_beside_training() const { return meter - training_meter; }

  /// At the meter; 0 where nothing is served.
  [[nodiscard]] JoulesPerToken joules_per_output_token() const {
    return output > TokensPerSecond{} ? meter_beside_training() / output : JoulesPerToken{};
  }
};

/// Where the power at the meter goes; the parts sum to Totals::meter.
struct PowerFlow {
  Watts distribution;
  Watts cooling;
  Watts other_loads;
  Watts network;
  Watts conversion;
  Watts fans;
  Watts host;
  Watts idle_gpu;
  std::vector<Watts> service_gpu;   // by service
  std::vector<Watts> training_gpu;  // by training job
};

/// Value of one more or one less, from re-solving the relaxation. Nothing: that step is infeasible.
struct Duals {
  std::optional<UsdPerSecond> per_megawatt_up;
  std::optional<UsdPerSecond> per_megawatt_down;
  std::vector<std::optional<UsdPerSecond>> per_rack;  // one more owned rack of each kind
};

/// One way to make an infeasible site feasible, all else as it is.
struct Remedy {
  std::string limit;           // "site.envelope", "service[chat].min_interactivity", …
  std::string present;         // with unit
  std::string needed;          // with unit
  double relative_change = 0;  // |needed / present - 1|, for ranking
};

struct SolverUse {
  int calls = 0;
  double seconds = 0;  // inside the solver; for bench, never printed
};

struct Plan {
  PlanStatus status = PlanStatus::infeasible;
  std::string infeasible_because;  // empty when optimal
  std::vector<Remedy> remedies;    // smallest change first
  std::vector<Assignment> assignments;
  std::vector<TrainingAssignment> training;
  std::vector<RackUse> racks;
  std::vector<HourUse> hours;  // by hour class
  std::vector<HallUse> halls;
  std::optional<ExcursionCheck> excursion;       // under managed provisioning
  std::vector<TokensPerSecond> served;           // output, by service
  std::vector<std::optional<Remedy>> unserved;   // by service: why it has no column, if so
  std::vector<TokensPerSecond> trained;          // by training job
  std::vector<std::optional<Remedy>> untrained;  // by training job: why it has no column, if so
  Totals totals;
  PowerFlow flow;
  Duals duals;
  UsdPerSecond relaxed_profit;  // optimum of the linear program, racks not whole
  double rack_gap_ratio = 0;    // (relaxed - whole racks) / relaxed
  double proven_gap_ratio = 0;  // (best bound - found) / found of the integer search
  std::vector<double> reduced_cost_usd_per_hour;           // by candidate, in the relaxation
  std::vector<double> training_reduced_cost_usd_per_hour;  // by training column
  SolverUse solver;
};

/// A solved site with what it was solved from; the three outlive it.
struct SolvedSite {
  const Site* site = nullptr;
  const CandidateSet* set = nullptr;
  const Plan* plan = nullptr;
};

/// Solves the plan over `set` (built for `site`). Deterministic.
[[nodiscard]] Plan solve_plan(const Site& site, const CandidateSet& set);

}  // namespace perwatt::plan
