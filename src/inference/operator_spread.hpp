// How far estimates may reach and how far off they are.
#pragma once

#include "perwatt/inference/operator_family.hpp"

namespace perwatt::inference {

inline constexpr double kMostUtilisation = 1.05;          // of estimates whose rows stay below it
inline constexpr double kMostOctavesUp = 3;               // beyond a range
inline constexpr double kMostOctavesDown = 1;             // below it
inline constexpr double kMostOctavesBetweenLines = 3.01;  // to either of two batches

/// 90th percentile of the relative error of left-out rows; docs/model/operators.md#uncertainty.
[[nodiscard]] double half_width(Operator op, OperatorRelation relation, double octaves);

}  // namespace perwatt::inference
