// What claims are worth, as tables.
#pragma once

#include <span>
#include <vector>

#include "../table.hpp"

#include "perwatt/report/claims.hpp"

namespace perwatt::report {

/// One row per claim: id, who says it, claimed, computed, verdict, why. For any document.
[[nodiscard]] Table claims_table(std::span<const ClaimResult> results);

/// Claim, claimed, computed and verdict, for documents about something else.
[[nodiscard]] Table short_claims_table(std::span<const ClaimResult> results);

/// All figures of one claim with target, boundary, tag, price table and what they rest on.
[[nodiscard]] Table figures_table(const ClaimResult& result);

/// The ratio over interactivity of one claim, a column per comparison; no rows without curves.
[[nodiscard]] Table curve_table(const ClaimResult& result);

}  // namespace perwatt::report
