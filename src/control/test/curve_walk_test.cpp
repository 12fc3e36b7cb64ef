#include "curve_walk.hpp"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace perwatt::control {
namespace {

/// Concave, from one point to six.
std::vector<allocate::CurvePoint> walked_curve(std::mt19937_64& random) {
  std::uniform_real_distribution<double> uniform{0.1, 1};
  std::vector<allocate::CurvePoint> curve{{watts(200 * uniform(random)), uniform(random)}};
  double slope = uniform(random);
  for (auto more = random() % 6; more > 0; --more) {
    const double width = 100 * uniform(random);
    curve.push_back({curve.back().power + watts(width), curve.back().value + slope * width});
    slope *= uniform(random);
  }
  return curve;
}

TEST(CurveWalk, IsAsTheValueAtEachOfRisingWattsToTheLastBit) {
  std::mt19937_64 random{1};
  for (int trial = 0; trial < 2000; ++trial) {
    const auto curve = walked_curve(random);
    std::uniform_real_distribution<double> somewhere{0, in_watts(curve.back().power) * 1.2};
    std::vector<Watts> powers;
    for (int i = 0; i < 8; ++i) {
      powers.push_back(watts(somewhere(random)));
    }
    for (const auto& point : curve) {  // its corners too, once and again
      powers.push_back(point.power);
      powers.push_back(point.power);
    }
    std::sort(powers.begin(), powers.end());
    CurveWalk walk{curve};
    for (const Watts power : powers) {
      EXPECT_EQ(walk.value_at(power), allocate::value_at(curve, power)) << in_watts(power);
    }
  }
}

}  // namespace
}  // namespace perwatt::control
