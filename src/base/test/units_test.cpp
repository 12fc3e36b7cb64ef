#include "perwatt/base/units.hpp"

#include <cmath>
#include <concepts>
#include <type_traits>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/celsius.hpp"
#include "perwatt/base/tag.hpp"

namespace perwatt {
namespace {

template <class A, class B>
concept Addable = requires(A a, B b) {
  a + b;
};

template <class A, class B>
concept Comparable = requires(A a, B b) {
  a < b;
};

template <class A, class B>
concept EqualityComparable = requires(A a, B b) {
  a == b;
};

template <class A, class B>
concept Multipliable = requires(A a, B b) {
  a* b;
};

// A product without dimension is never a quantity without dimension.
static_assert(Multipliable<Watts, Seconds>);
static_assert(!Multipliable<Seconds, Quantity<Dim<0, -1, 0, 0>>>);
static_assert(Addable<Watts, Watts>);
static_assert(!Addable<Watts, Joules>);
static_assert(!Addable<Watts, double>);
static_assert(Comparable<Watts, Watts>);
static_assert(!Comparable<Watts, Seconds>);
static_assert(!EqualityComparable<Tokens, Usd>);
static_assert(!EqualityComparable<Watts, double>);
static_assert(!std::convertible_to<double, Watts>);
static_assert(!std::is_constructible_v<Watts, double>);
static_assert(!std::convertible_to<Watts, double>);
static_assert(!std::is_constructible_v<double, Watts>);
static_assert(sizeof(Watts) == sizeof(double));
static_assert(std::is_trivially_copyable_v<Watts>);

TEST(Units, ProductsAndQuotientsDeriveTheDimension) {
  static_assert(std::is_same_v<decltype(watts(1) * seconds(1)), Joules>);
  static_assert(std::is_same_v<decltype(seconds(1) * watts(1)), Joules>);
  static_assert(std::is_same_v<decltype(Joules{} / seconds(1)), Watts>);
  static_assert(std::is_same_v<decltype(watts(1) / tokens_per_second(1)), JoulesPerToken>);
  static_assert(std::is_same_v<decltype(tokens_per_second(1) / watts(1)), TokensPerJoule>);
  static_assert(std::is_same_v<decltype(watts(1) * usd_per_kwh(1)), UsdPerSecond>);
  static_assert(std::is_same_v<decltype(usd_per_hour(1) / tokens_per_second(1)), UsdPerToken>);
  static_assert(std::is_same_v<decltype(tokens(1) / seconds(1)), TokensPerSecond>);
  static_assert(std::is_same_v<decltype(joules_per_token(1) * tokens_per_second(1)), Watts>);
  static_assert(std::is_same_v<decltype(watts(1) / watts(1)), double>);
  EXPECT_DOUBLE_EQ((watts(700) * seconds(2)).in_base(), 1400);
  EXPECT_DOUBLE_EQ(watts(900) / watts(300), 3);
}

TEST(Units, EachNameConvertsByItsFactor) {
  EXPECT_DOUBLE_EQ(in_watts(kilowatts(1.5)), 1500);
  EXPECT_DOUBLE_EQ(in_watts(megawatts(100)), 1e8);
  EXPECT_DOUBLE_EQ(in_kilowatts(watts(10401)), 10.401);
  EXPECT_DOUBLE_EQ(in_megawatts(kilowatts(1870)), 1.87);
  EXPECT_DOUBLE_EQ(in_usd_per_hour(usd_per_hour(1.17)), 1.17);
  EXPECT_DOUBLE_EQ(usd_per_hour(3600).in_base(), 1);
  EXPECT_DOUBLE_EQ(in_usd_per_kwh(usd_per_kwh(0.09)), 0.09);
  EXPECT_DOUBLE_EQ(in_usd_per_million_tokens(usd_per_million_tokens(0.55)), 0.55);
  EXPECT_DOUBLE_EQ(usd_per_million_tokens(1).in_base(), 1e-6);
}

TEST(Units, OneKilowattForAnHourCostsTheKwhPrice) {
  const Joules energy = kilowatts(1) * seconds(kSecondsPerHour);
  EXPECT_DOUBLE_EQ(energy.in_base(), kJoulesPerKwh);
  EXPECT_DOUBLE_EQ(in_usd(energy * usd_per_kwh(0.09)), 0.09);
  EXPECT_DOUBLE_EQ(in_usd_per_hour(kilowatts(1) * usd_per_kwh(0.09)), 0.09);
}

TEST(Units, PublishedCostPerMillionTokensIsReproduced) {
  // $1.41/h at 90 tokens/s per GPU is $4.35 per million tokens.
  const UsdPerToken h200 = usd_per_hour(1.41) / tokens_per_second(90);
  EXPECT_NEAR(in_usd_per_million_tokens(h200), 4.35, 0.005);
  const UsdPerToken gb300 = usd_per_hour(2.652) / tokens_per_second(6000);
  EXPECT_NEAR(in_usd_per_million_tokens(gb300), 0.1228, 0.0001);
}

TEST(Units, ADefaultQuantityIsZero) {
  EXPECT_EQ(Watts{}, watts(0));
  EXPECT_DOUBLE_EQ(Watts{}.in_base(), 0);
}

TEST(Tags, AreOrderedFromStrongToWeakAndSpeltOnce) {
  constexpr Tag kAll[] = {Tag::measured, Tag::derived,   Tag::interpolated,
                          Tag::modelled, Tag::published, Tag::assumed};
  for (const Tag a : kAll) {
    EXPECT_EQ(parse_tag(to_string(a)), a);
    for (const Tag b : kAll) {
      EXPECT_EQ(weaker(a, b), weaker(b, a));
      EXPECT_EQ(weaker(a, b), a > b ? a : b);
    }
  }
  EXPECT_EQ(parse_tag("Measured"), std::nullopt);
  EXPECT_EQ(parse_tag(""), std::nullopt);
}

rc::Gen<double> moderate() {
  return rc::gen::map(rc::gen::inRange(-1'000'000'000, 1'000'000'000),
                      [](int v) { return v * 1e-3; });
}

RC_GTEST_PROP(UnitsProperty, ArithmeticIsThatOfTheBaseValues, ()) {
  const double a = *moderate();
  const double b = *moderate();
  const double k = *moderate();
  RC_ASSERT((watts(a) + watts(b)).in_base() == a + b);
  RC_ASSERT((watts(a) - watts(b)).in_base() == a - b);
  RC_ASSERT((-watts(a)).in_base() == -a);
  RC_ASSERT((watts(a) * k).in_base() == a * k);
  RC_ASSERT((k * watts(a)).in_base() == k * a);
  RC_ASSERT((watts(a) < watts(b)) == (a < b));
  RC_ASSERT((watts(a) == watts(b)) == (a == b));
  Watts sum = watts(a);
  sum += watts(b);
  RC_ASSERT(sum == watts(a) + watts(b));
  sum -= watts(b);
  RC_ASSERT(sum == watts(a) + watts(b) - watts(b));
  RC_PRE(k != 0.0);
  RC_ASSERT((watts(a) / k).in_base() == a / k);
  RC_ASSERT(watts(a) / watts(k) == a / k);
  RC_ASSERT((Joules::from_base(a) / seconds(k)).in_base() == a / k);
}

RC_GTEST_PROP(UnitsProperty, ConversionsRoundTrip, ()) {
  const double v = *moderate();
  const double close = 1e-12 * std::abs(v);
  RC_ASSERT(std::abs(in_kilowatts(kilowatts(v)) - v) <= close);
  RC_ASSERT(std::abs(in_megawatts(megawatts(v)) - v) <= close);
  RC_ASSERT(std::abs(in_usd_per_hour(usd_per_hour(v)) - v) <= close);
  RC_ASSERT(std::abs(in_usd_per_kwh(usd_per_kwh(v)) - v) <= close);
  RC_ASSERT(std::abs(in_usd_per_million_tokens(usd_per_million_tokens(v)) - v) <= close);
}

static_assert(!std::is_convertible_v<double, Celsius>);
static_assert(!std::is_convertible_v<Celsius, double>);

template <class T>
concept CanBeAdded = requires(T a, T b) {
  a + b;
};

static_assert(!CanBeAdded<Celsius>);  // 20 °C and 20 °C are not 40 °C
static_assert(celsius(20) < celsius(20.5));
static_assert(in_kelvin(celsius(0)) == 273.15);
static_assert(kelvins_between(celsius(45), celsius(32)) == 13);
static_assert(warmer_by(celsius(45), -13) == celsius(32));
static_assert(in_celsius(Celsius{}) == 0);

}  // namespace
}  // namespace perwatt
