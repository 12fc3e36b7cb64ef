// The linear program of a plan: its rows, columns and units. docs/model/plan.md states it.
#pragma once

#include <optional>
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

/// Units inside: GPUs, racks, MW, ktok/s, USD/h.
class PlanModel {
 public:
  /// With `relaxed` limits: maximises minus the sum of their relative excess instead of the profit.
  PlanModel(const Site& site, const CandidateSet& set, SolverUse& use,
            const std::vector<Limit>& relaxed = {});

  LinearProgram& program() { return program_; }

  void set_envelope(Watts envelope);
  void set_owned_racks(std::size_t rack, double owned);

  [[nodiscard]] int gpus_column(std::size_t candidate) const { return gpus_[candidate]; }

  [[nodiscard]] int idle_column(std::size_t rack) const { return idle_[rack]; }

  [[nodiscard]] int powered_column(std::size_t rack) const { return powered_[rack]; }

  [[nodiscard]] int bought_column(std::size_t rack) const { return bought_[rack]; }

  [[nodiscard]] int excess_column(std::size_t relaxed) const { return excess_[relaxed]; }

 private:
  void add_rows();
  void add_columns(bool earn);
  void add_excess(const Limit& limit);

  const Site& site_;
  const CandidateSet& set_;
  LinearProgram program_;
  int power_row_ = 0;
  std::optional<int> capital_row_;
  std::vector<int> rack_rows_;    // GPUs of powered racks
  std::vector<int> stock_rows_;   // powered - bought <= owned
  std::vector<int> demand_rows_;  // by service
  std::vector<int> gpus_;
  std::vector<int> idle_;
  std::vector<int> powered_;
  std::vector<int> bought_;
  std::vector<int> excess_;
};

}  // namespace perwatt::plan
