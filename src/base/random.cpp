#include "perwatt/base/random.hpp"

#include <cmath>

namespace perwatt {

namespace {

constexpr int kMantissaShift = 64 - 52;
constexpr double kCell = 1.0 / 4503599627370496.0;  // 2^-52

}  // namespace

double uniform_unit(std::mt19937_64& generator) {
  return (static_cast<double>(generator() >> kMantissaShift) + 0.5) * kCell;
}

double unit_exponential(std::mt19937_64& generator) {
  return -std::log(uniform_unit(generator));
}

double standard_normal(std::mt19937_64& generator) {
  while (true) {
    const double x = 2 * uniform_unit(generator) - 1;
    const double y = 2 * uniform_unit(generator) - 1;
    const double radius_squared = x * x + y * y;
    if (radius_squared < 1 && radius_squared > 0) {
      return x * std::sqrt(-2 * std::log(radius_squared) / radius_squared);
    }
  }
}

double standard_gamma(std::mt19937_64& generator, double shape) {
  if (shape < 1) {
    const double boosted = standard_gamma(generator, shape + 1);
    return boosted * std::pow(uniform_unit(generator), 1 / shape);
  }
  const double d = shape - 1.0 / 3.0;
  const double c = 1 / (3 * std::sqrt(d));
  while (true) {
    const double x = standard_normal(generator);
    const double root = 1 + c * x;
    if (root <= 0) {
      continue;
    }
    const double v = root * root * root;
    if (std::log(uniform_unit(generator)) < 0.5 * x * x + d - d * v + d * std::log(v)) {
      return d * v;
    }
  }
}

}  // namespace perwatt
