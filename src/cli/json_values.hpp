// JSON of what may be unknown.
#pragma once

#include <optional>

#include "perwatt/base/json_node.hpp"

namespace perwatt::cli {

[[nodiscard]] inline Json number_or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

template <class Quantity>
[[nodiscard]] Json base_or_null(const std::optional<Quantity>& value) {
  return value ? Json(value->in_base()) : Json(nullptr);
}

}  // namespace perwatt::cli
