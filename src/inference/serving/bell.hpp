// How likeness fades with distance, in the covariances of deployments.
#pragma once

#include <cmath>

namespace perwatt::inference::serving {

constexpr double square(double x) {
  return x * x;
}

inline double bell(double squared_distance) {
  return std::exp(-squared_distance / 2);
}

}  // namespace perwatt::inference::serving
