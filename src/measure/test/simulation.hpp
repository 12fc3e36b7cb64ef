// What simulations of intervals and comparisons share.
#pragma once

#include <cmath>
#include <random>

#include "perwatt/base/random.hpp"

namespace perwatt::measure {

inline constexpr int kExperiments = 4000;

/// A draw of Student's t.
inline double t_law(std::mt19937_64& generator, double dof) {
  return standard_normal(generator) / std::sqrt(standard_gamma(generator, dof / 2) * 2 / dof);
}

}  // namespace perwatt::measure
