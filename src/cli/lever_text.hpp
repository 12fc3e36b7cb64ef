// Attribution and sensitivities of a plan as tables for people.
#pragma once

#include <string>

#include "perwatt/plan/attribution.hpp"
#include "perwatt/plan/sensitivity.hpp"

namespace perwatt::cli {

[[nodiscard]] std::string attribution_text(const plan::Attribution& attribution);

/// The changes of most effect on the profit.
[[nodiscard]] std::string sensitivities_text(const plan::Sensitivities& sensitivities);

}  // namespace perwatt::cli
