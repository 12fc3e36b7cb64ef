#include <algorithm>
#include <cmath>
#include <limits>

#include "perwatt/measure/intervals.hpp"

namespace perwatt::measure {

namespace {

/// log( Gamma(a + 1/2) / Gamma(a) ), without the cancellation of two large logarithms.
double log_gamma_ratio(double a) {
  // Up to where the series holds, by Gamma(a + 1) = a Gamma(a).
  double steps = 0;
  while (a < 25) {
    steps += std::log(a / (a + 0.5));
    a += 1;
  }
  // Asymptotic series (Tricomi and Erdelyi, 1951); the next term is below 1e-13 from 25 on.
  const double inverse = 1 / a;
  const double square = inverse * inverse;
  return steps + 0.5 * std::log(a) -
         inverse * (1.0 / 8 - square * (1.0 / 192 - square * (1.0 / 640 - square * 17.0 / 14336)));
}

/// The continued fraction of I_x(a, b), by the modified Lentz method.
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  constexpr int kMostTerms = 100000;  // about sqrt(max(a, b)) are used
  const auto away_from_zero = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double c = 1;
  double d = 1 / away_from_zero(1 - (a + b) * x / (a + 1));
  double fraction = d;
  for (int m = 1; m < kMostTerms; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away_from_zero(1 + even * d);
    c = away_from_zero(1 + even / c);
    fraction *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away_from_zero(1 + odd * d);
    c = away_from_zero(1 + odd / c);
    fraction *= d * c;
    if (std::abs(d * c - 1) < std::numeric_limits<double>::epsilon()) {
      break;
    }
  }
  return fraction;
}

/// P(T > t), and how fast its logarithm falls with log t: t f(t) / P(T > t), f the density.
struct Tail {
  double probability;
  double slope;
};

Tail tail_at(double t, double dof) {
  constexpr double kLogPi = 1.1447298858494002;
  const double a = dof / 2;
  const double square = t * t;
  const double x = 1 / (1 + square / dof);     // dof / (dof + t^2)
  const double rest = 1 / (1 + dof / square);  // 1 - x
  // x^a (1 - x)^(1/2) / B(a, 1/2) = t f(t), of which both fractions are multiples.
  const double log_x = square < dof ? -std::log1p(square / dof) : std::log(x);
  const double front =
      std::exp(a * log_x + 0.5 * std::log(rest) + log_gamma_ratio(a) - 0.5 * kLogPi);
  double probability = 0;
  if (x < (a + 1) / (a + 2.5)) {
    probability = 0.5 * front * beta_fraction(a, 0.5, x) / a;
  } else {
    probability = 0.5 * (1 - front * beta_fraction(0.5, a, rest) / 0.5);
  }
  return {probability, front / probability};
}

}  // namespace

double student_t_upper_tail(double t, double dof) {
  if (t == 0) {
    return 0.5;
  }
  const double tail = tail_at(std::abs(t), dof).probability;
  return t > 0 ? tail : 1 - tail;
}

double student_t_quantile(double probability, double dof) {
  if (probability == 0.5) {
    return 0;
  }
  // Newton on log P(T > t) over log t, which is concave: right of the root it comes nearer from one
  // side, and a step from the left, kept short of where the tail underflows, leads right of it.
  const double wanted = std::min(probability, 1 - probability);
  double log_t = 0;
  for (int step = 0; step < 200; ++step) {
    const Tail tail = tail_at(std::exp(log_t), dof);
    const double move = std::log(tail.probability / wanted) / tail.slope;
    log_t += std::min(move, 1.0);
    if (std::abs(move) < 1e-14 * (1 + std::abs(log_t))) {
      break;
    }
  }
  return probability < 0.5 ? -std::exp(log_t) : std::exp(log_t);
}

}  // namespace perwatt::measure
