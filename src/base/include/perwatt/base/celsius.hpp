// Temperatures. A temperature is a point on a scale and no quantity: two of them have a difference
// in kelvin, but no sum and no ratio.
#pragma once

#include <compare>

namespace perwatt {

class Celsius;
constexpr Celsius celsius(double degrees);

class Celsius {
 public:
  constexpr Celsius() = default;  // 0 °C

  constexpr auto operator<=>(const Celsius&) const = default;

  [[nodiscard]] constexpr double degrees() const { return degrees_; }

 private:
  friend constexpr Celsius celsius(double degrees);

  explicit constexpr Celsius(double degrees) : degrees_{degrees} {}

  double degrees_ = 0.0;
};

/// REQUIRES: finite and above -273.15.
constexpr Celsius celsius(double degrees) {
  return Celsius{degrees};
}

constexpr double in_celsius(Celsius t) {
  return t.degrees();
}

constexpr double in_kelvin(Celsius t) {
  return t.degrees() + 273.15;
}

/// a - b in kelvin: positive when `a` is the warmer.
constexpr double kelvins_between(Celsius a, Celsius b) {
  return a.degrees() - b.degrees();
}

/// `t` shifted by `kelvins`.
constexpr Celsius warmer_by(Celsius t, double kelvins) {
  return celsius(t.degrees() + kelvins);
}

}  // namespace perwatt
