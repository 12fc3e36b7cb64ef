// What a row of a linear program gains by one more of its limit, and loses by one less.
//
// A degenerate optimum has many prices: one more gains the least of them, one less loses the
// greatest. Both are optima of the program of directions from the optimum: bounds and rows that are
// met become bounds at 0, the others go.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace perwatt::allocate {

struct DirectionProgram {
  struct Column {
    double objective = 0;  // to be greatest
    bool can_fall = true;
    bool can_rise = true;
    std::vector<std::pair<std::uint32_t, double>> entries;  // row, coefficient
  };

  struct Row {
    bool is_at_upper = false;
    bool is_at_lower = false;
  };

  std::vector<Column> columns;
  std::vector<Row> rows;
};

struct OneSided {
  double gain = 0;
  std::optional<double> loss;  // nothing: one less is infeasible
};

/// Of each row of `asked`, which are at their upper limits. Nothing where the solver does not find
/// the point an optimum.
[[nodiscard]] std::optional<std::vector<OneSided>> one_sided_prices(
    const DirectionProgram& program, const std::vector<std::uint32_t>& asked);

}  // namespace perwatt::allocate
