// Attribution and sensitivities of a plan as JSON: docs/reference/plan-json.md.
#pragma once

#include <nlohmann/json.hpp>

#include "perwatt/plan/attribution.hpp"
#include "perwatt/plan/sensitivity.hpp"

namespace perwatt::cli {

/// Adds attribution, attribution_total and interactions.
void add_attribution(const plan::Attribution& attribution, nlohmann::ordered_json& json);

/// Adds sensitivities and usd_per_year_per_percent_tokens_per_joule.
void add_sensitivities(const plan::Sensitivities& sensitivities, nlohmann::ordered_json& json);

}  // namespace perwatt::cli
