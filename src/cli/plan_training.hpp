// Training jobs of a plan, as JSON (docs/reference/plan-json.md) and as tables.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "perwatt/plan/plan.hpp"

namespace perwatt::cli {

/// One item per job of the site; without its plans where the site has no plan.
[[nodiscard]] nlohmann::ordered_json training_json(const plan::SolvedSite& solved);

/// Empty for a site without training jobs. REQUIRES: an optimal plan.
[[nodiscard]] std::string training_text(const plan::SolvedSite& solved);

}  // namespace perwatt::cli
