// Quantities as a user writes them: a number and a unit, "100MW", "2 s", "50tok/s".
//
// A bare number is refused: a limit of "100" could be watts or megawatts. `where` is passed on to
// the error ("site.toml:3: site.envelope" or "--max-ttft").
#pragma once

#include <optional>
#include <string_view>

#include "perwatt/base/celsius.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt {

/// W, kW, MW, GW. Throws Error(bad_input) for anything else or a negative number.
[[nodiscard]] Watts parse_watts(std::string_view text, std::string_view where);

/// us, ms, s, min, h. Throws Error(bad_input) for anything else or a negative number.
[[nodiscard]] Seconds parse_seconds(std::string_view text, std::string_view where);

/// "10" or "10req/s", above 0: requests are counted, so that the bare number has one meaning.
[[nodiscard]] double parse_request_rate(std::string_view text, std::string_view where);

/// tok/s, ktok/s, Mtok/s, Gtok/s. Throws Error(bad_input) for anything else or a negative number.
[[nodiscard]] TokensPerSecond parse_tokens_per_second(std::string_view text,
                                                      std::string_view where);

/// USD/kWh, USD/MWh. Throws Error(bad_input) for anything else or a negative number.
[[nodiscard]] UsdPerJoule parse_energy_price(std::string_view text, std::string_view where);

/// "2.5%" as 0.025; nothing for other texts.
[[nodiscard]] std::optional<double> parse_percentage(std::string_view text);

/// C or °C, from -60 to 90. Throws Error(bad_input) for anything else.
[[nodiscard]] Celsius parse_celsius(std::string_view text, std::string_view where);

}  // namespace perwatt
