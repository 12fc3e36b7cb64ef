// Bounded, robust least squares in logarithms of positive parameters, each with a log-normal prior:
// the one fit behind all coefficients of the serving model.
//
// Minimises  sum_i w_i c^2 ln(1 + (r_i / c)^2) / sigma^2  +  sum_j ((x_j - x0_j) / s_j)^2
// by damped Gauss-Newton steps (Levenberg, Quart. Appl. Math. 2, 1944; Marquardt, SIAM J. 11, 1963)
// on the iteratively reweighted problem; Cauchy's loss keeps broken rows from deciding.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "symmetric_solve.hpp"

namespace perwatt::inference::serving {

struct FitParameter {
  double start = 0;  // logarithm; centre of the prior
  double spread = 1;
  double low = 0;
  double high = 0;
};

struct FitSettings {
  double loss_scale = 0.25;  // c
  double sigma = 1;
  int max_rounds = 15;
};

/// Residuals of one row; those that are absent are 0 with every parameter.
inline constexpr std::size_t kMostResiduals = 2;
using Residuals = std::array<double, kMostResiduals>;

/// `Rows` has size(), weight(i), parameters(i) -> span of the indices row i depends on, and
/// residuals(i, span of logarithms) -> Residuals. `values` holds the logarithms to start from and
/// is changed in place.
template <class Rows>
void robust_fit(const Rows& rows, std::span<const FitParameter> parameters,
                const FitSettings& settings, std::vector<double>& values) {
  constexpr double kStep = 1e-3;
  constexpr double kMostChange = 0.7;
  constexpr int kMostDampings = 6;
  const std::size_t count = parameters.size();
  const double c2 = settings.loss_scale * settings.loss_scale;
  const double per_variance = 1 / (settings.sigma * settings.sigma);
  const auto loss = [&](std::span<const double> at) {
    double sum = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      double row = 0;
      for (const double r : rows.residuals(i, at)) {
        row += c2 * std::log1p(r * r / c2);
      }
      sum += rows.weight(i) * row * per_variance;
    }
    for (std::size_t j = 0; j < count; ++j) {
      const double off = (at[j] - parameters[j].start) / parameters[j].spread;
      sum += off * off;
    }
    return sum;
  };
  double current = loss(values);
  double damping = 1e-2;
  for (int round = 0; round < settings.max_rounds; ++round) {
    std::vector<double> gradient(count, 0.0);
    SymmetricMatrix curvature{count};
    std::vector<double> moved = values;
    std::array<std::vector<double>, kMostResiduals> slopes;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto active = rows.parameters(i);
      const Residuals base = rows.residuals(i, values);
      for (auto& slope : slopes) {
        slope.assign(active.size(), 0.0);
      }
      for (std::size_t k = 0; k < active.size(); ++k) {
        const std::size_t j = active[k];
        moved[j] += kStep;
        const Residuals shifted = rows.residuals(i, moved);
        moved[j] = values[j];
        for (std::size_t m = 0; m < kMostResiduals; ++m) {
          slopes[m][k] = (shifted[m] - base[m]) / kStep;
        }
      }
      for (std::size_t m = 0; m < kMostResiduals; ++m) {
        const double weight = rows.weight(i) * per_variance / (1 + base[m] * base[m] / c2);
        for (std::size_t k = 0; k < active.size(); ++k) {
          const double scaled = weight * slopes[m][k];
          gradient[active[k]] += scaled * base[m];
          for (std::size_t l = 0; l <= k; ++l) {
            curvature.add(active[k], active[l], scaled * slopes[m][l]);
          }
        }
      }
    }
    for (std::size_t j = 0; j < count; ++j) {
      const double precision = 1 / (parameters[j].spread * parameters[j].spread);
      gradient[j] += precision * (values[j] - parameters[j].start);
      curvature.add(j, j, precision);
    }
    bool has_improved = false;
    double gain = 0;
    for (int attempt = 0; attempt < kMostDampings && !has_improved; ++attempt) {
      SymmetricMatrix damped = curvature;
      for (std::size_t j = 0; j < count; ++j) {
        damped.add(j, j, damping * curvature.at(j, j));
      }
      std::vector<double> step = gradient;
      factorise(damped);
      solve_factorised(damped, step);
      std::vector<double> next = values;
      for (std::size_t j = 0; j < count; ++j) {
        next[j] = std::clamp(values[j] - std::clamp(step[j], -kMostChange, kMostChange),
                             parameters[j].low, parameters[j].high);
      }
      const double next_loss = loss(next);
      if (next_loss < current) {
        gain = current - next_loss;
        current = next_loss;
        values = std::move(next);
        damping = std::max(damping / 4, 1e-5);
        has_improved = true;
      } else {
        damping *= 5;
      }
    }
    if (!has_improved || gain < 1e-4 * current) {
      return;
    }
  }
}

}  // namespace perwatt::inference::serving
