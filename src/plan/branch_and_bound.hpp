// Whole numbers by branch and bound: best bound first, diving to the nearer side, each relaxation
// solved by the dual simplex from the last basis (Land and Doig, 1960; Dakin, 1965). Programs have
// a few whole columns (kinds of racks); Cbc was seen to end below the optimum and call it proven.
#pragma once

#include <optional>
#include <vector>

class ClpSimplex;

namespace perwatt::plan {

struct WholeAnswer {
  double objective = 0;
  double bound = 0;  // no whole answer is better
  std::vector<double> columns;
};

/// Maximises `simplex` with the columns `integers` whole; nothing when that is not possible.
/// `guess`: whole values to try first, or empty. Leaves its bounds as they were. Throws
/// Error(internal_error) when a relaxation ends without an answer.
[[nodiscard]] std::optional<WholeAnswer> solve_whole(const ClpSimplex& simplex,
                                                     const std::vector<int>& integers,
                                                     const std::vector<double>& guess);

}  // namespace perwatt::plan
