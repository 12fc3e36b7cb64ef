#include "one_sided_prices.hpp"

#include <algorithm>
#include <cmath>

#include <ClpSimplex.hpp>
#include <CoinPackedMatrix.hpp>

namespace perwatt::allocate {

namespace {

constexpr double kIsOptimum = 1e-7;  // of the greatest objective: what no direction may make

void load(const DirectionProgram& program, double greatest, ClpSimplex& simplex) {
  std::vector<int> starts{0};
  std::vector<int> indices;
  std::vector<double> values;
  std::vector<double> lower;
  std::vector<double> upper;
  std::vector<double> objective;
  for (const auto& column : program.columns) {
    for (const auto& [row, coefficient] : column.entries) {
      indices.push_back(static_cast<int>(row));
      values.push_back(coefficient);
    }
    starts.push_back(static_cast<int>(indices.size()));
    lower.push_back(column.can_fall ? -COIN_DBL_MAX : 0.0);
    upper.push_back(column.can_rise ? COIN_DBL_MAX : 0.0);
    objective.push_back(column.objective / greatest);
  }
  std::vector<double> row_lower;
  std::vector<double> row_upper;
  for (const auto& row : program.rows) {
    row_lower.push_back(row.is_at_lower ? 0.0 : -COIN_DBL_MAX);
    row_upper.push_back(row.is_at_upper ? 0.0 : COIN_DBL_MAX);
  }
  const CoinPackedMatrix matrix{true,
                                static_cast<int>(program.rows.size()),
                                static_cast<int>(program.columns.size()),
                                static_cast<int>(values.size()),
                                values.data(),
                                indices.data(),
                                starts.data(),
                                nullptr};
  simplex.setLogLevel(0);
  simplex.loadProblem(matrix, lower.data(), upper.data(), objective.data(), row_lower.data(),
                      row_upper.data());
  simplex.setOptimizationDirection(-1.0);
  simplex.setPrimalTolerance(1e-10);
  simplex.setDualTolerance(1e-10);
}

/// The best direction with the row's limit at `limit`; nothing where there is none.
std::optional<double> best_with(ClpSimplex& simplex, std::uint32_t row, double limit) {
  simplex.setRowUpper(static_cast<int>(row), limit);
  simplex.dual();
  const bool is_solved = simplex.status() == 0;
  const double best = simplex.getObjValue();
  simplex.setRowUpper(static_cast<int>(row), 0.0);
  return is_solved ? std::optional{best} : std::nullopt;
}

}  // namespace

std::optional<std::vector<OneSided>> one_sided_prices(const DirectionProgram& program,
                                                      const std::vector<std::uint32_t>& asked) {
  double greatest = 0;
  for (const auto& column : program.columns) {
    greatest = std::max(greatest, std::abs(column.objective));
  }
  if (program.columns.empty()) {
    return std::vector<OneSided>(asked.size());
  }
  greatest = greatest > 0 ? greatest : 1;
  ClpSimplex simplex;
  load(program, greatest, simplex);
  simplex.primal();
  if (simplex.status() != 0 || simplex.getObjValue() > kIsOptimum) {
    return std::nullopt;
  }
  std::vector<OneSided> prices;
  for (const auto row : asked) {
    const auto gain = best_with(simplex, row, 1.0);
    if (!gain) {
      return std::nullopt;
    }
    const auto rest = best_with(simplex, row, -1.0);
    prices.push_back({std::max(*gain, 0.0) * greatest, std::nullopt});
    if (rest) {
      prices.back().loss = std::max(-*rest, 0.0) * greatest;
    }
  }
  return prices;
}

}  // namespace perwatt::allocate
