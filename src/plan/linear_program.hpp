// A thin layer over Clp; with branch_and_bound.hpp the only place that knows the solver.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "branch_and_bound.hpp"

#include "perwatt/plan/plan.hpp"

namespace perwatt::plan {

/// Maximises c'x over row bounds and column bounds. Dimensionless numbers; the caller picks units
/// that keep them between about 1e-4 and 1e6.
class LinearProgram {
 public:
  using Entry = std::pair<int, double>;  // row (of a cut: column), coefficient

  explicit LinearProgram(SolverUse& use);
  ~LinearProgram();
  LinearProgram(const LinearProgram&) = delete;
  LinearProgram& operator=(const LinearProgram&) = delete;

  int add_row(double lower, double upper);
  int add_column(double objective, double lower, double upper, const std::vector<Entry>& entries,
                 bool is_integer = false);

  /// A row over columns that are there already; for the next solve, which starts from the last
  /// basis.
  void add_cut(double lower, double upper, const std::vector<Entry>& columns);

  static constexpr double kInfinity = 1e30;

  /// Changes bounds for the next solve, which starts from the last basis.
  void set_row_bounds(int row, double lower, double upper);

  struct Solution {
    double objective = 0;
    std::vector<double> columns;
    std::vector<double> reduced_costs;  // empty for an integer solution
    double bound = 0;                   // proven upper bound of the objective
  };

  /// The relaxation's optimum; nothing when infeasible. Throws Error(internal_error) when the
  /// solver stops without either answer.
  std::optional<Solution> solve_relaxed();

  void set_column_bounds(int column, double lower, double upper);

  /// The best solution found with whole integer columns, and with the columns `also` whole; nothing
  /// when there is none.
  std::optional<Solution> solve_integer(const SearchLimits& limits = {},
                                        const std::vector<int>& also = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace perwatt::plan
