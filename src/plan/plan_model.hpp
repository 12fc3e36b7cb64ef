// The linear program of a plan: its rows, columns and units. docs/model/plan.md states it.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "linear_program.hpp"

#include "perwatt/plan/candidate.hpp"
#include "perwatt/plan/plan.hpp"
#include "perwatt/plan/site.hpp"

namespace perwatt::plan {

/// A limit that may be relaxed to see what would make a site feasible.
struct Limit {
  enum class Kind { envelope, racks, capital, commitment };
  Kind kind = Kind::envelope;
  std::size_t index = 0;  // rack kind or service
};

struct PlanModelOptions {
  /// Limits that may be exceeded: the program then minimises the sum of their relative excess
  /// instead of maximising the profit.
  std::vector<Limit> relaxed = {};
  /// Output that is committed and not served costs kUnmetPriceFactor times its price instead of
  /// making the program infeasible.
  bool soft_commitments = false;
  /// Among plans of equal profit the one of most output tokens.
  bool break_ties = false;
};

/// Price of a committed output token that is not served, relative to its sales price.
inline constexpr double kUnmetPriceFactor = 10.0;

/// Units inside: GPUs, racks, MW, ktok/s, USD/h.
class PlanModel {
 public:
  PlanModel(const Site& site, const CandidateSet& set, SolverUse& use,
            const PlanModelOptions& options = {});

  LinearProgram& program() { return program_; }

  void set_envelope(Watts envelope);
  void set_owned_racks(std::size_t rack, double owned);

  [[nodiscard]] int gpus_column(std::size_t candidate) const { return gpus_[candidate]; }

  [[nodiscard]] int idle_column(std::size_t rack) const { return idle_[rack]; }

  [[nodiscard]] int powered_column(std::size_t rack) const { return powered_[rack]; }

  [[nodiscard]] int bought_column(std::size_t rack) const { return bought_[rack]; }

  [[nodiscard]] int excess_column(std::size_t relaxed) const { return excess_[relaxed]; }

  /// By service, in ktok/s. REQUIRES: soft commitments.
  [[nodiscard]] int unmet_column(std::size_t service) const { return unmet_[service]; }

 private:
  void add_rows();
  void add_placement_rows();
  void add_columns();
  void add_unmet_columns();
  void add_excess(const Limit& limit);

  const Site& site_;
  const CandidateSet& set_;
  PlanModelOptions options_;
  LinearProgram program_;
  int power_row_ = 0;
  std::optional<int> capital_row_;
  std::vector<int> rack_rows_;    // GPUs of powered racks
  std::vector<int> stock_rows_;   // powered - bought <= owned
  std::vector<int> demand_rows_;  // by service
  /// By rack kind: nothing where it is placed freely, else a row and a share by service.
  std::vector<std::vector<std::pair<int, double>>> placement_rows_;
  std::vector<int> gpus_;
  std::vector<int> idle_;
  std::vector<int> powered_;
  std::vector<int> bought_;
  std::vector<int> excess_;
  std::vector<int> unmet_;
};

}  // namespace perwatt::plan
