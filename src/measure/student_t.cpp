#include "student_t.hpp"

#include <cmath>
#include <numbers>

namespace perwatt::measure {

// The finite series of Abramowitz and Stegun (1964), 26.7.3 and 26.7.4.
double student_t_inside(double t, int freedom) {
  const double angle = std::atan(t / std::sqrt(static_cast<double>(freedom)));
  const double cosine_square = std::cos(angle) * std::cos(angle);
  const bool odd = freedom % 2 == 1;
  double term = odd ? std::cos(angle) : 1.0;
  double sum = 0.0;
  for (int k = odd ? 2 : 1; k < freedom; k += 2) {
    sum += term;
    term *= cosine_square * k / (k + 1);
  }
  return odd ? (angle + std::sin(angle) * sum) * 2.0 / std::numbers::pi : std::sin(angle) * sum;
}

double student_t_bound(double probability, int freedom) {
  double low = 0.0;
  double high = 1.0;
  while (student_t_inside(high, freedom) < probability) {
    high *= 2.0;
  }
  for (int i = 0; i < 100; ++i) {
    const double middle = 0.5 * (low + high);
    (student_t_inside(middle, freedom) < probability ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

}  // namespace perwatt::measure
