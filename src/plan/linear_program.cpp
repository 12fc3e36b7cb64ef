#include "linear_program.hpp"

#include <chrono>
#include <cmath>
#include <string>
#include <utility>

#include "clp_answer.hpp"
#include <CoinPackedMatrix.hpp>

namespace perwatt::plan {

namespace {

constexpr double kNearWhole = 1e-6;  // so near to a whole number is one

/// Adds the time of its scope to the solver's account.
class Timed {
 public:
  explicit Timed(SolverUse& use) : use_{use}, start_{std::chrono::steady_clock::now()} {
    ++use_.calls;
  }

  ~Timed() {
    use_.seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  SolverUse& use_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace

struct LinearProgram::Impl {
  explicit Impl(SolverUse& solver_use) : use{solver_use} {}

  void load() {
    if (loaded) {
      return;
    }
    const CoinPackedMatrix matrix{true,
                                  static_cast<int>(row_lower.size()),
                                  static_cast<int>(objective.size()),
                                  static_cast<int>(values.size()),
                                  values.data(),
                                  rows.data(),
                                  starts.data(),
                                  nullptr};
    simplex.setLogLevel(0);
    simplex.loadProblem(matrix, lower.data(), upper.data(), objective.data(), row_lower.data(),
                        row_upper.data());
    simplex.setOptimizationDirection(-1.0);
    loaded = true;
    for (const auto& cut : early_cuts) {
      add(cut);
    }
  }

  struct Cut {
    double lower = 0;
    double upper = 0;
    std::vector<int> columns;
    std::vector<double> values;
  };

  void add(const Cut& cut) {
    simplex.addRow(static_cast<int>(cut.columns.size()), cut.columns.data(), cut.values.data(),
                   cut.lower, cut.upper);
  }

  SolverUse& use;
  ClpSimplex simplex;
  std::vector<Cut> early_cuts;  // made before the program was loaded
  bool loaded = false;
  bool has_basis = false;
  std::vector<double> row_lower;
  std::vector<double> row_upper;
  std::vector<double> objective;
  std::vector<double> lower;
  std::vector<double> upper;
  std::vector<int> starts{0};
  std::vector<int> rows;
  std::vector<double> values;
  std::vector<int> integers;
  std::vector<double> last_whole;  // the last whole answer, where the next search starts
};

LinearProgram::LinearProgram(SolverUse& use) : impl_{std::make_unique<Impl>(use)} {}

LinearProgram::~LinearProgram() = default;

int LinearProgram::add_row(double lower, double upper) {
  impl_->row_lower.push_back(lower);
  impl_->row_upper.push_back(upper);
  return static_cast<int>(impl_->row_lower.size()) - 1;
}

int LinearProgram::add_column(double objective, double lower, double upper,
                              const std::vector<Entry>& entries, bool is_integer) {
  const int column = static_cast<int>(impl_->objective.size());
  impl_->objective.push_back(objective);
  impl_->lower.push_back(lower);
  impl_->upper.push_back(upper);
  for (const auto& [row, value] : entries) {
    impl_->rows.push_back(row);
    impl_->values.push_back(value);
  }
  impl_->starts.push_back(static_cast<int>(impl_->rows.size()));
  if (is_integer) {
    impl_->integers.push_back(column);
  }
  return column;
}

void LinearProgram::set_row_bounds(int row, double lower, double upper) {
  impl_->load();
  impl_->simplex.setRowBounds(row, lower, upper);
}

void LinearProgram::add_cut(double lower, double upper, const std::vector<Entry>& columns) {
  Impl::Cut cut{lower, upper, {}, {}};
  for (const auto& [column, value] : columns) {
    cut.columns.push_back(column);
    cut.values.push_back(value);
  }
  if (impl_->loaded) {
    impl_->add(cut);
  } else {
    impl_->early_cuts.push_back(std::move(cut));
  }
}

void LinearProgram::set_column_bounds(int column, double lower, double upper) {
  impl_->load();
  impl_->simplex.setColumnBounds(column, lower, upper);
}

std::optional<LinearProgram::Solution> LinearProgram::solve_relaxed() {
  const Timed timed{impl_->use};
  impl_->load();
  auto& simplex = impl_->simplex;
  if (impl_->has_basis) {
    simplex.dual();
  } else {
    simplex.primal();
    impl_->has_basis = true;
  }
  if (!ends_optimal(simplex)) {
    return std::nullopt;
  }
  Solution solution;
  solution.objective = simplex.getObjValue();
  solution.bound = solution.objective;
  const auto count = impl_->objective.size();
  solution.columns.assign(simplex.getColSolution(), simplex.getColSolution() + count);
  solution.reduced_costs.assign(simplex.getReducedCost(), simplex.getReducedCost() + count);
  return solution;
}

std::optional<LinearProgram::Solution> LinearProgram::solve_integer(const SearchLimits& limits,
                                                                    const std::vector<int>& also) {
  const Timed timed{impl_->use};
  impl_->load();
  auto integers = impl_->integers;
  integers.insert(integers.end(), also.begin(), also.end());
  std::vector<double> guess;
  for (std::size_t i = 0; i < integers.size() && !impl_->last_whole.empty(); ++i) {
    const double value = impl_->last_whole[static_cast<std::size_t>(integers[i])];
    guess.push_back(i < impl_->integers.size() ? value : std::floor(value + kNearWhole));
  }
  auto answer = solve_whole(impl_->simplex, integers, guess, limits);
  if (!answer) {
    return std::nullopt;
  }
  impl_->last_whole = answer->columns;
  return Solution{answer->objective, std::move(answer->columns), {}, answer->bound};
}

}  // namespace perwatt::plan
