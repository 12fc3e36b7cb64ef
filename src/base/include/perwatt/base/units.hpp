// Strong units. A quantity holds one double in its base unit (J, s, token, USD and their products);
// dimensions are checked by the compiler and cost nothing at run time.
//
// Contract: construction is explicit and names the unit (watts(700)); + - and comparison need equal
// dimensions; * and / derive the dimension; a ratio of equal dimensions is a plain double. Values
// are finite: what is missing is std::optional, never NaN.
#pragma once

#include <compare>

namespace perwatt {

/// Exponents of joule, second, token and US dollar.
template <int J, int S, int Tok, int Usd>
struct Dim {};

template <class D>
class Quantity;

template <int J, int S, int Tok, int Usd>
class Quantity<Dim<J, S, Tok, Usd>> {
 public:
  constexpr Quantity() = default;

  /// `value` in the base unit: J^J s^S token^Tok USD^Usd.
  static constexpr Quantity from_base(double value) { return Quantity{value}; }

  [[nodiscard]] constexpr double in_base() const { return value_; }

  constexpr auto operator<=>(const Quantity&) const = default;

  constexpr Quantity& operator+=(Quantity other) {
    value_ += other.value_;
    return *this;
  }

  constexpr Quantity& operator-=(Quantity other) {
    value_ -= other.value_;
    return *this;
  }

  friend constexpr Quantity operator+(Quantity a, Quantity b) {
    return Quantity{a.value_ + b.value_};
  }

  friend constexpr Quantity operator-(Quantity a, Quantity b) {
    return Quantity{a.value_ - b.value_};
  }

  friend constexpr Quantity operator-(Quantity a) { return Quantity{-a.value_}; }

  friend constexpr Quantity operator*(Quantity a, double k) { return Quantity{a.value_ * k}; }

  friend constexpr Quantity operator*(double k, Quantity a) { return Quantity{a.value_ * k}; }

  friend constexpr Quantity operator/(Quantity a, double k) { return Quantity{a.value_ / k}; }

  friend constexpr double operator/(Quantity a, Quantity b) { return a.value_ / b.value_; }

 private:
  explicit constexpr Quantity(double value) : value_{value} {}

  double value_ = 0.0;
};

template <int J, int S, int T, int U, int J2, int S2, int T2, int U2>

requires(J + J2 != 0 || S + S2 != 0 || T + T2 != 0 || U + U2 != 0) constexpr auto operator*(
    Quantity<Dim<J, S, T, U>> a, Quantity<Dim<J2, S2, T2, U2>> b) {
  return Quantity<Dim<J + J2, S + S2, T + T2, U + U2>>::from_base(a.in_base() * b.in_base());
}

template <int J, int S, int T, int U, int J2, int S2, int T2, int U2>

requires(J != J2 || S != S2 || T != T2 || U != U2) constexpr auto operator/(
    Quantity<Dim<J, S, T, U>> a, Quantity<Dim<J2, S2, T2, U2>> b) {
  return Quantity<Dim<J - J2, S - S2, T - T2, U - U2>>::from_base(a.in_base() / b.in_base());
}

using Joules = Quantity<Dim<1, 0, 0, 0>>;
using Seconds = Quantity<Dim<0, 1, 0, 0>>;
using Watts = Quantity<Dim<1, -1, 0, 0>>;
using Tokens = Quantity<Dim<0, 0, 1, 0>>;
using TokensPerSecond = Quantity<Dim<0, -1, 1, 0>>;
using JoulesPerToken = Quantity<Dim<1, 0, -1, 0>>;
using TokensPerJoule = Quantity<Dim<-1, 0, 1, 0>>;
using Usd = Quantity<Dim<0, 0, 0, 1>>;
using UsdPerSecond = Quantity<Dim<0, -1, 0, 1>>;
using UsdPerJoule = Quantity<Dim<-1, 0, 0, 1>>;
using UsdPerToken = Quantity<Dim<0, 0, -1, 1>>;

inline constexpr double kSecondsPerHour = 3600.0;
inline constexpr int kHoursPerYear = 8760;
inline constexpr int kHoursPerLeapYear = 8784;
inline constexpr double kSecondsPerYear = kHoursPerYear * kSecondsPerHour;
inline constexpr double kJoulesPerKwh = 3.6e6;
inline constexpr double kJoulesPerMwh = 3.6e9;

constexpr Watts watts(double v) {
  return Watts::from_base(v);
}

constexpr Watts kilowatts(double v) {
  return Watts::from_base(v * 1e3);
}

constexpr Watts megawatts(double v) {
  return Watts::from_base(v * 1e6);
}

constexpr Seconds seconds(double v) {
  return Seconds::from_base(v);
}

constexpr Tokens tokens(double v) {
  return Tokens::from_base(v);
}

constexpr TokensPerSecond tokens_per_second(double v) {
  return TokensPerSecond::from_base(v);
}

constexpr JoulesPerToken joules_per_token(double v) {
  return JoulesPerToken::from_base(v);
}

constexpr Usd usd(double v) {
  return Usd::from_base(v);
}

constexpr UsdPerSecond usd_per_hour(double v) {
  return UsdPerSecond::from_base(v / kSecondsPerHour);
}

constexpr UsdPerJoule usd_per_kwh(double v) {
  return UsdPerJoule::from_base(v / kJoulesPerKwh);
}

constexpr UsdPerToken usd_per_million_tokens(double v) {
  return UsdPerToken::from_base(v / 1e6);
}

constexpr double in_watts(Watts v) {
  return v.in_base();
}

constexpr double in_kilowatts(Watts v) {
  return v.in_base() / 1e3;
}

constexpr double in_megawatts(Watts v) {
  return v.in_base() / 1e6;
}

constexpr double in_seconds(Seconds v) {
  return v.in_base();
}

constexpr double in_tokens(Tokens v) {
  return v.in_base();
}

constexpr double in_tokens_per_second(TokensPerSecond v) {
  return v.in_base();
}

constexpr double in_joules_per_token(JoulesPerToken v) {
  return v.in_base();
}

constexpr double in_usd(Usd v) {
  return v.in_base();
}

constexpr double in_usd_per_hour(UsdPerSecond v) {
  return v.in_base() * kSecondsPerHour;
}

constexpr double in_usd_per_kwh(UsdPerJoule v) {
  return v.in_base() * kJoulesPerKwh;
}

constexpr double in_usd_per_million_tokens(UsdPerToken v) {
  return v.in_base() * 1e6;
}

}  // namespace perwatt
