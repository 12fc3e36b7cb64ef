// `perwatt report claims --json`; keys: docs/reference/claims.md.
#pragma once

#include <span>

#include <nlohmann/json.hpp>

#include "perwatt/report/claims.hpp"

namespace perwatt::cli {

[[nodiscard]] nlohmann::ordered_json claims_json(std::span<const report::ClaimResult> results);

}  // namespace perwatt::cli
