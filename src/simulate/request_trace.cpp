#include <algorithm>
#include <cstddef>
#include <string>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/simulate/request_stream.hpp"

namespace perwatt::simulate {

namespace {

constexpr std::int64_t kMostTraceTokens = 10'000'000;

/// Days since 1970-01-01 (H. Hinnant, chrono-compatible low-level date algorithms).
std::int64_t days_of_date(std::int64_t year, std::int64_t month, std::int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = year / 400;
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
         719468;
}

/// Digits of a fixed width, else nothing.
std::optional<std::int64_t> fixed_digits(std::string_view text, std::size_t at, std::size_t width) {
  std::int64_t value = 0;
  if (at + width > text.size()) {
    return std::nullopt;
  }
  for (const char c : text.substr(at, width)) {
    if (c < '0' || c > '9') {
      return std::nullopt;
    }
    value = value * 10 + (c - '0');
  }
  return value;
}

/// What follows the whole seconds: ".6805900", "Z", "+00:00".
std::optional<std::int64_t> fraction_nanoseconds(std::string_view rest) {
  for (const std::string_view zone : {"Z", "+00:00"}) {
    if (rest.size() >= zone.size() && rest.substr(rest.size() - zone.size()) == zone) {
      rest.remove_suffix(zone.size());
      break;
    }
  }
  if (rest.empty()) {
    return 0;
  }
  constexpr std::size_t kMostDigits = 9;
  const std::size_t digits = rest.size() - 1;
  if (rest.front() != '.' || digits < 1 || digits > kMostDigits) {
    return std::nullopt;
  }
  auto value = fixed_digits(rest, 1, digits);
  for (std::size_t i = digits; value && i < kMostDigits; ++i) {
    *value *= 10;
  }
  return value;
}

/// Since 1970; "YYYY-MM-DD hh:mm:ss" with a fraction and zone.
std::optional<std::int64_t> timestamp_nanoseconds(std::string_view text) {
  constexpr std::size_t kWholePart = 19;
  if (text.size() < kWholePart || text[4] != '-' || text[7] != '-' ||
      (text[10] != ' ' && text[10] != 'T') || text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  const auto year = fixed_digits(text, 0, 4);
  const auto month = fixed_digits(text, 5, 2);
  const auto day = fixed_digits(text, 8, 2);
  const auto hour = fixed_digits(text, 11, 2);
  const auto minute = fixed_digits(text, 14, 2);
  const auto second = fixed_digits(text, 17, 2);
  const auto fraction = fraction_nanoseconds(text.substr(kWholePart));
  if (!year || !month || !day || !hour || !minute || !second || !fraction) {
    return std::nullopt;
  }
  // Beyond 2199 nanoseconds would leave 64 bits.
  if (*year < 1970 || *year > 2199 || *month < 1 || *month > 12 || *day < 1 || *day > 31 ||
      *hour > 23 || *minute > 59 || *second > 59) {
    return std::nullopt;
  }
  const std::int64_t whole =
      ((days_of_date(*year, *month, *day) * 24 + *hour) * 60 + *minute) * 60 + *second;
  return whole * kNanosecondsPerSecond + *fraction;
}

std::int64_t trace_tokens(const CsvTable& table, const CsvRow& row, std::size_t column) {
  const auto count = parse_integer(trimmed(row.fields[column]));
  if (!count || *count < 0 || *count > kMostTraceTokens) {
    throw_bad_input("'" + printable(row.fields[column]) + "' is no count of tokens",
                    table.where(row, column), "give a whole number from 0 to 10,000,000");
  }
  return std::max<std::int64_t>(1, *count);
}

}  // namespace

RequestTrace parse_azure_trace(std::string_view text, const std::string& name) {
  const CsvTable table = CsvTable::parse(text, name);
  const std::size_t time = table.require("TIMESTAMP");
  const std::size_t input = table.require("ContextTokens");
  const std::size_t output = table.require("GeneratedTokens");
  RequestTrace trace;
  trace.reserve(table.rows().size());
  std::int64_t first = 0;
  for (const CsvRow& row : table.rows()) {
    const auto at = timestamp_nanoseconds(trimmed(row.fields[time]));
    if (!at) {
      throw_bad_input("'" + printable(row.fields[time]) + "' is no timestamp",
                      table.where(row, time), "write it as 2023-11-16 18:15:46.6805900");
    }
    first = trace.empty() ? *at : first;
    const Instant arrival = Instant::from_nanoseconds(*at - first);
    if (!trace.empty() && arrival < trace.back().arrival) {
      throw_bad_input("'" + printable(row.fields[time]) + "' is before the row above",
                      table.where(row, time), "sort the rows by TIMESTAMP");
    }
    trace.push_back({arrival, trace_tokens(table, row, input), trace_tokens(table, row, output)});
  }
  if (trace.empty()) {
    throw_bad_input("no request in the trace", name, "give a row or more below the header");
  }
  return trace;
}

}  // namespace perwatt::simulate
