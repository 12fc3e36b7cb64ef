// A measurement as tables for people.
#pragma once

#include <span>
#include <string>

#include "perwatt/measure/measurement.hpp"

namespace perwatt::cli {

[[nodiscard]] std::string measurement_text(const measure::Measurement& measurement);

/// One line a run, for sweeps and repetitions.
[[nodiscard]] std::string runs_text(std::span<const measure::Measurement> runs);

}  // namespace perwatt::cli
