#include "../linear_program.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace perwatt::plan {
namespace {

using Entry = LinearProgram::Entry;

/// Whole columns x in [0, kMost], free ones y in [0, 10]; rows a x + b y <= c.
struct Problem {
  std::vector<double> worth;              // of the whole columns, then of the free one
  std::vector<std::vector<double>> rows;  // a, then b
  std::vector<double> limits;
};

constexpr int kMost = 5;

rc::Gen<Problem> any_problem() {
  return rc::gen::exec([] {
    Problem problem;
    const int whole = *rc::gen::inRange(1, 5);
    const int rows = *rc::gen::inRange(1, 5);
    for (int i = 0; i <= whole; ++i) {
      problem.worth.push_back(*rc::gen::inRange(-10, 40) / 4.0);
    }
    for (int r = 0; r < rows; ++r) {
      problem.rows.emplace_back();
      for (int i = 0; i <= whole; ++i) {
        problem.rows.back().push_back(*rc::gen::inRange(-5, 30) / 3.0);
      }
      problem.limits.push_back(*rc::gen::inRange(-10, 200) / 3.0);
    }
    return problem;
  });
}

/// With one free column its best value follows from the rows.
std::optional<double> best_with(const Problem& problem, const std::vector<int>& x) {
  double low = 0;
  double high = 10;
  for (std::size_t r = 0; r < problem.rows.size(); ++r) {
    double left = problem.limits[r];
    for (std::size_t i = 0; i < x.size(); ++i) {
      left -= problem.rows[r][i] * x[i];
    }
    const double b = problem.rows[r].back();
    if (b > 0) {
      high = std::min(high, left / b);
    } else if (b < 0) {
      low = std::max(low, left / b);
    } else if (left < -1e-9) {
      return std::nullopt;
    }
  }
  if (low > high + 1e-9) {
    return std::nullopt;
  }
  double sum = problem.worth.back() * (problem.worth.back() > 0 ? high : low);
  for (std::size_t i = 0; i < x.size(); ++i) {
    sum += problem.worth[i] * x[i];
  }
  return sum;
}

std::optional<double> by_enumeration(const Problem& problem) {
  std::vector<int> x(problem.worth.size() - 1, 0);
  std::optional<double> best;
  while (true) {
    const auto value = best_with(problem, x);
    if (value && (!best || *value > *best)) {
      best = value;
    }
    std::size_t i = 0;
    while (i < x.size() && x[i] == kMost) {
      x[i++] = 0;
    }
    if (i == x.size()) {
      return best;
    }
    ++x[i];
  }
}

RC_GTEST_PROP(LinearProgram, WholeColumnsAreThoseOfAnEnumeration, ()) {
  const auto problem = *any_problem();
  SolverUse use;
  LinearProgram program{use};
  for (const double limit : problem.limits) {
    program.add_row(-LinearProgram::kInfinity, limit);
  }
  for (std::size_t i = 0; i < problem.worth.size(); ++i) {
    std::vector<Entry> entries;
    for (std::size_t r = 0; r < problem.rows.size(); ++r) {
      entries.emplace_back(static_cast<int>(r), problem.rows[r][i]);
    }
    const bool is_whole = i + 1 < problem.worth.size();
    program.add_column(problem.worth[i], 0, is_whole ? kMost : 10, entries, is_whole);
  }
  const auto relaxed = program.solve_relaxed();
  const auto whole = program.solve_integer();
  const auto truth = by_enumeration(problem);
  RC_ASSERT(whole.has_value() == truth.has_value());
  if (whole) {
    RC_ASSERT(relaxed.has_value());
    const double tolerance = 1e-6 * (1 + std::abs(*truth));
    RC_ASSERT(std::abs(whole->objective - *truth) <= tolerance);
    RC_ASSERT(whole->bound >= *truth - tolerance);
    RC_ASSERT(whole->bound <= *truth + tolerance);
    RC_ASSERT(relaxed->objective >= *truth - tolerance);
    // Again from the last answer, and after the relaxation: the same.
    RC_ASSERT(std::abs(program.solve_integer()->objective - *truth) <= tolerance);
    RC_ASSERT(std::abs(program.solve_relaxed()->objective - relaxed->objective) <= tolerance);
  }
}

TEST(LinearProgram, WithoutAWholeAnswerHasNone) {
  SolverUse use;
  LinearProgram program{use};
  const int row = program.add_row(0.3, 0.7);
  program.add_column(1, 0, 10, {{row, 1.0}}, true);
  EXPECT_TRUE(program.solve_relaxed());
  EXPECT_FALSE(program.solve_integer());
}

TEST(LinearProgram, ACutAfterAWholeAnswerIsKept) {
  SolverUse use;
  LinearProgram program{use};
  const int row = program.add_row(-LinearProgram::kInfinity, 7.5);
  const int column = program.add_column(1, 0, 100, {{row, 1.0}}, true);
  EXPECT_DOUBLE_EQ(program.solve_integer()->objective, 7);
  program.add_cut(-LinearProgram::kInfinity, 4.9, {{column, 1.0}});
  EXPECT_DOUBLE_EQ(program.solve_integer()->objective, 4);
}

}  // namespace
}  // namespace perwatt::plan
