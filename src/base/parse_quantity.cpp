#include "perwatt/base/parse_quantity.hpp"

#include <charconv>
#include <cmath>
#include <span>
#include <string>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt {

namespace {

struct Unit {
  std::string_view name;
  double in_base;
};

constexpr Unit kPowerUnits[] = {{"W", 1}, {"kW", 1e3}, {"MW", 1e6}, {"GW", 1e9}};
constexpr Unit kTimeUnits[] = {{"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"min", 60}, {"h", 3600}};
constexpr Unit kRateUnits[] = {{"tok/s", 1}, {"ktok/s", 1e3}, {"Mtok/s", 1e6}, {"Gtok/s", 1e9}};
constexpr Unit kEnergyPriceUnits[] = {{"USD/kWh", 1 / kJoulesPerKwh},
                                      {"USD/MWh", 1 / kJoulesPerMwh}};
constexpr Unit kTemperatureUnits[] = {{"C", 1}, {"°C", 1}};
constexpr double kColdest = -60;
constexpr double kHottest = 90;

std::string list_of(std::span<const Unit> units) {
  std::string names;
  for (const auto& unit : units) {
    names += (names.empty() ? "" : ", ") + std::string{unit.name};
  }
  return names;
}

enum class Sign { not_negative, any };

double parse(std::string_view text, std::string_view where, std::span<const Unit> units,
             std::string_view what, std::string_view example, Sign sign = Sign::not_negative) {
  const auto fail = [&](const std::string& problem) {
    throw_bad_input("'" + printable(text) + "' " + problem, std::string{where},
                    "write a " + std::string{what} + " with its unit (" + list_of(units) +
                        "), for example \"" + std::string{example} + "\"");
  };
  const auto clean = trimmed(text);
  double number = 0;
  const auto [stop, status] = std::from_chars(clean.data(), clean.data() + clean.size(), number);
  if (status == std::errc::result_out_of_range) {
    fail("is out of range");
  }
  if (status != std::errc{} || !std::isfinite(number)) {
    fail("does not start with a number");
  }
  const auto suffix = trimmed(clean.substr(static_cast<std::size_t>(stop - clean.data())));
  if (suffix.empty()) {
    fail("has no unit");
  }
  if (number < 0 && sign == Sign::not_negative) {
    fail("is negative");
  }
  for (const auto& unit : units) {
    if (unit.name == suffix) {
      const double value = number * unit.in_base;
      if (!std::isfinite(value)) {
        fail("is too large");
      }
      return value;
    }
  }
  fail("has the unknown unit '" + printable(suffix) + "'");
  return 0;  // not reached
}

}  // namespace

Watts parse_watts(std::string_view text, std::string_view where) {
  return watts(parse(text, where, kPowerUnits, "power", "100MW"));
}

double parse_request_rate(std::string_view text, std::string_view where) {
  constexpr std::string_view kUnit = "req/s";
  auto number_text = trimmed(text);
  if (number_text.size() > kUnit.size() &&
      number_text.substr(number_text.size() - kUnit.size()) == kUnit) {
    number_text = trimmed(number_text.substr(0, number_text.size() - kUnit.size()));
  }
  const auto rate = parse_number(number_text);
  if (!rate || *rate <= 0) {
    throw_bad_input("'" + printable(text) + "' is no rate above 0", std::string{where},
                    "write requests per second: 10");
  }
  return *rate;
}

Seconds parse_seconds(std::string_view text, std::string_view where) {
  return seconds(parse(text, where, kTimeUnits, "time", "2s"));
}

TokensPerSecond parse_tokens_per_second(std::string_view text, std::string_view where) {
  return tokens_per_second(parse(text, where, kRateUnits, "token rate", "50tok/s"));
}

UsdPerJoule parse_energy_price(std::string_view text, std::string_view where) {
  return UsdPerJoule::from_base(
      parse(text, where, kEnergyPriceUnits, "price of energy", "0.08USD/kWh"));
}

std::optional<double> parse_percentage(std::string_view text) {
  if (text.empty() || text.back() != '%') {
    return std::nullopt;
  }
  text.remove_suffix(1);
  const auto number = parse_number(trimmed(text));
  return number ? std::optional{*number / 100} : std::nullopt;
}

Celsius parse_celsius(std::string_view text, std::string_view where) {
  const double degrees = parse(text, where, kTemperatureUnits, "temperature", "45C", Sign::any);
  if (degrees < kColdest || degrees > kHottest) {
    throw_bad_input(
        "'" + printable(text) + "' is out of range", std::string{where},
        "write a temperature between " + shortest(kColdest) + " and " + shortest(kHottest) + " °C");
  }
  return celsius(degrees);
}

}  // namespace perwatt
