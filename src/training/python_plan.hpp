// Private: nested Python lists and tuples of texts and whole numbers, parsed and never evaluated.
#pragma once

#include <string>
#include <string_view>

#include "perwatt/training/plan_file.hpp"

namespace perwatt::training {

/// Throws Error(bad_input) with the line.
[[nodiscard]] PlanTable read_python_plan(std::string_view text, const std::string& name);

}  // namespace perwatt::training
