// The plan as tables for people.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "plan_json.hpp"

#include "perwatt/plan/delivery.hpp"

namespace perwatt::cli {

[[nodiscard]] std::string plan_text(const SolvedSite& solved,
                                    const std::optional<SolvedSite>& baseline);

/// A row for each step of the delivery schedule.
[[nodiscard]] std::string phases_text(const SolvedSite& solved,
                                      std::span<const plan::Phase> phases);

/// Every serving column of the linear program with its figures and, in an optimal plan, what it
/// got: one CSV row each.
[[nodiscard]] std::string candidates_csv(const SolvedSite& solved);

}  // namespace perwatt::cli
