// The plan as JSON for scripts: docs/reference/plan-json.md.
#pragma once

#include <optional>

#include <nlohmann/json.hpp>

#include "perwatt/catalog/catalog.hpp"
#include "perwatt/plan/plan.hpp"

namespace perwatt::cli {

using plan::SolvedSite;

[[nodiscard]] nlohmann::ordered_json plan_json(const SolvedSite& solved,
                                               const catalog::Catalog& catalog,
                                               const std::optional<SolvedSite>& baseline);

}  // namespace perwatt::cli
