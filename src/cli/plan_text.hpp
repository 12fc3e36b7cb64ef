// The plan as tables for people.
#pragma once

#include <optional>
#include <string>

#include "plan_json.hpp"

namespace perwatt::cli {

[[nodiscard]] std::string plan_text(const SolvedSite& solved,
                                    const std::optional<SolvedSite>& baseline);

/// Every column of the linear program with its figures and, in an optimal plan, what it got: one
/// CSV row each.
[[nodiscard]] std::string candidates_csv(const SolvedSite& solved);

}  // namespace perwatt::cli
