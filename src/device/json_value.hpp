// Values out of JSON documents that peers serve.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "perwatt/base/result.hpp"

namespace perwatt::device {

/// Failure, naming `name`, for a text that is no JSON.
[[nodiscard]] Result<nlohmann::json> parse_json(std::string_view text, const std::string& name);

/// The member `key` of an object, or nothing.
[[nodiscard]] const nlohmann::json* find_member(const nlohmann::json& object, const char* key);

/// The string behind `key`, "" when it is absent or no string.
[[nodiscard]] std::string text_of(const nlohmann::json& object, const char* key);

/// A finite number, also one that is written as a string, else nothing.
[[nodiscard]] std::optional<double> number_of(const nlohmann::json& value);

}  // namespace perwatt::device
