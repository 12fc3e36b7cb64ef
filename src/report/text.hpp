// Numbers and escapes for documents that people read.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "perwatt/base/units.hpp"

namespace perwatt::report {

/// `value` rounded to `digits` significant digits, thousands separated: "12,345.7", never
/// "1.2e+06".
[[nodiscard]] std::string significant(double value, int digits = 4);

/// A change: "+12,345", "-0.4"; "0" for less than a millionth, which is the solver's rounding.
[[nodiscard]] std::string signed_text(double value, int digits = 4);

/// With a prefix and its unit: "98.3 MW", "19.2 M tok/s", "1,234 USD/h", "12.1 %".
[[nodiscard]] std::string power_text(Watts power, int digits = 4);
[[nodiscard]] std::string rate_text(TokensPerSecond rate, int digits = 4);
[[nodiscard]] std::string money_text(UsdPerSecond rate, int digits = 4);
[[nodiscard]] std::string percent_text(double ratio, int digits = 3);

/// "a, b and c".
[[nodiscard]] std::string listed(std::span<const std::string> parts);

/// Safe inside an element and inside a quoted attribute. Control characters but line breaks and
/// tabs are dropped.
[[nodiscard]] std::string html_escaped(std::string_view text);

/// JSON text safe inside <script>: no "<" stays, so that no tag can begin or end there.
[[nodiscard]] std::string script_escaped(std::string json);

/// Safe inside a cell of a Markdown table: pipes, markup and line breaks are disarmed.
[[nodiscard]] std::string markdown_escaped(std::string_view text);

/// True for http:// and https:// addresses of printable ASCII; nothing else is ever made a link.
[[nodiscard]] bool is_web_address(std::string_view url);

/// Lower-case letters, digits and single hyphens, for ids of elements; "x" when nothing is left.
[[nodiscard]] std::string slug(std::string_view text);

}  // namespace perwatt::report
