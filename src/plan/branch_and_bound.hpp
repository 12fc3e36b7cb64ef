// Whole numbers by branch and bound: best bound first, diving to the nearer side, each relaxation
// solved by the dual simplex from the last basis (Land and Doig, 1960; Dakin, 1965). Programs have
// a few whole columns (kinds of racks); Cbc was seen to end below the optimum and call it proven.
#pragma once

#include <optional>
#include <vector>

class ClpSimplex;

namespace perwatt::plan {

/// When the search may stop: this near to its bound, or after so many relaxations (a count, not a
/// time, so that results repeat).
struct SearchLimits {
  double gap_ratio = 1e-7;
  int most_nodes = 20'000;
};

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
                                                     const std::vector<double>& guess,
                                                     const SearchLimits& limits);

}  // namespace perwatt::plan
