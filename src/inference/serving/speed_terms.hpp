// Which speed coefficients a row depends on: the others need no derivative.
#pragma once

#include "perwatt/inference/serving/coefficients.hpp"
#include "perwatt/inference/serving/measured_case.hpp"

namespace perwatt::inference::serving {

/// Whether a speed coefficient can change what is predicted for the row.
[[nodiscard]] bool matters(SpeedTerm term, const MeasuredCase& row);

}  // namespace perwatt::inference::serving
