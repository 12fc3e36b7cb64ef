// JSON of what may be unknown.
#pragma once

#include <optional>

#include <nlohmann/json.hpp>

namespace perwatt::cli {

[[nodiscard]] inline nlohmann::ordered_json number_or_null(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

}  // namespace perwatt::cli
