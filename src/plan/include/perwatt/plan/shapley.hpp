// Shares of a joint result: Shapley values and interactions of a game given by the worth of every
// coalition. Formulas and sources: docs/model/attribution.md.
//
// A coalition is a bit mask: bit i is player i. A worth is any number (tokens/s, USD/h, …); results
// are in its unit. A wrong size throws Error(internal_error): the caller made the table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace perwatt::plan {

/// Most players of a table of every coalition.
inline constexpr std::size_t kMostExactPlayers = 16;

/// The Shapley value of each player; they sum to values.back() - values.front(). `values[mask]` is
/// the worth of the coalition `mask`; size 2^n, n <= kMostExactPlayers. O(2^n n).
[[nodiscard]] std::vector<double> shapley_values(std::span<const double> values);

/// The pairwise Shapley interaction index, n x n, row-major, symmetric, diagonal 0: positive where
/// two players earn more together than apart. Same input as shapley_values. O(2^n n^2).
[[nodiscard]] std::vector<double> shapley_interactions(std::span<const double> values);

/// best[mask]: the subset of `mask` of highest worth (of equals the smallest mask), so that
/// values[best[mask]] is monotone in mask. Same input as shapley_values. O(2^n n).
[[nodiscard]] std::vector<std::size_t> best_subsets(std::span<const double> values);

struct SampledShapley {
  std::vector<double> values;           // sum to worth(all) - worth(none)
  std::vector<double> standard_errors;  // of each value
  std::size_t coalitions = 0;           // different ones whose worth was asked for
};

/// Shapley values by sampled orders of the players, each with its reverse. `worth` is asked once
/// for each coalition. `permutations` counts orders and is rounded up to an even number of at least
/// 4. Players: 1 to 64. The same seed gives the same result on every platform.
[[nodiscard]] SampledShapley sampled_shapley(std::size_t players,
                                             const std::function<double(std::uint64_t)>& worth,
                                             std::size_t permutations, std::uint64_t seed);

}  // namespace perwatt::plan
