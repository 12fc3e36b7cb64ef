// Measurements as JSON and requests as JSON Lines: docs/reference/measurement.md.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/instant.hpp"
#include "perwatt/measure/measurement.hpp"
#include "perwatt/measure/request_record.hpp"

namespace perwatt::measure {

/// A JSON object with a line feed at the end.
[[nodiscard]] std::string format_measurement(const Measurement& measurement);

/// The measurement in `text`; `name` stands for the file in messages. Throws Error(bad_input) for
/// what is no measurement, lacks a key, has a value out of range or another schema version.
[[nodiscard]] Measurement parse_measurement(std::string_view text, const std::string& name);

/// One line per request; times are seconds since 1970 (unix_*) and durations since `sent`.
[[nodiscard]] std::string format_requests(std::span<const RequestRecord> records,
                                          const WallClock& clock);

/// The answers in such lines that can be scored: prompt, expected, text and outcome; the other
/// fields of a record are empty. Throws Error(bad_input) with the line for what is no such line.
[[nodiscard]] std::vector<RequestRecord> parse_answers(std::string_view text,
                                                       const std::string& name);

}  // namespace perwatt::measure
