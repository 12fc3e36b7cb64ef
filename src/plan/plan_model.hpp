// The linear program of a plan: its rows, columns and units. docs/model/plan.md states it.
//
// What is convex and not linear (a plant's power over its load, the tail of the site's draw) enters
// by cuts: solve_relaxed() and solve_integer() add those that the answer violates and solve again.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "linear_program.hpp"
#include "managed_draw.hpp"

#include "perwatt/plan/candidate.hpp"
#include "perwatt/plan/plan.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

/// A limit that may be relaxed to see what would make a site feasible.
struct Limit {
  enum class Kind {
    envelope,
    racks,
    capital,
    commitment,
    pipelines,
    training_commitment,
    positions,
    hall_capacity
  };
  Kind kind = Kind::envelope;
  std::size_t index = 0;  // rack kind, service, training job or hall
};

struct PlanModelOptions {
  /// Limits that may be exceeded: the program then minimises the sum of their relative excess
  /// instead of maximising the profit.
  std::vector<Limit> relaxed = {};
  /// Output that is committed and not served costs kUnmetPriceFactor times its price instead of
  /// making the program infeasible.
  bool soft_commitments = false;
  /// With soft commitments, by training job: what a trained token costs that is not trained.
  std::vector<UsdPerToken> unmet_training_prices = {};
  /// Among plans of equal profit the one of most output tokens.
  bool break_ties = false;
};

/// Price of a committed output token that is not served, relative to its sales price.
inline constexpr double kUnmetPriceFactor = 10.0;

/// Units inside: GPUs, racks, MW, ktok/s, USD/h. REQUIRES: `managed` outlives the model and, when
/// it has groups, has a limit.
class PlanModel {
 public:
  PlanModel(const Site& site, const CandidateSet& set, const ManagedDraw& managed, SolverUse& use,
            const PlanModelOptions& options = {});

  /// The optimum with racks not whole, and with whole racks; nothing when infeasible.
  std::optional<LinearProgram::Solution> solve_relaxed();
  std::optional<LinearProgram::Solution> solve_integer();

  /// Energy of loads that no choice changes and the objective leaves out.
  [[nodiscard]] UsdPerSecond constant_cost() const;

  void set_envelope(Watts envelope);
  void set_owned_racks(std::size_t rack, double owned);

  [[nodiscard]] std::size_t hours() const { return site_.year.size(); }

  [[nodiscard]] int gpus_column(std::size_t candidate, std::size_t hour) const {
    return gpus_[candidate * hours() + hour];
  }

  [[nodiscard]] int training_column(std::size_t training, std::size_t hour) const {
    return training_[training * hours() + hour];
  }

  [[nodiscard]] int powered_column(std::size_t rack) const { return powered_[rack]; }

  [[nodiscard]] int excess_column(std::size_t relaxed) const { return excess_[relaxed]; }

  /// Columns of one supply in one hour class, MW.
  struct SupplyColumns {
    int out = 0;  // generated or discharged
    int in = -1;  // charged; -1 for generation
  };

  [[nodiscard]] const SupplyColumns& supply_columns(std::size_t supply, std::size_t hour) const {
    return supplies_[supply * hours() + hour];
  }

  /// Positions moved by one retrofit.
  [[nodiscard]] int retrofit_column(std::size_t retrofit) const { return retrofits_[retrofit]; }

  /// In ktok/s of one hour class. REQUIRES: soft commitments.
  [[nodiscard]] int unmet_column(std::size_t service, std::size_t hour) const {
    return unmet_[service * hours() + hour];
  }

  /// In ktok/s, mean over the year; nothing where the job has no commitment. REQUIRES: soft
  /// commitments.
  [[nodiscard]] std::optional<int> unmet_training_column(std::size_t job) const {
    return unmet_training_[job];
  }

 private:
  static constexpr double kInf = LinearProgram::kInfinity;

  using Entry = LinearProgram::Entry;
  using Solution = LinearProgram::Solution;

  /// Columns of one hall's power in MW, by hour class where there are several; empty or -1 where it
  /// has none.
  struct HallColumns {
    int design = -1;        // IT power the plant is built for, where that is not given
    std::vector<int> it;    // mean IT power
    std::vector<int> mean;  // mean power at the meter, of a physical plant
    std::vector<int> full;  // IT power with every deployment serving, under managed provisioning
    std::vector<int> reserved;  // IT power behind the limit, where no other column stands for it
    std::vector<int> peak;      // the same at the meter, of a physical plant
  };

  void add_rows();
  void add_power_rows();
  void add_placement_rows();
  void add_hall_rows(std::size_t hall);
  void add_hall_columns(std::size_t hall);
  void add_design(std::size_t hall);
  void add_tail(std::size_t hall);
  void add_mean(std::size_t hall, std::size_t hour);
  void add_deployment(std::size_t candidate, std::size_t hour);
  void add_training_rows();
  void add_training(std::size_t training, std::size_t hour);
  void add_pipelines();
  void add_rack(std::size_t rack);
  void add_supplies();
  void add_generation(const PowerSupply& supply);
  void add_battery(const PowerSupply& supply);
  void add_retrofits();
  void add_unmet_columns();
  void add_unmet_training();
  void add_excess(const Limit& limit);

  /// MW that may be reserved beside the loads of halls without rows of their own.
  [[nodiscard]] double room_inside(Watts envelope) const;

  [[nodiscard]] bool is_physical(std::size_t hall) const {
    return set_.halls[hall].hall->curves != nullptr;
  }

  /// Design IT power in MW where the hall states it and it may not be exceeded.
  [[nodiscard]] std::optional<double> stated_design(std::size_t hall) const;

  /// The plant grows with the racks.
  [[nodiscard]] bool is_modular(std::size_t hall) const {
    return is_physical(hall) && !set_.halls[hall].hall->it_capacity;
  }

  [[nodiscard]] bool is_managed() const { return managed_.applies; }

  /// Columns of one job on one rack kind.
  struct JobOnRacks {
    std::size_t job = 0;
    std::size_t rack = 0;
    std::vector<std::size_t> columns;  // index into CandidateSet::training, draw rising
  };

  [[nodiscard]] std::vector<JobOnRacks> jobs_on_racks() const;
  void add_whole_pipelines(const JobOnRacks& unit);
  void add_reserved_pipelines(const JobOnRacks& unit);

  /// The GPUs of `pipelines` (columns) fit those of the powered racks that the job may use.
  void keep_within_racks(const JobOnRacks& unit, const std::vector<int>& pipelines);

  [[nodiscard]] double at(const Solution& solution, int column) const {
    return solution.columns[static_cast<std::size_t>(column)];
  }

  /// The best whole answer found that violates no cut.
  std::optional<Solution> search(const SearchLimits& limits, const std::vector<int>& also);

  /// From the best levels of draw with pipelines not whole to whole ones.
  std::optional<Solution> with_whole_pipelines(const Solution& fractional);

  /// Adds the cuts that a solution violates; false when there are none.
  bool tighten(const Solution& solution);
  bool tighten_curve(const facility::PartLoadCurve& curve, std::size_t hall, int load, int meter,
                     const Solution& solution);
  bool tighten_tail(std::size_t hall, std::size_t hour, const Solution& solution);
  void add_chord(const facility::PartLoadCurve& curve, std::size_t segment, std::size_t hall,
                 int load, int meter, bool is_equal = false);
  [[nodiscard]] double design_of(std::size_t hall, const Solution& solution) const;

  const Site& site_;
  const CandidateSet& set_;
  const ManagedDraw& managed_;
  PlanModelOptions options_;
  LinearProgram program_;
  double earn_ = 1;  // 0: the objective is the excess alone

  std::vector<int> power_rows_;  // by hour class: reserved power at the meter
  /// By hour class, both empty without supplies: mean power less supplies = power from the grid,
  /// which is 0 or more, and at most the envelope.
  std::vector<int> mean_rows_;
  std::vector<int> import_rows_;
  std::optional<int> capital_row_;
  std::vector<std::vector<int>> rack_rows_;              // by rack kind and hour class: GPUs
  std::vector<int> stock_rows_;                          // powered - bought <= owned
  std::vector<std::vector<int>> demand_rows_;            // by service and hour class
  std::vector<std::vector<int>> training_rows_;          // GPUs, by training job and hour class
  std::vector<std::optional<int>> training_commitment_;  // by training job: mean over the year
  /// By rack kind: nothing where it is placed freely, else a share and rows by hour of each service
  /// and then of each training job.
  std::vector<std::vector<std::pair<double, std::vector<int>>>> placement_rows_;

  struct HallRows {
    std::vector<int> it;        // by hour class: parts = column `it`; empty where not needed
    std::vector<int> full;      // by hour class: parts = column `full`
    int nameplate = -1;         // parts at their caps = usable design, or = column `reserved`
    std::vector<int> capacity;  // reserved IT power <= usable stated design; one, or by hour class
    int design_limit = -1;      // design - excess <= stated design, where that may be exceeded
    int positions = -1;
  };

  std::vector<HallRows> hall_rows_;
  std::vector<HallColumns> halls_;

  std::vector<int> gpus_;      // by candidate and hour class
  std::vector<int> training_;  // GPUs, by training column and hour class
  std::vector<int> powered_;
  std::vector<int> bought_;
  std::vector<int> draw_levels_;         // 1 where it is the one of its job on its racks
  std::vector<int> reserved_pipelines_;  // by job on racks, hour class and level
  std::vector<SupplyColumns> supplies_;
  std::vector<int> retrofits_;
  std::vector<int> excess_;
  std::vector<int> unmet_;
  std::vector<std::optional<int>> unmet_training_;
};

}  // namespace perwatt::plan
