// Text helpers shared by readers and writers.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace perwatt {

/// The whole of `text` as a finite decimal number, else nothing. Locale-free.
[[nodiscard]] std::optional<double> parse_number(std::string_view text);

/// The whole of `text` as an integer, else nothing.
[[nodiscard]] std::optional<std::int64_t> parse_integer(std::string_view text);

/// The shortest decimal that reads back as the same double: "3000000", "0.1", "1e+30".
[[nodiscard]] std::string shortest(double value);

/// For people: at least `digits` significant digits and all before the point, thousands separated,
/// no exponent, no zeros at the end: "14,551", "0.0123".
[[nodiscard]] std::string significant(double value, int digits = 4);

/// True for YYYY-MM-DD, YYYY-MM or YYYY: dates that compare as text.
[[nodiscard]] bool is_iso_date(std::string_view text);

[[nodiscard]] std::string_view trimmed(std::string_view text);
[[nodiscard]] std::string lower_case(std::string_view text);
[[nodiscard]] std::vector<std::string> split(std::string_view text, char separator);
[[nodiscard]] std::string join(std::span<const std::string> parts, std::string_view separator);

/// "did you mean 'x'?" for the candidate nearest to `wrong` in edit distance when it is near
/// enough, else "one of: a, b, c" (at most twelve).
[[nodiscard]] std::string suggestion(std::string_view wrong,
                                     std::span<const std::string> candidates);

/// `text` with control characters and bytes that are not UTF-8 shown as \xNN, cut to `max_bytes`,
/// for echoing outside bytes in an error message.
[[nodiscard]] std::string printable(std::string_view text, std::size_t max_bytes = 80);

}  // namespace perwatt
